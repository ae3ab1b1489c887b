"""Settings of the process, and the only place that reads the environment. What the process *does* is in `topologies/`, never here.

A setting is the field's path in upper case behind `RUMBO__`, parts joined by two underscores: `RUMBO__BROKERS=kafka-1:9092`,
`RUMBO__SECURITY__USERNAME=rumbo`. One that does not exist is an error, so a misspelt name never passes in silence.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from rumbo.errors import DefinitionError

PREFIX: Final = "RUMBO__"
RESERVED: Final = frozenset({"RUMBO__FAILPOINT"})
"""Read by the fault tests alone, never settings."""


class Security(BaseModel, frozen=True, extra="forbid"):
    """How to reach the brokers. With neither `tls` nor `username`, plain text: to loopback only, unless `insecure` says so."""

    tls: bool = False
    ca_file: Path | None = None
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: Path | None = None
    insecure: bool = False

    def secret(self) -> str | None:
        """The password, from its file if there is one. Raises OSError when the file cannot be read."""
        return self.password if self.password_file is None else self.password_file.read_text().strip()


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Settings of one worker process. Lengths of time in seconds or as ISO 8601 (`PT0.01S`)."""

    brokers: tuple[str, ...] = ("127.0.0.1:9092",)
    state_dir: Path = Path("state")
    max_delay: timedelta = timedelta(milliseconds=10)
    """How long a batch is gathered when traffic is thin: latency against CPU."""
    max_batch: int = Field(default=4000, ge=1, le=100_000)
    """Records in one transaction, at most."""
    max_work: timedelta = timedelta(milliseconds=25)
    """What the work of one batch may take, so that the process stays responsive."""
    fetch_bytes: int = Field(default=1_048_576, ge=65_536)
    """Bytes read ahead of one partition. Must hold the topic's largest record."""
    standbys: int = Field(default=0, ge=0, le=5)
    session_timeout: timedelta = timedelta(seconds=45)
    instance: str | None = None
    """A name that survives restarts: with it, a restart within the session timeout moves no partition."""
    advertise: str = "http://127.0.0.1:8080"
    """Where other workers find this one's pages; must be its own for each worker."""
    metrics: str | None = "127.0.0.1:0"
    """Where `/metrics`, `/livez` and `/readyz` are served; port 0: any free one, logged at start. Empty: nowhere."""
    drain: timedelta = timedelta(seconds=8)
    """On SIGTERM, how long running transactions may take to end."""
    take_over: timedelta = timedelta(seconds=60)
    """How long assigned partitions may take to begin recovery before the process gives up."""
    stall: timedelta = timedelta(minutes=5)
    """No commit for this long although there is lag: the process stops, with the reason."""
    wait_for_brokers: timedelta = timedelta(seconds=10)
    memory: int = Field(default=67_108_864, ge=8_388_608)
    """Bytes of RocksDB's shared block cache."""
    compression: Literal["gzip", "lz4", "snappy", "zstd"] | None = None
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    security: Security = Security()

    @field_validator("brokers", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("metrics", "instance", mode="before")
    @classmethod
    def _empty(cls, given: Any) -> Any:
        return given or None

    @property
    def protocol(self) -> str:
        """The security protocol, in Kafka's word."""
        secure = self.security
        return ("SASL_" if secure.username else "") + ("SSL" if secure.tls else "PLAINTEXT")

    def client(self) -> dict[str, Any]:
        """What every Kafka client of this process is made with (aiokafka's names)."""
        secure = self.security
        made: dict[str, Any] = {"bootstrap_servers": list(self.brokers), "security_protocol": self.protocol}
        if secure.tls:
            made["ssl_context"] = ssl.create_default_context(cafile=None if secure.ca_file is None else str(secure.ca_file))
        if secure.username:
            made |= {
                "sasl_mechanism": secure.mechanism,
                "sasl_plain_username": secure.username,
                "sasl_plain_password": secure.secret(),
            }
        return made

    def problems(self) -> list[str]:
        """What is wrong with the settings together, each with its cure."""
        found = []
        far = [broker for broker in self.brokers if not _loopback(broker)]
        if not self.security.tls and far and not self.security.insecure:
            found.append(
                f"{far[0]} would be reached in plain text: set RUMBO__SECURITY__TLS=true, "
                "or RUMBO__SECURITY__INSECURE=true if the network is trusted"
            )
        if self.metrics and not _loopback(self.metrics) and not self.security.insecure:
            found.append(f"metrics would be served beyond this machine on {self.metrics}: use 127.0.0.1, or RUMBO__SECURITY__INSECURE=true")
        if self.security.username and self.security.password is None and self.security.password_file is None:
            found.append("security.username has no password: set RUMBO__SECURITY__PASSWORD_FILE")
        return found


def load(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of the environment, `overrides` (from a command's options) above them. Raises DefinitionError with every problem."""
    given: dict[str, Any] = {}
    for name, text in (os.environ if environment is None else environment).items():
        if name.startswith(PREFIX) and name not in RESERVED:
            _place(given, name.removeprefix(PREFIX).lower().split("__"), text)
    given |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as wrong:
        raise DefinitionError("settings", [_said(error) for error in wrong.errors()]) from None
    if problems := settings.problems():
        raise DefinitionError("settings", problems)
    return settings


def _place(into: dict[str, Any], path: list[str], text: str) -> None:
    for part in path[:-1]:
        into = into.setdefault(part, {})
    into[path[-1]] = text


def _said(error: Any) -> str:
    name = PREFIX + "__".join(str(part).upper() for part in error["loc"])
    return f"{name}: there is no such setting" if error["type"] == "extra_forbidden" else f"{name}: {error['msg']}"


def _loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

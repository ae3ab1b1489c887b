"""Settings of the process: the only reader of the environment. What the process *does* is in topologies/.

Each field is set by `RUMBO__NAME` (`RUMBO__BROKER`, `RUMBO__STATE_DIR`, …); a misspelt one is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from rumbo.errors import DefinitionError

_PREFIX = "RUMBO__"
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Settings of one worker process. Times are in seconds, sizes in bytes unless a field says otherwise."""

    broker: str = "localhost:9092"
    """Bootstrap servers, `host:port,host:port`."""
    state_dir: Path = Path("state")
    """Where the stores are; one worker, one directory."""
    instance: str | None = None
    """A stable name of this worker (static membership): a restart within the session moves no partition."""
    max_delay: float = Field(default=0.01, ge=0, le=5)
    """How long a thin batch is gathered."""
    max_batch: int = Field(default=2_000, ge=1, le=20_000)
    """Records in a batch, at most."""
    session_timeout: float = Field(default=30, ge=1)
    rebalance_timeout: float = Field(default=60, ge=1)
    standbys: int = Field(default=0, ge=0, le=3)
    """Workers that keep a warm copy of each partition, so that taking over needs next to no recovery."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "none"
    """Of outputs and changelog; n8n reads none and gzip only."""
    cache_mib: int = Field(default=64, ge=8)
    stall_seconds: float = Field(default=120, ge=5)
    """A worker that has lag and commits nothing for so long exits."""
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=6066, ge=0, le=65535)
    """Metrics and health; 0 switches them off."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    insecure: bool = False
    """Allow an unencrypted connection beyond this machine."""
    failpoint: str = ""
    """For tests: die at a named place."""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _is_safe(self) -> Settings:
        away = [each for each in self.broker.split(",") if not each.strip().startswith(_LOOPBACK)]
        if away and not self.security.endswith("ssl") and not self.insecure:
            raise ValueError(
                f"broker {away[0]} is not on this machine and security is {self.security}: set RUMBO__SECURITY=sasl_ssl, "
                "or RUMBO__INSECURE=true to send everything unencrypted"
            )
        if self.security.startswith("sasl") and (self.username is None or self.password_file is None):
            raise ValueError("SASL needs RUMBO__USERNAME and RUMBO__PASSWORD_FILE")
        if not self.web_host.startswith(_LOOPBACK) and self.web_port:
            raise ValueError("web_host must be on this machine: there is no authentication yet on the metrics port")
        return self

    def connection(self) -> dict[str, Any]:
        """How Kafka clients connect: keyword arguments as aiokafka and kafka-python take them."""
        made: dict[str, Any] = {"bootstrap_servers": self.broker, "security_protocol": self.security.upper()}
        if self.security.endswith("ssl") and self.security != "plaintext":
            import ssl

            made["ssl_context"] = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.security.startswith("sasl") and self.password_file is not None:
            made["sasl_mechanism"] = self.sasl_mechanism
            made["sasl_plain_username"] = self.username
            made["sasl_plain_password"] = self.password_file.read_text(encoding="utf-8").strip()
        return made


def settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from the environment, and over them what is given. Raises DefinitionError with every problem."""
    found = os.environ if environment is None else environment
    values: dict[str, Any] = {
        name.removeprefix(_PREFIX).lower(): value for name, value in found.items() if name.startswith(_PREFIX)
    }
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        said = [_said(each) for each in error.errors()]
        raise DefinitionError("settings", said) from None


def _said(problem: Any) -> str:
    place = ".".join(str(each) for each in problem["loc"])
    if problem["type"] == "extra_forbidden":
        from difflib import get_close_matches

        near = get_close_matches(place, list(Settings.model_fields), 1, 0.6)
        cure = f"; did you mean {_PREFIX}{near[0].upper()}?" if near else ""
        return f"{_PREFIX}{place.upper()} is not a setting{cure}"
    name = f"{_PREFIX}{place.upper()}: " if place else ""
    return name + str(problem["msg"]).removeprefix("Value error, ")

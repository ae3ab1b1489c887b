"""Settings of the process: the only reader of the environment. What the process *does* is in topologies/.

Each field is set by `RUMBO__NAME` (`RUMBO__BROKER`, `RUMBO__STATE_DIR`, …); a misspelt one is an error.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field, ValidationError, model_validator

from rumbo.errors import DefinitionError
from rumbo.secret import Tokens, read_secret, read_tokens

_PREFIX = "RUMBO__"


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Settings of one worker process. Times are in seconds, sizes in bytes unless a field says otherwise."""

    broker: str = "localhost:9092"
    """Bootstrap servers, `host:port,host:port`."""
    state_dir: Path = Path("state")
    """Where the stores are; one worker, one directory."""
    instance: str | None = None
    """A stable name of this worker (static membership): a restart within the session moves no partition."""
    max_delay: float = Field(default=0.01, ge=0, le=5)
    """How long a thin batch is gathered at most; a fifth of it where hardly anything comes."""
    max_batch: int = Field(default=5_000, ge=1, le=20_000)
    """Records in a batch, at most."""
    session_timeout: float = Field(default=30, ge=1)
    rebalance_timeout: float = Field(default=60, ge=1)
    standbys: int = Field(default=0, ge=0, le=3)
    """Workers that keep a warm copy of each partition, so that taking over needs next to no recovery."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "none"
    """Of outputs and changelog; n8n reads none and gzip only."""
    cache_mib: int = Field(default=256, ge=8)
    """Profiles kept in memory at most, those not yet on disk among them; RocksDB's cache takes a quarter as much beside."""
    stall_seconds: float = Field(default=120, ge=5)
    """A worker that has lag and commits nothing for so long exits."""
    web_host: str = "127.0.0.1"
    """Where the HTTP port listens. Beyond this machine it needs a token and TLS."""
    web_port: int = Field(default=6066, ge=0, le=65535)
    """Metrics, health and the API; 0 switches them off."""
    web_url: str | None = None
    """How other workers reach this one's HTTP port; none: by its host and port. Keep it stable where `instance` is set."""
    web_token_file: Path | None = None
    """Who may ask: a line each, `read TOKEN` or `write TOKEN`; only the owner may read the file."""
    web_cert_file: Path | None = None
    """The certificate (PEM, with its chain) of the HTTP port."""
    web_key_file: Path | None = None
    """Its key (PEM); only the owner may read the file."""
    web_ca_file: Path | None = None
    """The CA by which workers know each other's certificates; none: the system's."""
    web_rate: float = Field(default=100, gt=0)
    """Requests a second from one address, before it is asked to wait."""
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
        problems = [*self._kafka_problems(), *self._web_problems()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _kafka_problems(self) -> Iterator[str]:
        away = [each for each in self.broker.split(",") if not is_loopback(each.strip())]
        if away and not self.security.endswith("ssl") and not self.insecure:
            yield (
                f"broker {away[0]} is not on this machine and security is {self.security}: set RUMBO__SECURITY=sasl_ssl, "
                "or RUMBO__INSECURE=true to send everything unencrypted"
            )
        if self.security.startswith("sasl") and (self.username is None or self.password_file is None):
            yield "SASL needs RUMBO__USERNAME and RUMBO__PASSWORD_FILE"
        yield from _unreadable(self, {"password_file": read_secret, "ca_file": _authorities})

    def _web_problems(self) -> Iterator[str]:
        if (self.web_cert_file is None) != (self.web_key_file is None):
            yield "TLS on the HTTP port needs both RUMBO__WEB_CERT_FILE and RUMBO__WEB_KEY_FILE"
        if self.web_port and not is_loopback(self.web_host) and not (self.web_token_file and self.web_cert_file):
            yield (
                f"RUMBO__WEB_HOST={self.web_host} is beyond this machine: that needs a token (RUMBO__WEB_TOKEN_FILE) and TLS "
                "(RUMBO__WEB_CERT_FILE, RUMBO__WEB_KEY_FILE); or keep 127.0.0.1"
            )
        readers = {"web_token_file": read_tokens, "web_key_file": read_secret}
        yield from _unreadable(self, {**readers, "web_cert_file": _certificate, "web_ca_file": _authorities})

    def connection(self) -> dict[str, Any]:
        """How Kafka clients connect: keyword arguments as aiokafka and kafka-python take them."""
        made: dict[str, Any] = {"bootstrap_servers": self.broker, "security_protocol": self.security.upper()}
        if self.security.endswith("ssl"):
            made["ssl_context"] = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.security.startswith("sasl") and self.password_file is not None:
            made["sasl_mechanism"] = self.sasl_mechanism
            made["sasl_plain_username"] = self.username
            made["sasl_plain_password"] = read_secret(self.password_file)
        return made

    def url(self) -> str:
        """How other workers reach this one; a URL of no scheme that anybody speaks where it serves none."""
        if self.web_url is not None:
            return self.web_url.rstrip("/")
        if not self.web_port:
            return f"none://{self.instance or uuid4().hex}"
        host = gethostname() if self.web_host in {"0.0.0.0", "::"} else self.web_host  # noqa: S104  compared, not bound
        return f"{'https' if self.web_cert_file else 'http'}://{f'[{host}]' if ':' in host else host}:{self.web_port}"

    def tokens(self) -> Tokens:
        """Who may ask the HTTP port; empty: nobody needs a token."""
        return read_tokens(self.web_token_file) if self.web_token_file else Tokens()

    def secrets(self) -> list[str]:
        """Every secret that this process knows, to keep out of what it says."""
        tokens = self.tokens()
        password = [read_secret(self.password_file)] if self.password_file else []
        return [*password, *tokens.read, *tokens.write]


def is_loopback(place: str) -> bool:
    """Whether a host, `host:port` or `[v6]:port` is this machine and no other."""
    host = place[1:].partition("]")[0] if place.startswith("[") else place
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _unreadable(settings: Settings, readers: Mapping[str, Callable[[Path], object]]) -> Iterator[str]:
    """What is wrong with the files that are named."""
    for name, read in readers.items():
        path = getattr(settings, name)
        if path is not None:
            try:
                read(path)
            except (ValueError, OSError) as error:
                yield f"{_PREFIX}{name.upper()}: {error}"


def _certificate(path: Path) -> None:
    if "-----BEGIN CERTIFICATE-----" not in path.read_text(encoding="utf-8"):
        raise ValueError(f"{path} holds no certificate in PEM")


def _authorities(path: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificate in PEM") from None


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
        said = [line for each in error.errors() for line in _said(each).splitlines()]
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

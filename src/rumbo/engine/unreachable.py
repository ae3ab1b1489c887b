"""Why a broker cannot be reached: aiokafka says it in its log alone, and the same error for all. It connects to nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rumbo.errors import BrokerError

_SAID: Final = re.compile(r'Unable connect to "[^"]*": (.*)', re.DOTALL)
_CURES: Final = (
    ("ostname mismatch", "the broker's certificate is for another name: call it in RUMBO__BROKER as its certificate does"),
    ("IP address mismatch", "the broker's certificate is for another name: call it in RUMBO__BROKER as its certificate does"),
    ("CERTIFICATE_VERIFY_FAILED", "RUMBO__CA_FILE must be the CA that signed the broker's certificate"),
    ("SaslAuthenticationFailed", "RUMBO__USERNAME or what is in RUMBO__PASSWORD_FILE is wrong"),
    ("SaslMechanism", "the broker does not offer this RUMBO__SASL_MECHANISM"),
    ("WRONG_VERSION_NUMBER", "this port does not speak TLS: another port, or another RUMBO__SECURITY"),
    ("IllegalSaslState", "this port wants a login: RUMBO__SECURITY=sasl_ssl with RUMBO__USERNAME and RUMBO__PASSWORD_FILE"),
    (" closed", "it hung up: does this port want TLS (RUMBO__SECURITY=sasl_ssl)?"),
    ("not known", "no such host: is RUMBO__BROKER right?"),
)  # fmt: skip


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._said.append(record.getMessage())


@contextmanager
def overheard() -> Iterator[list[str]]:
    """What aiokafka says of itself meanwhile, told to nobody else."""
    said: list[str] = []
    log, listener = logging.getLogger("aiokafka"), _Listener(said)
    before = log.level, log.propagate
    log.addHandler(listener)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield said
    finally:
        log.removeHandler(listener)
        log.setLevel(before[0])
        log.propagate = before[1]


def unreachable(servers: str, said: Iterable[str], error: BaseException) -> BrokerError:
    """One sentence: where, what, and the likely cure."""
    reasons = dict.fromkeys(found.group(1).strip() for each in said if (found := _SAID.match(each)))
    why = "; ".join(reasons) or str(error) or "no answer"
    cure = next(
        (cure for part, cure in _CURES if part in why), "is it running, and is RUMBO__BROKER (with its security) right?"
    )
    return BrokerError(f"no Kafka at {servers} ({why}): {cure}")

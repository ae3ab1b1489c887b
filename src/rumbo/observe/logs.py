"""Logs: structured, JSON off a terminal, one line for what an operator acts on, none for an event. No customer, no secret.

Everything passes through one chain: ours, the libraries', and what a mistake leaves behind. A trace shows frames and the kind of
the error; what it says is shown only where the words are ours or the system's, for others may quote an event.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import structlog

from rumbo.config import Settings
from rumbo.errors import RumboError

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_OURS: Final = (RumboError, OSError)
_SYSTEMS: Final = ("aiokafka.", "kafka.")
HIDDEN: Final = "***"
Line = MutableMapping[str, Any]


def configure(settings: Settings) -> None:
    """Set up logging for this process, to standard error."""
    pretty = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        trace,
        Hide(settings.secrets()),
        escape,
    ]
    last = structlog.dev.ConsoleRenderer(pad_event_to=0) if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*chain, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(sys.stderr)
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    named = structlog.stdlib.add_logger_name
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[named, *chain], processors=[clean, last])
    )
    logging.root.handlers[:] = [others]
    logging.root.setLevel(logging.WARNING)


def trace(_logger: Any, _method: str, line: Line) -> Line:
    """An error becomes its kinds and frames; its words only where they cannot quote an event."""
    given = line.pop("exc_info", None)
    if given is None or given is False:
        return line
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if error is not None:
        line["error"] = [describe(each) for each in _chain(error)]
        line["frames"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
    return line


def describe(error: BaseException) -> str:
    """The kind of an error, and what it says where the words are ours or the system's."""
    kind = type(error).__name__
    tells = isinstance(error, _OURS) or type(error).__module__.startswith(_SYSTEMS)
    return f"{kind}: {error}" if tells else kind


def place(error: BaseException) -> str:
    """Where an error was raised: file, line and function."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "nowhere that is known"


def _chain(error: BaseException) -> Iterable[BaseException]:
    found: BaseException | None = error
    seen = 0
    while found is not None and seen < 10:  # noqa: PLR2004  a chain of causes may be a ring
        yield found
        found, seen = found.__cause__, seen + 1


class Hide:
    """Takes secrets out of every line, wherever they stand: a library may repeat one in a message."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(sorted((each for each in secrets if each), key=len, reverse=True))

    def __call__(self, _logger: Any, _method: str, line: Line) -> Line:
        """One line."""
        return {name: _mapped(value, self._hidden) for name, value in line.items()} if self._secrets else line

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def escape(_logger: Any, _method: str, line: Line) -> Line:
    r"""Control characters and what turns the reading direction become `\x1b` and the like: text from outside cannot forge a line."""
    return {name: _mapped(value, _escaped) for name, value in line.items()}


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, change) for each in value]
    return value

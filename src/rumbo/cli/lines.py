"""Records from a file of lines, for the commands that read one, and the options that such commands share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import click

from rumbo.core.instant import Instant, parse_instant
from rumbo.errors import EventError
from rumbo.intake import Record, Reject, from_line

TOPOLOGY: Final = click.option(
    "--topology",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="The definitions to ask.",
)
AT_ONCE: Final = 256 * 1024
"""Bytes of a file that are read at once: with Python's eight thousand a line of a kilobyte takes two and a half times as long."""
T = TypeVar("T")
kept: Final[list[object]] = []
"""What is not taken apart before the process ends: some seventy objects a customer, one by one, are a twentieth of a `diff`."""
HISTORY: Final = click.option(
    "--input", "source", required=True, metavar="FILE", help="The history, as `rumbo simulate` reads it."
)


def records(path: str, rejected: Callable[[Record, Reject], None]) -> Iterator[Record]:
    """Each line of a file (`-`: standard input) as a record; blank lines are passed over, unreadable ones rejected."""
    with _open(path) as lines, uncollected():
        for number, line in enumerate(lines):
            if line.isspace():
                continue
            try:
                record = from_line(line, number)
            except EventError as error:
                rejected(Record(offset=number, value=line.strip()), Reject("not_a_record", error.detail))
                continue
            yield record


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is looked for meanwhile: stepping leaves none, and the profiles that it keeps are many to look through."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # all that there is counts as looked through: else the next object made would have it all looked through at once
        if enabled:
            gc.enable()


def until_the_end(made: T) -> T:
    """Keep something large for as long as the process lives; it ends then without taking it apart (`cli.main`)."""
    kept.append(made)
    return made


def history(path: str) -> Callable[[], Iterator[Record]]:
    """The same for questions that read a file twice; standard input is kept. What cannot be read is passed over."""
    if path != "-":
        return lambda: records(path, lambda _record, _reject: None)
    known = list(records(path, lambda _record, _reject: None))
    return lambda: iter(known)


def _open(path: str) -> BinaryIO:
    if path == "-":
        raw = getattr(sys.stdin.buffer, "raw", None)
        return sys.stdin.buffer if raw is None else BufferedReader(raw, AT_ONCE)
    try:
        return Path(path).open("rb", AT_ONCE)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None


def instant(text: str | None, option: str) -> Instant | None:
    """An instant given as an option."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None

"""The position record: how far a partition has read its sources, kept in the changelog with the state it belongs to.

Pure data and pure checks: what the broker says against what was noted, each difference with its cure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from rumbo.core.instant import Instant
from rumbo.core.profile import FORMAT
from rumbo.errors import InternalError


class SourcePosition(msgspec.Struct, array_like=True):
    """One source topic: the consumer position to go on from, and what the last record consumed was."""

    next: int
    partitions: int
    last_timestamp: int = -1
    last_crc: int = 0
    clock: Instant = 0
    """The largest event time seen (not less the lateness)."""
    last_offset: int = -1


class Position(msgspec.Struct, array_like=True):
    """One partition of a stage."""

    format: int = FORMAT
    """Of what wrote last: `load` makes it ours, so that the next commit says so and an older worker keeps off."""
    sources: dict[str, SourcePosition] = {}
    clock: Instant = 0
    """The partition's clock; it never goes back."""
    definition: str = ""
    """The fingerprint of the definitions that wrote last."""
    versions: dict[str, str] = {}
    """The version of each journey that wrote last."""
    figures: dict[str, int] = {}
    """Frozen figures of the cohort, as control records brought them: one a stage and quantile."""


class PositionError(InternalError):
    """What was noted and what the broker has do not belong together; the message says the cure."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Position)


def dump(position: Position) -> bytes:
    """The record's bytes."""
    return _encode(position)


def load(value: bytes | None) -> Position:
    """Read a record; none is a first start. Raises PositionError for a newer format."""
    if value is None:
        return Position()
    try:
        found = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise PositionError(
            f"the position record cannot be read ({error}): a newer version wrote it, or it is damaged"
        ) from None
    if found.format > FORMAT:
        raise PositionError(
            f"the state in the changelog has format {found.format} and this version reads up to {FORMAT}: a newer version of Rumbo wrote "
            "it; run that one"
        )
    found.format = FORMAT
    return found


def not_older(noted: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Whether each journey is at least of the version that wrote last. Raises PositionError for a worker left behind by a roll-out."""
    for journey, version in ours.items():
        before = noted.get(journey, version)
        if _parts(version) < _parts(before):
            raise PositionError(
                f"journey {journey} is version {version} here, and its state was written by version {before}: run the newer definition; "
                "to go back on purpose, give the old rules a higher version"
            )


def _parts(version: str) -> list[int]:
    """Numbers to compare by: "1" is "1.0"."""
    parts = [int(part) for part in version.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def same_record(topic: str, number: int, noted: SourcePosition, found: tuple[int, int]) -> None:
    """Whether the topic still holds the record that was consumed last: (timestamp, CRC-32 of its value). Raises PositionError."""
    if found != (noted.last_timestamp, noted.last_crc):
        raise PositionError(
            f"topic {topic}, partition {number}, holds another record at offset {noted.last_offset} than the one that was read "
            "there: it was deleted and created again, and has grown past the position. Start a new topology name, or remove the app's changelog topic and state "
            "to begin anew"
        )


def check(topic: str, number: int, noted: SourcePosition, *, partitions: int, bounds: tuple[int, int]) -> None:
    """Whether a source with these *bounds* (begin, stable end) can go on from where it was. Raises PositionError with the cure."""
    begin, end = bounds
    if noted.partitions != partitions:
        raise PositionError(
            f"topic {topic} has {partitions} partitions, and had {noted.partitions} when its state was written: customers would "
            "be looked for in the wrong partition. Move to a new topic (and topology name) with a backfill, or restore the topic"
        )
    if noted.next > end:
        raise PositionError(
            f"topic {topic}, partition {number}, ends at {end}, before the position {noted.next}: it was deleted and created again. "
            "Start a new topology name, or remove the app's changelog topic and state to begin anew"
        )
    if noted.next < begin:
        raise PositionError(
            f"topic {topic}, partition {number}, begins at {begin}, after the position {noted.next}: records were deleted before they were read. "
            "That is loss: raise its retention; to accept the gap, begin anew under a new topology name"
        )

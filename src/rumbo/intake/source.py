"""How one source's records are to be read: format, mapping, limits. Data only."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rumbo.core.instant import MINUTE, Duration

Format = Literal["auto", "segment", "cloudevents", "flat"]

ID_LIMIT: Final = 256


class FlatMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a flat JSON object keeps what an interaction needs: dotted paths. `properties` absent: the whole object."""

    identity: str
    event: str
    time: str | None = None
    id: str | None = None
    account: str | None = None
    properties: str | None = None


class SourceFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reading of one source. Sizes in bytes, lengths of time in microseconds."""

    format: Format = "auto"
    map: FlatMap | None = None
    max_bytes: int = 32_768
    max_depth: int = 32
    max_properties: int = 1_000
    max_age: Duration | None = None
    """Older events (against the record's time) are put aside; None: however old."""
    future: Duration = 5 * MINUTE
    """An event time later than the record's by more gives way to the next time field."""

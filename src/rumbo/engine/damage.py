"""What a log holds that is not as it was written. A wrong checksum is no mistake of who wrote or who reads: it is told, with its place.

It stops the worker with the position kept. To leave it out would be loss that nobody sees.
"""

from __future__ import annotations

from typing import Any

from aiokafka.errors import CorruptRecordException

from rumbo.errors import InternalError


class DamagedError(InternalError):
    """A batch of records whose checksum is wrong; the message says where, and the cure."""


def damaged(error: CorruptRecordException, fetcher: Any) -> DamagedError:
    """What aiokafka found, with the offset that its fetcher had come to."""
    held = fetcher._records.items()  # noqa: SLF001  pinned; the error names the partition, in words
    places = (
        f"topic {place.topic}, partition {place.partition}, offset {result._partition_records.next_fetch_offset}"  # noqa: SLF001
        for place, result in held
        if str(place) in str(error)
    )
    where = next(places, str(error))
    return DamagedError(
        f"{where}: the batch of records is damaged (its checksum is wrong). It was whole when it was written; a disk or the network broke "
        "it since. The position is kept and nothing is left out: start again; where it comes again, let another replica lead the "
        "partition and rebuild this one; where no replica has it whole it is lost, and only a new topology name begins anew without it"
    )

"""Whether partitions just recovered may begin: what was noted with their state against what the broker has now.

Each thing that does not belong together is refused with its cure. It reads no record but the last one that was consumed, and
writes only the position of a first start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rumbo.engine import position as record
from rumbo.engine.feed import Place
from rumbo.engine.partition import PartitionWorker, Stage
from rumbo.engine.position import Position, PositionError, SourcePosition


class Asked(Protocol):
    """What a carrier asks the broker."""

    async def offsets(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """The beginning and the stable end of each place."""

    async def written(self, places: Iterable[Place]) -> dict[Place, int]:
        """The end of each place, with what is written and not yet to be read."""

    async def records(self, places: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """(timestamp in ms, CRC-32 of the value) of the record at each offset, where it is still there."""

    async def told(self, group: str) -> set[Place]:
        """The places of which a group has offsets."""


async def admit(stage: Stage, workers: Sequence[PartitionWorker], broker: Asked) -> dict[Place, bool]:
    """Check the position of each worker; whether each of its topics is read to the end. Raises PositionError.

    A source read for the first time begins where the topology says, and that is written at once.
    """
    topics = (*stage.lateness, *([stage.control] if stage.control else ()))
    bounds = await broker.offsets([Place(topic, worker.number) for worker in workers for topic in topics])
    await _check_records(workers, bounds, broker)
    fresh = any(not worker.position.sources for worker in workers)
    told = await broker.told(stage.topology.name) if fresh else set()
    found: dict[Place, bool] = {}
    for worker in workers:
        _check_changelog(stage, worker, told)
        _check_definition(stage, worker.position)
        if _choose(stage, worker, topics, bounds):
            await worker.note()  # what was chosen at a first start is never chosen again
        for topic in topics:
            place = Place(topic, worker.number)
            found[place] = worker.position.sources[topic].next >= bounds[place][1]
            if topic in worker.caught_up:
                worker.caught_up[topic] = found[place]
    return found


def _choose(
    stage: Stage, worker: PartitionWorker, topics: Iterable[str], bounds: Mapping[Place, tuple[int, int]]
) -> bool:
    """Check the topics that were read before, choose where to begin with the others; whether there were any."""
    sources, chosen = worker.position.sources, False
    for topic in topics:
        begin, end = bounds[Place(topic, worker.number)]
        if topic in sources:
            record.check(topic, worker.number, sources[topic], partitions=stage.partitions, bounds=(begin, end))
        else:
            ours = topic not in stage.readers  # what is our own is read whole
            at = begin if ours or stage.topology.start == "earliest" else end
            sources[topic], chosen = SourcePosition(next=at, partitions=stage.partitions), True
    return chosen


def _check_changelog(stage: Stage, worker: PartitionWorker, told: set[Place]) -> None:
    if not worker.position.sources and any(Place(topic, worker.number) in told for topic in stage.lateness):
        raise PositionError(
            f"{stage.changelog}, partition {worker.number}, holds no position, and the group {stage.topology.name} has offsets: the "
            "changelog was lost, and the state with it. Restore it; or, to begin anew, take a new topology name or delete the group"
        )


def _check_definition(stage: Stage, position: Position) -> None:
    ours = {journey.id: journey.version for journey in stage.topology.journeys}
    record.not_older(position.versions, ours)
    position.definition, position.versions = stage.topology.fingerprint, ours


async def _check_records(
    workers: Iterable[PartitionWorker], bounds: Mapping[Place, tuple[int, int]], broker: Asked
) -> None:
    """A topic that was made again and has grown past the position looks like itself but for its records."""
    noted = {
        Place(topic, worker.number): source for worker in workers for topic, source in worker.position.sources.items()
    }
    kept = {
        place: each.last_offset
        for place, each in noted.items()
        if place in bounds and bounds[place][0] <= each.last_offset < bounds[place][1]
    }
    for place, found in (await broker.records(kept)).items():
        record.same_record(place.topic, place.partition, noted[place], found)

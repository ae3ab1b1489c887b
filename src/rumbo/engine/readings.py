"""What is read from a worker when its metrics or its health are asked for: never stale, and nothing on the way of an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import time
from typing import TYPE_CHECKING, Final

from rumbo.core.tally import funnel, total
from rumbo.observe.health import Health, Share
from rumbo.observe.metrics import Reading

if TYPE_CHECKING:
    from rumbo.engine.carrier import Carrier
    from rumbo.engine.partition import PartitionWorker

_MICROSECONDS: Final = 1_000_000
_MILLISECONDS: Final = 1_000


def readings(carriers: Iterable[Carrier]) -> Iterator[Reading]:
    """Every scraped metric of the partitions owned now; those of others are no longer there."""
    known = tuple(carriers)
    yield Reading("rumbo_ready", (), float(bool(known) and all(each.recovered.is_set() for each in known)))
    if known:
        yield from _stages(known[0])
    for carrier in known:
        stage = carrier.stage.name
        for number, left in carrier.left.items():
            yield Reading("rumbo_recovery_remaining_records", (stage, str(number)), left)
        for number, worker in carrier.workers.items():
            yield from _partition(stage, worker)
            yield from _lags(carrier, number, worker)


def _stages(deciding: Carrier) -> Iterator[Reading]:
    """Customers by stage, from the tallies that are kept with the profiles."""
    tally = total(worker.notes.committed_tally() for worker in deciding.workers.values())
    for journey in deciding.stage.topology.journeys:
        for each in funnel(journey, tally):
            yield Reading("rumbo_stage_customers", (journey.id, each.stage), each.now)


def _partition(stage: str, worker: PartitionWorker) -> Iterator[Reading]:
    number = str(worker.number)
    if worker.store.closed:
        return
    keys, size = worker.store.size()
    yield Reading("rumbo_state_keys", (stage, number), keys)
    yield Reading("rumbo_state_bytes", (stage, number), size)
    if worker.stage.control is not None:  # the stage that decides; re-keying has no time
        yield Reading("rumbo_timers_pending", (number,), worker.store.timers)
        if worker.position.clock:
            yield Reading("rumbo_partition_clock_seconds", (number,), worker.position.clock / _MICROSECONDS)


def _lags(carrier: Carrier, number: int, worker: PartitionWorker) -> Iterator[Reading]:
    now = time()
    for topic, source in worker.position.sources.items():
        if topic not in carrier.stage.lateness:
            continue
        place = (topic, str(number))
        left = carrier.behind(topic, number)
        yield Reading("rumbo_consumer_lag_records", place, left)
        behind = now - source.last_timestamp / _MILLISECONDS if left and source.last_timestamp > 0 else 0.0
        yield Reading("rumbo_consumer_lag_seconds", place, max(behind, 0.0))
        if source.clock:
            yield Reading("rumbo_event_time_lag_seconds", place, max(now - source.clock / _MICROSECONDS, 0.0))


def health(carriers: Iterable[Carrier]) -> Health:
    """How every stage does."""
    return Health(
        tuple(
            Share(
                stage=carrier.stage.name,
                partitions=tuple(sorted(carrier.workers)),
                recovered=carrier.recovered.is_set(),
                left=sum(carrier.left.values()),
                still_seconds=carrier.still(),
                stalled=carrier.stalled(),
            )
            for carrier in carriers
        )
    )

"""Every metric, named and typed in one place. Children are bound once and moved once a batch; no label ever holds a customer."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable
from time import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from rumbo import __version__
from rumbo.core.decision import Decision
from rumbo.core.instant import Instant
from rumbo.core.outputs import ActionRequested, ActionSuppressed, ScoreChanged, SegmentChanged, StageChanged

BATCH_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
SECOND_OF: Final = 1_000_000


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for
        self.registry = CollectorRegistry()
        made = self.registry
        Gauge("rumbo_build_info", "The version that runs.", ["version"], registry=made).labels(__version__).set(1)
        self._received = Counter("rumbo_events_received_total", "Records read, by topic.", ["topic"], registry=made)
        self._processed = Counter(
            "rumbo_events_processed_total", "Interactions stepped, by topic.", ["topic"], registry=made
        )
        self._rejected = Counter(
            "rumbo_events_rejected_total", "Records put aside, by topic and reason.", ["topic", "reason"], registry=made
        )
        self._coerced = Counter("rumbo_events_coerced_total", "What intake put right.", ["fix"], registry=made)
        self._duplicate = Counter(
            "rumbo_events_duplicate_total", "Producers' repeats dropped.", ["body"], registry=made
        )
        self._late = Counter("rumbo_events_late_total", "Interactions before their customer's clock.", registry=made)
        self._rekeyed = Counter(
            "rumbo_events_rekeyed_total", "Records passed on under their customer's id.", ["topic"], registry=made
        )
        self._misplaced = Counter(
            "rumbo_events_misplaced_total", "Customers on a partition that is not murmur2 of the id.", registry=made
        )
        self._bounds = Counter(
            "rumbo_profile_bound_total", "What a profile would not hold, by bound.", ["bound"], registry=made
        )
        self._replayed = Counter(
            "rumbo_records_trimmed_total", "Records read again after a restart and dropped by position.", registry=made
        )
        self._batch = Histogram(
            "rumbo_event_processing_seconds",
            "Seconds from a batch taken to committed.",
            buckets=BATCH_SECONDS,
            registry=made,
        )
        self._size = Histogram(
            "rumbo_batch_records", "Records in a batch.", buckets=(1, 5, 20, 100, 500, 1000, 2000, 5000), registry=made
        )
        self._moves = Counter(
            "rumbo_stage_transitions_total", "Stage transitions.", ["journey", "from_stage", "to_stage"], registry=made
        )
        self._signals = Counter(
            "rumbo_stage_signals_total", "Stuck, unstable and suggested stages.", ["journey", "kind"], registry=made
        )
        self._segments = Counter(
            "rumbo_segment_changes_total",
            "Segments entered and left.",
            ["journey", "segment", "change"],
            registry=made,
        )
        self._scores = Counter("rumbo_score_changes_total", "Score outputs.", ["journey"], registry=made)
        self._actions = Counter(
            "rumbo_actions_total",
            "Actions by outcome: emitted, or the gate that held.",
            ["action", "outcome"],
            registry=made,
        )
        self._timers = Counter("rumbo_timers_fired_total", "Timers that came due.", registry=made)
        self._clock = Gauge(
            "rumbo_partition_clock_seconds", "The partition's clock, where it has one.", ["partition"], registry=made
        )
        self._lag = Gauge(
            "rumbo_consumer_lag_records",
            "Records between the position and the stable offset.",
            ["topic", "partition"],
            registry=made,
        )
        self._commit = Gauge(
            "rumbo_last_commit_timestamp_seconds", "When the last transaction was committed.", registry=made
        )
        self._recovery = Gauge(
            "rumbo_recovery_remaining_records",
            "Changelog offsets still to be read.",
            ["stage", "partition"],
            registry=made,
        )
        self._rebalances = Counter("rumbo_rebalances_total", "Assignments taken.", registry=made)
        self._owned = Gauge("rumbo_partitions_assigned", "Partitions that this worker owns.", ["stage"], registry=made)
        self._bound: dict[tuple[str, ...], Callable[[], None]] = {}
        self._seen: Tally[str] = Tally()

    def batch(self, _partition: int, topic: str, records: int, seconds: float) -> None:
        """One batch was committed."""
        self._batch.observe(seconds)
        self._size.observe(records)
        _ = topic

    def processed(self, topic: str, received: int, stepped: int, stats: Tally[str]) -> None:
        """One batch was stepped; `stats` are the program's counts, taken over and cleared."""
        self._received.labels(topic).inc(received)
        self._processed.labels(topic).inc(stepped)
        if stats:
            self._duplicate.labels("same").inc(stats["duplicate"])
            self._duplicate.labels("different").inc(stats["duplicate_conflict"])
            self._late.inc(stats["late"])
            self._bounds.labels("trait").inc(stats["trait_too_large"])
            stats.clear()

    def rejected(self, topic: str, reason: str) -> None:
        """One record was put aside."""
        self._rejected.labels(topic, reason).inc()

    def coerced(self, flags: tuple[str, ...]) -> None:
        """What intake put right in one record."""
        for flag in flags:
            self._coerced.labels(flag).inc()

    def rekeyed(self, topic: str, records: int) -> None:
        """Records went on to the events topic."""
        self._rekeyed.labels(topic).inc(records)

    def misplaced(self) -> None:
        """A customer was met on a partition that is not theirs."""
        self._misplaced.inc()

    def replayed(self, records: int) -> None:
        """Records that were read again."""
        self._replayed.inc(records)

    def decided(self, decision: Decision) -> None:
        """One output."""
        data, key = decision.data, tuple[str, ...]()
        if type(data) is StageChanged:
            family, key = self._moves, (decision.journey, data.from_, data.to)
        elif type(data) is ActionSuppressed:
            family, key = self._actions, (data.trigger, data.gate)
        elif type(data) is ActionRequested:
            family, key = self._actions, (data.trigger, "emitted")
        elif type(data) is ScoreChanged:
            family, key = self._scores, (decision.journey,)
        elif type(data) is SegmentChanged:
            family, key = self._segments, (decision.journey, data.segment, data.change)
        else:
            family, key = self._signals, (decision.journey, decision.kind)
        count = self._bound.get((decision.kind, *key))
        if count is None:
            count = self._bound[decision.kind, *key] = family.labels(*key).inc
        count()

    def timers(self, fired: int) -> None:
        """Timers that came due."""
        self._timers.inc(fired)

    def committed(self, partition: int, clock: Instant) -> None:
        """A transaction was committed."""
        self._commit.set(time())
        if clock:
            self._clock.labels(str(partition)).set(clock / SECOND_OF)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """How far behind a source is."""
        self._lag.labels(topic, str(partition)).set(records)

    def recovering(self, stage: str, partition: int, left: int) -> None:
        """Recovery's progress."""
        self._recovery.labels(stage, str(partition)).set(left)

    def assigned(self, stage: str, partitions: int) -> None:
        """An assignment was taken."""
        self._rebalances.inc()
        self._owned.labels(stage).set(partitions)

    def revoked(self, stage: str) -> None:
        """Nothing is owned now."""
        self._owned.labels(stage).set(0)

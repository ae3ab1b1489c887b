"""The metrics of one worker as they move: children are bound once, moved once a batch or a decision. Their list is `catalogue`."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from time import time
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rumbo import __version__
from rumbo.core.decision import Decision
from rumbo.core.mistyped import Mistyped
from rumbo.core.outputs import (
    AccountScoreChanged,
    AccountStageChanged,
    ActionRequested,
    ActionSuppressed,
    DecisionRetracted,
    EventQuarantined,
    ExposureRecorded,
    FlowChanged,
    ScoreChanged,
    SegmentChanged,
    StageChanged,
)
from rumbo.observe.catalogue import CATALOGUE, Family


class Reading(NamedTuple):
    """One value that is read when it is asked for."""

    name: str
    labels: tuple[str, ...]
    value: float


Source = Callable[[], Iterable[Reading]]
_POLICIES: Final = {"late": "process", "late_refolded": "refold", "late_beyond_journal": "beyond_journal"}
_NO_BOUNDS: Final = frozenset({"duplicate", "duplicate_conflict", *_POLICIES, "timer", "timer_unknown"})
"""Counts of a program that say something else than that a bound was met."""
_BOUNDS: Final = {"trait_too_large": "trait"}
_LABELS: Final[dict[type, Callable[[Any], tuple[str, ...]]]] = {
    SegmentChanged: lambda data: ("segment", data.journey, data.segment, data.change),
    FlowChanged: lambda data: ("flow", data.journey, data.flow, data.change),
    DecisionRetracted: lambda data: ("retracted", data.retracted, data.reason),
    EventQuarantined: lambda data: ("quarantined", data.suspicion),
    ExposureRecorded: lambda data: ("exposure", data.experiment, data.variant),
    AccountStageChanged: lambda data: ("account", data.journey, data.from_ or "none", data.to or "none"),
    AccountScoreChanged: lambda data: ("account score", data.journey, data.score),
}
"""What is counted of outputs that are counted and no more."""
_KINDS: Final[dict[str, Any]] = {"counter": Counter, "gauge": Gauge}


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for
        self.registry = CollectorRegistry()
        made = {family.name: self._made(family) for family in CATALOGUE if not family.scraped}
        made["rumbo_build_info"].labels(__version__).set(1)
        self._definition = made["rumbo_definition_info"]
        self._received = made["rumbo_events_received_total"]
        self._processed = made["rumbo_events_processed_total"]
        self._rejected = made["rumbo_events_rejected_total"]
        self._dead = made["rumbo_dlq_total"]
        self._coerced = made["rumbo_events_coerced_total"]
        self._duplicate = made["rumbo_events_duplicate_total"]
        self._late = made["rumbo_events_late_total"]
        self._rekeyed = made["rumbo_events_rekeyed_total"]
        self._misplaced = made["rumbo_events_misplaced_total"]
        self._changes = made["rumbo_contact_changes_total"]
        self._account_moves = made["rumbo_account_transitions_total"]
        self._account_scores = made["rumbo_account_score_changes_total"]
        self._bounds = made["rumbo_profile_bound_total"]
        self._mistyped = made["rumbo_fields_mistyped_total"]
        self._replayed = made["rumbo_records_trimmed_total"]
        self._batch = made["rumbo_event_processing_seconds"]
        self._end_to_end = made["rumbo_end_to_end_seconds"]
        self._size = made["rumbo_batch_records"]
        self._moves = made["rumbo_stage_transitions_total"]
        self._dwell = made["rumbo_stage_dwell_seconds"]
        self._signals = made["rumbo_stage_signals_total"]
        self._segments = made["rumbo_segment_changes_total"]
        self._flows = made["rumbo_flow_changes_total"]
        self._exposures = made["rumbo_exposures_total"]
        self._quarantined = made["rumbo_events_quarantined_total"]
        self._retracted = made["rumbo_decisions_retracted_total"]
        self._scores = made["rumbo_score_changes_total"]
        self._score = made["rumbo_score"]
        self._actions = made["rumbo_actions_total"]
        self._timers = made["rumbo_timers_fired_total"]
        self._delay = made["rumbo_timer_delay_seconds"]
        self._commit = made["rumbo_last_commit_timestamp_seconds"]
        self._rebalances = made["rumbo_rebalances_total"]
        self._owned = made["rumbo_partitions_assigned"]
        self._bound: dict[tuple[str, ...], tuple[Callable[[float], None], Callable[[float], None] | None]] = {}
        self._waiting: Tally[tuple[str, ...]] = Tally()
        self._measured: dict[tuple[str, ...], list[float]] = {}
        """What the decisions of the transaction under way count and measure."""
        self._fixes: dict[str, Callable[[], None]] = {}
        self._fields: dict[tuple[str, str, str], Callable[[float], None]] = {}

    def _made(self, family: Family) -> Any:
        if family.kind == "histogram":
            return Histogram(family.name, family.help, family.labels, buckets=family.buckets, registry=self.registry)
        return _KINDS[family.kind](family.name, family.help, family.labels, registry=self.registry)

    def read_from(self, source: Source) -> None:
        """Read the scraped ones from here whenever somebody asks."""
        self.registry.register(_Scraped(source))

    def runs(self, topology: str, fingerprint: str) -> None:
        """What definition runs."""
        self._definition.labels(topology, fingerprint).set(1)

    def batch(self, topic: str, records: int, seconds: float, appended_ms: int) -> None:
        """One batch was committed; its first record says that it was appended then."""
        self._batch.observe(seconds)
        self._size.observe(records)
        if records and appended_ms > 0:
            self._end_to_end.observe(max(time() - appended_ms / 1000, 0))
        _ = topic

    def processed(self, topic: str, received: int, stepped: int, stats: Tally[str]) -> None:
        """One batch was stepped; `stats` are the program's counts, taken over and cleared."""
        self._received.labels(topic).inc(received)
        self._processed.labels(topic).inc(stepped)
        if stats:
            self._duplicate.labels("same").inc(stats["duplicate"])
            self._duplicate.labels("different").inc(stats["duplicate_conflict"])
            for name, policy in _POLICIES.items():
                if stats[name]:
                    self._late.labels(policy).inc(stats[name])
            for name, count in stats.items():
                if name not in _NO_BOUNDS:
                    self._bounds.labels(_BOUNDS.get(name, name)).inc(count)
            stats.clear()

    def mistyped(self, met: Tally[Mistyped]) -> None:
        """Fields that rules met in one batch as another type than they need; the counts are taken over and cleared."""
        for each, number in met.items():
            key = (each.journey, each.rule, each.field)
            count = self._fields.get(key)
            if count is None:
                count = self._fields[key] = self._mistyped.labels(*key).inc
            count(number)
        met.clear()

    def rejected(self, topic: str, reason: str) -> None:
        """One record was put aside, into the dead letters."""
        self._rejected.labels(topic, reason).inc()
        self._dead.labels(reason).inc()

    def ignored(self, topic: str, reason: str) -> None:
        """One record that is not ours to answer was passed over."""
        self._rejected.labels(topic, reason).inc()

    def coerced(self, flags: tuple[str, ...]) -> None:
        """What intake put right in one record."""
        for flag in flags:
            count = self._fixes.get(flag)
            if count is None:
                count = self._fixes[flag] = self._coerced.labels(flag).inc
            count()

    def rekeyed(self, topic: str, received: int, passed: int) -> None:
        """One batch went on to the events topic."""
        self._received.labels(topic).inc(received)
        self._rekeyed.labels(topic).inc(passed)

    def heard(self, topic: str, received: int, taken: int, stats: Tally[str]) -> None:
        """One batch of changes of contacts was taken by their accounts; `stats` are the accounts' counts, taken over and cleared."""
        self._received.labels(topic).inc(received)
        self._changes.inc(taken)
        for name, count in stats.items():
            self._bounds.labels(name).inc(count)
        stats.clear()

    def misplaced(self) -> None:
        """A customer was met on a partition that is not theirs."""
        self._misplaced.inc()

    def replayed(self, records: int) -> None:
        """Records that were read again."""
        self._replayed.inc(records)

    def decided(self, decision: Decision) -> None:
        """One output; it is counted with the next commit."""
        data = decision.data
        sort = type(data)
        key: tuple[str, ...]
        if sort is ActionRequested:
            key = ("action", data.trigger, "emitted")
        elif sort is StageChanged:
            key = ("stage", decision.journey, data.from_, data.to)
            self._measured.setdefault(key, []).append(data.dwell_seconds)
        elif sort is ScoreChanged and data.value is None:  # not reported: counted, and no value
            key = ("unscored", decision.journey)
        elif sort is ScoreChanged:
            key = ("score", decision.journey, data.score)
            self._measured.setdefault(key, []).append(data.value)
        elif sort is ActionSuppressed:
            key = ("action", data.trigger, data.gate)
        elif (label := _LABELS.get(sort)) is not None:
            key = label(data)
        else:
            key = ("signal", decision.journey, decision.kind)
        self._waiting[key] += 1

    def _count_decided(self) -> None:
        for key, number in self._waiting.items():
            count, observe = self._bound.get(key) or self._bound.setdefault(key, self._bind(*key))
            count(number)
            for value in self._measured.get(key, ()):
                if observe is not None:
                    observe(value)
        self._waiting.clear()
        self._measured.clear()

    def _bind(self, sort: str, *labels: str) -> tuple[Callable[[float], None], Callable[[float], None] | None]:
        if sort == "stage":
            return self._moves.labels(*labels).inc, self._dwell.labels(*labels[:2]).observe
        if sort == "score":
            return self._scores.labels(labels[0]).inc, self._score.labels(*labels).observe
        if sort == "unscored":
            return self._scores.labels(*labels).inc, None
        family = {
            "action": self._actions,
            "account": self._account_moves,
            "account score": self._account_scores,
            "segment": self._segments,
            "signal": self._signals,
            "exposure": self._exposures,
            "flow": self._flows,
            "retracted": self._retracted,
            "quarantined": self._quarantined,
        }[sort]
        return family.labels(*labels).inc, None

    def timers(self, fired: int, late_seconds: float) -> None:
        """Timers that came due, the oldest of them so long ago."""
        self._timers.inc(fired)
        self._delay.observe(max(late_seconds, 0))

    def committed(self) -> None:
        """A transaction was committed."""
        self._count_decided()
        self._commit.set(time())

    def assigned(self, stage: str, partitions: int) -> None:
        """An assignment was taken."""
        self._rebalances.inc()
        self._owned.labels(stage).set(partitions)

    def revoked(self, stage: str) -> None:
        """Nothing is owned now."""
        self._owned.labels(stage).set(0)


class _Scraped(Collector):
    """The metrics that are read when asked."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Their names, without asking the worker."""
        yield from self._families().values()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Their values."""
        families = self._families()
        for name, labels, value in self._source():
            families[name].add_metric(labels, value)
        yield from families.values()

    def _families(self) -> dict[str, GaugeMetricFamily]:
        return {
            each.name: GaugeMetricFamily(each.name, each.help, labels=each.labels) for each in CATALOGUE if each.scraped
        }

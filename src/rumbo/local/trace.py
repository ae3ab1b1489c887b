"""One customer's life, step by step: what each input found, what it left, what was decided. For explanations; never for speed.

The partition's clock moves with everybody's interactions, as in `Local`, so that timers fire where they fire there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rumbo.core.decision import Decision
from rumbo.core.instant import Instant
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.intake import Control, RawRecord, Reject, Said, read_control, reader
from rumbo.topology import Topology

_BEFORE_ALL: Instant = -(2**62)


class Moment(NamedTuple):
    """One input of the customer: an interaction, or (None) the timers due at `at`; the profile before and after."""

    at: Instant
    event: Interaction | None
    before: Profile
    after: Profile
    decisions: list[Decision]


class Trace:
    """Follows one customer through a history."""

    def __init__(self, topology: Topology, customer: str) -> None:
        self.program: Program = topology.program()
        self._steps = topology.steps(self.program)
        self.topology, self.customer = topology, customer
        self._profile = self.program.load(customer, None)
        self._clock, self._partition = dict[int, Instant](), -1
        self.latest: Instant = 0

    def moments(
        self, records: Iterable[RawRecord], until: Instant | None = None, *, no_later_than: Instant | None = None
    ) -> Iterator[Moment]:
        """Every moment in the order stepped; at the end timers run to `until`. Interactions `no_later_than` an instant count."""
        readers = {each.topic: (reader(each.reading), each.lateness) for each in self.topology.sources}
        other = readers[self.topology.sources[0].topic]
        for record in records:
            if record.topic == self.topology.outputs.control:
                yield from self._hear(read_control(record))
                continue
            read, lateness = readers.get(record.topic, other)
            event = read(record)
            if type(event) is not Interaction or (no_later_than is not None and event.at > no_later_than):
                continue
            self.latest = max(self.latest, event.at)
            if event.customer == self.customer:
                self._partition = record.partition
                yield from self._step(event)
            clock = max(self._clock.get(record.partition, _BEFORE_ALL), event.at - lateness - 1)
            self._clock[record.partition] = clock
            if record.partition == self._partition:
                yield from self._fire(clock)
        yield from self._fire(self.latest if until is None else until)

    def _step(self, event: Interaction) -> Iterator[Moment]:
        if self._steps.repeats(self._profile, event):
            return  # it fires nothing
        yield from self._fire(event.at - 1)
        before = self._copy()
        decisions = self._steps.advance(self._profile, event)
        yield Moment(event.at, event, before, self._copy(), decisions)

    def _hear(self, found: Control | Reject) -> Iterator[Moment]:
        """What somebody said of this customer's stage or consent."""
        if not isinstance(found, Said) or found.event.customer != self.customer:
            return
        yield from self._fire(found.event.at - 1)
        before = self._copy()
        decisions = self._steps.instruct(self._profile, found.event, found.journey, found.order)
        yield Moment(found.event.at, found.event, before, self._copy(), decisions)

    def _fire(self, clock: Instant) -> Iterator[Moment]:
        while self._profile.timers and (due := self._profile.due) <= clock:
            before = self._copy()
            decisions = self._steps.fire(self._profile, due)
            yield Moment(due, None, before, self._copy(), decisions)

    def _copy(self) -> Profile:
        return self.program.load(self.customer, self.program.dump(self._profile))

"""The same core with no broker: one topology in memory, on the clock of its own input.

Each partition number of the input has its own clock, as in the engine: the largest event time less the source's lateness,
less a microsecond (more events at that very instant may come). It never reads a wall clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush

from rumbo.core.account import Account
from rumbo.core.belonging import Telling
from rumbo.core.decision import Decision
from rumbo.core.definition import Accounts
from rumbo.core.instant import Duration, Instant
from rumbo.core.interaction import Interaction
from rumbo.core.mistyped import Mistyped
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.refold import Remembering
from rumbo.intake import Clock, Control, Figures, RawRecord, Reject, Said, Skip, read_control, reader
from rumbo.topology import Topology

_BEFORE_ALL: Instant = -(2**62)


class _Partition:
    """One partition's clock and its timers in due order. An entry that is no longer its customer's next is passed over."""

    def __init__(self, steps: Program | Remembering, accounts: Accounts | None) -> None:
        self.telling = Telling(accounts, steps) if accounts is not None else None
        """Who tells the accounts."""
        self.steps: Program | Remembering | Telling = self.telling or steps
        self.clock = _BEFORE_ALL
        self.timers: list[tuple[Instant, str]] = []
        self.profiles: dict[str, Profile] = {}
        self.figures: dict[str, Duration] = {}


class Local:
    """A topology in memory. Not for two threads."""

    def __init__(self, topology: Topology, *, rejected: Callable[[RawRecord, Reject], None] | None = None) -> None:
        self.topology, self.program = topology, topology.program()
        self.counts: Counter[str] = Counter()
        """`received`, `processed`, `rejected.<reason>`, `coerced.<fix>`, `skipped`, and the program's own counts."""
        self.latest: Instant = 0
        """The largest event time so far."""
        self._partitions: dict[int, _Partition] = {}
        self._readers = {source.topic: (reader(source.reading), source.lateness) for source in topology.sources}
        first = topology.sources[0]
        self._other = self._readers[first.topic]
        self._rejected = rejected
        self._control_topic = topology.outputs.control
        self.accounts: dict[str, Account] = {}
        self._machine = topology.account_machine()

    @property
    def mistyped(self) -> Counter[Mistyped]:
        """Fields of another type than a rule needs: in how many interactions each was met."""
        return self.program.mistyped

    @property
    def profiles(self) -> dict[str, Profile]:
        """Every profile, by customer."""
        return {
            name: profile for partition in self._partitions.values() for name, profile in partition.profiles.items()
        }

    @property
    def customers(self) -> int:
        """How many there are."""
        return sum(len(partition.profiles) for partition in self._partitions.values())

    def send(self, record: RawRecord) -> list[Decision]:
        """Read and step one record; timers of other customers that its time makes due fire after it."""
        if record.topic == self._control_topic:
            return self.take(record, read_control(record))
        return self.take(record, self._readers.get(record.topic, self._other)[0](record))

    def take(self, record: RawRecord, found: Interaction | Reject | Skip | Control) -> list[Decision]:
        """Step what was read of a record (by this topology's reader of its topic, or by an equal one)."""
        self.counts["received"] += 1
        if type(found) is Interaction:
            return self.step(found, self._readers.get(record.topic, self._other)[1], record.partition)
        if isinstance(found, Reject):
            self.counts[f"rejected.{found.reason}"] += 1
            if self._rejected is not None:
                self._rejected(record, found)
        elif isinstance(found, Skip):
            self.counts["skipped"] += 1
        elif isinstance(found, Said):
            return self.instruct(found, record.partition)
        elif isinstance(found, Clock | Figures):
            return self._control(found, self._partition(record.partition))
        return []

    def instruct(self, said: Said, partition: int = 0) -> list[Decision]:
        """Step what somebody said of a customer's stage."""
        here = self._partition(partition)
        profile = self._profile(here, said.event.customer)
        before = profile.due
        here.steps.reads(here.figures)
        decisions = here.steps.instruct(profile, said.event, said.journey, said.order)
        if profile.due and profile.due != before:
            heappush(here.timers, (profile.due, profile.customer))
        decisions.extend(self._fire(here, here.clock))
        return self._told(here, decisions)

    def _told(self, here: _Partition, decisions: list[Decision]) -> list[Decision]:
        """These decisions, and those of the accounts that were told of them."""
        if self._machine is not None and here.telling is not None:
            for change in here.telling.take():
                account = self.accounts.get(change.account)
                if account is None:
                    account = self.accounts[change.account] = Account(change.account)
                decisions = decisions + self._machine.step(account, change)
        return decisions

    def _control(self, found: Clock | Figures, here: _Partition) -> list[Decision]:
        if isinstance(found, Figures):
            here.figures.update(found.of)
            return []
        here.clock = max(here.clock, found.at)
        return self._told(here, list(self._fire(here, here.clock)))

    def _partition(self, number: int) -> _Partition:
        here = self._partitions.get(number)
        if here is None:
            here = self._partitions[number] = _Partition(self.topology.steps(self.program), self.topology.accounts)
        return here

    def clock(self, partition: int = 0) -> Instant:
        """What time it is in a partition; before all times where nothing has come."""
        return self._partition(partition).clock

    def _profile(self, here: _Partition, customer: str) -> Profile:
        profile = here.profiles.get(customer)
        if profile is None:
            profile = here.profiles[customer] = self.program.load(customer, None)
        return profile

    def step(self, event: Interaction, lateness: int = 0, partition: int = 0) -> list[Decision]:
        """Step one interaction."""
        here = self._partition(partition)
        profile = self._profile(here, event.customer)
        steps, at = here.steps, event.at
        steps.reads(here.figures)
        self.counts["processed"] += 1
        for flag in event.flags:
            self.counts[f"coerced.{flag}"] += 1
        before = profile.due if profile.timers else 0
        decisions = steps.advance(profile, event)
        if profile.timers:
            due = profile.due
            if due != before:
                heappush(here.timers, (due, event.customer))
        self.latest = max(self.latest, at)
        clock = at - lateness - 1
        here.clock = max(here.clock, clock)
        if here.timers and here.timers[0][0] <= here.clock:  # a late event may have set one that is due already
            decisions.extend(self._fire(here, here.clock))
        return decisions if self._machine is None else self._told(here, decisions)

    def until(self, instant: Instant) -> list[Decision]:
        """Move every partition's clock to `instant`: timers due at or before it fire."""
        decisions: list[Decision] = []
        for _, here in sorted(self._partitions.items()):
            here.clock = max(here.clock, instant)
            decisions.extend(self._told(here, list(self._fire(here, instant))))
        self.counts.update(self.program.stats)
        self.program.stats.clear()
        if self._machine is not None:
            self.counts.update(self._machine.stats)
            self._machine.stats.clear()
        return decisions

    def _fire(self, here: _Partition, clock: Instant) -> Iterator[Decision]:
        timers = here.timers
        here.steps.reads(here.figures)
        while timers and timers[0][0] <= clock:
            due, customer = heappop(timers)
            profile = here.profiles[customer]
            if profile.due != due:
                continue  # a step that moved the customer's next timer listed it anew
            yield from here.steps.fire(profile, due)
            if profile.due:
                heappush(timers, (profile.due, customer))


def simulate(topology: Topology, records: Iterable[RawRecord], *, until: Instant | None = None) -> Iterator[Decision]:
    """Run a history through a topology; decisions in the order decided. At the end timers run to `until` (default: the last event)."""
    local = Local(topology)
    for record in records:
        yield from local.send(record)
    yield from local.until(local.latest if until is None else until)

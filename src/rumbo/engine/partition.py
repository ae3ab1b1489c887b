"""One partition of the stage that decides: the batch protocol. Everything of a batch commits together, then the store follows.

Check the beginning, read, group by customer, load, step, one transaction (outputs, rejects, changelog, position, progress),
one write of the store. What is decided does not depend on where batches end: time passes with each record, and by no clock that is
not committed. It decides nothing: that is the program's. It knows no Faust.
"""

from __future__ import annotations

from asyncio import Lock, sleep
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from time import monotonic, time
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from rumbo.core.belonging import Telling
from rumbo.core.decision import Decision
from rumbo.core.instant import Instant, isoformat
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.rollup import AccountMachine
from rumbo.engine import position as record
from rumbo.engine.clock import event_clock, live_clock
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.notes import Notes
from rumbo.engine.pasts import Pasts
from rumbo.engine.place import place_of
from rumbo.engine.position import Position
from rumbo.engine.rejects import REJECTS_WATCHED, check_rejects
from rumbo.engine.store import POSITION_KEY, Store
from rumbo.engine.touched import Touched
from rumbo.engine.transaction import Committed, PartitionProducer, Row
from rumbo.errors import InternalError
from rumbo.intake import Clock, Figures, Reader, Reject, Said, all_plain, dead_letter, read_control
from rumbo.observe.metrics import Metrics
from rumbo.output import Encoder
from rumbo.serve.live import Live
from rumbo.topology import Topology

TIMERS: Final = 500
"""Overdue timers in one transaction."""
HEARTBEAT: Final = 30.0
"""Seconds after which a silent partition writes a progress record, to learn the broker's time."""
LOOK: Final = 0.05
"""Seconds between two looks of a quiet partition at the wall's clock."""
READ_AT_ONCE: Final = 200
"""Records between two looks of the event loop at everything else: some 2 ms of work."""
STEP_AT_ONCE: Final = 64
"""Records that are read, then stepped: few enough that all of what they make stays in the processor's cache, also where others share it."""
BREATH: Final = 2 * STEP_AT_ONCE
"""Records after which everything else has its turn: some 3 ms of work."""
TURN: Final = 256
"""Records that a partition steps, and encodes what comes of them, before the others of this worker have their turn: one finishes and commits while the next one steps."""
FOREVER: Final = 2**62
Groups = dict[tuple[str, int], list[Row]]
"""(topic, partition) -> what a transaction writes there."""
_NO_HEADERS: Final[list[tuple[str, bytes]]] = []


class Batch(NamedTuple):
    """Records of one source in one partition. `begin` and `end` are consumer positions: markers take offsets too."""

    topic: str
    begin: int
    end: int
    records: Sequence[Any]
    caught_up: bool
    """Whether `end` had reached the last stable offset when it was taken."""
    head: Instant = 0
    """The time of its first event."""


class GapError(InternalError):
    """Records between the position and the batch are missing: that would be loss."""


class MisplacedError(InternalError):
    """The producer's partitioner is not ours: one customer would have two profiles."""


class Stage(NamedTuple):
    """What the partitions of one worker share."""

    name: str
    topology: Topology
    program: Program
    encoder: Encoder
    readers: Mapping[str, Reader]
    lateness: Mapping[str, int]
    partitions: int
    changelog: str
    control: str | None
    spread: int
    """Partitions of the topic that a re-key stage writes."""
    metrics: Metrics
    failpoints: Failpoints
    live: Live
    turn: Lock
    """Held by the partition that steps: else each request would wait until all of them have stepped a little."""
    contacts: str = ""
    """Where the stage that decides tells accounts of their contacts; empty: nobody asks."""
    accounts: AccountMachine | None = None
    """Of the stage that hears them."""


class PartitionWorker:
    """One partition, owned: its store, its producer, its position."""

    def __init__(self, stage: Stage, number: int, store: Store, producer: PartitionProducer, found: Position) -> None:
        self.stage, self.number, self.store, self.producer, self.position = stage, number, store, producer, found
        self.caught_up = dict.fromkeys(stage.lateness, False)
        self.committed_at = monotonic()
        self.took = 0.0
        """Seconds that the last transaction took; 0 before the first."""
        self.broker_time: Instant = 0
        self._written_at = self._looked_at = 0.0
        self._recent: deque[bool] = deque(maxlen=REJECTS_WATCHED)
        self._touched = Touched(store, self._meet)
        firsts = {journey.id: journey.first for journey in stage.topology.journeys}
        self.notes = Notes(store, stage.live, stage.encoder, stage.topology.journal, firsts)
        refolder = stage.topology.refolder(stage.program)
        self._pasts = Pasts(store, refolder) if refolder is not None else None
        steps = self._pasts or stage.program
        rules = stage.topology.accounts if stage.contacts else None
        self._telling = Telling(rules, steps) if rules is not None else None
        self._steps: Program | Pasts | Telling = self._telling or steps
        self._owed = True
        """Whether timers may be overdue: a predecessor may have moved the clock and died before it fired what that made due."""
        self.done = self._reached()
        """Where each source was read to in what is committed; `position` runs ahead of it while a batch is under way."""
        self.now: Instant = found.clock
        """The clock for those who look on: never ahead of what is committed."""

    def next_of(self, topic: str) -> int:
        """The consumer position to go on from."""
        return self.position.sources[topic].next

    async def take(self, batch: Batch) -> None:
        """Process one batch, whole; the timers that its time makes due follow in transactions of their own."""
        if self._owed:
            await self.timers()  # what a predecessor's clock had made due comes before everything that it had not read
        for each in self._parts(batch):
            await self._take(each)

    def _parts(self, batch: Batch) -> list[Batch]:
        """A batch of control records ends after each clock record and before each figure: what is due by then fires in between."""
        if batch.topic != self.stage.control:
            return [batch]
        parts, begin, first = list[Batch](), batch.begin, 0
        kinds = [type(read_control(each)) for each in batch.records]
        for number, (kind, following) in enumerate(pairwise(kinds), 1):
            if kind is Clock or following is Figures:
                end = batch.records[number - 1].offset + 1
                parts.append(batch._replace(begin=begin, end=end, records=batch.records[first:number]))
                begin, first = end, number
        return [*parts, batch._replace(begin=begin, records=batch.records[first:])]

    async def _take(self, batch: Batch) -> None:
        trimmed = self._continues(batch)
        self.stage.failpoints.reached("after_poll")
        started = monotonic()
        groups: Groups = {}
        if batch.topic == self.stage.control:
            clock = self._control(trimmed, groups)
        else:
            await self._step(batch.topic, trimmed, groups)
            clock = 0
        begin = self.next_of(batch.topic)
        self._advance(batch, trimmed, clock)
        self.stage.failpoints.reached("after_step")
        await self._commit(groups, (batch.topic, begin, self.next_of(batch.topic)))
        appended = trimmed[0].timestamp if trimmed else 0
        self.stage.metrics.batch(batch.topic, len(trimmed), monotonic() - started, appended)
        await self.timers()

    def _continues(self, batch: Batch) -> Sequence[Any]:
        noted = self.position.sources[batch.topic]
        if batch.begin > noted.next:
            raise GapError(
                f"{batch.topic}-{self.number}: a batch begins at {batch.begin}, the position is {noted.next}"
            )
        if batch.begin == noted.next:
            return batch.records
        kept = [each for each in batch.records if each.offset >= noted.next]
        self.stage.metrics.replayed(len(batch.records) - len(kept))
        return kept

    # Stepping ---------------------------------------------------------------------------------------------------------

    async def _step(self, topic: str, records: Sequence[Any], groups: Groups) -> None:
        """Some records at a time: read, load each customer once, step each interaction in order; then let the process breathe."""
        source, figures, steps = self.position.sources[topic], self.position.figures, self._steps
        passed, latest, clock = 0, source.clock, self.position.clock
        allowed, bound = self.stage.lateness[topic] + 1, self._bound(topic)
        for first in range(0, len(records), TURN):
            decisions: list[Decision] = []
            async with self.stage.turn:
                for begin in range(first, min(first + TURN, len(records)), STEP_AT_ONCE):
                    if not begin % BREATH:
                        await sleep(0)
                    steps.reads(figures)  # meanwhile other partitions had their turn
                    interactions = self._read(topic, records[begin : begin + STEP_AT_ONCE], groups)
                    passed += len(interactions)
                    latest, clock = self._pass(interactions, decisions, latest, clock, allowed, bound)
                self._encode(decisions, groups)  # of all at once: for a few, the code would come from memory first
        source.clock = latest
        self.stage.metrics.processed(topic, len(records), passed, self.stage.program.stats)
        if self.stage.program.mistyped:
            self.stage.metrics.mistyped(self.stage.program.mistyped)

    def _pass(  # noqa: PLR0913, PLR0917  where time stands in a batch, and how far it may go
        self,
        interactions: list[Interaction],
        decisions: list[Decision],
        latest: Instant,
        clock: Instant,
        allowed: int,
        bound: Instant,
    ) -> tuple[Instant, Instant]:
        """Load each customer once, step each interaction in order, add what is decided; the latest event and the clock then."""
        steps = self._steps
        profiles, advance = self._open({each.customer for each in interactions}), steps.advance
        for each in interactions:
            profile, at = profiles[each.customer], each.at
            if at <= clock and 0 < profile.due <= clock:
                decisions += steps.fire(profile, clock)  # it is late: what time has passed was due before it came
            made = advance(profile, each)
            if made:
                decisions += made
            if at > latest:
                latest = at
                moved = min(bound, at - allowed)
                clock = max(clock, moved)
        self._touched.close()
        self.notes.heard(interactions)
        return latest, clock

    def _open(self, customers: set[str]) -> dict[str, Profile]:
        """The profiles of these customers, and their pasts where there are any."""
        if self._pasts is not None:
            self._pasts.open(customers)
        return self._touched.open(customers)

    def _read(self, topic: str, records: Sequence[Any], groups: Groups) -> list[Interaction]:
        """The interactions in these records; what is none goes to the dead letters."""
        read, recent, flags = self.stage.readers[topic], self._recent, self.stage.metrics.coerced
        interactions: list[Interaction] = []
        plain = all_plain(records)
        for each in records:
            found = read(each, known_plain=plain)
            if type(found) is Interaction:
                interactions.append(found)
                recent.append(False)
                if found.flags:
                    flags(found.flags)
            elif type(found) is Reject:
                self._reject(each, found, groups)
                recent.append(True)
        return interactions

    def _meet(self, customer: str) -> None:
        """Somebody is here for the first time. They must belong here by murmur2, or their events meet in two places."""
        if place_of(customer.encode(), self.stage.partitions) != self.number:
            self._misplaced()
        self.notes.met(1)

    def _misplaced(self) -> None:
        self.stage.metrics.misplaced()
        if self.stage.topology.keys == "strict":
            raise MisplacedError(
                f"partition {self.number} has events of a customer whom murmur2 places elsewhere: produce with the customer's id as the "
                "key and partitioner murmur2 (librdkafka: partitioner=murmur2_random), or say `key: any` for the source, or `keys: count`"
            )

    def _reject(self, raw: Any, reject: Reject, groups: Groups) -> None:
        topology = self.stage.topology
        key, value, headers = dead_letter(raw, reject, keep=topology.dlq_payload == "keep")
        groups.setdefault((topology.source(raw.topic).dead_letters, self.number), []).append((key, value, headers))
        self.stage.metrics.rejected(raw.topic, reject.reason)
        check_rejects(self._recent, topology.dlq_limit, f"{raw.topic}-{self.number}", reject)

    def _encode(self, decisions: Sequence[Decision], groups: Groups) -> None:
        encode, count = self.stage.encoder, self.stage.metrics.decided
        for decision in decisions:
            out = encode(decision)
            groups.setdefault((out.topic, self.number), []).append((out.key, out.value, out.headers))
            count(decision)
        self.notes.decided(decisions)
        if self._telling is not None:
            self._tell(self._telling, groups)

    def _tell(self, telling: Telling, groups: Groups) -> None:
        """Tell accounts of their contacts, each in its place."""
        for change in telling.take():
            key = change.account.encode()
            place = self.stage.contacts, place_of(key, self.stage.spread)
            groups.setdefault(place, []).append((key, msgspec.json.encode(change), _NO_HEADERS))

    # Time -------------------------------------------------------------------------------------------------------------

    def _advance(self, batch: Batch, records: Sequence[Any], clock: Instant) -> None:
        """Move the position over the batch, and the clock with it."""
        source = self.position.sources[batch.topic]
        source.next = max(batch.end, source.next)  # what came again in a fetch of its own ends before the position
        if records:
            last = records[-1]
            source.last_offset, source.last_timestamp = last.offset, last.timestamp
            source.last_crc = crc32(last.value or b"")
        self.caught_up[batch.topic] = batch.caught_up
        moved = event_clock(self.position, self.stage.lateness, self.caught_up)
        self.position.clock = max(moved, clock, self.position.clock)

    def _control(self, records: Sequence[Any], groups: Groups) -> Instant:
        """Do what control records say; the instant that clock records set."""
        latest, decisions, steps = 0, list[Decision](), self._steps
        steps.reads(self.position.figures)
        for each in records:
            match read_control(each):
                case Clock(at=at):
                    latest = max(latest, at)
                case Figures(of=figures):
                    self.position.figures.update(figures)
                case Said(event=event, journey=journey, order=order):
                    profile = self._open({event.customer})[event.customer]
                    if 0 < profile.due <= self.position.clock:
                        decisions += steps.fire(profile, self.position.clock)
                    decisions += steps.instruct(profile, event, journey, order)
                    self._touched.close()
                case Reject(reason=reason):
                    self.stage.metrics.ignored(each.topic, reason)
        self._encode(decisions, groups)
        return latest

    def _bound(self, topic: str) -> Instant:
        """How far time may pass within a batch of this source: no further than the others that are behind."""
        sources, lateness = self.position.sources, self.stage.lateness
        behind = (
            each for each, caught_up in self.caught_up.items() if each in lateness and each != topic and not caught_up
        )
        return min((sources[each].clock - lateness[each] - 1 for each in behind), default=FOREVER)

    def has_to_look(self) -> bool:
        """Whether a quiet partition has anything to see: the clock of a live topology moves by itself."""
        if self.stage.topology.clock == "live":
            return monotonic() - self._looked_at > LOOK
        return all(self.caught_up.values()) and (
            self._owed or event_clock(self.position, self.stage.lateness, self.caught_up) > self.position.clock
        )

    async def idle(self) -> bool:
        """Nothing to read: let the wall push the clock where the topology lives by it, and fire what is due. Whether anything was."""
        position, topology = self.position, self.stage.topology
        self._looked_at = monotonic()
        if not all(self.caught_up.values()):
            return False
        wall = int(time() * 1_000_000)
        if topology.clock == "live" and monotonic() - self._written_at > HEARTBEAT:
            await self._commit({}, None)  # a silent partition asks the broker for its time
        moved = max(
            event_clock(position, self.stage.lateness, self.caught_up),
            live_clock(topology.clock, position, self.stage.lateness, wall=wall, broker=self._broker_now()),
        )
        if moved > position.clock:
            position.clock = moved
            if self.store.due(moved, 1):
                await self._commit(
                    {}, None
                )  # were the firing broken off, what comes meanwhile must not be taken before it
        return await self.timers()

    def _broker_now(self) -> Instant:
        """The broker's time at its last answer, and what has passed since by this machine's steady clock."""
        return self.broker_time + int((monotonic() - self._written_at) * 1_000_000) if self.broker_time else 0

    async def note(self) -> None:
        """Write the position as it is."""
        await self._commit({}, None)

    async def timers(self) -> bool:
        """Fire what the clock makes due, in due order, a chunk a transaction."""
        fired = False
        while due := self.store.due(self.position.clock, TIMERS):
            customers = dict.fromkeys(customer.decode() for _, customer in due)
            profiles = self._open(set(customers))
            upto = due[-1][0] if len(due) == TIMERS else self.position.clock
            decisions: list[Decision] = []
            self._steps.reads(self.position.figures)
            for customer in customers:
                decisions += self._steps.fire(profiles[customer], upto)
            self._touched.close()
            groups: Groups = {}
            self._encode(decisions, groups)
            await self._commit(groups, None)
            self.stage.metrics.timers(len(due), self._since(due[0][0]))
            fired = True
        self._owed, self.now = False, self.position.clock
        return fired

    def _since(self, due: Instant) -> float:
        """Seconds since an instant, by what the topology lives by: the wall, or the partition's clock."""
        now = int(time() * 1_000_000) if self.stage.topology.clock == "live" else self.position.clock
        return (now - due) / 1_000_000

    # Committing -------------------------------------------------------------------------------------------------------

    async def _commit(self, groups: Groups, consumed: tuple[str, int, int] | None) -> None:
        """One transaction, then one write of the store."""
        rows, moves = self._changed(), self._touched.moves()
        rows.append((POSITION_KEY, record.dump(self.position)))
        if self._pasts is not None:
            rows += self._pasts.rows()
            self.notes.refolded(self._pasts.changed())
        rows += self.notes.rows(self._touched)
        stage, number = self.stage, self.number
        everything = [(topic, place, out) for (topic, place), out in groups.items()]
        everything.append((stage.changelog, number, [(key, value, _NO_HEADERS) for key, value in rows]))
        everything.append((stage.topology.outputs.progress, number, [self._progress(consumed)]))
        began = monotonic()
        committed = await self.producer.commit(everything)
        self._committed(committed, monotonic() - began)
        self.store.write(rows, moves, committed.next_offsets[stage.changelog, number])
        stage.failpoints.reached("before_ack")
        self.notes.committed()
        self._forget()
        self.done = self._reached()

    def _changed(self) -> list[tuple[bytes, bytes | None]]:
        """Key and value of all that this transaction has changed."""
        return self._touched.rows()

    def _forget(self) -> None:
        """It is committed, and in the store."""
        self._touched.forget()
        if self._pasts is not None:
            self._pasts.forget()

    def _reached(self) -> dict[str, int]:
        return {topic: source.next for topic, source in self.position.sources.items()}

    def _committed(self, committed: Committed, seconds: float) -> None:
        now = monotonic()
        self.committed_at = self._written_at = now
        self.took = seconds
        broker = committed.broker_ms.get((self.stage.topology.outputs.progress, self.number), -1)
        if broker > 0:
            self.broker_time = broker * 1000
        self.stage.metrics.committed()

    def _progress(self, consumed: tuple[str, int, int] | None) -> Row:
        """What this transaction took and where the clock stands: a replay of several topics takes the same order."""
        topic, begin, end = consumed if consumed is not None else ("", 0, 0)
        said = {
            "app": self.stage.topology.name, "stage": self.stage.name, "partition": self.number, "clock": isoformat(self.position.clock),
            "sources": {topic: [begin, end]} if topic else {},
        }  # fmt: skip
        return f"{self.stage.topology.name}/{self.stage.name}".encode(), msgspec.json.encode(said), _NO_HEADERS

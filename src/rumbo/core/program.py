"""A topology's journeys, compiled: what `local` and `engine` drive. Bytes in, decisions and bytes out; no clock, no I/O.

The order for one interaction: a producer's repeat changes nothing; the customer's timers due before it fire; the clock
moves; what must be remembered is remembered; then each journey steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from rumbo.core import profile as record
from rumbo.core.answer import Answers
from rumbo.core.authority import Order
from rumbo.core.belonging import Belonging
from rumbo.core.channel import Preference, preference
from rumbo.core.consent import Consent
from rumbo.core.contact import Hear, Ledgers, Listed
from rumbo.core.decision import Decision
from rumbo.core.definition import Accounts, Contact, Derived, Journey
from rumbo.core.deriving import Deriving
from rumbo.core.instant import Duration, Instant
from rumbo.core.interaction import Interaction
from rumbo.core.journey import JourneyMachine, Plan, Step
from rumbo.core.message import Message
from rumbo.core.profile import Profile
from rumbo.core.repeats import ENTRY, knows, note
from rumbo.core.request import settle
from rumbo.core.scanner import Guard
from rumbo.core.scope import Read, Turn
from rumbo.core.score import ScoreMachine
from rumbo.core.signal import KEYS
from rumbo.core.state import JourneyState
from rumbo.core.trait import keepable
from rumbo.core.vocabulary import Words
from rumbo.core.zone import ACCOUNT_TRAITS

_GROUPED: Final = "grouped"
"""The name of an interaction that says what account a customer belongs to, folded."""


class Program:
    """The compiled journeys of one topology.

    Not for use by two threads at once. A profile handed in is updated in place; decisions come in the order decided.
    """

    def __init__(  # noqa: PLR0913  what a topology says beside its journeys, each by its word
        self,
        topology: str,
        journeys: Sequence[Journey],
        *,
        ring_size: int = 64,
        zone: str = "UTC",
        contact: Contact | None = None,
        derived: Derived | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        words = Words(zone, contact, derived, journeys, accounts)
        if words.contact.preferred is not None:  # whoever looks the customer up asks for it, even where no action does
            words.traits.add(words.contact.preferred.trait)
        self._belonging = Belonging(accounts, words.read) if accounts is not None else None
        if accounts is not None:
            words.traits.add(accounts.role)
        self._ledgers = Ledgers(words.contact, words.read, self._delivered)
        self.topology, self.journeys = topology, tuple(journeys)
        self._machines = tuple(JourneyMachine(topology, journey, words) for journey in journeys)
        self.stats: Counter[str] = Counter()
        """What was met since it was last cleared: `duplicate`, `duplicate_conflict`, `late`, `timer`, `timer_unknown`,
        `trait_too_large`, and what met a bound."""
        self.mistyped = words.met.counts
        """Fields that came as another type than a rule needs, since it was last cleared."""
        self._words, self._turn, self._ring = words, Turn(self.stats, {}), ring_size * ENTRY
        self._turn.wanted = [] if words.caps else None
        self.fired: Instant = 0
        """When the timer was due that fired last."""
        self._requests = {each.name: each for machine in self._machines for each in machine.requests.values()}
        mentioned = set().union(*(machine.mentioned() for machine in self._machines), words.trackers.names())
        self._answers = Answers(words.derived.answers, words)
        mentioned |= self._ledgers.mentioned() | self._answers.mentioned()
        self._deriving = Deriving(words)
        mentioned |= self._deriving.mentioned()
        if self._belonging is not None:
            mentioned |= self._belonging.mentioned()
        if self._deriving.stuck is not None:
            for machine in self._machines:
                machine.tell_stuck(self._deriving.stuck)
        self._plans = {name: self._plan(name) for name in sorted(mentioned)}
        self._other = self._plan("")
        self._steps = {name: plan.steps for name, plan in self._plans.items()}
        self._guard(words)
        self._signals = {name: self._plan(name, named=True).steps for name in sorted(KEYS & mentioned)}
        """What signals make the topology do: a strict sequence that does not name one is not broken by it."""
        self._timers = {name: machine for machine in self._machines for name in machine.timers}

    def _plan(self, name: str, *, named: bool = False) -> _Plan:
        journeys = tuple((machine, machine.plan(name, named=named)) for machine in self._machines)
        derives = () if named else self._deriving.listening(name)
        ledger = (*self._ledgers.listening(name), *self._answers.listening(name), *derives)
        steps: list[Step] = [self._learn] if self._words.traits else []
        if self._belonging is not None and not named:
            steps.append(self._belonging.hear)
        steps += [self._opens(machine, plan) for machine, plan in journeys]
        steps += self._words.trackers.listening(name)
        if ledger:
            steps.append(lambda turn: self._hear(turn, ledger))
        alone = len(journeys) == 1  # then its state is what the turn shows already
        steps += [
            machine.hearing(plan) if alone else _at(machine.id, machine.hearing(plan)) for machine, plan in journeys
        ]
        if derives:
            steps.append(self._follow)
        return _Plan(tuple(steps), journeys)

    def _opens(self, machine: JourneyMachine, plan: Plan) -> Step:
        """Turn to one journey's state, begun where there is none; what time alone has made false is looked at before all else."""
        journey = machine.id

        def opens(turn: Turn) -> None:
            turn.state = turn.profile.journeys.get(journey) or self._begin(turn, machine, plan)

        def opens_watched(turn: Turn) -> None:
            opens(turn)
            if turn.state.held:
                machine.before(turn, plan)

        return opens_watched if plan.watches else opens

    def _guard(self, words: Words) -> None:
        """Where clicks of scanners are put aside, who does it stands before the steps."""
        if words.derived.scanners is None:
            return
        signers = tuple(machine.who for machine in self._machines)
        guard = Guard(self, self._turn, words.derived.scanners, words.read, signers)
        self._deriving.timers |= guard.timers
        self.advance, self.fire, self.instruct = guard.advance, guard.fire, guard.instruct  # type: ignore[method-assign]  # others pay nothing for it

    def knows(self, profile: Profile, event: Interaction) -> bool:
        """Whether this id is among the last ones."""
        return knows(profile, event)

    def pass_by(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Take an interaction's id and time, and nothing else: it is not stepped. What its time makes due is."""
        self._repeats(profile, event)
        out = self._turn.out = []
        if profile.timers and profile.due < event.at:
            self._fire(profile, event.at - 1)
        self._clock(profile, event.at)
        self._turn.sees(profile, event, event.at)
        return out

    def again(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step an interaction that was passed by, at the customer's clock."""
        turn = self._turn
        out = turn.out = []
        turn.sees(profile, event, profile.clock)
        for step in self._steps.get(event.key) or self._other.steps:
            step(turn)
        if turn.wanted:
            settle(turn)
        return out

    def hold_back(self, turn: Turn, detail: str, until: Instant) -> None:
        """Record the no of the quarantine for what the interaction in the turn would have asked for."""
        for machine, plan in (self._plans.get(turn.event.key, self._other)).journeys if turn.event is not None else ():
            turn.state = turn.profile.journeys.get(machine.id) or JourneyState()  # a scanner begins no journey
            machine.hold_back(turn, plan, detail, until)

    def machine(self, journey: str) -> JourneyMachine:
        """One journey's machine, for explanations. Raises StopIteration where there is none."""
        return next(machine for machine in self._machines if machine.id == journey)

    def scores(self, journey: str) -> dict[str, ScoreMachine]:
        """The score machines of one journey; none where the topology no longer has it."""
        machine = self._known(journey)
        return machine.scores if machine is not None else {}

    def content(self, journey: str, stage: str) -> dict[str, Any]:
        """What a journey has for those who are in a stage; nothing where it has not, or is gone."""
        machine = self._known(journey)
        found = machine.stages.by_name.get(stage) if machine is not None else None
        return (found.content if found is not None else None) or {}

    def _known(self, journey: str) -> JourneyMachine | None:
        """One journey's machine; None where the topology no longer has it."""
        return next((machine for machine in self._machines if machine.id == journey), None)

    def prefers(self, profile: Profile, now: Instant) -> Preference | None:
        """The channel that a customer prefers, and what speaks for it."""
        return preference(self._words.contact, profile, now)

    def reads(self, figures: dict[str, Duration]) -> None:
        """Which frozen figures of the cohort count from here on (`core.staging.figure`); the caller keeps them with its position."""
        self._turn.figures = figures

    def load(self, customer: str, value: bytes | None) -> Profile:
        """The profile that `dump` wrote, or a new one."""
        return Profile(customer) if value is None else record.load(value)

    def dump(self, profile: Profile) -> bytes:
        """The profile as stored, without the due prefix (`core.profile.stored` writes both)."""
        return record.dump(profile)

    def advance(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step one interaction of this customer."""
        again = note(profile, event, self._ring)  # `_repeats`, written out: it is done for each interaction
        if again is not None:
            self.stats[again] += 1
            return []
        turn, at = self._turn, event.at
        out = turn.out = []
        timers = profile.timers
        if timers and min(timers.values()) < at:
            self._fire(profile, at - 1)
        if at >= profile.clock:  # `_clock` and `sees`, written out: it is done for each interaction
            profile.clock = turn.now = at
        else:
            turn.now = profile.clock
            self.stats["late"] += 1
        if not profile.events or at < profile.first_seen:
            profile.first_seen = at
        profile.events += 1
        turn.profile = profile
        turn.event = event
        turn.at = at
        turn.mark = ""
        turn.cause = None
        for step in self._steps.get(event.key) or self._other.steps:
            step(turn)
        if turn.wanted:
            settle(turn)
        return out

    def _follow(self, turn: Turn) -> None:
        """Step what was derived from the input, in the order derived, and what is derived from that."""
        while turn.signals:
            event = turn.signals.pop(0)
            steps = self._signals.get(event.key)
            if steps is not None:
                turn.sees(turn.profile, event, turn.at)
                for step in steps:
                    step(turn)

    def _hear(self, turn: Turn, rules: tuple[tuple[Read | None, Hear], ...]) -> None:
        """Take what the customer says of consent into the ledger, before any rule asks for it."""
        changed = False
        for where, hear in rules:
            if where is None or where(turn) is True:
                changed |= hear(turn)
        if changed:
            self._recheck(turn)

    def _delivered(self, turn: Turn, message: Message) -> None:
        """Caps on deliveries count it, where its rule is still there."""
        request = self._requests.get(message.rule)
        if request is not None:
            request.delivered(turn, message.channel)

    def _recheck(self, turn: Turn) -> None:
        for machine in self._machines:
            state = turn.profile.journeys.get(machine.id)
            if state is not None and state.holds:
                turn.state = state
                machine.recheck(turn)

    def _clock(self, profile: Profile, at: Instant) -> None:
        if at >= profile.clock:
            profile.clock = at
        else:
            self.stats["late"] += 1
        if not profile.events or at < profile.first_seen:
            profile.first_seen = at
        profile.events += 1

    def _begin(self, turn: Turn, machine: JourneyMachine, plan: Plan) -> JourneyState:
        state = turn.profile.journeys[machine.id] = machine.begin(turn, plan)
        return state

    def instruct(
        self, profile: Profile, said: Interaction, journey: str, order: Order | Consent | Listed
    ) -> list[Decision]:
        """Step what somebody said of this customer (a control record, as the interaction `said`): a stage of a journey, or a word for the ledger."""
        machine = self._known(journey)
        if machine is None and isinstance(order, Order):
            self.stats["authority_unknown_journey"] += 1
            return []
        if self._repeats(profile, said):
            return []
        turn = self._turn
        out = turn.out = []
        if profile.timers and profile.due < said.at:
            self._fire(profile, said.at - 1)
        self._clock(profile, said.at)
        turn.sees(profile, said, said.at)
        if machine is None or not isinstance(order, Order):
            if self._ledgers.take(turn, cast("Consent | Listed", order)):
                self._recheck(turn)
            return out
        turn.state = profile.journeys.get(journey) or self._begin(turn, machine, self._plan_of(machine, said.key))
        machine.instruct(turn, order)
        if turn.wanted:
            settle(turn)
        return out

    def _plan_of(self, machine: JourneyMachine, key: str) -> Plan:
        return next(plan for each, plan in self._plans.get(key, self._other).journeys if each is machine)

    def fire(self, profile: Profile, clock: Instant) -> list[Decision]:
        """Fire every timer of this customer due at or before `clock`, in due order."""
        out = self._turn.out = []
        self._fire(profile, clock)
        return out

    def _fire(self, profile: Profile, clock: Instant) -> None:
        timers, turn = profile.timers, self._turn
        while timers:
            name, due = min(timers.items(), key=_due_order)
            if turn.wanted and due > turn.at:
                settle(turn)  # what came due at one instant is weighed together; it may have set an earlier timer
                continue
            if due > clock:
                return
            del timers[name]
            self.fired = due
            machine = self._timers.get(name)
            state = profile.journeys.get(machine.id) if machine is not None else None
            own = self._deriving.timers.get(name)
            if own is None and (machine is None or state is None):
                self.stats["timer_unknown"] += 1  # its rule went with an older version
                continue
            profile.clock = max(profile.clock, due)
            turn.sees(profile, None, due)
            self.stats["timer"] += 1
            if machine is not None and state is not None:
                turn.state = state
                machine.fire(turn, name)
            elif own is not None:
                own(turn)
            if turn.signals:
                self._follow(turn)
        if turn.wanted:
            settle(turn)

    def _repeats(self, profile: Profile, event: Interaction) -> bool:
        """Whether this id is among the last ones; if not, it is now."""
        again = note(profile, event, self._ring)
        if again is None:
            return False
        self.stats[again] += 1
        return True

    # For refolds --------------------------------------------------------------------------------------------------------

    def repeats(self, profile: Profile, event: Interaction) -> bool:
        """Whether this id is among the last ones; it is not noted."""
        ring, older = profile.ring, profile.older
        known = self._repeats(profile, event)
        profile.ring, profile.older = ring, older
        return known

    def absorb(self, profile: Profile, event: Interaction) -> None:
        """Take what needs no order from an interaction: counters, traits, the ledger, answers, points that only fade. Nothing is decided, nothing fires."""
        if not self._notes(profile, event):
            return
        turn, key = self._turn, event.key if event.key in self._plans else ""
        if self._words.traits:
            self._learn(turn)
        if self._belonging is not None:
            self._belonging.hear(turn)
        for update in self._words.trackers.listening(key):
            update(turn)
        for where, hear in (*self._ledgers.listening(key), *self._answers.listening(key)):
            if where is None or where(turn) is True:
                hear(turn)
        for machine in self._machines:
            if machine.id in profile.journeys:
                turn.state = profile.journeys[machine.id]
                machine.absorb(turn, key)

    def take(self, profile: Profile, said: Interaction, word: Consent | Listed) -> None:
        """Take what somebody said into the ledger, as `absorb` does."""
        if self._notes(profile, said):
            self._ledgers.take(self._turn, word)

    def _notes(self, profile: Profile, event: Interaction) -> bool:
        if self._repeats(profile, event):
            return False
        self._turn.out = []
        profile.first_seen = min(profile.first_seen, event.at) if profile.events else event.at
        profile.events += 1
        self._turn.sees(profile, event, event.at)
        return True

    def sight(self, profile: Profile, event: Interaction) -> Turn:
        """What is seen on this interaction of the profile as it is, for a decision about it."""
        self._turn.sees(profile, event, event.at)
        return self._turn

    def _learn(self, turn: Turn) -> None:
        """Keep the traits that some rule reads: the latest by event time, never an anonymous visitor's over a known one's."""
        event = turn.event
        if event is None or len(event.traits_raw) <= len(b"{}"):
            return
        said, known, met = event.traits, turn.profile.traits, self._words.met
        of_account = ACCOUNT_TRAITS if event.key == _GROUPED else {}
        for name in self._words.traits:
            if name in said:
                met.said(event, name, said[name])
                if not keepable(said[name]):
                    self.stats["trait_too_large"] += 1
                    continue
                kept = of_account.get(name, name)
                old = known.get(kept)
                if old is None or (not event.anonymous, event.at) >= (not old[2], old[1]):
                    known[kept] = [said[name], event.at, event.anonymous]


class _Plan(NamedTuple):
    """What one event name makes the whole topology do."""

    steps: tuple[Step, ...]
    """In their order: what is not in the definition is not among them."""
    journeys: tuple[tuple[JourneyMachine, Plan], ...]


def _at(journey: str, hear: Step) -> Step:
    """The same at this journey's state."""

    def step(turn: Turn) -> None:
        turn.state = turn.profile.journeys[journey]
        hear(turn)

    return step


def _due_order(timer: tuple[str, Instant]) -> tuple[Instant, str]:
    return timer[1], timer[0]

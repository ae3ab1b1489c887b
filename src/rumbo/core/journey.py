"""One journey, compiled: scores, then stages, then triggers, for each input. It changes the state it is handed and lists decisions.

Cost per interaction follows the rules that could fire: for each event name a plan is made once, and names that no rule
mentions share one. No clock, no I/O: time arrives with the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.authority import Order, Orders, Rule, said
from rumbo.core.definition import Journey
from rumbo.core.flow import entry
from rumbo.core.flowing import Flows
from rumbo.core.gate import No
from rumbo.core.holding import Holding
from rumbo.core.identity import Identity
from rumbo.core.instant import Instant
from rumbo.core.message import message_timer
from rumbo.core.request import Signer
from rumbo.core.scope import Scope, Turn
from rumbo.core.score import ScoreMachine
from rumbo.core.scoring import Awarding, Scoring
from rumbo.core.segment import Segment, Segments
from rumbo.core.sequence import SequenceMachine
from rumbo.core.stage import StageMachine
from rumbo.core.staging import Staging
from rumbo.core.state import JourneyState
from rumbo.core.trigger import AbsenceMachine, TriggerMachine, act, calling
from rumbo.core.vocabulary import Words
from rumbo.core.waiting import Waiting
from rumbo.core.watching import Hear, Watcher, trigger_machine

Step = Callable[[Turn], None]
"""A part of what one input makes happen."""


class Plan(NamedTuple):
    """What one event name can touch in one journey."""

    awards: tuple[Awarding, ...]
    stages: bool
    triggers: tuple[TriggerMachine, ...]
    watches: tuple[TriggerMachine, ...]
    settled: tuple[TriggerMachine, ...]
    """Conditions to ask where a band, a stage or a segment has changed."""
    absences: tuple[AbsenceMachine, ...]
    segments: tuple[Segment, ...]
    orders: tuple[Rule, ...]
    listeners: tuple[Hear, ...]
    """Triggers that keep a state of their own (sequences, …)."""


class JourneyMachine:
    """One journey of a topology, ready to step."""

    def __init__(self, topology: str, journey: Journey, words: Words) -> None:
        self.journey, self.id = journey, journey.id
        self.scores = {score.name: ScoreMachine(score) for score in journey.scores}
        vocabulary, self.who = words.vocabulary(journey, self.scores), Identity(topology, journey)
        """Who signs its decisions."""
        self.words = vocabulary
        """What its conditions can name, for explanations."""
        self.stages = StageMachine(journey, vocabulary)
        self._flows = Flows(journey, vocabulary)
        begin = tuple(entry(flow.enter, flow.id) for flow in journey.flows)
        self._triggers = tuple(
            trigger_machine(journey, trigger, order, vocabulary)
            for order, trigger in enumerate((*journey.triggers, *begin))
        )
        self._watchers = tuple(each for each in self._triggers if isinstance(each, Watcher))
        self._waiting = Waiting(self.id, self._triggers)
        self._scoring = Scoring(journey, self.scores, vocabulary, self.who)
        self._scoring.calls(self._triggers)
        self._segments = Segments(journey, vocabulary, self.who)
        self._segments.calls(self._triggers)
        self._orders = Orders(journey, vocabulary)
        self._staging = Staging(self.id, self.stages, journey.unstable, self.who)
        self._staging.calls(self._triggers, self._waiting.stage_changed if self._waiting.absences else None)
        self.requests = {each.id: each.request for each in self._triggers} | self._flows.requests()
        """The actions that rules of this journey ask for, by rule."""
        self._mail = vocabulary.mail
        self._holding = Holding(self.id, self.requests)
        self._signer = Signer(self.who, self._scoring.values, self._holding.keep)
        self._flows.starts(self._signer, self._holding)
        self._entries = self._flows.entries
        parts = (self._scoring, self._segments, self._staging, self._waiting)
        self._begins = any(each.begins for each in parts)
        """Whether anything hangs on a beginning itself."""
        self.timers: dict[str, Callable[[Turn], bool]] = {
            **self._scoring.timers(),
            **self._segments.timers(),
            **self._staging.timers(),
            **self._waiting.timers(),
            **{each.timer: each.due for each in self._watchers},
            self._holding.timer: self._release,
            self._flows.timer: self._flows.due,
            message_timer(self.id): self._unanswered,
        }

    def trigger(self, name: str) -> TriggerMachine:
        """One trigger by its id. Raises StopIteration where there is none."""
        return next(each for each in self._triggers if each.id == name)

    def hinders(self, scope: Scope, flow: str) -> str:
        """What would have to differ for an instance of a flow to begin; empty where nothing stands against it."""
        return self._flows.hinders(scope, flow)

    def plan(self, key: str, *, named: bool = False) -> Plan:
        """What an interaction of this (folded) name can touch; `""` stands for names that no rule mentions.

        `named`: of triggers that follow any interaction only those that name it (what is derived breaks no strict sequence).
        """
        return Plan(
            awards=self._scoring.listening(key),
            stages=self._staging.listens(key),
            triggers=tuple(each for each in self._triggers if each.listens(key)),
            watches=self._waiting.watches_on(key),
            settled=self._waiting.settled_on(key),
            absences=self._waiting.absences_on(key),
            segments=self._segments.listening(key),
            orders=self._orders.listening(key),
            listeners=tuple(each.hear for each in self._watchers if _follows(each, key, named=named)),
        )

    def mentioned(self) -> set[str]:
        """Every event name that some rule of this journey listens to by name."""
        own = {name for each in self._triggers if each.events is not None for name in each.events.names}
        own |= {name for each in self._watchers for name in each.hears or ()}
        own |= self._scoring.mentioned() | self._staging.mentioned() | self._waiting.mentioned()
        return own | self._segments.mentioned() | self._orders.mentioned()

    def begin(self, turn: Turn, plan: Plan) -> JourneyState:
        """The customer's first interaction."""
        event = turn.event
        state = turn.state = JourneyState(entered_at=turn.at, entry=event.id if event is not None else "")
        if not self._begins:
            self._staging.stand(turn)
            return state
        banded = self._scoring.begin(turn, event.key if event is not None else "")
        self._staging.begin(turn)
        self._segments.begin(turn, plan.segments)
        self._staging.begun(turn, banded=banded)
        self._waiting.begin(turn, banded=banded)
        self._act(turn, ())
        return state

    def tell_stuck(self, told: Step) -> None:
        """Tell of customers who are stuck in a stage, beside saying it."""
        self._staging.told_stuck = told

    def before(self, turn: Turn, plan: Plan) -> None:
        """What must be looked at before the interaction is remembered."""
        self._waiting.before(turn, plan.watches)

    def hearing(self, plan: Plan) -> Step:
        """`hear` for one event name, once and for all: what the journey has nothing of is not asked for."""
        rest = (
            plan.segments or self._segments.on_bands or plan.orders or plan.absences or plan.listeners or plan.watches
        )
        if rest:
            return lambda turn: self.hear(turn, plan)
        award, triggers, stages, on_bands = _every(plan.awards), plan.triggers, plan.stages, self._staging.on_bands
        settled = plan.settled
        move, settle, flow, act = self._staging.hear, self._settle, self._flows.hear, self._act
        calls = tuple(calling(each, self._signer) for each in triggers if each.id not in self._entries)
        plain = len(calls) == len(triggers)

        def hear(turn: Turn) -> None:
            banded = award is not None and award(turn)
            moved = (stages or (banded and on_bands)) and move(turn)
            if banded or moved:
                settle(turn, settled, moved=moved)
            if turn.state.tasks is not None:
                flow(turn)
            if turn.called or not plain:
                act(turn, triggers)
            else:
                for call in calls:
                    call(turn)

        return hear

    def hear(self, turn: Turn, plan: Plan) -> None:
        """Step one interaction: scores and bands, segments, stages, then triggers in the order of the definition."""
        banded = False
        for award in plan.awards:
            banded |= award(turn)
        changed = self._segments.hear(turn, plan.segments) if plan.segments else False
        if banded and self._segments.on_bands:
            changed |= self._segments.hear(turn, self._segments.on_bands)
        moved = self._obey(turn, plan.orders) if plan.orders else False
        staging = self._staging
        if plan.stages or (banded and staging.on_bands) or (changed and staging.on_segments):
            moved |= staging.hear(turn)
        if plan.absences:
            self._waiting.hear(turn, plan.absences)
        for hear in plan.listeners:
            hear(turn)
        if banded or moved or changed:
            self._settle(turn, plan.settled, moved=moved)
        elif plan.watches:
            self._waiting.watch(turn, plan.watches)
        if turn.state.flows:
            self._flows.hear(turn)
        if plan.triggers or turn.called:
            self._act(turn, plan.triggers)

    def _settle(self, turn: Turn, watches: tuple[TriggerMachine, ...], *, moved: bool) -> None:
        """A band, a stage or a segment has changed: what hangs on them."""
        if moved and self._segments.on_stages:
            self._segments.hear(turn, self._segments.on_stages)
        if self._scoring.on_state and self._reset(turn) and self._staging.on_bands:
            self._staging.hear(turn)
        if watches:
            self._waiting.watch(turn, watches)

    def _reset(self, turn: Turn) -> bool:
        """Resets and disqualifications that hang on what has changed, once an input; whether they changed a score."""
        banded = False
        for look in self._scoring.on_state:
            banded |= look(turn)
        return banded

    def _obey(self, turn: Turn, rules: tuple[Rule, ...]) -> bool:
        order = said(turn, rules)
        return order is not None and self._staging.obey(turn, order)

    def absorb(self, turn: Turn, key: str) -> None:
        """The points of an interaction that need no order: all that one from beyond the reach of a refold gives."""
        for award in self._scoring.absorbing(key):
            award(turn)

    def instruct(self, turn: Turn, order: Order) -> None:
        """Step what somebody said of the customer's stage in a control record."""
        if self._staging.obey(turn, order):
            self._settle(turn, self._waiting.on_state, moved=True)
        if turn.state.flows:
            self._flows.hear(turn)
        self._act(turn, ())

    def hold_back(self, turn: Turn, plan: Plan, detail: str, until: Instant) -> None:
        """Record the no of the quarantine for the actions that this interaction would have asked for."""
        for machine in plan.triggers:
            holds = machine.where is None or machine.where(turn) is True
            if (
                holds
                and (machine.guard is None or machine.guard.holds(turn) is True)
                and machine.id not in self._entries
            ):
                machine.request.quarantine(
                    machine.request.attempt(turn, machine.leaves(turn)), turn, self._signer, No(detail, until)
                )

    def fire(self, turn: Turn, name: str) -> None:
        """Step one timer that came due."""
        changed = self.timers[name](turn)
        if changed:
            kind = name.split(":", 1)[0]
            banded, joined = kind == "score", kind == "segment"
            if banded and self._segments.on_bands:
                joined |= self._segments.hear(turn, self._segments.on_bands)
            moved = not (banded or joined)
            if (banded and self._staging.on_bands) or (joined and self._staging.on_segments):
                moved |= self._staging.hear(turn)
            self._settle(turn, self._waiting.on_state, moved=moved)
        if turn.state.flows:
            self._flows.hear(turn)
        self._act(turn, ())

    def _enter(self, turn: Turn, machine: TriggerMachine) -> None:
        """What begins a flow was called."""
        if machine.guard is None or machine.guard.holds(turn) is True:
            self._flows.enter(turn, self._entries[machine.id], machine.leaves(turn))

    def recheck(self, turn: Turn) -> None:
        """The customer's word has changed: what is held without it ends."""
        self._holding.recheck(turn, self._signer)

    def _unanswered(self, turn: Turn) -> bool:
        """A message may have been without an answer for as long as some condition asks: look at what hangs on it."""
        self._mail.arm(turn, message_timer(self.id))
        self._staging.hear(turn)
        return True

    def _release(self, turn: Turn) -> bool:
        """Held actions have come to their instant: ask for them again. No stage is moved."""
        for request, attempt in self._holding.due(turn):
            request.want(attempt, turn, self._signer)
        return False

    def _act(self, turn: Turn, listening: tuple[TriggerMachine, ...]) -> None:
        machines = listening
        if turn.called:
            machines = tuple(sorted((*listening, *turn.called), key=_order))
            turn.called.clear()
        for machine in machines:
            if machine.where is None or machine.where(turn) is True:
                if machine.id in self._entries:
                    self._enter(turn, machine)
                else:
                    act(machine, turn, self._signer)
            machine.acted(turn)


def _every(awards: tuple[Awarding, ...]) -> Awarding | None:
    """All of them as one; None where there is none."""
    if len(awards) <= 1:
        return awards[0] if awards else None

    def every(turn: Turn) -> bool:
        banded = False
        for award in awards:
            banded |= award(turn)
        return banded

    return every


def _follows(each: Watcher, key: str, *, named: bool) -> bool:
    if each.hears is not None:
        return key in each.hears
    return not named or not isinstance(each, SequenceMachine) or key in each.names


def _order(machine: TriggerMachine) -> int:
    return machine.order

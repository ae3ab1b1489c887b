"""Flows: a customer's way through steps, with waits. Exits and goals are asked on every input, before steps and timers.

One timer a journey. Every collection is bounded: instances, visits of a step, what is remembered of instances that are over.
It moves no stage and gives no points.
"""

from __future__ import annotations

from typing import Final, Literal, assert_never

import msgspec

from rumbo.core.condition import Vocabulary
from rumbo.core.decision import Leaf
from rumbo.core.definition import Act, BranchTo, Enter, Go, Goal, Journey, Leave, SetTrait, Split, Wait
from rumbo.core.expression import is_unknown
from rumbo.core.flow import FlowMachine, Reason, Step, entry
from rumbo.core.gate import share
from rumbo.core.holding import Holding
from rumbo.core.instant import Instant, isoformat
from rumbo.core.outputs import FlowChanged
from rumbo.core.request import Request, Signer, expose
from rumbo.core.scope import Scope, Turn
from rumbo.core.state import FlowState
from rumbo.core.trait import keepable
from rumbo.core.zone import next_time

LIVE: Final = 8
"""Instances of one customer and journey at once; one more is not begun, and counted."""
VISITS: Final = 10
"""Times that one instance may come to one step; then it leaves."""
REMEMBERED: Final = 64
"""Instances that are over and still remembered, for `once`, `per_key` and `cooldown`: the latest."""
KEY: Final = 64
"""Characters of a key that are kept."""
Change = Literal["entered", "left", "completed"]


class Flows:
    """The flows of one journey as they are stepped."""

    def __init__(self, journey: Journey, words: Vocabulary) -> None:
        self._by_id = {flow.id: FlowMachine(flow, words) for flow in journey.flows}
        self._major, self.timer = journey.major, f"flow:{journey.id}"
        self._zone = words.zone if any(isinstance(step.do, Wait) and step.do.second is not None for flow in journey.flows for step in flow.steps) else None  # fmt: skip
        self._zones = {name: self._zone(name) for name in _zones(journey)} if self._zone is not None else {}
        self.entries = {entry(flow.enter, flow.id).id: self._by_id[flow.id] for flow in journey.flows}
        """By the id of the trigger that begins an instance."""

    def requests(self) -> dict[str, Request]:
        """The actions of all steps."""
        return {rule: request for each in self._by_id.values() for rule, request in each.requests().items()}

    def starts(self, signer: Signer, holding: Holding) -> None:
        """Tell it who signs, and what keeps actions."""
        self._signer, self._holding = signer, holding

    # An input ----------------------------------------------------------------------------------------------------------

    def hear(self, turn: Turn) -> None:
        """One input: exits and goals of every instance first, then waits that it ends, then steps that are due."""
        live = turn.state.flows
        for state in tuple(live):
            if state.flow not in self._by_id or state.major != self._major:
                self._outlived(turn, state)
        live = turn.state.flows
        for state in tuple(live):
            machine = self._by_id[state.flow]
            ended = machine.ends(turn)
            if ended is not None:
                self._leave(turn, state, ended)
        for state in tuple(turn.state.flows):
            machine = self._by_id[state.flow]
            step = machine.at(state)
            if step is None:
                self._leave(turn, state, "version")
            elif step.until is not None and step.until.holds(turn) is True:
                self._run(turn, machine, state, step.following)
            elif turn.event is None and 0 < state.due <= turn.now:
                self._over(turn, machine, state, step)
        self._arm(turn)

    def due(self, turn: Turn) -> bool:
        """Its timer came due: it moves no stage. What is due is stepped by `hear`, which every input calls."""
        if not turn.state.flows:
            turn.profile.timers.pop(self.timer, None)
        return False

    def _over(self, turn: Turn, machine: FlowMachine, state: FlowState, step: Step) -> None:
        """A wait is over by time."""
        do = step.do
        if isinstance(do, Wait) and do.until is not None:
            self._timeout(turn, machine, state, step)
        else:
            self._run(turn, machine, state, step.following)

    def _outlived(self, turn: Turn, state: FlowState) -> None:
        """An instance of another version: end it, or take it over by the names of its steps."""
        machine = self._by_id.get(state.flow)
        if machine is None:
            turn.state.undertake().flows.remove(state)  # its flow went with an older version
            turn.counts["flow_unknown"] += 1
            return
        step = machine.at(state)
        if machine.flow.in_flight == "abort" or step is None:
            self._leave(turn, state, "version")
            return
        state.major, state.step = self._major, step.name
        if not isinstance(step.do, Wait):
            self._run(turn, machine, state, step.name)  # there is nothing to wait for any more
        elif machine.flow.in_flight == "migrate":
            state.due = self._until(turn, step.do, state.since)

    # An instance ---------------------------------------------------------------------------------------------------------

    def enter(self, turn: Turn, machine: FlowMachine, leaves: tuple[Leaf, ...]) -> None:
        """Begin an instance, where its re-entry rule lets it."""
        key = self._key(turn, machine)
        if key is None:
            turn.counts["flow_key_missing"] += 1
            return
        if not self._again(turn, machine, key) or machine.ends(turn) is not None:
            return
        if len(turn.state.flows) >= LIVE:
            turn.counts["flows_full"] += 1
            return
        state = FlowState(machine.id, self._major, key, turn.occurrence + turn.mark, turn.now)
        turn.state.undertake().flows.append(state)
        self._say(turn, state, "entered", "entered", leaves)
        self._run(turn, machine, state, machine.first)
        self._arm(turn)

    def hinders(self, scope: Scope, flow: str) -> str:
        """What would have to differ for an instance to begin, were it called now; empty where nothing stands against it."""
        machine = self._by_id[flow]
        enter, state, key = machine.flow.enter, scope.state, self._key(scope, machine)
        if key is None:
            return f"{enter.per} must be there: it keys the flow"
        if not self._again(scope, machine, key):
            name = _name(enter, flow, key)
            live = [each for each in state.flows if _name(enter, each.flow, each.key) == name]
            if live:
                return f"the instance that began {isoformat(live[0].entered_at)} must be over"
            return f"`again: {enter.again}` must let it begin: the last one ended {isoformat(state.flown[name])}"
        ended = machine.ends(scope)
        if ended is not None:
            return f"its {ended} must not hold already"
        return f"one of the {LIVE} instances must be over" if len(state.flows) >= LIVE else ""

    def _key(self, turn: Scope, machine: FlowMachine) -> str | None:
        if machine.per is None:
            return ""
        found = machine.per(turn)
        usable = isinstance(found, str | int | float) and found != ""
        return str(found)[:KEY] if usable else None

    def _again(self, turn: Scope, machine: FlowMachine, key: str) -> bool:
        again, state = machine.flow.enter.again, turn.state
        if again == "always":
            return True
        enter = machine.flow.enter
        live = {_name(enter, each.flow, each.key) for each in state.flows}
        name = _name(enter, machine.id, key)
        over = state.flown.get(name)
        if name in live:
            return False
        if again == "after_exit":
            return True
        if again in {"once", "per_key"}:
            return over is None
        return over is None or turn.now - over >= machine.flow.enter.cooldown

    def _leave(self, turn: Turn, state: FlowState, reason: Reason) -> None:
        """The instance is over; what is held for it is not asked for any more, where it was left or its goal is reached."""
        tasks = turn.state.undertake()
        live, flown = tasks.flows, tasks.flown
        live[:] = [each for each in live if each is not state]
        enter = self._by_id[state.flow].flow.enter
        name = _name(enter, state.flow, state.key)
        if enter.remembers:
            flown.pop(name, None)
            while len(flown) >= REMEMBERED:
                del flown[next(iter(flown))]
                turn.counts["flows_forgotten"] += 1
            flown[name] = turn.now
        self._say(turn, state, "completed" if reason in {"goal", "end"} else "left", reason)
        if reason != "end":
            begun = (f"{state.flow}.", f"{_origin(state)}|")
            self._holding.end(turn, self._signer, begun, f"the customer left flow {state.flow}: {reason}")

    def _say(self, turn: Turn, state: FlowState, change: Change, reason: Reason, leaves: tuple[Leaf, ...] = ()) -> None:
        who = self._signer.who
        machine = self._by_id[state.flow]
        why = {"exit": machine.exit, "goal": machine.goal}.get(reason)
        seen = (*leaves, *(why.explain(turn) if why is not None else ()))
        data = FlowChanged(
            **who.words(turn), because=who.because(turn, f"flow {state.flow}", seen), flow=state.flow, change=change,
            reason=reason, key=state.key or None, step=state.step or None, since=isoformat(state.entered_at),
        )  # fmt: skip
        occurrence = _origin(state) + ("" if change == "entered" else f"|{turn.occurrence}")
        turn.out.append(
            who.decide(turn, "flow.changed", f"flow:{state.flow}:{change}:{reason}:{state.step}", data, occurrence)
        )

    # Steps ---------------------------------------------------------------------------------------------------------------

    def _timeout(self, turn: Turn, machine: FlowMachine, state: FlowState, step: Step) -> None:
        to = step.do.otherwise if isinstance(step.do, Wait) else "next"
        if to == "leave":
            self._leave(turn, state, "timeout")
        else:
            self._run(turn, machine, state, step.following if to == "next" else to)

    def _run(self, turn: Turn, machine: FlowMachine, state: FlowState, to: str) -> None:
        """Take steps until one waits or the instance is over."""
        while True:
            if not to:
                self._leave(turn, state, "end")
                return
            step = machine.steps[to]
            visits = state.visits.get(to, 0) + 1
            if visits > VISITS:
                turn.counts["flow_visits"] += 1
                self._leave(turn, state, "visits")
                return
            state.step, state.since, state.due, state.visits[to] = to, turn.now, 0, visits
            found = self._take(turn, state, step)
            if found is None:
                return
            to = step.following if found == "next" else found
            if found == "leave":
                self._leave(turn, state, "exit")
                return

    def _take(self, turn: Turn, state: FlowState, step: Step) -> str | None:
        """One step: where to go on (`next`, `leave`, a step), or None where it waits or the instance is over."""
        do = step.do
        match do:
            case Wait():
                if step.until is not None and step.until.holds(turn) is True:
                    return "next"
                state.due = self._until(turn, do, turn.now)
                return None
            case BranchTo(otherwise=otherwise):
                return next((to for when, to in step.cases if when.holds(turn) is True), otherwise)
            case Split():
                return self._split(turn, do)
            case Act():
                self._act(turn, state, step)
                return "next"
            case SetTrait(trait=trait):
                self._set(turn, trait, step)
                return "next"
            case Go(to=to):
                return to
            case Goal():
                self._leave(turn, state, "goal")
                return None
            case Leave():
                return "leave"
            case _:
                assert_never(do)

    def _until(self, turn: Turn, wait: Wait, since: Instant) -> Instant:
        """When the wait is over by time; 0 for never."""
        if wait.second is not None:
            return next_time(since, wait.second, self._zones[wait.zone](turn))
        return since + wait.length if wait.length is not None else 0

    def _split(self, turn: Turn, split: Split) -> str:
        """Sticky: by a hash of the experiment and the customer."""
        place, total = share(split.experiment, turn.profile.customer), 0.0
        chosen = split.variants[-1]
        for each in split.variants:
            total += each.share
            if place < total:
                chosen = each
                break
        expose(turn, self._signer.who, split.experiment, chosen.name)
        return chosen.go

    def _act(self, turn: Turn, state: FlowState, step: Step) -> None:
        request = step.request
        if request is None:
            return
        saw = {"entered": isoformat(state.entered_at), **({"key": state.key} if state.key else {})}
        leaf = Leaf(f"in flow {state.flow}", holds=True, saw=saw)
        attempt = request.attempt(turn, (leaf,))
        occurrence = f"{_origin(state)}|{state.visits[step.name]}"
        request.want(msgspec.structs.replace(attempt, occurrence=occurrence), turn, self._signer)

    def _set(self, turn: Turn, trait: str, step: Step) -> None:
        value = step.value(turn) if step.value is not None else None
        if is_unknown(value):
            turn.counts["flow_trait_unknown"] += 1
        elif not keepable(value):
            turn.counts["trait_too_large"] += 1
        else:
            turn.profile.traits[trait] = [value, turn.now, False]

    def _arm(self, turn: Turn) -> None:
        due = 0
        for state in turn.state.flows:
            machine = self._by_id[state.flow]
            for at in (state.due, machine.next_change(turn, machine.at(state))):
                if at and (not due or at < due):
                    due = at
        if due:
            turn.profile.timers[self.timer] = due
        else:
            turn.profile.timers.pop(self.timer, None)


def _name(enter: Enter, flow: str, key: str) -> str:
    """What there may be one of at a time."""
    return flow if enter.again == "once" or not key else f"{flow}|{key}"


def _origin(state: FlowState) -> str:
    """What tells this instance apart: where it began, and its key."""
    return f"{state.key}|{state.origin}" if state.key else state.origin


def _zones(journey: Journey) -> set[str | None]:
    return {
        step.do.zone
        for flow in journey.flows
        for step in flow.steps
        if isinstance(step.do, Wait) and step.do.second is not None
    }

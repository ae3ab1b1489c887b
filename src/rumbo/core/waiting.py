"""Triggers that wait: for an absence to be complete, or for a condition to become true. Timers are armed lazily and checked when due."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core.condition import Compiled
from rumbo.core.instant import Instant
from rumbo.core.scope import Turn
from rumbo.core.tracker import passes
from rumbo.core.trigger import AbsenceMachine, TriggerMachine


class Waiting:
    """The absences and the rising edges of one journey."""

    def __init__(self, journey: str, triggers: tuple[TriggerMachine, ...]) -> None:
        self._journey = journey
        self.absences = tuple(each for each in triggers if isinstance(each, AbsenceMachine))
        self.watches = tuple(each for each in triggers if each.condition is not None)
        self.on_state = tuple(each for each in self.watches if each.condition is not None and _hangs(each.condition))
        """The conditions that a change of band, stage or segment can change."""
        self._since_stage: dict[tuple[str, str], list[AbsenceMachine]] = {}
        for absence in self.absences:
            if absence.since_stage is not None:
                self._since_stage.setdefault(absence.since_stage, []).append(absence)

    def absences_on(self, key: str) -> tuple[AbsenceMachine, ...]:
        """The absences that an interaction of this name starts or ends."""
        return tuple(
            each
            for each in self.absences
            if _named(each.of.names, key) or (each.since_event is not None and _named(each.since_event.names, key))
        )

    def watches_on(self, key: str) -> tuple[TriggerMachine, ...]:
        """The conditions that an interaction of this name can change."""
        heard = ((each, each.condition.hears) for each in self.watches if each.condition is not None)
        return tuple(each for each, hears in heard if hears is None or key in hears)

    def settled_on(self, key: str) -> tuple[TriggerMachine, ...]:
        """The same, where it has changed a band, a stage or a segment besides."""
        asked = {each.order for each in (*self.on_state, *self.watches_on(key))}
        return tuple(each for each in self.watches if each.order in asked)

    def mentioned(self) -> set[str]:
        """Every event name that some waiting trigger listens to by name."""
        found = {name for each in self.watches if each.condition is not None for name in each.condition.hears or ()}
        for each in self.absences:
            found |= {*each.of.names, *(each.since_event.names if each.since_event is not None else ())}
        return found

    @property
    def begins(self) -> bool:
        """Whether there is anything to ask after a beginning."""
        return bool(self.watches)

    def begin(self, turn: Turn, *, banded: bool) -> None:
        """Look, after the interactions of the customer's first instant, at what holds of everybody until something comes."""
        asked = self.on_state if banded else ()
        for each in self.watches:
            if each in asked or (each.condition is not None and each.condition.starts):
                turn.profile.timers[self._watch_timer(each)] = turn.now

    def before(self, turn: Turn, watches: tuple[TriggerMachine, ...]) -> None:
        """Forget conditions that time had made false before this instant: their next rise counts again.

        What ends at this very instant ends after its interactions, when its timer fires.
        """
        held = turn.state.remember().held
        for each in watches:
            if each.id in held and each.condition is not None and not _still(each.condition, turn):
                del held[each.id]

    def watch(self, turn: Turn, watches: tuple[TriggerMachine, ...]) -> None:
        """Call the triggers whose condition has become true, and look again when time alone may change it."""
        held, timers = turn.state.remember().held, turn.profile.timers
        for each in watches:
            if each.condition is None:
                continue
            if each.condition.holds(turn) is not True:
                if each.id in held and (turn.event is None or not _still(each.condition, turn)):
                    del held[each.id]
            elif each.id not in held:
                held[each.id] = True
                turn.called.append(each)
            due, name = each.condition.next_change(turn), self._watch_timer(each)
            if due > turn.now:
                timers[name] = min(due, timers.get(name, due))

    def hear(self, turn: Turn, absences: tuple[AbsenceMachine, ...]) -> None:
        """Start and end what this interaction starts and ends."""
        event = turn.event
        if event is None:
            return
        for each in absences:
            if passes(each.of, each.of_where, event.key, turn):
                self._came(turn, each)
            since = each.since_event
            if since is not None and passes(since, each.since_where, event.key, turn):
                self._start(turn, each, turn.at)

    def _came(self, turn: Turn, each: AbsenceMachine) -> None:
        """What an absence waits for has come."""
        since, timers, name = turn.state.remember().since, turn.profile.timers, self._absence_timer(each)
        event = turn.event
        if event is None:
            return
        if each.counts_from_itself:  # it counts from its own last one; a later due is found when the timer fires
            if _is_told(turn, each, event.at):
                return
            if event.at >= since.get(each.id, (0,))[0]:
                since[each.id] = [event.at, event.id]
            timers.setdefault(name, event.at + each.length)
        elif each.id in since and event.at > since[each.id][0]:
            del since[each.id]
            timers.pop(name, None)

    def _start(self, turn: Turn, each: AbsenceMachine, at: Instant) -> None:
        if each.id not in turn.state.since and not _is_told(turn, each, at):
            turn.state.remember().since[each.id] = [at, turn.occurrence]
            turn.profile.timers[self._absence_timer(each)] = at + each.length

    def stage_changed(self, turn: Turn, stage: str, change: str) -> None:
        """Absences that count from a stage begin anew with each entry, which is at the customer's clock."""
        for each in self._since_stage.get((stage, change), ()):
            turn.state.remember().since.pop(each.id, None)
            self._start(turn, each, turn.now)

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each timer; none of them moves a stage."""
        absences = {self._absence_timer(each): self._absent(each) for each in self.absences}
        return absences | {self._watch_timer(each): self._look(each) for each in self.watches}

    def _absent(self, each: AbsenceMachine) -> Callable[[Turn], bool]:
        def fire(turn: Turn) -> bool:
            counted = turn.state.since.get(each.id)
            if counted is not None:
                due = counted[0] + each.length
                if due > turn.now:
                    turn.profile.timers[self._absence_timer(each)] = due
                else:
                    turn.called.append(each)
            return False

        return fire

    def _look(self, each: TriggerMachine) -> Callable[[Turn], bool]:
        def fire(turn: Turn) -> bool:
            self.watch(turn, (each,))
            return False

        return fire

    def _absence_timer(self, each: AbsenceMachine) -> str:
        return f"absent:{self._journey}:{each.id}"

    def _watch_timer(self, each: TriggerMachine) -> str:
        return f"watch:{self._journey}:{each.id}"


def _is_told(turn: Turn, each: AbsenceMachine, start: Instant) -> bool:
    """Whether a silence that began then, or later, has called its trigger: what a late interaction tells of is in it, or before it."""
    told = turn.state.told.get(each.id)
    return told is not None and start <= told


def _still(condition: Compiled, turn: Turn) -> bool:
    """Whether it holds now, or held until now."""
    if condition.holds(turn) is True:
        return True
    now = turn.now
    turn.now = now - 1
    held = condition.holds(turn) is True
    turn.now = now
    return held


def _hangs(condition: Compiled) -> bool:
    return bool(condition.scores or condition.stages or condition.segments) or condition.hears is None


def _named(names: tuple[str, ...], key: str) -> bool:
    return not names or key in names

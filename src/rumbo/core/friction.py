"""Friction: where a customer has trouble, told from raw interactions as a signal with its kind, place and weight. It decides nothing.

Most kinds count: so many interactions, of one place where the kind asks for it, in less than a length of time; those that made a signal
are spent. A form is abandoned by a timer. Every collection is bounded. An interaction that comes late counts with what is kept at its
own time, but begins no form and no way back and forth.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any, Final

from rumbo.core.contact import Hear
from rumbo.core.definition import EventTest, Friction, FrictionRule, Sessions
from rumbo.core.instant import Instant
from rumbo.core.profile import Profile, Trouble
from rumbo.core.scope import Read, Turn
from rumbo.core.signal import FRICTION, signal

MARKS: Final = 16
"""Interactions that are kept of one kind, the latest."""
LAST: Final = 8
"""Frictions that are kept for people to see, the latest."""
PLACE_LENGTH: Final = 128
TIMER: Final = "friction"
FORM: Final = "form_abandoned"
STUCK: Final = "stuck_in_stage"
_BACK: Final = "back_and_forth"
_ERROR_PAGE: Final = "error_page"
_ANYWHERE: Final = frozenset({_ERROR_PAGE, "payment_failure"})
"""Kinds that are counted whatever their place."""


class FrictionMachine:
    """The friction of one topology: who listens to what, and what the timer does."""

    def __init__(self, friction: Friction, sessions: Sessions | None, read: Callable[[str], Read]) -> None:
        self._gap = sessions.gap if sessions is not None else None
        self._stuck = friction.stuck
        self._forms = next((each for each in friction.rules if each.kind == FORM), None)
        self.watches: list[tuple[EventTest, Read | None, Hear]] = []
        for rule in friction.rules:
            place = _place(read(rule.place))
            self._watch(rule.events, read, self._hearing(rule, place))
            if rule.until is not None:
                self._watch(rule.until, read, self._ending(place))
        self.timers: dict[str, Callable[[Turn], None]] = {TIMER: self._due} if self._forms is not None else {}
        self.stuck: Callable[[Turn], None] | None = self._is_stuck if friction.stuck is not None else None

    def _watch(self, events: EventTest, read: Callable[[str], Read], hear: Hear) -> None:
        self.watches.append((events, read(events.where) if events.where is not None else None, hear))

    def _hearing(self, rule: FrictionRule, place: Callable[[Turn], str]) -> Hear:
        """Who takes an interaction of this rule in; always False, since it changes no consent."""
        take = {FORM: self._begins, _BACK: _back_and_forth}.get(rule.kind, self._counts)
        anywhere = rule.kind in _ANYWHERE

        def hear(turn: Turn) -> bool:
            found = place(turn)
            if found or anywhere:
                take(turn, rule, found)
            return False

        return hear

    def _counts(self, turn: Turn, rule: FrictionRule, place: str) -> None:
        """So many in less than `within`, up to this one."""
        at, mine = _at(turn), rule.kind not in _ANYWHERE
        if rule.count == 1:
            _say(turn, rule.kind, place, rule.weight, 1)
            return
        since = self._since(turn, at, rule)
        marks = [each for each in _marks(turn.profile, rule.kind) if each[0] > since]
        insort(marks, [at, place])
        near = [each for each in marks if each[0] <= at and (not mine or each[1] == place)]
        if len(near) >= rule.count:
            for each in near:
                marks.remove(each)
            _say(turn, rule.kind, place, rule.weight, len(near))
        _keep(turn, rule.kind, marks)

    def _since(self, turn: Turn, at: Instant, rule: FrictionRule) -> Instant:
        """Only what is later counts: of error pages those of the session, where there is one."""
        visits = turn.profile.visits
        if rule.kind == _ERROR_PAGE and self._gap is not None and visits is not None:
            for start, last, _ in reversed(visits.spans):
                if start <= at <= last + self._gap:
                    return int(start) - 1
        return at - rule.within

    def _begins(self, turn: Turn, rule: FrictionRule, place: str) -> None:
        at = _at(turn)
        if at < turn.now:
            return  # whether it was sent since, nobody knows
        forms = [each for each in _marks(turn.profile, FORM) if each[1] != place]
        insort(forms, [at, place])
        _keep(turn, FORM, forms)
        self._arm(turn, rule)

    def _ending(self, place: Callable[[Turn], str]) -> Hear:
        def hear(turn: Turn) -> bool:
            trouble, at, found = turn.profile.trouble, _at(turn), place(turn)
            if trouble is not None and self._forms is not None and trouble.marks.get(FORM):
                _keep(turn, FORM, [each for each in trouble.marks[FORM] if each[1] != found or each[0] > at])
                self._arm(turn, self._forms)
            return False

        return hear

    def _arm(self, turn: Turn, rule: FrictionRule) -> None:
        """One timer, for the form that was begun first."""
        trouble, timers = turn.profile.trouble, turn.profile.timers
        forms = trouble.marks.get(FORM) if trouble is not None else None
        if forms:
            timers[TIMER] = forms[0][0] + rule.within
        else:
            timers.pop(TIMER, None)

    def _due(self, turn: Turn) -> None:
        """Forms that nobody has sent in time."""
        rule, trouble = self._forms, turn.profile.trouble
        if rule is None or trouble is None:
            return
        forms = trouble.marks.get(FORM, [])
        for _, place in [each for each in forms if each[0] + rule.within <= turn.now]:
            _say(turn, FORM, place, rule.weight, 1)
        _keep(turn, FORM, [each for each in forms if each[0] + rule.within > turn.now])
        self._arm(turn, rule)

    def _is_stuck(self, turn: Turn) -> None:
        if self._stuck is not None:
            _say(turn, STUCK, turn.state.stage[:PLACE_LENGTH], self._stuck, 1)


def _back_and_forth(turn: Turn, rule: FrictionRule, place: str) -> None:
    """Two pages by turns: after the first way there, `count` times back to the page before the last."""
    at, views = _at(turn), _marks(turn.profile, rule.kind)
    if views and (at < views[-1][0] or views[-1][1] == place):
        return
    views = [*views, [at, place]]
    if len(views) > 2 and views[-3][1] != place:  # noqa: PLR2004  the page before the last
        views = views[-2:]
    views = [each for each in views if each[0] > at - rule.within]
    if len(views) == rule.count + 2:
        _say(turn, rule.kind, place, rule.weight, rule.count)
        views = views[-1:]
    _keep(turn, rule.kind, views)


def _place(read: Read) -> Callable[[Turn], str]:
    """Where it was; empty where that is not known."""

    def place(turn: Turn) -> str:
        found = read(turn)
        return found[:PLACE_LENGTH] if isinstance(found, str) else ""

    return place


def _at(turn: Turn) -> Instant:
    return turn.event.at if turn.event is not None else turn.at


def _marks(profile: Profile, kind: str) -> list[list[Any]]:
    return profile.trouble.marks.get(kind, []) if profile.trouble is not None else []


def _opened(profile: Profile) -> Trouble:
    if profile.trouble is None:
        profile.trouble = Trouble()
    return profile.trouble


def _keep(turn: Turn, kind: str, marks: list[list[Any]]) -> None:
    """Keep the latest of them, and count what goes."""
    kept = _opened(turn.profile).marks
    if len(marks) > MARKS:
        turn.counts["friction_full"] += len(marks) - MARKS
        marks = marks[-MARKS:]
    if marks:
        kept[kind] = marks
    else:
        kept.pop(kind, None)


def _say(turn: Turn, kind: str, place: str, weight: float, count: int) -> None:
    said: dict[str, Any] = {"kind": kind, "weight": weight, "count": count} | ({"place": place} if place else {})
    turn.signals.append(signal(turn, FRICTION, said, f"|{kind}|{place}"))
    last = _opened(turn.profile).last
    insort(last, [turn.at, kind, place, weight])
    del last[:-LAST]

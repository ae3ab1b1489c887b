"""Sessions, and the time on each page: figures of when a customer's interactions came, and the signals that follow from them.

A session is a run of interactions of which no two neighbours are more than `gap` apart; a page's time goes from its view to the next
view of the session, or to the session's last interaction. The figures are the same in every order of arrival, as long as an
interaction is not later than the sessions and views that are kept. Signals say what was so at their instant: an interaction
that comes late says none.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from typing import Any, Final

from rumbo.core.definition import Sessions
from rumbo.core.instant import SECOND, Duration, Instant
from rumbo.core.profile import Profile, Visits
from rumbo.core.scope import Read, Turn
from rumbo.core.signal import PAGE_LEFT, SESSION_ENDED, SESSION_STARTED, signal

SPANS: Final = 4
"""Sessions that are kept, the latest."""
VIEWS: Final = 32
"""Views that are kept one by one; earlier ones are summed by page."""
PAGES: Final = 32
"""Pages whose time is kept, those viewed last."""
PAGE_LENGTH: Final = 128
TIMER: Final = "session"


class VisitMachine:
    """The sessions of one topology."""

    timer = TIMER

    def __init__(self, sessions: Sessions, read: Callable[[str], Read]) -> None:
        self.events, self._gap = sessions.events, sessions.gap
        self.where = read(sessions.events.where) if sessions.events.where is not None else None
        self._page = read(sessions.page)

    def hear(self, turn: Turn) -> bool:
        """Take one interaction in; always False, since it changes no consent."""
        event, visits = turn.event, turn.profile.visits
        if event is None:
            return False
        if visits is None:
            visits = turn.profile.visits = Visits()
        page, at, spans = self._page(turn), event.at, visits.spans
        page = page[:PAGE_LENGTH] if isinstance(page, str) and page else None
        last = spans[-1][1] if spans else None
        if last is None or at > last + self._gap:
            self._begin(turn, visits, page)
        elif at < last:
            self._late(turn, visits, page)
        else:
            self._go_on(turn, visits, page)
        return False

    def _begin(self, turn: Turn, visits: Visits, page: str | None) -> None:
        """The first interaction of a session: the one before has ended by its timer."""
        visits.spans.append([turn.event.at, turn.event.at, 1])  # type: ignore[union-attr]  # heard with an event only
        _bound(turn, visits)
        self._view(turn, visits, page)
        turn.profile.timers[TIMER] = visits.spans[-1][1] + self._gap
        turn.signals.append(signal(turn, SESSION_STARTED, {"page": page} if page is not None else {}))

    def _go_on(self, turn: Turn, visits: Visits, page: str | None) -> None:
        span, at = visits.spans[-1], turn.event.at  # type: ignore[union-attr]  # the same
        span[1], span[2] = at, span[2] + 1
        turn.profile.timers.setdefault(TIMER, at + self._gap)
        if page is not None:
            left = visits.views[-1] if visits.views and visits.views[-1][0] >= span[0] else None
            self._view(turn, visits, page)
            if left is not None:
                turn.signals.append(_left(turn, left, at))

    def _late(self, turn: Turn, visits: Visits, page: str | None) -> None:
        """Into the session that it belongs to, or between two, which may make them one."""
        at, gap, spans = turn.event.at, self._gap, visits.spans  # type: ignore[union-attr]  # the same
        if len(spans) >= SPANS and at < spans[0][0] - gap:
            turn.counts["session_too_late"] += 1
            return
        made = [at, at, 1]
        for each in [each for each in spans if each[0] - gap <= at <= each[1] + gap]:
            made = [min(made[0], each[0]), max(made[1], each[1]), made[2] + each[2]]
            spans.remove(each)
        insort(spans, made)
        _bound(turn, visits)
        self._view(turn, visits, page)

    def _view(self, turn: Turn, visits: Visits, page: str | None) -> None:
        if page is None:
            return
        insort(visits.views, [turn.event.at, page])  # type: ignore[union-attr]  # the same
        if len(visits.views) > VIEWS:
            _sum_up(turn, visits)

    def due(self, turn: Turn) -> None:
        """The session may be over: a later interaction has moved its end."""
        visits = turn.profile.visits
        if visits is None or not visits.spans:
            return
        start, last, events = visits.spans[-1]
        if last + self._gap > turn.now:
            turn.profile.timers[TIMER] = last + self._gap
            return
        views = [each for each in visits.views if each[0] >= start]
        if views:
            turn.signals.append(_left(turn, views[-1], last))
        said: dict[str, Any] = {"seconds": (last - start) / SECOND, "events": events, "pages": len(views)}
        turn.signals.append(signal(turn, SESSION_ENDED, said | ({"page": views[-1][1]} if views else {})))


def _left(turn: Turn, view: list[Any], until: Instant) -> Any:
    return signal(turn, PAGE_LEFT, {"page": view[1], "seconds": (until - view[0]) / SECOND})


def _bound(turn: Turn, visits: Visits) -> None:
    """Keep the latest sessions; the views of the others are summed up."""
    while len(visits.spans) > SPANS:
        while visits.views and visits.views[0][0] < visits.spans[1][0]:
            _sum_up(turn, visits)
        del visits.spans[0]


def _sum_up(turn: Turn, visits: Visits) -> None:
    """The earliest view goes into the sum of its page; beyond the cap the page goes that was viewed longest ago."""
    at, page = visits.views[0]
    kept = visits.pages.setdefault(page, [0, 0, 0])
    kept[0] += next(_lengths(visits))[1]
    kept[1] += 1
    kept[2] = max(kept[2], at)
    del visits.views[0]
    if len(visits.pages) > PAGES:
        del visits.pages[min(visits.pages, key=lambda each: (visits.pages[each][2], each))]
        turn.counts["pages_full"] += 1


def _lengths(visits: Visits) -> Iterator[tuple[list[Any], Duration]]:
    """Each view that is kept, and how long it was."""
    ends = [each[0] for each in visits.views[1:]]
    for place, view in enumerate(visits.views):
        last = next((span[1] for span in visits.spans if span[0] <= view[0] <= span[1]), view[0])
        yield view, min(ends[place] if place < len(ends) else last, last) - view[0]


def dwell(profile: Profile, fits: Callable[[str], bool], *, last_session: bool = False) -> Duration:
    """How long the customer was on the pages that fit, in all that is kept or in the last session alone."""
    visits = profile.visits
    if visits is None or not visits.spans:
        return 0
    start = visits.spans[-1][0] if last_session else 0
    total = sum(length for view, length in _lengths(visits) if view[0] >= start and fits(view[1]))
    return total if last_session else total + sum(kept[0] for page, kept in visits.pages.items() if fits(page))


def by_page(visits: Visits) -> dict[str, tuple[Duration, int, Instant]]:
    """Page -> time on it, views, the last view: everything that is kept, the page viewed last first."""
    found = {page: (kept[0], kept[1], kept[2]) for page, kept in visits.pages.items()}
    for (at, page), length in _lengths(visits):
        time, views, last = found.get(page, (0, 0, 0))
        found[page] = (time + length, views + 1, max(last, at))
    return dict(sorted(found.items(), key=lambda each: (-each[1][2], each[0])))

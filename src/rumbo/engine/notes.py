"""What a partition notes beside its profiles, for those who look: the tally of its funnel, and journals where the topology keeps them.

Notes are rows of the same transaction and the same write of the store, so they are as exact as the profiles. Nothing is
decided by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rumbo.core import tally as counts
from rumbo.core.decision import Decision
from rumbo.core.interaction import Interaction
from rumbo.core.outputs import StageChanged
from rumbo.core.profile import DUE_BYTES, Marks, marks
from rumbo.core.refold import Changed
from rumbo.core.tally import Tally
from rumbo.engine.journal import Journal
from rumbo.engine.store import Store
from rumbo.engine.touched import Touched
from rumbo.output import Encoder
from rumbo.serve.live import ACTIONS, Live

TALLY_KEY: Final = b"mtally"
Row = tuple[bytes, bytes | None]


class Notes:
    """The notes of one partition, and what it will note with the next commit."""

    def __init__(self, store: Store, live: Live, encoder: Encoder, journal: int, firsts: dict[str, str]) -> None:
        self._live, self._firsts = live, firsts
        self._tally = load_tally(store, firsts)
        """It runs ahead of what is committed while a commit is under way."""
        self._shown = self._written = counts.dump(self._tally)
        self._journal = Journal(store, journal, encoder.value) if journal else None
        self._interactions = self._new = self._decisions = 0
        self._changed = Changed()
        self._moves: list[Decision] = []
        self._actions: list[Decision] = []

    def committed_tally(self) -> Tally:
        """The tally for those who look on, a copy of their own."""
        return counts.load(self._shown)

    def met(self, customers: int) -> None:
        """So many customers are here for the first time."""
        self._new += customers

    def heard(self, interactions: Sequence[Interaction]) -> None:
        """These were stepped."""
        self._interactions += len(interactions)
        if self._journal is not None:
            self._journal.heard(interactions)

    def decided(self, decisions: Sequence[Decision]) -> None:
        """These came of it. What nobody asks for later is let go while it is at hand."""
        self._decisions += len(decisions)
        for each in decisions:
            if each.kind == "stage.changed":
                self._moves.append(each)
            elif each.kind in ACTIONS:
                self._actions.append(each)
        if self._journal is not None:
            self._journal.decided(decisions)

    def refolded(self, changed: Changed) -> None:
        """This is no more what it was."""
        self._changed = changed

    def rows(self, touched: Touched) -> list[Row]:
        """What is written with this commit."""
        rows: list[Row] = []
        moves, again = self._moves, self._changed.customers
        if self._new or moves or again:
            self._tally.customers += self._new
            self._new = 0
            self._count([each for each in moves if each.customer not in again] if again else moves, touched)
            if again:
                self._recount([each for each in moves if each.customer in again], touched)
            self._written = counts.dump(self._tally)
            rows.append((TALLY_KEY, self._written))
        if self._journal is not None:
            rows += self._journal.rows()
        return rows

    def committed(self) -> None:
        """It is written: now it may be shown."""
        self._shown = self._written
        self._live.committed(self._interactions, self._decisions, self._actions)
        self._interactions = self._decisions = 0
        self._moves, self._actions = [], []

    def _count(self, moves: list[Decision], touched: Touched) -> None:
        """Count the moves; for those who may never have been so high before, look at what is stored of them."""
        tally = self._tally
        risen = dict.fromkeys(each.customer for each in moves if tally.moved(each))
        for customer in risen:
            value = touched.before(customer)
            before: Mapping[str, Any] = marks(value[DUE_BYTES:]) if value is not None else {}
            for journey, state in marks(touched.value(customer)[DUE_BYTES:]).items():
                was = before.get(journey)
                tally.raised(journey, (was and was.high_water) or self._firsts.get(journey, ""), state.high_water)

    def _recount(self, moves: list[Decision], touched: Touched) -> None:
        """Count those whose past has changed by where they stood and where they stand, and their moves as they were said and withdrawn."""
        tally, changed, firsts = self._tally, self._changed, self._firsts
        for times, decisions in ((1, moves), (1, changed.redone), (-1, changed.undone)):
            for each in decisions:
                if type(each.data) is StageChanged:
                    tally.went(each, times)
        for customer in sorted(changed.customers):
            value = touched.before(customer)
            before: Mapping[str, Any] = marks(value[DUE_BYTES:]) if value is not None else {}
            after = marks(touched.value(customer)[DUE_BYTES:])
            for journey, first in firsts.items():
                was, is_ = before.get(journey, Marks()), after.get(journey, Marks())
                tally.stood(journey, was.stage or first, is_.stage or first)
                tally.raised(journey, was.high_water or first, is_.high_water or first)
        self._changed = Changed()


def load_tally(store: Store, firsts: dict[str, str]) -> Tally:
    """The tally last written. A store from before there was one is counted once; its past moves stay unknown."""
    value = store.get_many([TALLY_KEY])[0]
    if value is not None:
        return counts.load(value)
    tally = Tally()
    for _, profile in store.profiles():
        tally.customers += 1
        for journey, state in marks(profile[DUE_BYTES:]).items():
            if state.stage and journey in firsts:
                tally.stands(journey, firsts[journey], state.stage, state.high_water)
    return tally

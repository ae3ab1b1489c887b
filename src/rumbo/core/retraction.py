"""Withdrawing a decision: the output that says so, and a bounded list of what was decided, for rules that may have to.

No id is ever sent twice: where a withdrawn decision holds again, the retraction is withdrawn. It neither finds what no longer
holds nor undoes what was done of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, Literal, NamedTuple

from rumbo.core.decision import Cause, Decision, Kind
from rumbo.core.identity import Identity
from rumbo.core.instant import Instant, isoformat
from rumbo.core.outputs import DecisionRetracted
from rumbo.core.scope import Scope

REMEMBERED: Final = 64
Reason = Literal["late_event", "quarantine", "reinstated"]


class Standing(NamedTuple):
    """What must be known of a decision to withdraw it."""

    id: str
    kind: Kind
    at: Instant


def standing(decision: Decision) -> Standing:
    """What must be known of this one."""
    return Standing(decision.id, decision.kind, decision.at)


def retraction(  # noqa: PLR0913  what is withdrawn, by whom, on which input, and why
    who: Identity, scope: Scope, what: Standing, reason: Reason, *, rule: str, causes: tuple[Cause, ...] | None = None
) -> Decision:
    """The output that withdraws `what` on this input: its id hangs on what it withdraws and on the input."""
    because = who.because(scope, rule, causes=causes)
    data = DecisionRetracted(
        **who.words(scope),
        because=because,
        retracts=what.id,
        retracted=what.kind,
        decided_at=isoformat(what.at),
        reason=reason,
    )
    return who.decide(scope, "decision.retracted", f"retracted:{what.id}", data)


def net(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """What stands of these: by id, without what is withdrawn and without the retractions."""
    made = {each.id: each for each in decisions}
    void: set[str] = set()
    for each in reversed(made.values()):  # the last word on anything comes last
        if each.kind == "decision.retracted" and each.id not in void:
            void.add(each.data.retracts)
    return {number: each for number, each in made.items() if each.kind != "decision.retracted" and number not in void}


def remember(rows: list[list[Any]], decision: Decision, event: str, most: int = REMEMBERED) -> int:
    """Note that this came of an interaction: [id, kind, at, event id], the last ones. How many were forgotten for it."""
    rows.append([decision.id, decision.kind, decision.at, event])
    over = max(len(rows) - most, 0)
    del rows[:over]
    return over


def take(rows: list[list[Any]], events: Collection[str]) -> list[Standing]:
    """What came of these interactions, in the order decided; it is not remembered any more."""
    found = [Standing(row[0], row[1], row[2]) for row in rows if row[3] in events]
    rows[:] = [row for row in rows if row[3] not in events]
    return found

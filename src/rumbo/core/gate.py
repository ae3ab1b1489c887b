"""Gates: what may hold an action back. They are asked in the order of the language; the first no stops and is recorded.

A gate answers; it never emits, and it remembers nothing itself: what it needs stands in the customer's ledger and the
journey's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rumbo.core.consent import plain, refusal, standing
from rumbo.core.decision import Cause, Gate, GateAnswer, Leaf
from rumbo.core.definition import Contact, Sort
from rumbo.core.instant import Duration, Instant, format_duration, isoformat
from rumbo.core.scope import Scope


class Attempt(NamedTuple):
    """An action that a rule wants to ask for, before the gates. `occurrence` is what its id hangs on, `expires_at` 0 for never."""

    rule: str
    occurrence: str
    expires_at: Instant
    channel: str | None
    params: dict[str, Any]
    leaves: tuple[Leaf, ...]
    causes: tuple[Cause, ...]


class No(NamedTuple):
    """A gate's no: why, and when this gate alone would say yes (0: not by time)."""

    detail: str
    release_at: Instant = 0


Ask = Callable[[Attempt, Scope], No | None]
Asked = tuple[tuple[Gate, Ask], ...]


def expired(attempt: Attempt, scope: Scope) -> No | None:
    """Nobody may do any more what is asked for: it comes too late, or was held for too long."""
    if 0 < attempt.expires_at <= scope.now:
        return No(f"expired {isoformat(attempt.expires_at)}")
    return None


def consent(sort: Sort, purpose: str) -> Ask:
    """The customer's word for this purpose and channel, read at the customer's clock."""
    compared = plain(purpose)

    def ask(attempt: Attempt, scope: Scope) -> No | None:
        channel = plain(attempt.channel) if attempt.channel is not None else None
        found = standing(scope.profile.ledger, compared, channel, scope.now)
        no = refusal(sort, found, purpose, attempt.channel)
        return No(no) if no else None

    return ask


def suppression_list(_attempt: Attempt, scope: Scope) -> No | None:
    """Nothing is asked of a customer on the list, whatever it is for."""
    ledger = scope.profile.ledger
    if ledger is None or not ledger.listed or not ledger.listed[1]:
        return None
    at, _, source = ledger.listed
    return No(f"on the suppression list since {isoformat(at)}" + (f" ({source})" if source else ""))


def cooldown(length: Duration) -> Ask:
    """Enough time since the rule was last emitted, at the customer's clock."""

    def ask(attempt: Attempt, scope: Scope) -> No | None:
        last = scope.state.fired.get(attempt.rule)
        if last is None or scope.now - last >= length:
            return None
        return No(f"emitted {isoformat(last)}, cool-down {format_duration(length)}", last + length)

    return ask


def shadow(_attempt: Attempt, _scope: Scope) -> No | None:
    """A rule in shadow mode decides and explains, and emits nothing but this."""
    return No("the rule is in shadow mode")


def contact_gates(contact: Contact, purpose: str | None) -> Asked:
    """The gates that a topology's `contact` puts before every action."""
    asked: list[tuple[Gate, Ask]] = []
    if purpose is not None and (sort := contact.purposes.get(purpose)) is not None and sort != "transactional":
        asked.append(("consent", consent(sort, purpose)))
    if contact.listed or contact.purposes:  # a control record may list too
        asked.append(("suppression_list", suppression_list))
    return tuple(asked)


def answers(asked: Asked, stopped_by: Gate | None, no: No | None) -> tuple[GateAnswer, ...]:
    """What each gate said, up to the one that stopped."""
    said: list[GateAnswer] = []
    for gate, _ in asked:
        if gate == stopped_by and no is not None:
            return (*said, GateAnswer(gate, passed=False, detail=no.detail))
        said.append(GateAnswer(gate, passed=True))
    return tuple(said)


def every_answer(attempt: Attempt, asked: Asked, scope: Scope) -> tuple[GateAnswer, ...]:
    """What every gate would say here, also those behind a no: for explanations, nothing is consumed."""
    said = ((gate, ask(attempt, scope)) for gate, ask in asked)
    return tuple(GateAnswer(gate, passed=no is None, detail=no.detail if no is not None else "") for gate, no in said)

"""Gates: what may hold an action back. They are asked in the order of the language; the first no stops and is recorded.

A gate answers; it never emits, and it remembers nothing itself: what it needs stands in the customer's ledger and the
journey's state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from rumbo.core.cap import Log, full
from rumbo.core.consent import plain, refusal, standing
from rumbo.core.decision import Cause, Gate, GateAnswer, Leaf
from rumbo.core.definition import Cap, HoldOut, QuietHours, Sort
from rumbo.core.instant import Duration, Instant, format_duration, isoformat
from rumbo.core.scope import Scope, Turn
from rumbo.core.zone import ZoneOf, quiet_until

HELD_OUT: Final = "hold_out"
TREATED: Final = "treated"


class Attempt(msgspec.Struct, frozen=True):
    """An action that a rule wants to ask for, before the gates. `occurrence` is what its id hangs on, `expires_at` 0 for never."""

    rule: str
    occurrence: str
    expires_at: Instant
    channel: str | None
    params: dict[str, Any]
    leaves: tuple[Leaf, ...]
    causes: tuple[Cause, ...]
    held_since: Instant = 0
    """When a gate began to hold it; 0: none has."""


class No(NamedTuple):
    """A gate's no: why, and when this gate alone would say yes (0: not by time)."""

    detail: str
    release_at: Instant = 0
    hold: bool = False
    """Whether the action is kept until then."""
    gate: Gate | None = None
    """Another name than the gate's own."""


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


def disqualified(attempt: Attempt, scope: Scope) -> No | None:
    """Nothing is asked of a customer on the list, and nothing of marketing of one whom a score of the journey has disqualified."""
    listed = suppression_list(attempt, scope)
    if listed is not None:
        return listed
    found = next(((name, state.out) for name, state in scope.state.scores.items() if state.out), None)
    return No(f"disqualified by score {found[0]}: {found[1]}") if found is not None else None


def cooldown(length: Duration) -> Ask:
    """Enough time since the rule was last emitted, at the customer's clock."""
    text = f"cool-down {format_duration(length)}"

    def ask(attempt: Attempt, scope: Scope) -> No | None:
        last = scope.state.fired.get(attempt.rule)
        if last is None or scope.now - last >= length:
            return None
        return No(f"emitted {isoformat(last)}, {text}", last + length)

    return ask


def hold_out(experiment: HoldOut) -> Ask:
    """The same customers each time: they get nothing, so that the effect can be measured."""

    def ask(_attempt: Attempt, scope: Scope) -> No | None:
        if variant(experiment, scope.profile.customer) == TREATED:
            return None
        return No(f"in the hold-out of {experiment.experiment} ({experiment.share:.4g} of customers)")

    return ask


def variant(experiment: HoldOut, customer: str) -> str:
    """Whether the customer is held out: by a hash of both names, so that it stays so and no other experiment has the same ones."""
    return HELD_OUT if share(experiment.experiment, customer) < experiment.share else TREATED


def share(name: str, customer: str) -> float:
    """Where the customer stands in [0, 1) for this experiment or split."""
    digest = blake2b(f"{len(name)}:{name}{customer}".encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def quiet_hours(hours: QuietHours, zone: ZoneOf) -> Ask:
    """The customer's own time of day, read at the customer's clock."""
    text = f"quiet hours {_clock(hours.begin)} to {_clock(hours.end)}"

    def ask(attempt: Attempt, scope: Scope) -> No | None:
        here = zone(scope)
        until = quiet_until(scope.now, hours.begin, hours.end, here)
        if not until:
            return None
        in_time = not 0 < attempt.expires_at <= until
        hold = hours.do == "hold" or (hours.do == "before_expiry" and in_time)
        return No(f"{text} in {here.key}", until, hold)

    return ask


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}" + (f":{second % 60:02}" if second % 60 else "")


def cap(limit: Cap, logs: Mapping[str | None, Log], zone: ZoneOf) -> Ask:
    """How often the customer was asked already. Where others took the last place at this very instant, that is `priority`."""

    def ask(attempt: Attempt, scope: Scope) -> No | None:
        log = logs.get(attempt.channel)
        found = full(limit, log, scope, zone) if log is not None else None
        if found is None:
            return None
        took = scope.took.get(found.log.name, ()) if isinstance(scope, Turn) else ()
        if not took:
            return No(found.detail, found.release_at)
        return No(f"{found.detail}: {', '.join(took)} went first", found.release_at, gate="priority")

    return ask


def shadow(_attempt: Attempt, _scope: Scope) -> No | None:
    """A rule in shadow mode decides and explains, and emits nothing but this."""
    return No("the rule is in shadow mode")


def answers(asked: Asked, stopped_by: Gate | None, no: No | None) -> tuple[GateAnswer, ...]:
    """What each gate said, up to the one that stopped."""
    said: list[GateAnswer] = []
    for gate, _ in asked:
        if gate == stopped_by and no is not None:
            return (*said, GateAnswer(no.gate or gate, passed=False, detail=no.detail))
        said.append(GateAnswer(gate, passed=True))
    return tuple(said)


def every_answer(attempt: Attempt, asked: Asked, scope: Scope) -> tuple[GateAnswer, ...]:
    """What every gate would say here, also those behind a no: for explanations, nothing is consumed."""
    said = ((gate, ask(attempt, scope)) for gate, ask in asked)
    return tuple(GateAnswer(gate, passed=no is None, detail=no.detail if no is not None else "") for gate, no in said)

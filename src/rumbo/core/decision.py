"""What the core decides, as values: every output has an id that is a function of the input and a `because`. It never writes one out."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

import msgspec

from rumbo.core.instant import Instant

Kind = Literal[
    "stage.changed",
    "stage.stuck",
    "stage.unstable",
    "stage.suggested",
    "score.changed",
    "action.requested",
    "action.suppressed",
    "segment.changed",
    "flow.changed",
    "decision.retracted",
    "exposure.recorded",
    "event.quarantined",
    "account.stage.changed",
    "account.score.changed",
]
Gate = Literal[
    "expired", "consent", "suppression_list", "holdout", "quarantine", "cooldown", "quiet_hours", "cap", "priority", "shadow"
]  # fmt: skip


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The interaction that a decision came from: its producer's id, its name, its time (RFC 3339), where it stood."""

    id: str
    name: str
    time: str
    topic: str
    partition: int
    offset: int


class Leaf(msgspec.Struct, frozen=True, omit_defaults=True):
    """One leaf condition as it was seen: its text, the values, its answer (`null` is unknown)."""

    condition: str
    holds: bool | None
    saw: dict[str, Any] = {}
    events: tuple[str, ...] = ()


class GateAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one gate said of an action, and why."""

    gate: Gate
    passed: bool
    detail: str = ""


class Because(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why: the rule, the instant and occurrence it fired for, the events, each leaf condition, each gate. At most 4 KB."""

    rule: str
    due: str | None = None
    events: tuple[Cause, ...] = ()
    conditions: tuple[Leaf, ...] = ()
    gates: tuple[GateAnswer, ...] = ()
    clock: str = ""
    truncated: bool = False


class Decision(msgspec.Struct, frozen=True):
    """One output. `at` is the decision's *now* (event time or due instant); `data` is the kind's own struct (`core.outputs`).

    `customer` is whose it is, and the record's key: of what is decided of an account, the account.
    """

    id: str
    kind: Kind
    customer: str
    at: Instant
    journey: str
    data: Any


def decision_id(  # noqa: PLR0913, PLR0917  the six parts of an id
    topology: str, definition: str, major: str, customer: str, trigger: str, occurrence: str
) -> str:
    """The id of a decision (semantics: a function of the input, never of run, offset of delivery or wall clock).

    SHA-256 in hex over the six parts, each preceded by its length so that no two different tuples share a text.
    """
    parts = (topology, definition, major, customer, trigger, occurrence)
    return sha256("".join(f"{len(part)}:{part}|" for part in parts).encode()).hexdigest()

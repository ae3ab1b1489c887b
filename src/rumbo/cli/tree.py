"""Explanations as people read them in a terminal: an indented tree, yes and no in colour where the terminal has any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click
import msgspec

from rumbo.core.decision import GateAnswer
from rumbo.core.explain import Branch
from rumbo.local.explain import AccountStanding, Standing

_ANSWER = {True: ("yes", "green"), False: ("no", "red"), None: ("unknown", "yellow")}


def branches(found: Iterable[Branch], indent: int = 2) -> Iterator[str]:
    """One line a condition: its answer, its text, the values; what it is made of under it."""
    for each in found:
        yield f"{' ' * indent}{_answer(each.holds)} {each.condition}{_saw(each.saw)}"
        yield from branches(each.parts, indent + 4)


def gates(answers: Iterable[GateAnswer], indent: int = 2) -> Iterator[str]:
    """One line a gate."""
    for each in answers:
        yield f"{' ' * indent}{_answer(each.passed)} gate {each.gate}{f': {each.detail}' if each.detail else ''}"


def standing(where: Standing | AccountStanding) -> str:
    """Where the customer or the account stood, in a line."""
    stage = f"stage {where.stage} since {where.since}" if where.stage else "no stage"
    scores = "".join(f", {name} {value:g}" for name, value in where.scores.items())
    count, what = (where.contacts, "contact") if isinstance(where, AccountStanding) else (where.events, "interaction")
    return f"clock {where.clock}, {stage}{scores}, {count} {what}{'' if count == 1 else 's'}"


def _answer(holds: bool | None) -> str:  # noqa: FBT001  yes, no or unknown
    word, colour = _ANSWER[holds]
    return click.style(f"{word:<7}", fg=colour)


def _saw(values: dict[str, Any]) -> str:
    if not values:
        return ""
    return "   saw " + ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()

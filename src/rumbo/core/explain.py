"""Why a rule acted, and why it did not: each condition with the values seen, and what would have had to differ.

It asks what the machines ask, in a scope that was stepped before; it never changes a profile, and it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from rumbo.core.condition import Vocabulary, compile_condition, describe
from rumbo.core.decision import Leaf
from rumbo.core.definition import (
    All,
    AnyOf,
    Condition,
    Dwell,
    EventTest,
    Happened,
    Idle,
    InBand,
    InStage,
    Journey,
    Level,
    MessageIs,
    Not,
    Where,
)
from rumbo.core.expression import Node, is_unknown, parse, unparse
from rumbo.core.expression.node import Binary, Unary
from rumbo.core.instant import SECOND, format_duration, isoformat, parse_instant
from rumbo.core.scope import Scope


class Branch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One condition as it was seen: its answer (null: unknown, which counts as no), the values, what it is made of.

    `needs` says what would have had to differ for it to hold; empty where it holds.
    """

    condition: str
    holds: bool | None
    saw: dict[str, Any] = {}
    needs: str = ""
    join: Literal["all", "any", "not"] | None = None
    parts: tuple[Branch, ...] = ()


class Sight(NamedTuple):
    """What is looked at: the journey and its words, the scope after the input was stepped."""

    journey: Journey
    words: Vocabulary
    scope: Scope


def branch(condition: Condition, sight: Sight, latch: str | None = None) -> Branch:
    """One condition, asked part by part. `latch` as in `compile_condition`."""
    match condition:
        case All(of=of) | AnyOf(of=of):
            parts = tuple(branch(each, sight, latch) for each in of)
            join: Literal["all", "any"] = "all" if isinstance(condition, All) else "any"
            return joined(join, parts, answer(compile_condition(condition, sight.words, latch).holds(sight.scope)))
        case Not(of=inner):
            return negated(branch(inner, sight, latch))
        case Where(text=text):
            return expression(text, sight)
        case _:
            compiled = compile_condition(condition, sight.words, latch)
            found = _leaf(compiled.explain(sight.scope), answer(compiled.holds(sight.scope)), _kind(condition))
            return (
                found if found.holds is True else msgspec.structs.replace(found, needs=_needs(condition, found, sight))
            )


def expression(text: str, sight: Sight) -> Branch:
    """An expression, taken apart at `&&`, `||` and `!`."""
    return _expression(parse(text), sight)


def _expression(node: Node, sight: Sight) -> Branch:
    match node:
        case Binary(op="&&" | "||" as op):
            parts = tuple(_expression(each, sight) for each in _chain(node, op))
            return joined(
                "all" if op == "&&" else "any", parts, answer(sight.words.expression(unparse(node))(sight.scope))
            )
        case Unary(op="!", of=inner):
            return negated(_expression(inner, sight))
        case _:
            text = unparse(node)
            seen = sight.words.explain(text)(sight.scope)
            return _leaf(seen, answer(sight.words.expression(text)(sight.scope)), text, f"`{text}`")


def _chain(node: Node, op: str) -> list[Node]:
    """`a && b && c` is three parts, not two."""
    if isinstance(node, Binary) and node.op == op:
        return [*_chain(node.left, op), *_chain(node.right, op)]
    return [node]


def _leaf(seen: list[Leaf], holds: bool | None, otherwise: str, needs: str = "") -> Branch:  # noqa: FBT001  yes, no or unknown
    """What explains itself as one leaf, or as several under the name of its kind."""
    if len(seen) == 1:
        made = Branch(seen[0].condition, holds, seen[0].saw)
    else:
        made = Branch(otherwise, holds, parts=tuple(Branch(each.condition, each.holds, each.saw) for each in seen))
    said = needs or made.condition
    return made if holds is True else msgspec.structs.replace(made, needs=f"{said} must hold{_gone(made)}")


def _gone(seen: Branch) -> str:
    missing = [name for name, value in seen.saw.items() if value is None]
    return f" ({', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there, so it cannot be told)" if missing and seen.holds is None else ""  # fmt: skip


def answer(value: object) -> bool | None:
    """True, false, or None for unknown."""
    return None if is_unknown(value) else value is True


def joined(join: Literal["all", "any"], parts: tuple[Branch, ...], holds: bool | None) -> Branch:  # noqa: FBT001  yes, no or unknown
    """Several conditions: what is missing is every failing one, or any one of them."""
    needs = [each.needs for each in parts if each.holds is not True]
    said = "" if holds is True else (" and " if join == "all" else ", or ").join(needs)
    return Branch("all of these" if join == "all" else "any of these", holds, needs=said, join=join, parts=parts)


def negated(inner: Branch) -> Branch:
    """`not`: unknown stays unknown."""
    holds = None if inner.holds is None else not inner.holds
    return Branch(
        "not", holds, needs="" if holds is True else f"this must not hold: {said(inner)}", join="not", parts=(inner,)
    )


def said(seen: Branch) -> str:
    """A branch in one line."""
    if seen.join in {"all", "any"}:
        return (" and " if seen.join == "all" else " or ").join(said(each) for each in seen.parts)
    return f"not ({said(seen.parts[0])})" if seen.join == "not" else seen.condition


def _kind(condition: Condition) -> str:
    return type(condition).__name__


def _needs(condition: Condition, seen: Branch, sight: Sight) -> str:
    """What would have had to differ, in the words of the condition's kind."""
    match condition:
        case Happened(events=events, at_least=need, within=within):
            more = need - int(seen.saw.get("count", 0))
            window = f" within {format_duration(within)}" if within is not None else ""
            return f"{more} more {describe(events)}{window}"
        case Idle(events=events, length=length):
            last = seen.saw.get("last")
            if last is None:
                return f"{describe(events)} must have happened once, and then not for {format_duration(length)}"
            return f"no {describe(events)} until {isoformat(parse_instant(last) + length)}"
        case InBand(score=score, band=band):
            return _points(score, _enter(sight.journey, score, band), seen)
        case Level(score=score, at_least=least):
            return _points(score, least, seen)
        case Dwell(length=length):
            return (
                f"{format_duration(length - round(float(seen.saw.get('seconds', 0)) * SECOND))} more: {seen.condition}"
            )
        case MessageIs(rule=rule, status=status, not_=not_, length=length):
            sent = seen.saw.get("sent")
            if sent is None:
                return f"a message of {rule} must have been sent"
            if not not_:
                return f"the last message of {rule} must be {status}"
            if seen.saw.get(status) is not None:
                return f"the last message of {rule} must not be {status} (it was at {seen.saw[status]})"
            return f"the last message of {rule} must not be {status} until {isoformat(parse_instant(sent) + length)}"
        case InStage(stages=stages):
            return f"stage {' or '.join(stages)}, not {sight.scope.state.stage or 'none'}"
        case _:
            return seen.needs or f"{seen.condition} must hold"


def _points(score: str, least: float, seen: Branch) -> str:
    known = seen.saw.get(score, 0.0)
    if known is None:
        return f"{score} must be reported: the customer is disqualified"
    value = float(known)
    return f"{score} at least {least:g}: {least - value:g} more than {value:g}" if value < least else f"{score} must enter at {least:g}"  # fmt: skip


def _enter(journey: Journey, score: str, band: str) -> float:
    return next(
        each.enter for found in journey.scores if found.name == score for each in found.bands if each.name == band
    )


def came(events: EventTest, sight: Sight, last: Callable[[EventTest], dict[str, Any]]) -> Branch:
    """Whether the interaction in the scope is one of these. `last` tells of the last one by name, for people."""
    event, text = sight.scope.event, describe(EventTest(events.names, None, events.label))
    if event is None or (events.names and event.key not in events.names):
        seen = {"interaction": event.name if event is not None else None, **last(events)}
        return Branch(
            f"interaction {text}", holds=False, saw=seen, needs=f"{describe(events)} must come at that instant"
        )
    named = Branch(
        f"interaction {text}", holds=True, saw={"interaction": event.name, "id": event.id, "at": isoformat(event.at)}
    )
    if events.where is None:
        return named
    where = expression(events.where, sight)
    return joined("all", (named, where), where.holds)

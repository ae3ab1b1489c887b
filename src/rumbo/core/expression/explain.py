"""Why an expression gave what it gave: each leaf condition with the values that it saw. Asked only for decisions, so it may be slow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from rumbo.core.expression.compile import Resolver, compile_expression
from rumbo.core.expression.node import Binary, Call, Choose, Literal, Node, Path, Unary, unparse, walk
from rumbo.core.expression.value import Unknown
from rumbo.core.instant import format_duration, from_datetime, isoformat

_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = frozenset({str, int, float, bool})


class Seen(msgspec.Struct, frozen=True):
    """One leaf: its text, its answer (null: unknown, or not a yes-or-no), and the value of each name in it."""

    text: str
    holds: bool | None
    saw: dict[str, Any]


class Explanation(msgspec.Struct, frozen=True):
    """The value of the whole, and its leaves from left to right (all are shown, also those that were not needed)."""

    value: Any
    leaves: tuple[Seen, ...]


def explain(node: Node, resolver: Resolver, scope: Any) -> Explanation:
    """Evaluate once more and keep what was seen."""
    return explainer(node, resolver)(scope)


def explainer(node: Node, resolver: Resolver) -> Callable[[Any], Explanation]:
    """`explain`, compiled once for many scopes."""
    whole, parts = compile_expression(node, resolver), lookers(node, resolver)
    return lambda scope: Explanation(whole(scope), tuple(look(scope) for look in parts))


def lookers(
    node: Node, resolver: Resolver, make: Callable[[str, bool | None, dict[str, Any]], Any] = Seen
) -> list[Callable[[Any], Any]]:
    """The leaves alone, one function each, every one made by `make` (text, answer, what it saw)."""
    return [_leaf(leaf, resolver, make) for leaf in leaves(node)]


def leaves(node: Node) -> list[Node]:
    """The conditions that `&&`, `||`, `!` and `?:` join."""
    match node:
        case Binary("&&" | "||", left, right):
            return [*leaves(left), *leaves(right)]
        case Unary("!", of):
            return leaves(of)
        case Choose(condition, then, otherwise):
            return [*leaves(condition), *leaves(then), *leaves(otherwise)]
        case Literal():
            return []
        case _:
            return [node]


def _leaf(
    leaf: Node, resolver: Resolver, make: Callable[[str, bool | None, dict[str, Any]], Any]
) -> Callable[[Any], Any]:
    text, ask = unparse(leaf), compile_expression(leaf, resolver)
    names = [each for each in walk(leaf) if isinstance(each, Path | Call) and not _inner(each, leaf)]
    reads = [(unparse(each), compile_expression(each, resolver)) for each in names]

    if len(reads) == 1:
        name, read = reads[0]

        def look_once(scope: Any) -> Any:
            answer, value = ask(scope), read(scope)
            shown = value if type(value) in _SHOWN else plain(value)
            return make(text, answer if answer is True or answer is False else None, {name: shown})

        return look_once

    def look(scope: Any) -> Any:
        answer = ask(scope)
        return make(
            text,
            answer if answer is True or answer is False else None,
            {name: plain(read(scope)) for name, read in reads},
        )

    return look


def _inner(node: Node, leaf: Node) -> bool:
    """Arguments of a host function are literals, no names of their own; conversions are shown by what they convert."""
    return (
        isinstance(node, Call)
        and node is not leaf
        and node.name in {"duration", "timestamp", "int", "double", "string", "size"}
    )


def plain(value: Any) -> Any:
    """A value as JSON can show it, instants and lengths of time as they are written; unknown is null."""
    if isinstance(value, Unknown):
        return None
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    if isinstance(value, datetime):
        return isoformat(from_datetime(value))
    if isinstance(value, timedelta):
        length = value // _MICROSECOND
        return format_duration(length) if length >= 0 else f"-{format_duration(-length)}"
    return str(value)

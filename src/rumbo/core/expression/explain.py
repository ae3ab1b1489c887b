"""Why an expression gave what it gave: each leaf condition with the values that it saw. Asked only for decisions, so it may be slow."""

from __future__ import annotations

from typing import Any

import msgspec

from rumbo.core.expression.compile import Resolver, compile_expression
from rumbo.core.expression.node import Binary, Call, Choose, Literal, Node, Path, Unary, unparse, walk
from rumbo.core.expression.value import Unknown


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
    value = compile_expression(node, resolver)(scope)
    return Explanation(value, tuple(_seen(leaf, resolver, scope) for leaf in leaves(node)))


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


def _seen(leaf: Node, resolver: Resolver, scope: Any) -> Seen:
    answer = compile_expression(leaf, resolver)(scope)
    names = [each for each in walk(leaf) if isinstance(each, Path | Call) and not _inner(each, leaf)]
    saw = {unparse(each): plain(compile_expression(each, resolver)(scope)) for each in names}
    return Seen(unparse(leaf), answer if isinstance(answer, bool) else None, saw)


def _inner(node: Node, leaf: Node) -> bool:
    """Arguments of a host function are literals, no names of their own; conversions are shown by what they convert."""
    return (
        isinstance(node, Call)
        and node is not leaf
        and node.name in {"duration", "timestamp", "int", "double", "string", "size"}
    )


def plain(value: Any) -> Any:
    """A value as JSON can show it; unknown is null."""
    if isinstance(value, Unknown):
        return None
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)

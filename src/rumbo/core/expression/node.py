"""The tree of an expression: values, frozen and comparable. It knows neither how it was written nor what its names mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec


class _Node(msgspec.Struct, frozen=True):
    pass


class Literal(_Node, frozen=True, tag=True):
    """A bool, int, float, string or null."""

    value: Any


class Path(_Node, frozen=True, tag=True):
    """A name and the fields under it: `event.properties.total`."""

    names: tuple[str, ...]


class Index(_Node, frozen=True, tag=True):
    """An element: `event.properties.tags[0]`, `event.properties['order id']`."""

    of: Node
    key: Node


class Unary(_Node, frozen=True, tag=True):
    """`!x` or `-x`."""

    op: str
    of: Node


class Binary(_Node, frozen=True, tag=True):
    """Two operands: comparison, arithmetic, `in`, `&&`, `||`."""

    op: str
    left: Node
    right: Node


class Call(_Node, frozen=True, tag=True):
    """A function: `count('Order Completed')`, `size(x)`."""

    name: str
    args: tuple[Node, ...]


class Method(_Node, frozen=True, tag=True):
    """A function on a value: `x.startsWith('/pricing')`."""

    of: Node
    name: str
    args: tuple[Node, ...]


class Has(_Node, frozen=True, tag=True):
    """Whether a field is there: `has(event.properties.coupon)`."""

    path: Path


class Choose(_Node, frozen=True, tag=True):
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


class Items(_Node, frozen=True, tag=True):
    """A list: `['A', 'B']`."""

    of: tuple[Node, ...]


Node: TypeAlias = Literal | Path | Index | Unary | Binary | Call | Method | Has | Choose | Items


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right under one."""
    match node:
        case Index(of, key):
            return (of, key)
        case Unary(_, of):
            return (of,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, args):
            return args
        case Method(of, _, args):
            return (of, *args)
        case Has(path):
            return (path,)
        case Choose(condition, then, otherwise):
            return (condition, then, otherwise)
        case Items(of):
            return of
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all under it, parents first."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(children(here)))


COMPARISON = 3
STRENGTH = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "in": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
"""Each comparison as it reads from its right side."""


def unparse(node: Node) -> str:
    """The canonical text: one text for one tree, and `parse` reads the same tree back."""
    return _text(node, 0)


def _text(node: Node, outer: int) -> str:
    match node:
        case Literal(value):
            return _literal(value)
        case Path(names):
            return ".".join(names)
        case Index(of, key):
            return f"{_text(of, 9)}[{_text(key, 0)}]"
        case Unary(op, of):
            return f"{op}{_text(of, 8)}" if outer <= 8 else f"({op}{_text(of, 8)})"  # noqa: PLR2004
        case Binary(op, left, right):
            strength = STRENGTH[op]
            chains = strength != COMPARISON  # `a == b == c` is no expression
            text = f"{_text(left, strength if chains else strength + 1)} {op} {_text(right, strength + 1)}"
            return f"({text})" if strength < outer else text
        case Call(name, args):
            return f"{name}({', '.join(_text(arg, 0) for arg in args)})"
        case Method(of, name, args):
            return f"{_text(of, 9)}.{name}({', '.join(_text(arg, 0) for arg in args)})"
        case Has(path):
            return f"has({_text(path, 0)})"
        case Choose(condition, then, otherwise):
            text = f"{_text(condition, 1)} ? {_text(then, 1)} : {_text(otherwise, 0)}"
            return f"({text})" if outer else text
        case Items(of):
            return f"[{', '.join(_text(item, 0) for item in of)}]"


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        body = "".join(_ESCAPES.get(each, each if each.isprintable() else f"\\U{ord(each):08x}") for each in value)
        return f"'{body}'"
    return repr(value)


_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

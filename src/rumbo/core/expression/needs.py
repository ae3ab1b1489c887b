"""What an expression needs each field to be, told from how it is used. It says what is expected, never what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from rumbo.core.expression.check import Type
from rumbo.core.expression.node import Binary, Call, Choose, Has, Index, Items, Literal, Method, Node, Path, Unary

Need: TypeAlias = tuple[tuple[str, ...], Type]
"""A path, and what it must be where the expression reads it (`dyn`: anything)."""

TEXTS: Final = frozenset({"startsWith", "endsWith", "contains"})
"""Methods on a text, with a text."""
TAKES: Final[dict[str, Type]] = {"timestamp": "string", "duration": "string", "min": "number", "max": "number"}
"""Functions that need a type."""
_GIVES: Final[dict[str, Type]] = {
    "size": "number", "int": "number", "double": "number", "min": "number", "max": "number", "string": "string",
    "bool": "bool", "timestamp": "timestamp", "duration": "duration",
}  # fmt: skip


def needs(node: Node, wants: Type = "dyn") -> Iterator[Need]:
    """Each path that the expression reads, as often as it reads it. `wants` is what its place needs."""
    match node:
        case Path(names):
            yield names, wants
        case Has(path):
            yield path.names, "dyn"
        case Unary(op, of):
            yield from needs(of, "bool" if op == "!" else "number")
        case Binary():
            yield from _binary(node, wants)
        case Call(name, args):
            yield from _each(args, TAKES.get(name, "dyn"))
        case Method(of, name, args):
            yield from _each((of, *args), "string" if name in TEXTS else "dyn")
        case Choose(condition, then, otherwise):
            yield from needs(condition, "bool")
            yield from needs(then, wants)
            yield from needs(otherwise, wants)
        case Index(of, key):
            yield from _index(of, key, wants)
        case Items(of):
            yield from _each(of, "dyn")
        case Literal():
            return


def _each(parts: tuple[Node, ...], wants: Type) -> Iterator[Need]:
    for part in parts:
        yield from needs(part, wants)


def _binary(node: Binary, wants: Type) -> Iterator[Need]:
    left, right, op = node.left, node.right, node.op
    if op in {"&&", "||"}:
        sides: tuple[Type, Type] = ("bool", "bool")
    elif op == "in":
        sides = (item_kind(right), "list")
    else:
        sides = (beside(gives(right), op, wants), beside(gives(left), op, wants))
    yield from needs(left, sides[0])
    yield from needs(right, sides[1])


def item_kind(among: Node) -> Type:
    """What each item of a written list is; `dyn` where they differ."""
    kinds = {gives(item) for item in among.of} if isinstance(among, Items) else set[Type]()
    return kinds.pop() if len(kinds) == 1 else "dyn"


def beside(other: Type, op: str, wants: Type = "dyn") -> Type:
    """What a side of an operator must be, by what the other gives; JSON has no instants, durations or nulls to ask for."""
    if other in {"bool", "number", "string", "list"}:
        return other
    otherwise: Type = "number" if op in {"-", "*", "/", "%"} else wants if op == "+" else "dyn"
    return otherwise if other == "dyn" else "dyn"


def _index(of: Node, key: Node, wants: Type) -> Iterator[Need]:
    if isinstance(of, Path) and isinstance(key, Literal) and isinstance(key.value, str):
        yield (*of.names, key.value), wants
        return
    yield from needs(of, "list" if gives(key) == "number" else "dyn")
    yield from needs(key)


def gives(node: Node) -> Type:
    """What a part gives, as far as its form tells."""
    match node:
        case Literal(value):
            if value is None:
                return "null"
            return "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        case Items():
            return "list"
        case Call(name, _):
            return _GIVES.get(name, "dyn")
        case Method(_, name, _):
            return "bool" if name in TEXTS else "number"
        case Binary(op, left, right):
            if op in {"+", "-", "*", "/", "%"}:
                given = gives(left)  # once: each level asks both of its sides
                return given if given == gives(right) else "dyn"
            return "bool"
        case Unary(op, _):
            return "bool" if op == "!" else "number"
        case Has():
            return "bool"
        case _:
            return "dyn"

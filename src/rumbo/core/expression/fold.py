"""What is certain of an expression whatever the event says: that it always holds, or that it never can. It reads no field.

Constants are folded as they would be computed. Of a field it is only known that it is one value at a time, so that two demands
on it may contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rumbo.core.expression.check import Type
from rumbo.core.expression.compile import Read, compile_expression
from rumbo.core.expression.function import FUNCTIONS
from rumbo.core.expression.node import MIRRORED, Binary, Call, Choose, Items, Literal, Node, Path, Unary, unparse, walk

_INFINITE: Final = float("inf")


def verdict(node: Node) -> bool | None:
    """True: it holds whatever comes. False: it never can (unknown counts as no). None: it depends."""
    match node:
        case Binary("&&", left, right):
            sides = {verdict(left), verdict(right)}
            if False in sides or _contradicts(node):
                return False
            return True if sides == {True} else None
        case Binary("||", left, right):
            sides = {verdict(left), verdict(right)}
            return True if True in sides else False if sides == {False} else None
        case Binary("in", _, Items(())):
            return False
        case Unary("!", of) if _reads(of):
            return False if verdict(of) is True else None  # what never holds may be unknown, and so is its opposite
        case Choose(condition, then, otherwise) if not _reads(condition):
            return (
                verdict(then) if _holds(condition) else verdict(otherwise) if _holds(Unary("!", condition)) else False
            )
        case Choose(_, then, otherwise):
            return False if verdict(then) is verdict(otherwise) is False else None
        case _:
            return None if _reads(node) else _holds(node)


def _reads(node: Node) -> bool:
    return any(isinstance(each, Path) or (isinstance(each, Call) and each.name not in FUNCTIONS) for each in walk(node))


def _holds(node: Node) -> bool:
    return compile_expression(node, _Nothing())(None) is True


class _Nothing:
    """Resolves no name: none is written where it is used."""

    def field(self, path: tuple[str, ...]) -> Read:
        raise LookupError(".".join(path))

    def function(self, name: str, args: tuple[Any, ...]) -> Read:
        raise LookupError(f"{name}{args}")

    def mistyped(self, _path: tuple[str, ...], _wants: Type) -> None:
        return None


class _Demand(msgspec.Struct):
    """What a conjunction asks of one value: what it must be, what it must not be, and between what it must lie."""

    equal: list[Any] = []
    unequal: list[Any] = []
    low: float = -_INFINITE
    over: bool = False
    """Whether `low` itself is left out; `under` says so of `high`."""
    high: float = _INFINITE
    under: bool = False

    def asks(self, op: str, value: Any) -> None:
        """Add one comparison."""
        if op == "==":
            self.equal.append(value)
        elif op == "!=":
            self.unequal.append(value)
        elif op in {">", ">="} and (value, op == ">") > (self.low, self.over):
            self.low, self.over = value, op == ">"
        elif op in {"<", "<="} and (value, op == "<=") < (self.high, not self.under):
            self.high, self.under = value, op == "<"

    def impossible(self) -> bool:
        """Whether no value can do all of it."""
        if self.low > self.high or (self.low == self.high and (self.over or self.under)):
            return True
        return any(self._refuses(value) for value in self.equal)

    def _refuses(self, value: Any) -> bool:
        kind = _kind(value)
        if any(_kind(each) is not kind or each != value for each in self.equal):
            return True
        if any(_kind(each) is kind and each == value for each in self.unequal):
            return True
        if kind is str:
            return self.low > -_INFINITE or self.high < _INFINITE
        outside = value < self.low or value > self.high
        return outside or (value == self.low and self.over) or (value == self.high and self.under)


def _kind(value: Any) -> type:
    return str if isinstance(value, str) else float


def _contradicts(node: Node) -> bool:
    """Whether parts of a conjunction ask one value for what it cannot be at once."""
    demands: dict[str, _Demand] = {}
    for part in _parts(node):
        if isinstance(part, Binary) and part.op in MIRRORED:
            left, right, op = part.left, part.right, part.op
            if isinstance(left, Literal):
                left, right, op = right, left, MIRRORED[op]
            if isinstance(right, Literal) and _fits(right.value, op) and _reads(left):
                demands.setdefault(unparse(left), _Demand()).asks(op, right.value)
    return any(each.impossible() for each in demands.values())


def _fits(value: Any, op: str) -> bool:
    """Numbers everywhere; texts where they are compared for being the same."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number or (isinstance(value, str) and op in {"==", "!="})


def _parts(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Binary) and here.op == "&&":
            waiting += [here.right, here.left]
        else:
            yield here

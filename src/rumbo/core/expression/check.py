"""What can be said of an expression before it runs: names that mean nothing, types that cannot fit. All problems at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from typing import Literal as OneOf

import msgspec

from rumbo.core.expression.function import FUNCTIONS, METHODS, ZONED, zone
from rumbo.core.expression.node import (
    Binary,
    Call,
    Choose,
    Has,
    Index,
    Items,
    Literal,
    Method,
    Node,
    Path,
    Unary,
    children,
    unparse,
)
from rumbo.core.expression.parse import ExpressionError

Type = OneOf["bool", "number", "string", "timestamp", "duration", "list", "null", "dyn"]


class Signature(NamedTuple):
    """A host function: what its literal arguments are (the last `optional` of them may be absent), and what it gives."""

    args: tuple[Type, ...]
    gives: Type
    optional: int = 0
    choices: tuple[str, ...] | None = None
    """What the first argument may be, where it names something defined."""


class Environment(msgspec.Struct, frozen=True):
    """Known names: `fields` by dotted path (`dyn` has any fields under it), `functions` by name."""

    fields: Mapping[str, Type]
    functions: Mapping[str, Signature]


class References(NamedTuple):
    """What an expression reads: field paths, and host functions with their literal arguments."""

    fields: frozenset[tuple[str, ...]]
    calls: frozenset[tuple[str, tuple[Any, ...]]]


_METHOD_TYPES: Final[dict[str, tuple[Type, Type]]] = dict.fromkeys(
    ("startsWith", "endsWith", "contains"), ("string", "bool")
)
_GIVES: Final[dict[str, Type]] = {
    "size": "number", "dyn": "dyn", "bool": "bool", "int": "number", "double": "number", "string": "string", "duration": "duration",
    "timestamp": "timestamp", "min": "number", "max": "number",
}  # fmt: skip


Nearest = Callable[[str, Collection[str]], str | None]
"""The name that was probably meant, of those that there are; None for none."""


def nearest_of(name: str, among: Collection[str]) -> str | None:
    """The name of *among* that was probably meant; None where none is near."""
    return next(iter(get_close_matches(name, list(among), 1, 0.6)), None)


def problems(
    node: Node, env: Environment, *, wants: Type = "dyn", nearest: Nearest = nearest_of
) -> list[ExpressionError]:
    """Every problem; none when the expression may be compiled. `wants` is the type that its place needs."""
    checker = _Checker(env, nearest)
    gives = checker.type_of(node)
    if not _fits(gives, wants):
        checker.say(f"`{unparse(node)}` gives a {gives}, where a {_name(wants)} is needed")
    return checker.found


def references(node: Node) -> References:
    """The names that the expression reads."""
    fields: set[tuple[str, ...]] = set()
    calls: set[tuple[str, tuple[Any, ...]]] = set()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Path):
            fields.add(here.names)
        if isinstance(here, Call) and here.name not in FUNCTIONS:
            calls.add((here.name, tuple(arg.value if isinstance(arg, Literal) else unparse(arg) for arg in here.args)))
        waiting.extend(children(here))
    return References(frozenset(fields), frozenset(calls))


def _fits(gives: Type, wants: Type) -> bool:
    return "dyn" in {gives, wants} or gives == wants


def _name(kind: Type) -> str:
    return {"bool": "yes or no (bool)", "dyn": "value"}.get(kind, kind)


class _Checker:
    def __init__(self, env: Environment, nearest: Nearest) -> None:
        self._env, self._nearest, self.found = env, nearest, list[ExpressionError]()

    def say(self, message: str, hint: str = "") -> None:
        self.found.append(ExpressionError(message, 0, hint))

    def type_of(self, node: Node) -> Type:
        match node:
            case Literal(value):
                return _type_of_value(value)
            case Path(names):
                return self._path(names)
            case Has(path):
                self._path(path.names)
                return "bool"
            case Unary(op, of):
                return self._need(of, "bool" if op == "!" else "number")
            case Binary():
                return self._binary(node)
            case Call(name, args):
                return self._call(name, args)
            case Method(of, name, args):
                return self._method(of, name, args)
            case Choose(condition, then, otherwise):
                self._need(condition, "bool")
                kinds = {self.type_of(then), self.type_of(otherwise)}
                return kinds.pop() if len(kinds) == 1 else "dyn"
            case Index(of, key):
                self.type_of(of)
                self.type_of(key)
                return "dyn"
            case Items(of):
                for item in of:
                    self.type_of(item)
                return "list"

    def _need(self, node: Node, wants: Type) -> Type:
        gives = self.type_of(node)
        if not _fits(gives, wants):
            self.say(f"`{unparse(node)}` is a {gives}, where a {_name(wants)} is needed")
        return wants

    def _path(self, names: tuple[str, ...]) -> Type:
        fields = self._env.fields
        for length in range(len(names), 0, -1):
            kind = fields.get(".".join(names[:length]))
            if kind is not None:
                if length == len(names) or kind == "dyn":
                    return kind if length == len(names) else "dyn"
                break
        text = ".".join(names)
        near = self._nearest(text, [*fields, *(f"{each}.{names[-1]}" for each in fields)])
        self.say(
            f"`{text}` is not a name that is known here",
            f"did you mean `{near}`?" if near else "known are " + ", ".join(fields),
        )
        return "dyn"

    def _binary(self, node: Binary) -> Type:
        if node.op in {"&&", "||"}:
            self._need(node.left, "bool")
            return self._need(node.right, "bool")
        left, right = self.type_of(node.left), self.type_of(node.right)
        text = unparse(node)
        if node.op == "in":
            if not _fits(right, "list"):
                self.say(f"`{text}`: the right side of `in` is a {right}", "write a list such as ['A', 'B']")
            return "bool"
        if node.op in {"==", "!="}:
            if not _fits(left, right) and "null" not in {left, right}:
                self.say(f"`{text}` compares a {left} with a {right}, so it can never be equal")
            return "bool"
        if node.op in {"<", "<=", ">", ">="}:
            if not _fits(left, right) or "list" in {left, right}:
                self.say(f"`{text}` compares a {left} with a {right}")
            return "bool"
        return self._arithmetic(node.op, left, right, text)

    def _arithmetic(self, op: str, left: Type, right: Type, text: str) -> Type:
        if "dyn" in {left, right}:
            return "dyn"
        pair = (left, right)
        if pair == ("number", "number"):
            return "number"
        if op == "+" and left == right and left in {"string", "list", "duration"}:
            return left
        if op in {"+", "-"} and pair == ("timestamp", "duration"):
            return "timestamp"
        if op == "-" and left == right and left in {"timestamp", "duration"}:
            return "duration"
        if op == "+" and pair == ("duration", "timestamp"):
            return "timestamp"
        self.say(f"`{text}`: `{op}` does not work on a {left} and a {right}")
        return "dyn"

    def _call(self, name: str, args: tuple[Node, ...]) -> Type:
        for arg in args:
            self.type_of(arg)
        known = FUNCTIONS.get(name)
        if known is not None:
            if not known[1] <= len(args) <= known[2]:
                self.say(f"{name}() takes {known[1]} argument{'' if known[1] == 1 else 's'}, not {len(args)}")
            return _GIVES[name]
        signature = self._env.functions.get(name)
        if signature is None:
            near = self._nearest(name, [*self._env.functions, *FUNCTIONS])
            self.say(f"{name}() is not a function that is known here", f"did you mean {near}()?" if near else "")
            return "dyn"
        self._signature(name, args, signature)
        return signature.gives

    def _signature(self, name: str, args: tuple[Node, ...], signature: Signature) -> None:
        if not len(signature.args) - signature.optional <= len(args) <= len(signature.args):
            self.say(f"{name}() takes {len(signature.args)} argument(s), not {len(args)}")
        for arg, wants in zip(args, signature.args, strict=False):
            literal = isinstance(arg, Literal) or (isinstance(arg, Call) and arg.name == "duration")
            if not literal or not _fits(self.type_of(arg), wants):
                self.say(f"{name}() takes a literal {wants} here, not `{unparse(arg)}`")
        first = args[0].value if args and isinstance(args[0], Literal) else None
        if signature.choices is not None and isinstance(first, str) and first not in signature.choices:
            near = self._nearest(first, signature.choices)
            self.say(f"{name}('{first}'): '{first}' is not defined", f"did you mean '{near}'?" if near else "")

    def _method(self, of: Node, name: str, args: tuple[Node, ...]) -> Type:
        known = METHODS.get(name)
        for arg in args:
            self.type_of(arg)
        if known is None:
            cure = "use startsWith, endsWith or contains" if name == "matches" else "known are " + ", ".join(METHODS)
            self.say(f".{name}() is not a function here", cure)
            return "dyn"
        if not known[1] <= len(args) <= known[2]:
            self.say(f".{name}() takes {known[2]} argument(s), not {len(args)}")
        if name in ZONED:
            self._zone(name, args)
            self.type_of(of)
            return "number"
        wants, gives = _METHOD_TYPES.get(name, ("dyn", "number"))
        self._need(of, wants)
        for arg in args:
            self._need(arg, wants)
        return gives

    def _zone(self, name: str, args: tuple[Node, ...]) -> None:
        for arg in args:
            if not isinstance(arg, Literal) or not isinstance(arg.value, str):
                self.say(f".{name}() takes a literal zone, not `{unparse(arg)}`", "for example 'Europe/Madrid'")
                continue
            try:
                zone(arg.value)
            except ValueError as error:
                self.say(str(error))


def _type_of_value(value: Any) -> Type:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "number"

"""Tree to closures: compiled once, asked millions of times. The scope is opaque; a resolver says what names read.

The common forms (a field against a literal, a text method with a literal) become one closure with no call in between.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Protocol, assert_never

from rumbo.core.expression.function import FUNCTIONS, METHODS, ZONED, zone
from rumbo.core.expression.node import Binary, Call, Choose, Has, Index, Items, Literal, Method, Node, Path, Unary
from rumbo.core.expression.parse import ExpressionError
from rumbo.core.expression.value import OPERATORS, WRONG_TYPE, Unknown, element, invert, is_unknown, negate

Read = Callable[[Any], Any]
_RAW: Final = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class Resolver(Protocol):
    """What names mean: `field` reads a path, `function` a host function called with literals. LookupError: no such name."""

    def field(self, path: tuple[str, ...]) -> Read:
        """The reader of a field path."""

    def function(self, name: str, args: tuple[Any, ...]) -> Read:
        """The reader of a host function."""


def compile_expression(node: Node, resolver: Resolver) -> Read:
    """A closure that gives the expression's value in a scope. Raises ExpressionError for a name that means nothing."""
    match node:
        case Literal(value):
            return lambda _scope: value
        case Path(names):
            return _resolved(lambda: resolver.field(names))
        case Index(of, key):
            return _two(element, compile_expression(of, resolver), compile_expression(key, resolver))
        case Unary(op, of):
            return _one(invert if op == "!" else negate, compile_expression(of, resolver))
        case Binary():
            return _binary(node, resolver)
        case Call(name, args):
            return _call(name, args, resolver)
        case Method(of, name, args):
            return _method(of, name, args, resolver)
        case Has(path):
            read = _resolved(lambda: resolver.field(path.names))
            return lambda scope: not is_unknown(read(scope))
        case Choose(condition, then, otherwise):
            return _choose(*(compile_expression(part, resolver) for part in (condition, then, otherwise)))
        case Items(of):
            return _items(tuple(compile_expression(item, resolver) for item in of))
        case _:
            assert_never(node)


def _resolved(make: Callable[[], Read]) -> Read:
    try:
        return make()
    except LookupError as error:
        raise ExpressionError(str(error.args[0])) from None


def _one(apply: Callable[[Any], Any], of: Read) -> Read:
    return lambda scope: apply(of(scope))


def _two(apply: Callable[[Any, Any], Any], left: Read, right: Read) -> Read:
    return lambda scope: apply(left(scope), right(scope))


def _binary(node: Binary, resolver: Resolver) -> Read:
    left = compile_expression(node.left, resolver)
    if node.op in {"&&", "||"}:
        return _logic(left, compile_expression(node.right, resolver), decisive=node.op == "||")
    if isinstance(node.right, Literal) and node.op in _RAW:
        return _against(node.op, left, node.right.value)
    if node.op == "in" and isinstance(node.right, Items) and all(isinstance(item, Literal) for item in node.right.of):
        items = [item.value for item in node.right.of if isinstance(item, Literal)]
        among = OPERATORS["in"]
        return lambda scope: among(left(scope), items)
    return _two(OPERATORS[node.op], left, compile_expression(node.right, resolver))


def _against(op: str, left: Read, literal: Any) -> Read:
    """A value against a literal: the quick way when the types are the same, else the general operator."""
    quick, general, kind = _RAW[op], OPERATORS[op], type(literal)
    if kind not in {str, int, float}:
        return lambda scope: general(left(scope), literal)

    def ask(scope: Any) -> Any:
        value = left(scope)
        return quick(value, literal) if type(value) is kind else general(value, literal)

    return ask


def _logic(left: Read, right: Read, *, decisive: bool) -> Read:
    """`||` (decided by true) and `&&` (decided by false): one deciding side is enough, whatever the other is."""

    def ask(scope: Any) -> Any:
        first = left(scope)
        if first is decisive:
            return decisive
        second = right(scope)
        if second is decisive:
            return decisive
        if first is (not decisive):
            return second if isinstance(second, bool | Unknown) else WRONG_TYPE
        return first if isinstance(first, Unknown) else WRONG_TYPE

    return ask


def _choose(condition: Read, then: Read, otherwise: Read) -> Read:
    def ask(scope: Any) -> Any:
        answer = condition(scope)
        if answer is True:
            return then(scope)
        if answer is False:
            return otherwise(scope)
        return answer if isinstance(answer, Unknown) else WRONG_TYPE

    return ask


def _items(reads: tuple[Read, ...]) -> Read:
    def ask(scope: Any) -> Any:
        values = [read(scope) for read in reads]
        return next((each for each in values if isinstance(each, Unknown)), values)

    return ask


def _call(name: str, args: tuple[Node, ...], resolver: Resolver) -> Read:
    known = FUNCTIONS.get(name)
    if known is None:
        literals = tuple(_literal(name, arg, resolver) for arg in args)
        return _resolved(lambda: resolver.function(name, literals))
    apply, fewest, most = known
    if not fewest <= len(args) <= most:
        raise ExpressionError(f"{name}() takes {fewest} argument{'s' if most > 1 else ''}, not {len(args)}")
    reads = tuple(compile_expression(arg, resolver) for arg in args)
    if len(reads) == 1:
        if isinstance(args[0], Literal):
            value = apply(args[0].value)
            return lambda _scope: value
        return _one(apply, reads[0])
    return lambda scope: apply(*(read(scope) for read in reads))


def _literal(function: str, arg: Node, resolver: Resolver) -> Any:
    """The value of an argument that must be known when the definition is loaded."""
    if isinstance(arg, Literal):
        return arg.value
    if isinstance(arg, Call) and arg.name in FUNCTIONS and all(isinstance(each, Literal) for each in arg.args):
        value = compile_expression(arg, resolver)(None)
        if not isinstance(value, Unknown):
            return value
    raise ExpressionError(
        f"{function}() takes literals only", 0, "for example count('Order Completed', duration('7d'))"
    )


def _method(of: Node, name: str, args: tuple[Node, ...], resolver: Resolver) -> Read:
    known = METHODS.get(name)
    if known is None:
        raise ExpressionError(f"`.{name}()` is not a function here", 0, _instead(name))
    apply, fewest, most = known
    if not fewest <= len(args) <= most:
        raise ExpressionError(f".{name}() takes {most} argument{'' if most == 1 else 's'}, not {len(args)}")
    value = compile_expression(of, resolver)
    if not args:
        return _one(apply, value)
    if name in ZONED:
        return _zoned(apply, value, args[0], name)
    if isinstance(args[0], Literal) and name == "startsWith" and isinstance(args[0].value, str):
        return _starts(value, args[0].value, apply)
    return _two(apply, value, compile_expression(args[0], resolver))


def _zoned(apply: Callable[..., Any], value: Read, given: Node, name: str) -> Read:
    """The zone is found once, when the definition is loaded."""
    if not isinstance(given, Literal) or not isinstance(given.value, str):
        raise ExpressionError(f".{name}() takes a literal zone", 0, "for example 'Europe/Madrid' or '+02:00'")
    try:
        where = zone(given.value)
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    return lambda scope: apply(value(scope), where)


def _starts(value: Read, prefix: str, apply: Callable[..., Any]) -> Read:
    def ask(scope: Any) -> Any:
        text = value(scope)
        return text.startswith(prefix) if type(text) is str else apply(text, prefix)

    return ask


def _instead(name: str) -> str:
    if name == "matches":
        return "regular expressions are left out: use startsWith, endsWith or contains"
    return "known are " + ", ".join(sorted(METHODS))

"""Tree to closures: compiled once, asked millions of times. The scope is opaque; a resolver says what names read.

The common forms (a field against a literal, a text method with a literal) become one closure with no call in between. A field of
another type than its place needs is told to whom the resolver names, on the way that a value of the right type never takes.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Protocol, assert_never

from rumbo.core.expression.check import Type
from rumbo.core.expression.function import FUNCTIONS, METHODS, ZONED, zone
from rumbo.core.expression.needs import TAKES, TEXTS, beside, gives, item_kind
from rumbo.core.expression.node import (
    MIRRORED,
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
)
from rumbo.core.expression.parse import ExpressionError
from rumbo.core.expression.value import OPERATORS, WRONG_TYPE, Unknown, element, invert, is_unknown, negate

Read = Callable[[Any], Any]
Tell = Callable[[Any, Any], None]
"""Told of a scope and a value in it that may be of another type than is needed."""
_RAW: Final = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_TYPES: Final[dict[Type, tuple[type, ...]]] = {
    "bool": (bool,),
    "number": (int, float),
    "string": (str,),
    "list": (list,),
}


class Resolver(Protocol):
    """What names mean: `field` reads a path, `function` a host function called with literals. LookupError: no such name."""

    def field(self, path: tuple[str, ...]) -> Read:
        """The reader of a field path."""

    def function(self, name: str, args: tuple[Any, ...]) -> Read:
        """The reader of a host function."""

    def mistyped(self, path: tuple[str, ...], wants: Type) -> Tell | None:
        """Who is told of a field of another type; None where nobody asks."""


def compile_expression(node: Node, resolver: Resolver, wants: Type = "dyn") -> Read:
    """A closure that gives the expression's value in a scope. Raises ExpressionError for a name that means nothing.

    `wants` is what the place of the whole needs; parts know it of each other.
    """
    match node:
        case Literal(value):
            return lambda _scope: value
        case Path(names):
            return _typed(node, _resolved(lambda: resolver.field(names)), wants, resolver)
        case Index(of, key):
            at = _told(element, (of, key), ("list" if gives(key) == "number" else "dyn", "dyn"), resolver)
            return _typed(node, at, wants, resolver)
        case Unary("!", of):
            return _not(compile_expression(of, resolver), _tell(of, "bool", resolver))
        case Unary(_, of):
            return _told(negate, (of,), ("number",), resolver)
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
            sides = (compile_expression(part, resolver, wants) for part in (then, otherwise))
            return _choose(compile_expression(condition, resolver), _tell(condition, "bool", resolver), *sides)
        case Items(of):
            return _items(tuple(compile_expression(item, resolver) for item in of))
        case _:
            assert_never(node)


def _resolved(make: Callable[[], Read]) -> Read:
    try:
        return make()
    except LookupError as error:
        raise ExpressionError(str(error.args[0])) from None


def _tell(node: Node, wants: Type, resolver: Resolver) -> Tell | None:
    """Who is told where this part, a field that needs to be of a type, is of another."""
    if wants == "dyn":
        return None
    match node:
        case Path(names):
            return resolver.mistyped(names, wants)
        case Index(Path(names), Literal(str() as name)):
            return resolver.mistyped((*names, name), wants)
        case _:
            return None


def _typed(node: Node, read: Read, wants: Type, resolver: Resolver) -> Read:
    """A field whose type no operator around it looks at."""
    tell, fits = _tell(node, wants, resolver), _TYPES.get(wants, ())
    if tell is None:
        return read

    def ask(scope: Any) -> Any:
        value = read(scope)
        if type(value) not in fits:
            tell(scope, value)
        return value

    return ask


def _told(apply: Callable[..., Any], of: tuple[Node, ...], wants: tuple[Type, ...], resolver: Resolver) -> Read:
    """An operation on one or two parts; where it does not fit them, their fields are told of."""
    reads = tuple(compile_expression(part, resolver) for part in of)
    tells = tuple(_tell(part, kind, resolver) for part, kind in zip(of, wants, strict=True))
    if not any(tells):
        return _one(apply, reads[0]) if len(reads) == 1 else _two(apply, reads[0], reads[1])

    def say(scope: Any, *values: Any) -> None:
        for tell, value in zip(tells, values, strict=True):
            if tell is not None:
                tell(scope, value)

    return _one_told(apply, reads[0], say) if len(reads) == 1 else _two_told(apply, reads[0], reads[1], say)


def _one(apply: Callable[[Any], Any], of: Read) -> Read:
    return lambda scope: apply(of(scope))


def _two(apply: Callable[[Any, Any], Any], left: Read, right: Read) -> Read:
    return lambda scope: apply(left(scope), right(scope))


def _one_told(apply: Callable[[Any], Any], of: Read, say: Callable[..., None]) -> Read:
    def ask(scope: Any) -> Any:
        value = of(scope)
        found = apply(value)
        if found is WRONG_TYPE:
            say(scope, value)
        return found

    return ask


def _two_told(apply: Callable[[Any, Any], Any], left: Read, right: Read, say: Callable[..., None]) -> Read:
    def ask(scope: Any) -> Any:
        one, other = left(scope), right(scope)
        found = apply(one, other)
        if found is WRONG_TYPE:
            say(scope, one, other)
        return found

    return ask


def _not(of: Read, tell: Tell | None) -> Read:
    def ask(scope: Any) -> Any:
        value = of(scope)
        if value is True:
            return False
        if value is False:
            return True
        if tell is not None:
            tell(scope, value)
        return invert(value)

    return ask


def _binary(node: Binary, resolver: Resolver) -> Read:
    op, left, right = node.op, node.left, node.right
    if op in {"&&", "||"}:
        return _logic(node, resolver)
    if isinstance(left, Literal) and op in MIRRORED and not isinstance(right, Literal):
        op, left, right = MIRRORED[op], right, left
    if isinstance(right, Literal) and op in _RAW:
        return _against(op, left, right.value, resolver)
    if op == "in":
        return _among(left, right, resolver)
    wants = beside(gives(right), op), beside(gives(left), op)
    if op in {"==", "!="}:  # what is of another type is not equal: no operation that does not fit tells of it
        return _two(
            OPERATORS[op],
            *(compile_expression(part, resolver, kind) for part, kind in zip((left, right), wants, strict=True)),
        )
    return _told(OPERATORS[op], (left, right), wants, resolver)


def _among(left: Node, right: Node, resolver: Resolver) -> Read:
    among, kind = OPERATORS["in"], item_kind(right)
    if not isinstance(right, Items) or not all(isinstance(item, Literal) for item in right.of):
        return _told(among, (left, right), (kind, "list"), resolver)
    items = [item.value for item in right.of if isinstance(item, Literal)]
    read = compile_expression(left, resolver, kind)
    if kind != "string":
        return lambda scope: among(read(scope), items)
    texts = frozenset(items)

    def ask(scope: Any) -> Any:
        value = read(scope)
        return value in texts if type(value) is str else among(value, items)

    return ask


def _against(op: str, left: Node, literal: Any, resolver: Resolver) -> Read:
    """A value against a literal: the quick way when the types are the same, else the general operator."""
    read, quick, general, kind = compile_expression(left, resolver), _RAW[op], OPERATORS[op], type(literal)
    if kind not in {str, int, float, bool}:
        return lambda scope: general(read(scope), literal)
    wants = beside(gives(Literal(literal)), op)
    tell, fits = _tell(left, wants, resolver), (*_TYPES.get(wants, ()), Unknown)

    def ask(scope: Any) -> Any:
        value = read(scope)
        if type(value) is kind:
            return quick(value, literal)
        if tell is not None and type(value) not in fits:
            tell(scope, value)
        return general(value, literal)

    return ask


def _logic(node: Binary, resolver: Resolver) -> Read:
    """`||` (decided by true) and `&&` (decided by false): one deciding side is enough, whatever the other is."""
    left, right = (compile_expression(part, resolver) for part in (node.left, node.right))
    tells = tuple(_tell(part, "bool", resolver) for part in (node.left, node.right))
    decisive, open_ = node.op == "||", node.op == "&&"

    def ask(scope: Any) -> Any:
        first = left(scope)
        if first is decisive:
            return decisive
        second = right(scope)
        if first is open_:
            return second if type(second) is bool else _no_bool(scope, second, tells[1])
        unknown = _no_bool(scope, first, tells[0])
        if type(second) is not bool:
            _no_bool(scope, second, tells[1])
        return decisive if second is decisive else unknown

    return ask


def _no_bool(scope: Any, value: Any, tell: Tell | None) -> Unknown:
    """What stands where yes or no is needed, and is neither."""
    if isinstance(value, Unknown):
        return value
    if tell is not None:
        tell(scope, value)
    return WRONG_TYPE


def _choose(condition: Read, tell: Tell | None, then: Read, otherwise: Read) -> Read:
    def ask(scope: Any) -> Any:
        answer = condition(scope)
        if answer is True:
            return then(scope)
        if answer is False:
            return otherwise(scope)
        return _no_bool(scope, answer, tell)

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
    kind = TAKES.get(name, "dyn")
    if len(args) == 1:
        if isinstance(args[0], Literal):
            value = apply(args[0].value)
            return lambda _scope: value
        return _told(apply, args, (kind,), resolver)
    reads = tuple(compile_expression(arg, resolver, kind) for arg in args)
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
    kind: Type = "string" if name in TEXTS else "dyn"
    if not args:
        return _told(apply, (of,), (kind,), resolver)
    if name in ZONED:
        return _zoned(apply, compile_expression(of, resolver), args[0], name)
    if isinstance(args[0], Literal) and name == "startsWith" and isinstance(args[0].value, str):
        return _starts(compile_expression(of, resolver), args[0].value, apply, _tell(of, kind, resolver))
    return _told(apply, (of, args[0]), (kind, kind), resolver)


def _zoned(apply: Callable[..., Any], value: Read, given: Node, name: str) -> Read:
    """The zone is found once, when the definition is loaded."""
    if not isinstance(given, Literal) or not isinstance(given.value, str):
        raise ExpressionError(f".{name}() takes a literal zone", 0, "for example 'Europe/Madrid' or '+02:00'")
    try:
        where = zone(given.value)
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    return lambda scope: apply(value(scope), where)


def _starts(value: Read, prefix: str, apply: Callable[..., Any], tell: Tell | None) -> Read:
    def ask(scope: Any) -> Any:
        text = value(scope)
        if type(text) is str:
            return text.startswith(prefix)
        if tell is not None:
            tell(scope, text)
        return apply(text, prefix)

    return ask


def _instead(name: str) -> str:
    if name == "matches":
        return "regular expressions are left out: use startsWith, endsWith or contains"
    return "known are " + ", ".join(sorted(METHODS))

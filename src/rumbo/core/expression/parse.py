"""Text to tree: a Pratt parser for the subset of CEL (the Common Expression Language, cel-spec `doc/langdef.md`).

Nothing is ever evaluated here, and nothing loops or nests without a limit: text from outside is refused in milliseconds.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from rumbo.core.expression.node import (
    COMPARISON,
    STRENGTH,
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

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 8
"""Levels of parentheses, calls, lists, indexes, `!`/`-` and `?:` within each other; a flat chain of operators is one level."""
MAX_NODES: Final = 200
_INT_MAX: Final = 2**63

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+|\d+))(?![\w.])
      | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | (?P<name>[A-Za-z_]\w*)
      | (?P<op>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "map", "filter"})
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL
)
_SIMPLE: Final = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    **{c: c for c in "\\'\"`?"},
}


class ExpressionError(ValueError):
    """An expression that cannot be meant. `offset` is the character where it was noticed; `hint` the likely cure."""

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        self.message, self.offset, self.hint = message, offset, hint
        super().__init__(f"{message} (at character {offset + 1})" + (f"; {hint}" if hint else ""))


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """Read an expression. Raises ExpressionError where it is not one, or is too long, too deep or too large."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text)} characters, more than {MAX_LENGTH}", 0, "name parts of it in `define`"
        )
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            where = len(text) - len(rest)
            raise ExpressionError(f"{rest[:10]!r} is not understood", where, _cure(rest))
        found.append(_Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        if match.lastgroup == "end":
            return found
        at = match.end()


def _cure(rest: str) -> str:
    if rest[:1] in {"'", '"'}:
        return "the text is not closed: add the other quote"
    return {"=": "compare with `==`", "&": "write `&&`", "|": "write `||`"}.get(rest[:1], "")


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at, self._depth, self._nodes = tokens, 0, 0, 0

    def whole(self) -> Node:
        node = self._expression()
        if self._next.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, text: str = "") -> _Token:
        token = self._next
        if text and (token.text != text or token.kind == "string"):
            raise self._unexpected(f"expected `{text}`")
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind in {"op", "name"}

    def _unexpected(self, why: str = "") -> ExpressionError:
        token = self._next
        what = "the expression ends too early" if token.kind == "end" else f"`{token.text}` is not expected here"
        return ExpressionError(
            what + (f": {why}" if why else ""), token.at, "compare with `==`" if token.text == "=" else ""
        )

    def _count(self, node: Node) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ExpressionError(
                f"the expression has more than {MAX_NODES} parts", self._next.at, "name parts of it in `define`"
            )
        return node

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(
                f"nested more than {MAX_DEPTH} levels deep", self._next.at, "name parts of it in `define`"
            )

    def _expression(self) -> Node:
        self._deeper()
        node = self._binary(1)
        if self._is("?"):
            self._take()
            then = self._binary(1)
            self._take(":")
            node = self._count(Choose(node, then, self._expression()))
        self._depth -= 1
        return node

    def _binary(self, least: int) -> Node:
        left = self._unary()
        compared = False
        while (token := self._next).kind in {"op", "name"} and (binds := STRENGTH.get(token.text, 0)) >= least:
            if binds == COMPARISON and compared:
                raise ExpressionError("comparisons cannot be chained", token.at, "join them with `&&`")
            compared = binds == COMPARISON
            self._take()
            left = self._count(Binary(token.text, left, self._binary(binds + 1)))
        return left

    def _unary(self) -> Node:
        token = self._next
        if token.kind == "op" and token.text in {"!", "-"}:
            self._take()
            if token.text == "-" and self._next.kind == "number":
                return self._postfix(self._number("-"))
            self._deeper()
            node = self._count(Unary(token.text, self._unary()))
            self._depth -= 1
            return node
        return self._postfix(self._primary())

    def _primary(self) -> Node:
        token = self._next
        if token.kind == "number":
            return self._number("")
        if token.kind == "string":
            self._take()
            return self._count(Literal(_unquoted(token)))
        if token.kind == "name":
            return self._name()
        if self._is("("):
            self._take()
            node = self._expression()
            self._take(")")
            return node
        if self._is("["):
            self._take()
            return self._count(Items(self._arguments("]")))
        raise self._unexpected()

    def _number(self, sign: str) -> Node:
        token = self._take()
        text = sign + token.text
        if token.text.isdigit() or token.text[:2].lower() == "0x":
            value: Any = int(text, 16) if "x" in text.lower() else _int(text, token)
            if not -_INT_MAX <= value < _INT_MAX:
                raise ExpressionError(f"{text[:30]} is not a 64-bit integer", token.at)
        else:
            value = float(text)
        return self._count(Literal(value))

    def _name(self) -> Node:
        token = self._take()
        if token.text in _WORDS:
            return self._count(Literal(_WORDS[token.text]))
        if token.text in _RESERVED or token.text == "in":
            raise ExpressionError(f"`{token.text}` is a reserved word", token.at)
        if not self._is("("):
            return self._count(Path((token.text,)))
        self._take()
        args = self._arguments(")")
        if token.text == "has":
            if len(args) != 1 or not isinstance(args[0], Path) or len(args[0].names) == 1:
                raise ExpressionError(
                    "has() takes one field path", token.at, "for example has(event.properties.coupon)"
                )
            return self._count(Has(args[0]))
        return self._count(Call(token.text, args))

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._is(closing):
            found.append(self._expression())
            if not self._is(closing):
                self._take(",")
        self._take(closing)
        return tuple(found)

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._is("."):
                self._take()
                node = self._member(node)
            elif self._is("["):
                self._take()
                self._deeper()
                key = self._expression()
                self._depth -= 1
                self._take("]")
                node = self._count(Index(node, key))
            else:
                return node

    def _member(self, node: Node) -> Node:
        token = self._take()
        if token.kind != "name":
            raise ExpressionError(f"a name is expected after `.`, not `{token.text}`", token.at)
        if self._is("("):
            if token.text in _LOOPS:
                raise ExpressionError(
                    f"`{token.text}` loops, and there are no loops here", token.at, "use `in` or a counted condition"
                )
            self._take()
            return self._count(Method(node, token.text, self._arguments(")")))
        if isinstance(node, Path):
            return Path((*node.names, token.text))
        return self._count(Index(node, Literal(token.text)))


def _int(text: str, token: _Token) -> int:
    if len(text) > 20:  # noqa: PLR2004  longer than any 64-bit integer
        raise ExpressionError(f"{text[:30]}… is not a 64-bit integer", token.at)
    return int(text)


def _unquoted(token: _Token) -> str:
    def character(match: re.Match[str]) -> str:
        two, four, eight, octal, simple = match.groups()
        if simple is not None:
            if simple not in _SIMPLE:
                raise ExpressionError(f"`\\{simple}` is not an escape", token.at, "write a backslash as `\\\\`")
            return _SIMPLE[simple]
        code = int(octal, 8) if octal else int(two or four or eight, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004  the bounds of Unicode
            raise ExpressionError(f"U+{code:X} is not a character", token.at)
        return chr(code)

    return _ESCAPE.sub(character, token.text[1:-1])

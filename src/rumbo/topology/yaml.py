"""YAML to plain values that remember their line, by the core schema of YAML 1.2. Hostile files are refused before they cost anything.

`20:00`, `NO` and `on` stay text. No tags, no aliases, no second document, no depth that a stack could feel. Of PyYAML it takes what reads
a text's form (libyaml's parser: hostile files cost a quarter of what one in Python takes), never what makes objects of it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rumbo.topology.problem import Notes

try:
    from yaml.cyaml import CParser as Parser  # type: ignore[attr-defined]  # its stubs do not say so
except ImportError:  # PyYAML was built where there is no libyaml
    from yaml.loader import BaseLoader as Parser  # type: ignore[assignment]  # it reads the same events

MAX_BYTES: Final = 524_288
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 30_000
MAX_REFUSED: Final = 50
"""Problems of one file's form that are told; a file with more is not a slip of the pen."""
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""Where the parser ends a line."""
_SHOWN: Final = 20
"""Characters of the place where it gave up."""


class Yaml(msgspec.Struct):
    """A value and the line it begins on. `value` is None, bool, int, float, str, a list of Yaml or a dict of Yaml."""

    value: Any
    line: int
    keys: dict[str, int] = {}
    """Of a mapping: the line of each key."""


class _RefusedError(Exception):
    def __init__(self, line: int, message: str, hint: str = "") -> None:
        self.line, self.message, self.hint = line, message, hint
        super().__init__(message)


def read_yaml(text: str, notes: Notes) -> Yaml | None:
    """The file's one document; None with a problem noted when it cannot be read."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        notes.error(1, f"the file has more than {MAX_BYTES} bytes", "split the journey")
        return None
    try:
        return _Builder(notes).read(text)
    except _RefusedError as error:
        notes.error(error.line, error.message, error.hint)
    except YAMLError as error:
        line, what = _problem(text, error)
        notes.error(line, f"not YAML: {what}", "check indentation, quotes and colons")
    return None


def _problem(text: str, error: YAMLError) -> tuple[int, str]:
    """The line where the parser gave up; what it says, what stands there, and on which line that began which it was at."""
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark, begun = (getattr(error, name, None) for name in ("problem_mark", "context_mark"))
    if mark is None:
        return 1, what
    lines = _BREAK.split(text.rstrip())
    line = min(mark.line, len(lines) - 1)
    rest = lines[line][mark.column :].strip()[:_SHOWN] if line == mark.line else ""
    since = f" ({getattr(error, 'context', None)} from line {begun.line + 1} on)" if begun is not None and begun.line < line else ""  # fmt: skip
    end = "the end of the line" if line + 1 < len(lines) else "the end"
    return line + 1, f"{what}, found {f'`{rest}`' if rest else end}{since}"


class _Builder:
    """Builds values from parser events, without recursion."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._stack: list[tuple[Yaml, str | None]] = []
        self._root: Yaml | None = None
        self._count = self._documents = self._refused = 0

    def read(self, text: str) -> Yaml:
        parser = Parser(text)
        while (event := parser.get_event()) is not None:
            self._take(event)
        return self._root if self._root is not None else Yaml({}, 1)

    def _take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            self._refuse(line, f"alias `*{event.anchor}` is not allowed", "write the value out, or name it in `define`")
            self._place(Yaml(None, line))
            return
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _RefusedError(line, "a second document begins here", "one file holds one definition")
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._plain(event, line)
            self._open(Yaml({} if isinstance(event, MappingStartEvent) else [], line))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._stack.pop()
        elif isinstance(event, ScalarEvent):
            self._plain(event, line)
            self._scalar(event, line)

    def _refuse(self, line: int, message: str, hint: str) -> None:
        """Note what cannot be, and read on: the rest of the file has its own problems."""
        self._refused += 1
        if self._refused > MAX_REFUSED:
            raise _RefusedError(line, f"more than {MAX_REFUSED} such problems", "begin with the first ones")
        self._notes.error(line, message, hint)

    def _plain(self, event: Any, line: int) -> None:
        if event.tag is not None and str(event.tag) not in {"!", "tag:yaml.org,2002:str"}:
            self._refuse(line, f"tag `{event.tag}` is not allowed", "write a plain value")
        self._count += 1
        if self._count > MAX_VALUES:
            raise _RefusedError(line, f"more than {MAX_VALUES} values", "split the journey")

    def _open(self, value: Yaml) -> None:
        self._place(value)
        self._stack.append((value, None))
        if len(self._stack) > MAX_DEPTH:
            raise _RefusedError(value.line, f"nested more than {MAX_DEPTH} levels deep", "name parts of it in `define`")

    def _scalar(self, event: Any, line: int) -> None:
        if self._stack:
            parent, key = self._stack[-1]
            if isinstance(parent.value, dict) and key is None:
                self._key(parent, event.value, line)
                return
        self._place(Yaml(_resolve(event), line))

    def _key(self, parent: Yaml, name: str, line: int) -> None:
        if name in parent.value:
            self._refuse(line, f"key `{name}` stands twice (first on line {parent.keys[name]})", "keep one of them")
        parent.value[name] = Yaml(None, line)
        parent.keys[name] = line
        self._stack[-1] = (parent, name)

    def _place(self, value: Yaml) -> None:
        if not self._stack:
            self._root = value
            return
        parent, key = self._stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
            return
        if key is None:
            raise _RefusedError(value.line, "a key must be plain text", "write name: value")
        parent.value[key] = value
        self._stack[-1] = (parent, None)


def _resolve(event: Any) -> Any:
    """YAML 1.2 core schema for plain scalars; quoted ones are text."""
    text: str = event.value
    if not event.implicit[0] or event.style in {"'", '"', "|", ">"}:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    return _number(text)


def _number(text: str) -> Any:
    bare = text.lstrip("+-")
    if not bare[:1].isdigit() and not (bare[:1] == "." and bare[1:2].isdigit()):
        return text
    if bare.isdigit() and len(bare) <= 18:  # noqa: PLR2004  fits 64 bits
        return int(text) if bare == "0" or bare[0] != "0" else text
    try:
        return float(text) if all(each in "0123456789.eE+-" for each in bare) else text
    except ValueError:
        return text


def plain(node: Yaml) -> Any:
    """The value without lines."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(value) for value in node.value]
    return node.value


def inside(node: Yaml, name: str) -> Yaml | None:
    """What stands under a name: a key of a mapping; in a list an item that is it, has it as a key, or has it as its `id`."""
    if isinstance(node.value, dict):
        found = node.value.get(name)
        return found if isinstance(found, Yaml) else None
    return named(node).get(name)


def named(node: Yaml) -> dict[str, Yaml]:
    """The items of a list by all that they may be called, the first one of each name."""
    found: dict[str, Yaml] = {}
    for item in node.value if isinstance(node.value, list) else ():
        if isinstance(item.value, str):
            found.setdefault(item.value, item)
        elif isinstance(item.value, dict):
            for name, inner in item.value.items():
                found.setdefault(name, inner if inner.value is not None else item)
            own = item.value.get("id")
            if own is not None and isinstance(own.value, str):
                found.setdefault(own.value, item)
    return found

"""Problems of a definition: where, what, the likely cure. They are collected, so that one never hides another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final, Literal

import msgspec

from rumbo.core.expression import nearest_of

COMPARISONS: Final = 5_000
"""Of names, that are made for the suggestions of one file: some 60 ms."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One problem. `line` counts from 1; a warning does not keep a topology from running."""

    file: str
    line: int
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """`file:line: what; cure`."""
        cure = f"; {self.hint}" if self.hint else ""
        mild = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}: {mild}{self.message}{cure}"


class Notes:
    """The problems found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file, self.problems = file, list[Problem]()
        self._comparisons = COMPARISONS

    def error(self, line: int, message: str, hint: str = "") -> None:
        """Something that cannot be meant."""
        self.problems.append(Problem(self.file, line, message, hint))

    def warn(self, line: int, message: str, hint: str = "") -> None:
        """Something that is probably not meant."""
        self.problems.append(Problem(self.file, line, message, hint, "warning"))

    def unknown(self, line: int, what: str, name: str, known: Collection[str]) -> None:
        """A name that is not defined, with the nearest one that is."""
        self.error(line, f"{what} '{name}' is not defined", self.meant(name, known))

    def meant(self, name: str, known: Collection[str]) -> str:
        """`did you mean …?`, or what there is to choose from."""
        near = self.nearest(name, known)
        if near is not None:
            return f"did you mean '{near}'?"
        first = list(dict.fromkeys(islice(known, 12)))
        return f"known: {', '.join(first)}" if first else "define it first"

    def nearest(self, name: str, among: Collection[str]) -> str | None:
        """The name that was probably meant. A file of thousands of mistakes is told so of the first ones: looking costs, and nobody reads on."""
        if self._comparisons < len(among):
            return None
        self._comparisons -= len(among)
        return nearest_of(name, among)


def again(named: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    """Names, with their lines, that stood before: the name, its line, the line on which it stood first."""
    first: dict[str, int] = {}
    for name, line in named:
        if name in first:
            yield name, line, first[name]
        first.setdefault(name, line)

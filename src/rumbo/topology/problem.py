"""Problems of a definition: where, what, the likely cure. They are collected, so that one never hides another."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

import msgspec


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

    def error(self, line: int, message: str, hint: str = "") -> None:
        """Something that cannot be meant."""
        self.problems.append(Problem(self.file, line, message, hint))

    def warn(self, line: int, message: str, hint: str = "") -> None:
        """Something that is probably not meant."""
        self.problems.append(Problem(self.file, line, message, hint, "warning"))

    def unknown(self, line: int, what: str, name: str, known: Iterable[str]) -> None:
        """A name that is not defined, with the nearest one that is."""
        among = list(known)
        self.error(line, f"{what} '{name}' is not defined", meant(name, among))


def meant(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or what there is to choose from."""
    among = list(dict.fromkeys(known))
    near = get_close_matches(name, among, 1, 0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(among[:12])}" if among else "define it first"

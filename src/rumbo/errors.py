"""Errors by blame: the class says what happens next. It never logs, and it knows no exit but the number each blame stands for.

RumboError
├── DefinitionError   the author's mistake    refuse to start (exit 78)
├── EventError        the producer's mistake  reject this record, go on
├── BrokerError       the broker is away      say so and stop, or wait for it (exit 69)
└── InternalError     our mistake, or an answer that never came: stop, keep the offset, page someone (exit 70)
"""

from __future__ import annotations

from typing import ClassVar


class RumboError(Exception):
    """Anything that Rumbo says no with. `exit_code` is what a command ends with (sysexits.h, as Vector uses it)."""

    exit_code: ClassVar[int] = 70


class DefinitionError(RumboError):
    """The author's mistake: a topology, journey, example or setting that cannot be meant. Every problem at once."""

    exit_code = 78

    def __init__(self, where: str, problems: list[str]) -> None:
        self.where, self.problems = where, problems
        super().__init__(where, problems)

    def __str__(self) -> str:
        """One line a problem, under the place they are in."""
        count = len(self.problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.where}: {count} problem{'s' if count != 1 else ''}{lines}"


class EventError(RumboError):
    """The producer's mistake: this record is put aside with a reason; its neighbours go on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class BrokerError(RumboError):
    """The broker cannot be reached or does not let us in: not the author's fault, and nothing was done."""

    exit_code = 69


class InternalError(RumboError):
    """Our mistake, or an answer that never came: the process stops with the offset kept."""

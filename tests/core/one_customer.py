"""One customer of one topology, for tests of the core: interactions are stepped in turn, and the profile is stored and read again after each."""

from __future__ import annotations

from typing import Self

from rumbo.core import definition as d
from rumbo.core.decision import Decision
from rumbo.core.interaction import Interaction, folded
from rumbo.core.profile import Profile
from rumbo.core.program import Program

START = 1_767_225_600_000_000


def named(*names: str) -> d.EventTest:
    """An interaction of one of these names."""
    return d.EventTest(tuple(map(folded, names)), None, " or ".join(names))


class OneCustomer:
    """`decisions` are all that were made, in the order made."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.profile: Profile = program.load("c", None)
        self.decisions: list[Decision] = []

    def hear(self, *events: Interaction) -> Self:
        """Step them, in this order."""
        for each in events:
            self.decisions += self.program.advance(self.profile, each)
            self.profile = self.program.load("c", self.program.dump(self.profile))
        return self

    def until(self, at: int) -> Self:
        """Fire what is due at or before an offset from the start, in microseconds."""
        self.decisions += self.program.fire(self.profile, START + at)
        return self

    def asked(self) -> list[tuple[int, str]]:
        """(offset, trigger) of every action asked for."""
        return [(each.at - START, each.data.trigger) for each in self.decisions if each.kind == "action.requested"]

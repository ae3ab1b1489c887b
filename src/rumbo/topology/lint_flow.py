"""What is allowed in a flow and probably not meant: steps that nobody comes to, conditions that decide nothing, rounds without a wait."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core import definition as d
from rumbo.core.flowing import VISITS
from rumbo.core.instant import format_duration
from rumbo.core.reach import Reach
from rumbo.core.way import Paths
from rumbo.topology.flows import step_lines
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml, inside

Constant = Callable[[d.Condition, int, str, str, str], None]
"""Warns of a condition that is decided before anything happens: (condition, line, where, what if never, what if always)."""


class FlowLint:
    """One flow, looked at."""

    def __init__(self, flow: d.Flow, node: Yaml, reach: Reach, notes: Notes) -> None:
        self._flow, self._node, self._notes = flow, node, notes
        self._where, self._lines = f"flows.{flow.id}", step_lines(node)
        self._paths = Paths(flow, reach.verdict)

    def look(self, constant: Constant) -> None:
        """Everything that can be said of it."""
        flow, where = self._flow, self._where
        if flow.enter.when is not None:
            constant(
                flow.enter.when,
                self._at("enter"),
                f"{where}.enter.only_if",
                "nobody ever begins it",
                "leave `only_if` out",
            )
        nobody = "an instance ends by its steps alone"
        for name, ends in (("exit", flow.exit), ("goal", flow.goal)):
            if ends is not None:
                constant(ends, self._at(name), f"{where}.{name}", nobody, "nobody ever begins it")
        for step in flow.steps:
            self._step(step, constant)
        self._unreached()
        self._rounds()

    def names(self) -> list[tuple[str, int]]:
        """The steps and their lines, in order."""
        return [(step.name, self._line(step.name)) for step in self._flow.steps]

    def _at(self, key: str) -> int:
        found = inside(self._node, key)
        return found.line if found is not None else self._node.line

    def _line(self, step: str) -> int:
        return self._lines.get(step, self._node.line)

    def _step(self, step: d.FlowStep, constant: Constant) -> None:
        where, line = f"{self._where}.{step.name}", self._line(step.name)
        match step.do:
            case d.Wait(until=until, length=length, otherwise=otherwise) if until is not None:
                most = f"everybody waits {format_duration(length or 0)}, then {_said(otherwise)}"
                constant(until, line, f"{where}.wait.until", most, "nobody ever waits")
            case d.BranchTo(cases=cases):
                for when, to in cases:
                    constant(
                        when,
                        line,
                        f"{where}.branch.if",
                        f"nobody ever goes to {_said(to)} by it",
                        "what stands after it is never asked",
                    )
            case _:
                pass

    def _unreached(self) -> None:
        reached = self._paths.reached()
        for step in self._flow.steps:
            if step.name not in reached:
                goal = isinstance(step.do, d.Goal)
                what = "this goal is never reached" if goal else "nobody ever comes to this step"
                self._notes.warn(
                    self._line(step.name),
                    f"{self._where}.{step.name}: {what}",
                    "no step goes on to it: name it in a `go`, or take it away",
                )

    def _rounds(self) -> None:
        for found in self._paths.rounds():
            self._notes.warn(
                self._line(found[0]),
                f"{self._where}: {' -> '.join((*found, found[0]))} goes round without a wait, and ends the instance at visit {VISITS + 1}",
                "put a wait between them",
            )


def _said(target: str) -> str:
    return {"next": "goes on", "leave": "leaves"}.get(target, f"goes to '{target}'")

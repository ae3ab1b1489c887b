"""Where a flow can go on from each of its steps, told from its definition alone: what is drawn, and what `check` looks at. It runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, assert_never

from rumbo.core.definition import Act, BranchTo, Condition, Flow, Go, Goal, Leave, SetTrait, Split, Wait

END = ""
"""The target of a way by which the instance is over."""


class Way(NamedTuple):
    """One way on. `when` is what a case or a wait asks; `word` the variant that it is for."""

    origin: str
    target: str
    by: Literal["then", "until", "timeout", "case", "otherwise", "variant", "go", "goal", "leave"]
    when: Condition | None = None
    word: str = ""


def ways(flow: Flow) -> tuple[Way, ...]:
    """Every way from every step, in the order of the steps."""
    names = [step.name for step in flow.steps]
    return tuple(
        way._replace(target=following if way.target == "next" else END if way.target == "leave" else way.target)
        for step, following in zip(flow.steps, [*names[1:], END], strict=True)
        for way in _from(step.name, step.do)
    )


def _from(name: str, do: Wait | BranchTo | Split | Act | SetTrait | Go | Goal | Leave) -> Iterator[Way]:
    match do:
        case Wait(until=until, length=length, otherwise=otherwise):
            if until is None:
                yield Way(name, "next", "then")
                return
            yield Way(name, "next", "until", until)
            if length is not None:
                yield Way(name, otherwise, "timeout")
        case BranchTo(cases=cases, otherwise=otherwise):
            for when, to in cases:
                yield Way(name, to, "case", when)
            yield Way(name, otherwise, "otherwise")
        case Split(variants=variants):
            for each in variants:
                yield Way(name, each.go, "variant", None, f"{each.name} {each.share:.4g}")
        case Act() | SetTrait():
            yield Way(name, "next", "then")
        case Go(to=to):
            yield Way(name, to, "go")
        case Goal():
            yield Way(name, "leave", "goal")
        case Leave():
            yield Way(name, "leave", "leave")
        case _:
            assert_never(do)


class Paths:
    """The ways of one flow that somebody can take. `verdict` says of a condition whether it always or never holds."""

    def __init__(self, flow: Flow, verdict: Callable[[Condition], bool | None]) -> None:
        self._steps, self._verdict = flow.steps, verdict
        found: dict[str, list[Way]] = {step.name: [] for step in flow.steps}
        for way in ways(flow):
            found[way.origin].append(way)
        self._taken = {name: tuple(self._possible(each)) for name, each in found.items()}

    def _possible(self, found: list[Way]) -> Iterator[Way]:
        """The first that always holds is the last that is taken."""
        for way in found:
            answer = self._verdict(way.when) if way.when is not None else None
            if answer is not False:
                yield way
            if answer is True:
                return

    def reached(self) -> frozenset[str]:
        """The steps that an instance can come to."""
        found: set[str] = set()
        waiting = [self._steps[0].name]
        while waiting:
            here = waiting.pop()
            if here != END and here not in found:
                found.add(here)
                waiting += [way.target for way in self._taken[here]]
        return frozenset(found)

    def rounds(self) -> Iterator[tuple[str, ...]]:
        """Steps that lead back to themselves with no wait on the way, each in one round: they are walked in one instant."""
        quick = {step.name for step in self._steps if not isinstance(step.do, Wait)}
        told: set[str] = set()
        for step in self._steps:
            found = self._round(step.name, quick) if step.name in quick - told else ()
            if found:
                told.update(found)
                yield found

    def _round(self, start: str, quick: set[str]) -> tuple[str, ...]:
        """The shortest way from a step back to it, by quick steps; empty where there is none."""
        paths: list[tuple[str, ...]] = [(start,)]
        seen: set[str] = set()
        for path in paths:
            for way in self._taken[path[-1]]:
                if way.target == start:
                    return path
                if way.target in quick and way.target not in seen:
                    seen.add(way.target)
                    paths.append((*path, way.target))
        return ()

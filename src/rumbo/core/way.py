"""Where a flow can go on from each of its steps, told from its definition alone: what is drawn, and what `check` looks at. It runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
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

"""Runs a topology's examples on a virtual clock: what was promised against what the core decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from rumbo.core.consent import EVERY, STATUSES, Consent, plain
from rumbo.core.contact import Listed
from rumbo.core.decision import Decision
from rumbo.core.instant import format_duration
from rumbo.core.interaction import Interaction, folded
from rumbo.core.outputs import (
    AccountScoreChanged,
    AccountStageChanged,
    ActionRequested,
    ActionSuppressed,
    DecisionRetracted,
    EventQuarantined,
    FlowChanged,
    ScoreChanged,
    SegmentChanged,
    StageChanged,
    StageStuck,
    StageSuggested,
    StageUnstable,
)
from rumbo.intake import Said
from rumbo.local.run import Local
from rumbo.topology import Example, Expectation, Topology

_ALWAYS = frozenset({"action", "suppressed"})


class Outcome(msgspec.Struct, frozen=True):
    """One example's result: what is missing of what was promised, and what came besides."""

    example: Example
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Everything promised came, and nothing else of the kinds compared."""
        return not self.missing and not self.extra


def run_example(topology: Topology, example: Example) -> Outcome:
    """Run one. `then` is complete for actions and suppressions; other kinds are compared only where the example names one."""
    local = Local(topology)
    decisions: list[Decision] = []
    for said in _before(example):
        decisions += local.instruct(said)
    for at, given in sorted(enumerate(example.given), key=lambda each: each[1].after + each[1].late):
        if given.late:  # meanwhile time has passed
            decisions += local.until(example.start + given.after + given.late - 1)
        decisions += local.step(_interaction(example, at))
    decisions += local.until(example.start + example.until)
    compared = _ALWAYS | {each.kind for each in example.then}
    called = {decision.id: seen[0].name for decision in decisions if (seen := _seen(decision, example, {})) is not None}
    came = [
        seen
        for decision in decisions
        if (seen := _seen(decision, example, called)) is not None and seen[0].kind in compared
    ]
    missing: list[str] = []
    for promised in example.then:
        match = next((seen for seen in came if _fits(promised, seen[0])), None)
        if match is None:
            missing.append(describe(promised) + _instead(promised, came, example))
        else:
            came.remove(match)
    return Outcome(example, tuple(missing), tuple(f"{_told(seen, example)} {why}" for seen, why in came))


def run_examples(topology: Topology, examples: Iterable[Example]) -> list[Outcome]:
    """Run them all, each in a world of its own."""
    return [run_example(topology, example) for example in examples]


def _interaction(example: Example, at: int) -> Interaction:
    given = example.given[at]
    return Interaction(
        given.customer or example.customer, given.event, folded(given.event), given.id, example.start + given.after,
        "example", 0, at,
        msgspec.json.encode(given.properties), msgspec.json.encode(given.context), msgspec.json.encode(given.traits),
        given.account, format="example",
    )  # fmt: skip


def _before(example: Example) -> Iterator[Said]:
    """What the customer has said before the world begins."""
    words: list[Consent | Listed] = [
        Consent(plain(purpose), EVERY, STATUSES[status], example.start - 1, source="example")
        for purpose, status in example.consent.items()
    ]
    words += [Listed(True, example.start - 1, "example")] if example.suppressed else []
    for at, said in enumerate(words):
        name = "Consent Said" if isinstance(said, Consent) else "Suppression Listed"
        event = Interaction(example.customer, name, folded(name), f"world-{at}", said.at, "example", 0, at)
        yield Said(event, "", said)


def _seen(decision: Decision, example: Example, called: dict[str, str]) -> tuple[Expectation, str] | None:
    """A decision as an expectation would name it, and why it came."""
    data = decision.data
    why = f"(because of {data.because.rule}" + (
        f", {data.because.events[0].name})" if data.because.events else ", due)"
    )
    named = _named(data, called)
    if named is None:
        return None
    seen = msgspec.structs.replace(named, after=decision.at - example.start, whose=decision.customer)
    return seen, why


def _named(data: Any, called: dict[str, str]) -> Expectation | None:  # noqa: PLR0912  one answer a kind
    """What was decided: its kind, its name, and what else an expectation may say of it."""
    match data:
        case StageChanged(to=name):
            return Expectation(0, "stage", name)
        case StageStuck(stage=name):
            return Expectation(0, "stuck", name)
        case StageUnstable(stage=name):
            return Expectation(0, "unstable", name)
        case StageSuggested(suggested=name):
            return Expectation(0, "suggested", name)
        case SegmentChanged(segment=name, change=change):
            return Expectation(0, "segment", name, change=change)
        case ScoreChanged(score=name, band=band):
            return Expectation(0, "score", name, band=band or "none")
        case EventQuarantined(event=name):
            return Expectation(0, "quarantined", name)
        case FlowChanged(flow=name, change=change):
            return Expectation(0, "flow", name, change=change)
        case ActionSuppressed(trigger=name, gate=gate):
            return Expectation(0, "suppressed", name, gate=gate)
        case ActionRequested(trigger=name):
            return Expectation(0, "action", name)
        case AccountStageChanged(to=name):
            return Expectation(0, "account_stage", name or "none")
        case AccountScoreChanged(score=name):
            return Expectation(0, "account_score", name)
        case DecisionRetracted(retracts=number) if number in called:
            return Expectation(0, "retracted", called[number])
        case _:
            return None


def _fits(promised: Expectation, seen: Expectation) -> bool:
    return (
        (promised.after, promised.kind, promised.name) == (seen.after, seen.kind, seen.name)
        and promised.gate in {None, seen.gate}
        and promised.band in {None, seen.band}
        and promised.change in {None, seen.change}
        and promised.whose in {None, seen.whose}
    )


def describe(each: Expectation) -> str:
    """One expectation in words: `after 14d: action try_export`."""
    detail = f" by gate {each.gate}" if each.gate else f" in band {each.band}" if each.band else ""
    detail += f" {each.change}" if each.change else ""
    detail += f" of {each.whose}" if each.whose else ""
    sign, length = ("", each.after) if each.after >= 0 else ("-", -each.after)
    return f"after {sign}{format_duration(length)}: {each.kind.replace('_', ' ')} {each.name}{detail}"


def _told(seen: Expectation, example: Example) -> str:
    """What came; whose it is where that is not the customer of the world."""
    return describe(msgspec.structs.replace(seen, whose=None) if seen.whose == example.customer else seen)


def _instead(promised: Expectation, came: list[tuple[Expectation, str]], example: Example) -> str:
    near = [seen for seen, _ in came if (seen.kind, seen.name) == (promised.kind, promised.name)]
    near = near or [seen for seen, _ in came if seen.name == promised.name]
    return f" (instead: {_told(near[0], example)})" if near else ""

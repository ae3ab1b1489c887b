"""A definition in words and edges, for people: drawn from the checked data that runs, never from the author's text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Literal, assert_never

from rumbo.core import definition as d
from rumbo.core.anomaly import anomaly_text
from rumbo.core.date import date_text
from rumbo.core.instant import format_duration
from rumbo.core.outputs import Direction
from rumbo.core.sequence import sequence_text
from rumbo.core.threshold import threshold_text
from rumbo.core.way import ways
from rumbo.serve.model import (
    AccountRule,
    BandDrawing,
    Edge,
    FlowDrawing,
    JourneyDrawing,
    ScoreDrawing,
    SegmentDrawing,
    StageDrawing,
    StepDrawing,
    TriggerDrawing,
    WayDrawing,
)

Kind = Literal["wait", "branch", "split", "action", "set", "go", "goal", "leave"]


def drawing(journey: d.Journey, accounts: d.Accounts | None = None) -> JourneyDrawing:
    """One journey, with what accounts make of it."""
    stages = tuple(
        StageDrawing(stage.name, stage.side, said(stage.when) if stage.when is not None else None)
        for stage in journey.stages
    )
    scores = tuple(
        ScoreDrawing(
            score.name,
            tuple(BandDrawing(band.name, band.enter, band.leave) for band in score.bands),
            tuple(_points(rule) for rule in score.rules)
            + tuple(f"{each.where}: {each.points:g}" for each in score.traits),
        )
        for score in journey.scores
    )
    triggers = tuple(_trigger(each) for each in journey.triggers)
    segments = tuple(SegmentDrawing(each.name, said(each.when)) for each in journey.segments)
    return JourneyDrawing(
        journey.id,
        journey.version,
        stages,
        tuple(_edges(journey)),
        scores,
        segments,
        triggers,
        tuple(_flow(each) for each in journey.flows),
        tuple(_accounts(accounts)) if accounts is not None and accounts.journey == journey.id else (),
    )


def _accounts(accounts: d.Accounts) -> Iterator[AccountRule]:
    who = f"customers whose {accounts.role} is {' or '.join(accounts.roles)}" if accounts.roles else "every customer"
    left = f", until {_events(accounts.leave)}" if accounts.leave is not None else ""
    yield AccountRule("contacts", f"{who}, of the account that {accounts.account} says{left}")
    needs = [f"{stage} needs {count}" for stage, count in accounts.needs.items()]
    most = f"{accounts.contacts} contacts" if accounts.contacts > 1 else "a contact"
    yield AccountRule("stage", "; ".join([f"the highest with {most} in it or beyond", *needs]))
    for each in accounts.scores:
        cap = f", at most {each.cap:g}" if each.cap is not None else ""
        delta = f", said when it has moved by {each.min_delta:g}" if each.min_delta else ""
        yield AccountRule(each.score, f"the {'sum' if each.by == 'sum' else 'largest'} of theirs{cap}{delta}")


def _edges(journey: d.Journey) -> Iterator[Edge]:
    ordered = [stage for stage in journey.stages if not stage.side]
    for before, after in pairwise(ordered):
        yield Edge(before.name, after.name, "forward", said(after.when) if after.when is not None else None)
    for at, stage in enumerate(ordered):
        for back in stage.back:
            yield Edge(stage.name, back.stage, "backward", said(back.when))
        if stage.until is not None and at:
            yield Edge(stage.name, ordered[at - 1].name, "backward", f"{said(stage.until)} (to the highest that holds)")
    for side in (stage for stage in journey.stages if stage.side):
        when = said(side.when) if side.when is not None else None
        for origin in side.sources or tuple(stage.name for stage in ordered):
            yield Edge(origin, side.name, "aside", when)
        if side.until is not None and ordered:
            yield Edge(side.name, ordered[0].name, "return", said(side.until))


def direction(journey: d.Journey, origin: str, target: str) -> Direction:
    """What kind of move it is between two stages, by the order of the definition."""
    rank = {stage.name: at for at, stage in enumerate(journey.stages) if not stage.side}
    if target not in rank:
        return "aside"
    if origin not in rank:
        return "return"
    return "forward" if rank[target] > rank[origin] else "backward"


def said(condition: d.Condition) -> str:  # noqa: PLR0912  one branch a kind
    """A condition in words."""
    match condition:
        case d.Happened(events=events, at_least=least, within=within):
            times = f" at least {least} times" if least > 1 else ""
            return f"{_events(events)}{times}" + (f" within {format_duration(within)}" if within else "")
        case d.MessageIs(rule=rule, status=status, not_=False):
            return f"message {rule} {status}"
        case d.MessageIs(rule=rule, status=status, length=length):
            after = f" {format_duration(length)} after it was sent" if length else ""
            return f"message {rule} not {status}{after}"
        case d.Comes(events=events):
            return f"{_events(events)} comes"
        case d.Idle(events=events, length=length):
            return f"no {_events(events)} for {format_duration(length)}"
        case d.Dwell(length=length, pages=pages, last_session=last):
            there = f"{format_duration(length)} on {' or '.join(pages) or 'any page'}"
            return f"{there} in the last session" if last else there
        case d.InBand(score=score, band=band):
            return f"{score} in {band} or higher"
        case d.Level(score=score, at_least=least):
            return f"{score} at least {least:g}"
        case d.InStage(stages=stages):
            return f"in {' or '.join(stages)}"
        case d.Reached(stage=stage):
            return f"{stage} reached"
        case d.InSegment(segment=segment):
            return f"in segment {segment}"
        case d.Where(text=text):
            return text
        case d.All(of=parts):
            return " and ".join(f"({said(part)})" for part in parts)
        case d.AnyOf(of=parts):
            return " or ".join(f"({said(part)})" for part in parts)
        case d.Not(of=part):
            return f"not ({said(part)})"
        case _:
            assert_never(condition)


def _events(events: d.EventTest) -> str:
    name = events.label or " or ".join(events.names) or "anything"
    return name + (f" where {events.where}" if events.where is not None else "")


def _trigger(trigger: d.Trigger) -> TriggerDrawing:
    when = _on(trigger.on) + (f", if {said(trigger.when)}" if trigger.when is not None else "")
    action = trigger.action
    fixed = [f"{name}: {value}" for name, value in action.params.items()]
    params = ", ".join([*fixed, *(f"{name}: by {choice.by}" for name, choice in action.choices.items())])
    cooldown = format_duration(trigger.cooldown) if trigger.cooldown is not None else None
    asked = action.kind + (f" ({params})" if params else "")
    return TriggerDrawing(
        trigger.id, when, asked, trigger.mode, cooldown, _stage(trigger.on), tuple(_limits(trigger.limits))
    )


def _stage(on: d.On) -> str | None:
    match on:
        case d.OnStage(stage=stage) | d.Absence(since=d.OnStage(stage=stage)):
            return stage
        case _:
            return None


def _flow(flow: d.Flow) -> FlowDrawing:
    enter = _on(flow.enter.on) + (f", if {said(flow.enter.when)}" if flow.enter.when is not None else "")
    enter += f", for one {flow.enter.per}" if flow.enter.per is not None else ""
    return FlowDrawing(
        flow.id, enter, flow.enter.again.replace("_", " "), said(flow.exit) if flow.exit is not None else None,
        said(flow.goal) if flow.goal is not None else None,
        tuple(StepDrawing(step.name, _KINDS[type(step.do)], _step(step.do)) for step in flow.steps), tuple(_ways(flow)),
    )  # fmt: skip


_KINDS: Final[dict[type, Kind]] = {
    d.Wait: "wait", d.BranchTo: "branch", d.Split: "split", d.Act: "action", d.SetTrait: "set", d.Go: "go", d.Goal: "goal", d.Leave: "leave",
}  # fmt: skip


def _ways(flow: d.Flow) -> Iterator[WayDrawing]:
    lengths = {step.name: step.do.length or 0 for step in flow.steps if isinstance(step.do, d.Wait)}
    for way in ways(flow):
        when: str | None = None
        if way.when is not None:
            when = said(way.when)
        elif way.by == "timeout":
            when = f"after {format_duration(lengths[way.origin])}"
        elif way.by in {"otherwise", "variant"}:
            when = way.word or "otherwise"
        yield WayDrawing(way.origin, way.target or None, when)


def _step(do: d.Wait | d.BranchTo | d.Split | d.Act | d.SetTrait | d.Go | d.Goal | d.Leave) -> str:
    match do:
        case d.Wait(second=int(second), zone=zone):
            return f"wait until {_clock(second)} in " + (zone or "the customer's zone")
        case d.Wait(until=None, length=length):
            return f"wait {format_duration(length or 0)}"
        case d.Wait(until=until, length=length, otherwise=otherwise):
            most = f" at most {format_duration(length)}, then {otherwise}" if length is not None else ""
            return f"wait until {said(until) if until is not None else ''}{most}"
        case d.BranchTo(cases=cases, otherwise=otherwise):
            return "; ".join([*(f"if {said(when)}: {to}" for when, to in cases), f"otherwise {otherwise}"])
        case d.Split(experiment=experiment, variants=variants):
            return f"split {experiment}: " + ", ".join(f"{each.name} {each.share:g} to {each.go}" for each in variants)
        case d.Act(action=action, mode=mode):
            params = ", ".join(f"{name}: {value}" for name, value in action.params.items())
            return (
                f"ask for {action.kind}"
                + (f" ({params})" if params else "")
                + (" in shadow" if mode == "shadow" else "")
            )
        case d.SetTrait(trait=trait, to=to):
            return f"set {trait} to {to}"
        case d.Go(to=to):
            return f"go to {to}"
        case d.Goal(name=name):
            return f"goal {name}"
        case d.Leave():
            return "leave"
        case _:
            assert_never(do)


def _limits(limits: d.Limits) -> Iterator[str]:
    quiet, held_out = limits.quiet_hours, limits.hold_out
    if quiet is not None:
        zone = quiet.zone or "the customer's zone"
        after = {"hold": "held", "drop": "dropped", "before_expiry": "held where it does not expire before"}[quiet.do]
        yield f"{after} from {_clock(quiet.begin)} to {_clock(quiet.end)} in {zone}"
    for cap in limits.caps:
        window = f"within {format_duration(cap.within)}" if cap.within is not None else "a day"
        yield f"at most {cap.count} {window} by {cap.by}"
    if held_out is not None:
        yield f"not for {held_out.share:.4g} of customers ({held_out.experiment})"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def _on(on: d.On) -> str:
    match on:
        case d.OnEvent(events=events):
            return _events(events)
        case d.OnCondition(when=when):
            return f"as soon as {said(when)}"
        case d.OnStage(stage=stage, change=change):
            return f"{stage} {change}"
        case d.OnBand(score=score, band=band, change=change):
            return f"{score} {change} {band}"
        case d.OnSegment(segment=segment, change=change):
            return f"segment {segment} {change}"
        case d.Absence(of=of, length=length, since=since):
            text = f"no {_events(of)} for {format_duration(length)}"
            if since is None:
                return text
            return (
                f"{text} after {_events(since) if isinstance(since, d.EventTest) else f'{since.stage} {since.change}'}"
            )
        case d.Sequence():
            return sequence_text(on)
        case d.Threshold():
            return threshold_text(on)
        case d.OnDate():
            return date_text(on)
        case d.Anomaly():
            return anomaly_text(on)
        case _:
            assert_never(on)


def _points(rule: d.Points) -> str:
    points = f"{rule.points:g}" if isinstance(rule.points, int | float) else rule.points
    return f"{_events(rule.events)}: {points}"

"""A journey as a Mermaid flowchart, for places that draw those (a README, a pull request). Written from the drawing, never from YAML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rumbo.serve.model import Edge, FlowDrawing, JourneyDrawing, TriggerDrawing

WIDTH: Final = 44
"""Characters of a label's line."""
_ARROWS: Final = {"forward": "-->", "backward": "-.->", "aside": "-.->", "return": "-.->"}


def mermaid(journeys: Sequence[JourneyDrawing]) -> str:
    """The text of one flowchart; several journeys stand in it as groups."""
    names = ", ".join(f"{each.journey} {each.version}" for each in journeys)
    stages = "; ".join(f"{each.journey}: {', '.join(stage.stage for stage in each.stages)}" for each in journeys)
    lines = [
        "flowchart TD",
        f"    accTitle: {_line(f'Journey {names}')}",
        f"    accDescr: {_line(f'Stages of {stages}')}",
    ]
    for at, journey in enumerate(journeys):
        body = list(_journey(journey, f"j{at}"))
        if len(journeys) > 1:
            body = [f'subgraph j{at}["{_label(journey.journey)}"]', *(f"    {line}" for line in body), "end"]
        lines += [f"    {line}" for line in body]
    return "\n".join(lines) + "\n"


def _journey(journey: JourneyDrawing, prefix: str) -> Iterator[str]:
    ids = {stage.stage: f"{prefix}s{at}" for at, stage in enumerate(journey.stages)}
    ordered = [stage.stage for stage in journey.stages if not stage.side]
    if ordered:
        yield f'subgraph {prefix}all[" "]'
        yield from (f'    {ids[name]}(["{_label(name)}"])' for name in ordered)
        yield "end"
    yield from (f'{ids[stage.stage]}{{{{"{_label(stage.stage)}"}}}}' for stage in journey.stages if stage.side)
    yield from _edges(journey, prefix, ids)
    for at, trigger in enumerate(journey.triggers):
        yield from _trigger(trigger, f"{prefix}t{at}", ids)
    if journey.accounts:
        rules = "<br/>".join(_label(f"{each.of}: {each.rule}") for each in journey.accounts)
        yield f'{prefix}accounts[/"accounts<br/>{rules}"/]'
    for at, flow in enumerate(journey.flows):
        yield f'subgraph {prefix}f{at}["{_label(f"flow {flow.flow}")}"]'
        yield from (f"    {line}" for line in _flow(flow, f"{prefix}f{at}"))
        yield "end"


def _edges(journey: JourneyDrawing, prefix: str, ids: dict[str, str]) -> Iterator[str]:
    """One line an edge; a side stage that is entered from every ordered one is entered from their frame, and left into it."""
    ordered = {stage.stage for stage in journey.stages if not stage.side}
    origins = {
        side: {edge.origin for edge in journey.edges if edge.kind == "aside" and edge.target == side} for side in ids
    }
    drawn: set[str] = set()
    for edge in journey.edges:
        origin, target = ids[edge.origin], ids[edge.target]
        if edge.kind == "aside" and origins[edge.target] == ordered:
            if edge.target in drawn:
                continue
            drawn.add(edge.target)
            origin = f"{prefix}all"
        if edge.kind == "return":
            target = f"{prefix}all"
        yield f"{origin} {_ARROWS[edge.kind]}{_when(edge)} {target}"


def _when(edge: Edge) -> str:
    where = " (to the highest that holds)" if edge.kind == "return" else ""
    return f'|"{_label(edge.when + where)}"|' if edge.when else ""


def _trigger(trigger: TriggerDrawing, name: str, ids: dict[str, str]) -> Iterator[str]:
    mode = " (shadow)" if trigger.mode == "shadow" else ""
    yield f'{name}["{_label(trigger.trigger + mode)}<br/>{_label(trigger.when)}<br/>{_label(f"asks for {trigger.action}")}"]'
    if trigger.stage is not None:
        yield f"{ids[trigger.stage]} -.- {name}"


def _flow(flow: FlowDrawing, prefix: str) -> Iterator[str]:
    """What begins an instance, its steps, the ways between them, and what ends it in the middle of a wait."""
    ids = {step.step: f"{prefix}s{at}" for at, step in enumerate(flow.steps)}
    end = f"{prefix}end"
    yield f'{prefix}in(["{_label(f"begins: {flow.enter}")}<br/>{_label(f"again: {flow.again}")}"])'
    for step in flow.steps:
        left, right = _SHAPES.get(step.kind, ("[", "]"))
        yield f'{ids[step.step]}{left}"{_label(step.step)}<br/>{_label(step.text)}"{right}'
    yield f'{end}(["over"])'
    yield f"{prefix}in --> {ids[flow.steps[0].step]}"
    for way in flow.ways:
        when = f'|"{_label(way.when)}"|' if way.when else ""
        yield f"{ids[way.origin]} -->{when} {ids[way.target] if way.target is not None else end}"
    for name, ends in (("exit", flow.exit), ("goal", flow.goal)):
        if ends is not None:
            yield f'{prefix}{name}{{{{"{_label(f"{name}, at any step: {ends}")}"}}}} -.-> {end}'


_SHAPES: Final = {
    "wait": ("([", "])"),
    "branch": ("{", "}"),
    "split": ("{", "}"),
    "goal": ("[[", "]]"),
    "leave": ("[[", "]]"),
}


def _label(text: str) -> str:
    lines = textwrap.wrap(_visible(text), WIDTH) or [""]
    return "<br/>".join("".join(_ENTITIES.get(each, each) for each in line) for line in lines)


_ENTITIES: Final = {each: f"#{ord(each)};" for each in '"#&<>;`\\'}


def _line(text: str) -> str:
    """One line that cannot end early or begin a comment."""
    return _visible(text).replace("%%", "% %").replace(";", ",").replace("#", "")


def _visible(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())

"""Segments as authors write them: named conditions, each put after those that it names; circles are refused."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from rumbo.core.definition import Segment
from rumbo.topology.conditions import MOST_DEEP, condition, segments_in
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words


def segments(fields: Fields, words: Words) -> tuple[Segment, ...]:
    """The `segments` of a journey."""
    written = fields.mapping("segments")
    built = {name: condition(body, f"segments.{name}", words) for name, body in written.items()}
    order = TopologicalSorter({name: sorted(segments_in(made) & built.keys()) for name, made in built.items()})
    try:
        names = tuple(order.static_order())
    except CycleError as error:
        chain = " -> ".join(error.args[1])
        words.notes.error(
            fields.at("segments"),
            f"segments: they name each other in a circle ({chain})",
            "take the condition that they share into `define`",
        )
        return ()
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = 1 + max((depth.get(each, 0) for each in segments_in(built[name])), default=0)
        if depth[name] > MOST_DEEP:
            words.notes.error(
                written[name].line,
                f"segments: '{name}' names others more than {MOST_DEEP} levels deep",
                "name what it needs of them in it",
            )
    return tuple(
        Segment(name, made) for name in names if (made := built[name]) is not None and depth[name] <= MOST_DEEP
    )

"""What is allowed and probably not meant: told from the checked definition, each with its line and cure. Warnings, never errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from rumbo.core import definition as d
from rumbo.core.instant import format_duration
from rumbo.core.interaction import folded
from rumbo.core.reach import Reach
from rumbo.topology.fit import matrix_names
from rumbo.topology.lint_flow import FlowLint
from rumbo.topology.words import Words
from rumbo.topology.yaml import Yaml, inside, named

_NEAR = 0.92
_NEAR_WORD = 0.8
_MANY = 300
"""Names of a kind that are compared with each other; more are made by a program, which does not slip."""
_APART = 2
_CURE = "if they are meant to differ, let them differ more"
_LETTERS = 4
"""A word of fewer letters says too little to be a slip of the pen."""


def lint(journey: d.Journey, node: Yaml, words: Words) -> None:
    """Look at one journey; what an error has left out of it is possible."""
    _Lint(journey, node, words).look()


class _Lint:
    def __init__(self, journey: d.Journey, node: Yaml, words: Words) -> None:
        self._journey, self._node, self._notes = journey, node, words.notes
        self._reach, self._words = Reach(journey), words
        self._lists = {name: named(found) for name, found in node.value.items()} if isinstance(node.value, dict) else {}
        """What is listed under each key, by name."""

    def look(self) -> None:
        for stage in self._journey.stages:
            self._stage(stage)
        for score in self._journey.scores:
            self._score(score)
        cells = frozenset(matrix_names(inside(self._node, "matrix")))
        for segment in self._journey.segments:
            cell = segment.name in cells
            path = ("matrix", "cells", segment.name) if cell else ("segments", segment.name)
            where, line = ".".join(path), self._line(*path)
            self._constant(segment.when, line, where, "nobody is ever in it", "everybody is always in it")
            self._unbounded(segment.when, line, where)
        for trigger in self._journey.triggers:
            self._trigger(trigger)
        for flow in self._journey.flows:
            self._flow(flow)
        for kind in ("define", "policies", "segments", "scores"):
            known = inside(self._node, kind)
            if known is not None and isinstance(known.value, dict):
                self._near(kind, known.keys.items())
        self._near("stages", [(each.name, self._line("stages", each.name)) for each in self._journey.stages])
        self._near("triggers", [(each.id, self._line("triggers", each.id)) for each in self._journey.triggers])
        self._near("flows", [(each.id, self._line("flows", each.id)) for each in self._journey.flows])
        self._near("event", [(name, line) for name, line in self._words.events.values()], "is it the same event?")

    def _line(self, *path: str) -> int:
        """The line of what stands there: keys of mappings, names in lists."""
        node = self._node
        for depth, name in enumerate(path):
            listed = self._lists.get(path[0]) if depth == 1 else None
            found = listed.get(name) if listed else inside(node, name)
            if found is None:
                break
            node = found
        return node.line

    def _stage(self, stage: d.Stage) -> None:
        where, line = f"stages.{stage.name}", self._line("stages", stage.name, "when")
        if stage.name not in self._reach.stages:
            self._notes.warn(
                line,
                f"{where}: nobody can ever come here",
                "its `when` can never hold, or no stage that leads to it is ever reached",
            )
        elif stage.when is not None:
            self._constant(
                stage.when,
                line,
                f"{where}.when",
                "only a later stage brings anyone here",
                "everybody is here from the first interaction on",
            )
        if stage.until is not None:
            self._constant(
                stage.until,
                self._line("stages", stage.name, "until"),
                f"{where}.until",
                "nobody leaves by it",
                "everybody leaves at once",
            )
        for back in stage.back:
            self._constant(
                back.when,
                self._line("stages", stage.name, "back_to"),
                f"{where}.back_to",
                "nobody ever goes back",
                "everybody goes back at once",
            )

    def _score(self, score: d.Score) -> None:
        most = self._reach.highest[score.name]
        for band in score.bands:
            if band.enter > most:
                self._notes.warn(
                    self._line("scores", score.name, "bands"), f"scores.{score.name}: nobody ever enters band '{band.name}' at {band.enter:g}, the score never exceeds {most:g}",
                    "raise a cap, or lower the band",
                )  # fmt: skip
        for rule in score.rules:
            if rule.when is not None:
                self._constant(
                    rule.when,
                    self._line("scores", score.name, "points"),
                    f"scores.{score.name}: rule '{rule.key}'",
                    "it never awards anything",
                    "leave `when` out",
                )

    def _trigger(self, trigger: d.Trigger) -> None:
        where = f"triggers.{trigger.id}"
        if trigger.when is not None:
            self._constant(
                trigger.when,
                self._line("triggers", trigger.id, "only_if"),
                f"{where}.only_if",
                "it never acts",
                "leave `only_if` out",
            )
        self._on(trigger.on, ("triggers", trigger.id), where, "it never fires")

    def _on(self, on: d.On, path: tuple[str, ...], where: str, never: str) -> None:
        """What calls a trigger, or begins a flow."""
        match on:
            case d.OnCondition(when=when):
                line = self._line(*path, "when")
                always = "it is true once, at the first interaction of each customer"
                self._constant(when, line, f"{where}.when", never, always)
                self._unbounded(when, line, f"{where}.when")
            case d.OnStage(stage=stage) | d.Absence(since=d.OnStage(stage=stage)) if stage not in self._reach.stages:
                self._notes.warn(
                    self._line(*path), f"{where}: {never}, nobody can ever be in stage '{stage}'", "see that stage"
                )
            case d.OnBand(score=score, band=band) if self._reach.verdict(d.InBand(score, band)) is False:
                self._notes.warn(
                    self._line(*path, "score"), f"{where}: {never}, nobody ever enters band '{band}'", "see that score"
                )
            case d.OnSegment(segment=segment) if self._reach.verdict(d.InSegment(segment)) is False:
                self._notes.warn(
                    self._line(*path), f"{where}: {never}, nobody is ever in segment '{segment}'", "see that segment"
                )
            case _:
                pass

    def _flow(self, flow: d.Flow) -> None:
        own = self._lists.get("flows", {}).get(flow.id)
        found = FlowLint(flow, own or self._node, self._reach, self._notes)
        found.look(self._constant)
        self._on(flow.enter.on, ("flows", flow.id, "enter"), f"flows.{flow.id}.enter", "nobody ever begins it")
        self._near(f"flows.{flow.id}: step", found.names())

    def _constant(self, condition: d.Condition, line: int, where: str, never: str, always: str) -> None:
        """A condition that is decided before anything happens. Of an expression alone `Words` has said so already."""
        if isinstance(condition, d.Where):
            return
        found = self._reach.verdict(condition)
        if found is not None:
            what = "always holds" if found else "can never hold"
            self._notes.warn(line, f"{where}: this {what}", always if found else never)

    def _unbounded(self, condition: d.Condition, line: int, where: str) -> None:
        """A count over a whole life, where a count over a while is usual."""
        for each in _counts(condition):
            if each.at_least > 1 and each.within is None:
                self._notes.warn(
                    line, f"{where}: counts {each.at_least} of {each.events.label or 'any interaction'} over the customer's whole life",
                    f"add `within`, for example within: {format_duration(30 * 86_400_000_000)}; a count over a life belongs to a stage",
                )  # fmt: skip

    def _near(self, kind: str, names: Iterable[tuple[str, int]], cure: str = _CURE) -> None:
        known = list(names)
        if len(known) > _MANY:
            return
        for at, (name, line) in enumerate(known):
            other = next(
                (each for each, _ in known[:at] if abs(len(each) - len(name)) <= _APART and nearly(each, name)), None
            )
            if other is not None:
                self._notes.warn(line, f"{kind} '{name}' is nearly '{other}'", cure)


def nearly(one: str, other: str) -> bool:
    """Whether two names differ as by a slip of the pen: not in a number, not in a letter that stands for itself, not in a whole word."""
    bare, bare_other = (re.sub(r"\d+", "", each) for each in (one, other))
    if bare == bare_other:
        return False
    words, others = _words(bare), _words(bare_other)
    if len(words) == len(others):
        differ = [(a, b) for a, b in zip(words, others, strict=True) if a != b]
        return len(differ) == 1 and min(map(len, differ[0])) >= _LETTERS and _slipped(*differ[0])
    return _like(folded(bare), folded(bare_other)) >= _NEAR


def _slipped(one: str, other: str) -> bool:
    return sorted(one) == sorted(other) or _like(one, other) >= _NEAR_WORD


def _words(name: str) -> list[str]:
    return re.split(r"[\s_-]+", name.strip().casefold())


def _like(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _counts(condition: d.Condition) -> Iterator[d.Happened]:
    match condition:
        case d.Happened():
            yield condition
        case d.All(of=parts) | d.AnyOf(of=parts):
            for part in parts:
                yield from _counts(part)
        case d.Not(of=part):
            yield from _counts(part)
        case _:
            return

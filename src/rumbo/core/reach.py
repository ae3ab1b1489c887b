"""What can come of a journey and what never can, told from its definition alone. It is careful: what it does not know, is possible.

Everyone begins in the first stage. A later stage is entered when its `when` holds, or as a step between (`implied`) on the way to one
that is. Who has authority may set any stage.
"""

from __future__ import annotations

from typing import Final

from rumbo.core.definition import (
    All,
    AnyOf,
    Comes,
    Condition,
    Dwell,
    Happened,
    Idle,
    InBand,
    InSegment,
    InStage,
    Journey,
    Level,
    MessageIs,
    Not,
    Reached,
    Score,
    Stage,
    Where,
)
from rumbo.core.expression import ExpressionError, parse, verdict

_INFINITE: Final = float("inf")


class Reach:
    """One journey, looked at once."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self.highest = {score.name: highest(score) for score in journey.scores}
        """The value that each score cannot exceed."""
        self._scores = {score.name: score for score in journey.scores}
        self._segments = {segment.name: segment.when for segment in journey.segments}
        self._told: dict[tuple[str, frozenset[str], frozenset[str]], bool | None] = {}
        self._ordered = tuple(stage.name for stage in journey.stages if not stage.side)
        self._rank = {name: rank for rank, name in enumerate(self._ordered)}
        self.stages = self._stages()
        """The stages that somebody can be in."""

    def _stages(self) -> frozenset[str]:
        names = frozenset(stage.name for stage in self._journey.stages)
        if self._journey.authority.sets:
            return names
        found = frozenset(self._ordered[:1])
        while True:
            more = found | {each.name for each in self._journey.stages if self._enters(each, found)}
            furthest = max((self._rank[name] for name in more if name in self._rank), default=0)
            more |= set(self._ordered[: furthest + 1])
            if more == found:
                return found
            found = more

    def _enters(self, stage: Stage, found: frozenset[str]) -> bool:
        """Whether somebody in one of the stages found so far can come to this one."""
        if stage.side:
            origins = frozenset(stage.sources or self._ordered) & found
        else:
            before = frozenset(self._ordered[: self._rank[stage.name]])
            origins = frozenset(each for each in found if each in before or each not in self._rank)
        if not origins:
            return False
        return stage.when is None or self.verdict(stage.when, origins, found) is not False

    def verdict(
        self, condition: Condition, here: frozenset[str] | None = None, found: frozenset[str] | None = None
    ) -> bool | None:
        """True: it holds whatever comes. False: it never can. None: it depends. `here`: the stages it is asked in."""
        found = self.stages if found is None else found
        here = found if here is None else here
        match condition:
            case Happened(events=events) | Comes(events=events) | Idle(events=events):
                return False if events.where is not None and _folded(events.where) is False else None
            case Where(text=text):
                return _folded(text)
            case InBand() | Level():
                return self._score(condition)
            case MessageIs() | Dwell():
                return None
            case InStage(stages=stages):
                return False if not here & set(stages) else True if here <= set(stages) else None
            case Reached(stage=stage):
                return self._reached(stage, found)
            case InSegment(segment=segment):
                return self._segment(segment, here, found)
            case All(of=parts):
                return self._all(parts, here, found)
            case AnyOf(of=parts):
                answers = {self.verdict(part, here, found) for part in parts}
                return True if True in answers else False if answers == {False} else None
            case Not(of=part):
                return self._not(part, here, found)

    def _segment(self, name: str, here: frozenset[str], found: frozenset[str]) -> bool | None:
        """Of a segment that several name, once."""
        if name not in self._segments:
            return None
        asked = name, here, found
        if asked not in self._told:
            self._told[asked] = self.verdict(self._segments[name], here, found)
        return self._told[asked]

    def _all(self, parts: tuple[Condition, ...], here: frozenset[str], found: frozenset[str]) -> bool | None:
        asked = [set(part.stages) for part in parts if isinstance(part, InStage)]
        nowhere = bool(asked) and not here.intersection(*asked)
        answers = {self.verdict(part, here, found) for part in parts}
        opposed = any(isinstance(part, Not) and part.of in parts for part in parts)
        if False in answers or opposed or nowhere:
            return False
        return True if answers == {True} else None

    def _not(self, part: Condition, here: frozenset[str], found: frozenset[str]) -> bool | None:
        answer = self.verdict(part, here, found)
        if answer is True:
            return False
        return True if answer is False and isinstance(part, InStage | Reached | InBand | Level) else None

    def _score(self, condition: InBand | Level) -> bool | None:
        score, most = self._scores.get(condition.score), self.highest.get(condition.score, _INFINITE)
        if isinstance(condition, Level):
            if condition.at_least > most:
                return False
            floor = score.floor if score is not None and not score.disqualify else None
            return True if floor is not None and condition.at_least <= min(floor, 0.0) else None
        enter = (
            next((band.enter for band in score.bands if band.name == condition.band), 0.0) if score is not None else 0.0
        )
        return False if enter > most else None

    def _reached(self, stage: str, found: frozenset[str]) -> bool | None:
        rank = self._rank.get(stage)
        if rank is None:
            return None
        if rank == 0:
            return True
        return None if any(self._rank.get(name, -1) >= rank for name in found) else False


def _folded(text: str) -> bool | None:
    try:
        return verdict(parse(text))
    except ExpressionError:  # told where it stands
        return None


def highest(score: Score) -> float:
    """The value that a score cannot exceed: by its cap, its groups' caps, and rules that award once in a life."""
    caps = {group.name: group.cap for group in score.groups}
    sums: dict[str, float] = {}
    for rule in score.rules:
        worth = _most(rule.points, once=rule.once)
        sums[rule.group] = sums.get(rule.group, 0.0) + worth
    fit = sum(max(rule.points, rule.otherwise, 0.0) for rule in score.traits)
    total = fit + sum(
        min(worth, cap) if (cap := caps.get(group)) is not None else worth for group, worth in sums.items()
    )
    return min(total, score.cap) if score.cap is not None else total


def _most(points: float | str, *, once: bool) -> float:
    if isinstance(points, str):
        return _INFINITE
    return max(points, 0.0) if once or points <= 0 else _INFINITE

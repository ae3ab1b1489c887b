"""The customer's last survey answers: the latest of each survey by event time, with the stages that led to it. It never decides.

An answer is known by its survey; of two, the one that was given later counts, at one instant the one with the larger event id. So the
answers that are kept are the same in every order of arrival, and a repeat changes nothing. Scales: NPS 0 to 10 (Reichheld, *The One
Number You Need to Grow*, 2003), CSAT 1 to 5, CES 1 to 7 (its second form); whole numbers. A score outside of its scale is no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rumbo.core.definition import SCALES, AnswerRule, SurveyKind
from rumbo.core.instant import Instant
from rumbo.core.interaction import Interaction
from rumbo.core.mistyped import Mistyped
from rumbo.core.profile import Profile
from rumbo.core.scope import Read, Turn
from rumbo.core.tracking import kind_of
from rumbo.core.vocabulary import Words

SURVEYS: Final = 16
"""Surveys whose answer is kept, those answered last."""
NAME: Final = 128
"""Characters of a survey's name that are kept."""
COMMENT: Final = 280
"""Characters of a comment that are kept."""
PATH: Final = 8
"""Stages of each journey that are kept with an answer, those entered last."""
RULE: Final = "answers"
"""The rule's name in counts and in the tracking plan."""

Hear = Callable[[Turn], bool]


class Answer(NamedTuple):
    """One answer. `path`: journey -> the stages entered until then, [stage, at], the one that the customer was in last."""

    at: Instant
    event: str
    kind: SurveyKind
    score: int
    comment: str
    path: dict[str, list[list[Any]]]


class Answers:
    """The rules of one topology that say which interactions are answers."""

    def __init__(self, rules: tuple[AnswerRule, ...], words: Words) -> None:
        self._met = words.met
        self._rules = tuple(
            (each.events, words.read(each.events.where) if each.events.where is not None else None, self._hear(each, words.read))
            for each in rules
        )  # fmt: skip

    def listening(self, key: str) -> tuple[tuple[Read | None, Hear], ...]:
        """What to do for an interaction of this (folded) name: a guard or None, and who takes it in."""
        return tuple((where, hear) for events, where, hear in self._rules if key in events.names)

    def mentioned(self) -> set[str]:
        """Every event name that is listened to."""
        return {name for events, _, _ in self._rules for name in events.names}

    def _hear(self, rule: AnswerRule, read: Callable[[str], Read]) -> Hear:
        survey, score, kind = read(rule.survey), read(rule.score), read(rule.kind)
        comment = read(rule.comment) if rule.comment is not None else None

        def hear(turn: Turn) -> bool:
            event = turn.event
            if event is None:
                return False
            name, said = survey(turn), comment(turn) if comment is not None else ""
            sort = self._kind(event, rule, kind(turn))
            value = self._score(event, rule, sort, score(turn)) if sort is not None else None
            if sort is None or value is None or not isinstance(name, str) or not name.strip():
                turn.counts["answer_ignored"] += 1
                return False
            text = said[:COMMENT] if isinstance(said, str) else ""
            _keep(
                turn, name.strip()[:NAME], Answer(event.at, event.id, sort, value, text, _path(turn.profile, event.at))
            )
            return False  # no consent has changed

        return hear

    def _kind(self, event: Interaction, rule: AnswerRule, found: Any) -> SurveyKind | None:
        """The kind; what came in its place is counted, unless that has been done where it was read."""
        kind = found.strip().casefold() if isinstance(found, str) else ""
        if kind in SCALES:
            return kind
        if isinstance(found, str):
            self._met.count(event, Mistyped("", RULE, rule.kind, f"one of {', '.join(SCALES)}", "another text"))
        return None

    def _score(self, event: Interaction, rule: AnswerRule, kind: SurveyKind, found: Any) -> int | None:
        """The score as a whole number of its scale; a number outside is counted by rule and field."""
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        least, most, _ = SCALES[kind]
        if least <= found <= most and found == int(found):
            return int(found)
        needs = f"a whole number from {least} to {most}"
        self._met.count(event, Mistyped("", RULE, rule.score, needs, f"another {kind_of(found)}"))
        return None


def _path(profile: Profile, at: Instant) -> dict[str, list[list[Any]]]:
    """Each journey's stages entered until then; a journey that began later has none."""
    found = {
        name: [[stage, when] for stage, when in state.history if when <= at][-PATH:]
        for name, state in profile.journeys.items()
    }
    return {name: path for name, path in found.items() if path}


def _keep(turn: Turn, survey: str, answer: Answer) -> None:
    """The later answer of a survey; beyond the cap the survey goes that was answered longest ago."""
    kept = turn.profile.answers
    if kept is None:
        kept = turn.profile.answers = {}
    old = kept.get(survey)
    if old is not None and (old[0], old[1]) >= (answer.at, answer.event):
        return
    kept[survey] = list(answer)
    if len(kept) > SURVEYS:
        del kept[min(kept, key=lambda each: (kept[each][0], kept[each][1], each))]
        turn.counts["answers_full"] += 1


def answers_of(profile: Profile) -> list[tuple[str, Answer]]:
    """Survey and answer, the latest first."""
    found = [(survey, Answer(*entry)) for survey, entry in (profile.answers or {}).items()]
    return sorted(found, key=lambda each: (-each[1].at, each[0]))


def class_of(kind: SurveyKind, score: int) -> str:
    """The class of a score: `promoter`, `passive`, `detractor`; `satisfied`, `easy` or not."""
    return next(name for least, name in SCALES[kind][2] if score >= least)

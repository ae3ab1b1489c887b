"""What a trigger follows over time, as authors write it: sequences, the silence of a set of events, figures and dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from rumbo.core.definition import Absence, Anomaly, EventTest, On, OnDate, Sequence, SequenceStep, Threshold
from rumbo.core.instant import DAY, HOUR
from rumbo.core.sequence import STEPS
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words, event_test
from rumbo.topology.yaml import Yaml

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_YEAR: Final = 366 * DAY
_EXAMPLE: Final = "for example {steps: [Cart Viewed, {followed_by: Order Completed}], within: 2d}"


def inactivity(node: Yaml, where: str, words: Words) -> Absence | None:
    """`{of: [X, Y], for: 30d}`: none of a set of events, or (`of: any`) nothing at all, for so long after the last one."""
    fields = Fields(node, where, ("of", "for"), words.notes)
    of, length = fields.node("of"), fields.length("for")
    if of is None or length is None:
        words.notes.error(
            node.line, f"{where}: needs `of` and `for`", "for example {of: [Page Viewed, Report Exported], for: 30d}"
        )
        return None
    anything = EventTest((), None, "any interaction")
    return Absence(anything if of.value == "any" else event_test(of, f"{where}.of", words), length)


def sequence(node: Yaml, where: str, words: Words) -> Sequence | None:
    """`{steps: [X, {followed_by: Y, not: Z}, {next: W}], within: 2d, per: expression, skip: past_last or none}`."""
    fields = Fields(node, where, ("steps", "within", "per", "skip"), words.notes)
    nodes, within = fields.items("steps"), fields.length("within")
    if within is None:
        words.notes.error(node.line, f"{where}: `within` is missing: no match may wait for ever", _EXAMPLE)
    if not 2 <= len(nodes) <= STEPS:  # noqa: PLR2004  one alone is an event
        words.notes.error(
            fields.at("steps"), f"{where}: {len(nodes)} steps", f"two to {STEPS}; one alone is `event: …`"
        )
    steps = [_step(each, at, f"{where}.steps[{at}]", words) for at, each in enumerate(nodes)]
    per, skip = fields.text("per"), fields.choice("skip", ("past_last", "none"), "past_last")
    if per is not None:
        words.expression(per, fields.at("per"), where, wants="dyn", event_only=True)
    made = tuple(each for each in steps if each is not None)
    if within is None or len(made) < max(len(nodes), 2) or len(made) > STEPS:
        return None
    return Sequence(made, within, per, skip)  # type: ignore[arg-type]  # one of the choices


def _step(node: Yaml, at: int, where: str, words: Words) -> SequenceStep | None:
    """An event as anywhere (the first; later ones follow relaxed), or `followed_by` or `next` with an event."""
    said = node.value if isinstance(node.value, dict) else {}
    forms = [each for each in ("followed_by", "next") if each in said]
    if not forms:
        if "not" in said:
            words.notes.error(node.line, f"{where}: `not` goes with `followed_by`", "{followed_by: Y, not: Z}")
            return None
        return SequenceStep(event_test(node, where, words))
    if at == 0 or len(forms) > 1:
        what = "nothing comes before the first step" if at == 0 else "both `followed_by` and `next`"
        words.notes.error(
            node.line, f"{where}: {what}", "the first is an event, the others {followed_by: X} or {next: X}"
        )
        return None
    fields = Fields(node, where, (forms[0], "not"), words.notes)
    events, unless = fields.node(forms[0]), fields.node("not")
    if events is None or events.value is None:
        words.notes.error(
            node.line,
            f"{where}: `{forms[0]}` needs an event, not nothing",
            "for example {followed_by: Order Completed}",
        )
        return None
    strict = forms[0] == "next"
    if strict and unless is not None:
        words.notes.error(
            fields.at("not"),
            f"{where}: nothing can come before what is `next`, so `not` has no meaning",
            "leave it out",
        )
        return None
    return SequenceStep(
        event_test(events, f"{where}.{forms[0]}", words),
        strict,
        event_test(unless, f"{where}.not", words) if unless is not None else None,
    )


def threshold(node: Yaml, where: str, words: Words) -> Threshold | None:
    """`{score or trait: name, rises_to or falls_below: number}`."""
    fields = Fields(node, where, ("score", "trait", "rises_to", "falls_below"), words.notes)
    of = _one(fields, ("score", "trait"), where, words)
    direction = _one(fields, ("rises_to", "falls_below"), where, words)
    if of is None or direction is None:
        return None
    name, limit = fields.text(of), fields.number(direction)
    if name is None or limit is None:
        return None
    if of == "score" and name not in words.bands:
        words.notes.unknown(fields.at("score"), f"{where}: score", name, words.bands)
        return None
    return Threshold(of, name, limit, "up" if direction == "rises_to" else "down")  # type: ignore[arg-type]  # one of the two


def _one(fields: Fields, keys: tuple[str, str], where: str, words: Words) -> str | None:
    found = [key for key in keys if fields.has(key)]
    if len(found) != 1:
        words.notes.error(
            fields.line,
            f"{where}: needs one of `{keys[0]}` and `{keys[1]}`",
            "for example {trait: seats, rises_to: 10}",
        )
        return None
    return found[0]


def date(node: Yaml, where: str, words: Words) -> OnDate | None:
    """`{trait: renewal_date, before or after: 30d, at: "09:00", every: year}`."""
    fields = Fields(node, where, ("trait", "before", "after", "at", "every"), words.notes)
    trait = fields.needed("trait", "the trait that holds the date, for example trait: renewal_date")
    before, after = fields.length("before", 0, zero=True) or 0, fields.length("after", 0, zero=True) or 0
    if fields.has("before") and fields.has("after"):
        words.notes.error(fields.at("after"), f"{where}: both `before` and `after`", "keep one of them")
    yearly = fields.choice("every", ("year", "once"), "once") == "year"
    if yearly and max(before, after) > _YEAR:
        words.notes.error(
            fields.line, f"{where}: more than a year away from a date that comes each year", "at most 366d"
        )
    return OnDate(trait, after - before, _time(fields, where, words), yearly) if trait else None


def anomaly(node: Yaml, where: str, words: Words) -> Anomaly | None:
    """`{of: X, per: 1d, change: drop or rise, deviations: 3, half_life: 14d, warm_up: 14}`."""
    fields = Fields(node, where, ("of", "per", "change", "deviations", "half_life", "warm_up"), words.notes)
    of, per = fields.node("of"), fields.length("per", DAY) or DAY
    if of is None:
        words.notes.error(node.line, f"{where}: `of` is missing", "for example {of: Report Exported, change: drop}")
        return None
    half_life, deviations = fields.length("half_life", 14 * per) or 14 * per, fields.number("deviations", 3.0)
    if per < HOUR:
        words.notes.error(
            fields.at("per"), f"{where}: `per` is less than an hour", "each active customer has a timer a period"
        )
    if half_life < per:
        words.notes.error(fields.at("half_life"), f"{where}: `half_life` is shorter than `per`", "as a rule 14 periods")
    if deviations is not None and deviations <= 0:
        words.notes.error(fields.at("deviations"), f"{where}: `deviations` must be more than 0", "as a rule 3")
    change, warm_up = fields.choice("change", ("drop", "rise"), "drop"), fields.whole("warm_up", 14, most=1000)
    return Anomaly(event_test(of, f"{where}.of", words), per, change, deviations or 3.0, half_life, warm_up)  # type: ignore[arg-type]  # one of the choices


def _time(fields: Fields, where: str, words: Words) -> int | None:
    """A time of day in seconds."""
    text = fields.text("at")
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        words.notes.error(fields.at("at"), f"{where}: '{text}' is no time of day", 'write it like "09:00"')
        return None
    hours, minutes, seconds = found.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


PATTERNS: Final[dict[str, Callable[[Yaml, str, Words], On | None]]] = {
    "inactivity": inactivity,
    "sequence": sequence,
    "threshold": threshold,
    "date": date,
    "anomaly": anomaly,
}
"""Each form, and who reads it."""

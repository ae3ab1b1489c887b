"""What a trigger follows over time, as authors write it: sequences, and the silence of a set of events."""

from __future__ import annotations

from typing import Final

from rumbo.core.definition import Absence, EventTest, Sequence, SequenceStep
from rumbo.core.sequence import STEPS
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words, event_test
from rumbo.topology.yaml import Yaml

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
        words.notes.error(node.line, f"{where}: `{forms[0]}` needs an event, not nothing")
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

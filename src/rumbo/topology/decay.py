"""Ways of decay as authors write them: a half-life, steps, a window, inactivity."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from rumbo.core.decay import CELLS, life
from rumbo.core.definition import Decay, IdleStep, Idling, Steps
from rumbo.core.instant import Duration
from rumbo.topology.fields import Fields, kind
from rumbo.topology.words import Words
from rumbo.topology.yaml import Yaml

_FORMS: Final = ("step_linear", "step_geometric", "window", "inactivity")
_EXAMPLE: Final = "for example {step_linear: 25%, every: 30d}, {window: 90d} or {inactivity: 45d, multiply: 0.5}"


class Fading(NamedTuple):
    """How points lose their worth; neither is no decay."""

    half_life: Duration | None
    decay: Decay | None = None


def fading(fields: Fields, inherited: Fading, words: Words) -> Fading:
    """`half_life` or `decay`, inherited where both are absent; `half_life: none` is no decay."""
    half_life, node = fields.node("half_life"), fields.node("decay")
    if half_life is not None and node is not None:
        words.notes.error(fields.at("decay"), f"{fields.where}: both `half_life` and `decay`", "keep one of them")
    if node is not None:
        made = _decay(node, f"{fields.where}.decay", words)
        return Fading(None, made) if made is not None else inherited
    if half_life is None:
        return inherited
    return Fading(None) if half_life.value == "none" else Fading(fields.length("half_life", inherited.half_life))


def _decay(node: Yaml, where: str, words: Words) -> Decay | None:
    fields = Fields(node, where, (*_FORMS, "every", "multiply", "set"), words.notes)
    forms = [form for form in _FORMS if fields.has(form)]
    if len(forms) != 1:
        words.notes.error(node.line, f"{where}: needs one of {', '.join(_FORMS)}", _EXAMPLE)
        return None
    match forms[0]:
        case "window":
            length = fields.length("window")
            return Steps(1.0, length) if length is not None else None
        case "inactivity":
            return _inactivity(node, fields, where, words)
        case form:
            return _steps(fields, form, where, words)


def _steps(fields: Fields, form: str, where: str, words: Words) -> Steps | None:
    rate, every = _share(fields, form, where, words), fields.length("every")
    if every is None:
        words.notes.error(fields.line, f"{where}: `every` is missing", _EXAMPLE)
    if rate is None or every is None:
        return None
    made = Steps(rate, every, geometric=form == "step_geometric")
    if life(made) > CELLS:
        words.notes.error(
            fields.at(form),
            f"{where}: {life(made)} steps until nothing is left, at most {CELLS}",
            "take more a step, or use a half_life",
        )
        return None
    return made


def _share(fields: Fields, form: str, where: str, words: Words) -> float | None:
    """`25%` or 0.25: above 0, at most all."""
    node = fields.node(form)
    value = node.value if node is not None else None
    if isinstance(value, str) and value.endswith("%"):
        try:
            value = float(value[:-1]) / 100
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        words.notes.error(fields.at(form), f"{where}: `{form}` is the share that each step takes", "for example 25%")
        return None
    return float(value)


def _inactivity(node: Yaml, fields: Fields, where: str, words: Words) -> Idling | None:
    """One step, or a list of `{idle, set or multiply}` from the shortest on."""
    found = fields.node("inactivity")
    listed = found is not None and isinstance(found.value, list)
    items = fields.items("inactivity") if listed else [node]
    steps = [_idle_step(item, "idle" if listed else "inactivity", where, words) for item in items]
    made = tuple(step for step in steps if step is not None)
    if not made or len(made) < len(steps):
        return None
    if any(later.idle <= earlier.idle for earlier, later in pairwise(made)):
        words.notes.error(
            node.line, f"{where}: each step must be longer than the one before", "list them from the shortest on"
        )
        return None
    return Idling(made)


def _idle_step(node: Yaml, key: str, where: str, words: Words) -> IdleStep | None:
    if not isinstance(node.value, dict):
        words.notes.error(node.line, f"{where}: a step is a mapping, not {kind(node)}", _EXAMPLE)
        return None
    fields = Fields(node, where, (key, "multiply", "set"), words.notes)
    idle, multiply, at_most = fields.length(key), fields.number("multiply"), fields.number("set")
    if (multiply is None) is (at_most is None):
        words.notes.error(node.line, f"{where}: needs one of `set` and `multiply`", _EXAMPLE)
        return None
    if multiply is not None and not 0 <= multiply <= 1:
        words.notes.error(
            fields.at("multiply"), f"{where}: `multiply` is a share, from 0 to 1", "for example multiply: 0.5"
        )
        return None
    return IdleStep(idle, multiply, at_most) if idle is not None else None

"""Stages as authors write them: an ordered list, side stages among it, ways back."""

from __future__ import annotations

from rumbo.core.definition import Back, Stage
from rumbo.core.instant import DAY, Duration
from rumbo.topology.conditions import condition
from rumbo.topology.fields import Fields
from rumbo.topology.problem import again
from rumbo.topology.words import Words
from rumbo.topology.yaml import Yaml, plain

_STAGE = ("when", "back_to", "stuck_after", "side", "from", "until", "min_dwell", "content")
MOST_STAGES = 256
QUANTILES = ("p50", "p75", "p90", "p95")


def stage_entries(nodes: list[Yaml], words: Words) -> list[tuple[str, Yaml]]:
    """Name and body of each stage; `- awareness` alone has an empty body."""
    found: list[tuple[str, Yaml]] = []
    for node in nodes:
        if isinstance(node.value, str):
            found.append((node.value, Yaml({}, node.line)))
        elif isinstance(node.value, dict) and len(node.value) == 1:
            name, body = next(iter(node.value.items()))
            found.append((name, Yaml({}, node.line) if body.value is None else body))
        else:
            words.notes.error(
                node.line,
                "stages: each is a name, or a name with its rules",
                "- adoption: {when: {event: Report Exported}}",
            )
    if len(found) > MOST_STAGES:
        words.notes.error(
            found[MOST_STAGES][1].line, f"stages: more than {MOST_STAGES}", "a customer is in one of a few stages; what happens in one is a flow"
        )  # fmt: skip
        found = found[:MOST_STAGES]
    for name, line, first in again((name, body.line) for name, body in found):
        words.notes.error(line, f"stages: '{name}' stands twice (first on line {first})", "keep one of them")
    return found


def stage(name: str, node: Yaml, first: str, words: Words) -> Stage:
    """One stage."""
    where = f"stages.{name}"
    fields = Fields(node, where, _STAGE, words.notes)
    side = fields.flag("side", default=False)
    when, until = fields.node("when"), fields.node("until")
    if when is None and name != first:
        words.notes.error(node.line, f"{where}: no way in: `when` is missing", "only the first stage needs none")
    if when is not None and name == first and not side:
        words.notes.error(
            node.line,
            f"{where}: the first stage is where everyone begins, `when` has no meaning there",
            "take `when` away, or put another stage first",
        )
    if not side and fields.has("from"):
        words.notes.error(fields.at("from"), f"{where}: `from` is for side stages", "add `side: true`")
    if until is not None and name == first:
        words.notes.error(
            fields.at("until"),
            f"{where}: nothing comes before the first stage, so `until` leads nowhere",
            "take it away, or put another stage first",
        )
    if side and until is None:
        words.notes.warn(node.line, f"{where}: nobody ever comes back", "add `until`, if they should")
    sources = fields.names("from")
    for source in sources:
        if source not in words.stage_names:
            words.notes.unknown(fields.at("from"), f"{where}: stage", source, words.stage_names)
    dwell = fields.length("min_dwell", 0, zero=True) or 0
    stuck_after, cohort = _stuck(fields, where, words)
    return Stage(
        name=name,
        when=condition(when, f"{where}.when", words) if when is not None else None,
        side=side,
        sources=sources,
        until=condition(until, f"{where}.until", words) if until is not None else None,
        back=tuple(filter(None, (_back(item, name, dwell, words) for item in fields.items("back_to")))),
        stuck_after=stuck_after,
        min_dwell=dwell,
        stuck_cohort=cohort,
        content={key: plain(value) for key, value in fields.mapping("content").items()} or None,
    )


def _stuck(fields: Fields, where: str, words: Words) -> tuple[Duration | None, str | None]:
    """A length, a quantile of the cohort's dwell (`p90`), or that with a length for as long as no figures have come."""
    node = fields.node("stuck_after")
    if node is not None and node.value in QUANTILES:
        return None, str(node.value)
    if node is None or not isinstance(node.value, dict):
        return fields.length("stuck_after"), None
    inner = Fields(node, f"{where}.stuck_after", ("cohort", "otherwise"), words.notes)
    return inner.length("otherwise"), inner.choice("cohort", QUANTILES, "p90")


def _back(node: Yaml, name: str, dwell: Duration, words: Words) -> Back | None:
    where = f"stages.{name}.back_to"
    fields = Fields(node, where, ("stage", "when", "cooldown", "min_dwell"), words.notes)
    target, when = fields.needed("stage"), fields.node("when")
    if target and target not in words.stage_names:
        words.notes.unknown(fields.at("stage"), f"{where}: stage", target, words.stage_names)
    elif target and words.stage_names.index(target) >= words.stage_names.index(name):
        words.notes.error(fields.at("stage"), f"{where}: '{target}' is not before '{name}'", "name an earlier stage")
    if when is None:
        words.notes.error(
            node.line, f"{where}: `when` is missing", "for example when: {idle: Order Completed, for: 30d}"
        )
        return None
    made = condition(when, where, words)
    cooldown, dwells = fields.length("cooldown", DAY, zero=True), fields.length("min_dwell", dwell, zero=True)
    return Back(target, made, cooldown if cooldown is not None else DAY, dwells or 0) if made is not None else None

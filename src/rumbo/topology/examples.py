"""Examples beside a journey: a small world, what happens in it, what must come of it. Read and checked here, run by `local`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import msgspec

from rumbo.core import consent as consents
from rumbo.core.instant import Duration, Instant, parse_instant
from rumbo.core.zone import find_zone
from rumbo.topology.fields import Fields
from rumbo.topology.fit import matrix_names
from rumbo.topology.flows import acts_of
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml, plain

CUSTOMER = "example"
STATUSES = tuple(consents.STATUSES)
_GIVEN = ("after", "late", "event", "properties", "context", "traits", "id", "account", "customer")
Kind = Literal[
    "stage",
    "action",
    "suppressed",
    "score",
    "stuck",
    "unstable",
    "suggested",
    "segment",
    "flow",
    "retracted",
    "quarantined",
    "account_stage",
    "account_score",
]
_KINDS = get_args(Kind)
_OF_ACCOUNTS = ("account_stage", "account_score")
_THEN = ("after", *_KINDS, "gate", "band", "change", "customer", "account")


class Given(msgspec.Struct, frozen=True):
    """One interaction, at an offset from the world's start."""

    after: Duration
    event: str
    id: str
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    account: str | None = None
    customer: str | None = None
    """Who it happens to, where it is not the customer of the world."""
    late: Duration = 0
    """How long after it happened it arrives."""


class Expectation(msgspec.Struct, frozen=True):
    """One decision that must come: its kind, its name (stage, trigger or score), at an offset from the start."""

    after: Duration
    kind: Kind
    name: str
    gate: str | None = None
    band: str | None = None
    line: int = 0
    change: str | None = None
    whose: str | None = None
    """The customer, or the account; none: any."""


class Example(msgspec.Struct, frozen=True):
    """What the author promises. `until` is an offset: how long the world goes on."""

    name: str
    file: str
    line: int
    start: Instant
    customer: str
    given: tuple[Given, ...]
    then: tuple[Expectation, ...]
    until: Duration
    consent: dict[str, str] = {}
    """Purpose -> what the customer has said of it before the world begins."""
    suppressed: bool = False
    """Whether the customer is on the suppression list."""


class _World(msgspec.Struct, frozen=True):
    start: Instant = 1_767_225_600_000_000
    customer: str = CUSTOMER
    traits: dict[str, Any] = {}
    consent: dict[str, str] = {}
    suppressed: bool = False


def build_examples(node: Yaml, journeys: Iterable[Yaml] | None, notes: Notes) -> tuple[Example, ...]:
    """The examples of one file; problems are noted. `journeys` as they are written, or None where one cannot be read."""
    fields = Fields(node, "examples", ("world", "examples"), notes)
    world = _world(fields.node("world"), _World(), notes)
    names = _names(list(journeys)) if journeys is not None else None
    return tuple(_example(item, at, world, names, notes) for at, item in enumerate(fields.items("examples")))


def _names(journeys: list[Yaml]) -> dict[str, list[str]]:
    """What examples may name, told from what is written: a mistake in a trigger does not make its name unknown."""
    triggers = [name for journey in journeys for name in _listed(journey, "triggers")]
    stages = [name for journey in journeys for name in _listed(journey, "stages")]
    cells = [name for journey in journeys for name in matrix_names(_under(journey, "matrix"))]
    flows = [_under(journey, "flows") for journey in journeys]
    written = [item for each in flows if each is not None and isinstance(each.value, list) for item in each.value]
    triggers += [name for item in written for name in acts_of(item)]
    found = {
        "action": triggers, "suppressed": triggers, "score": _keyed(journeys, "scores"),
        "stage": stages, "stuck": stages, "unstable": stages, "suggested": stages,
        "segment": [*cells, *_keyed(journeys, "segments")],
        "account_stage": [*stages, "none"], "account_score": _keyed(journeys, "scores"),
        "flow": [name for journey in journeys for name in _listed(journey, "flows")],
    }  # fmt: skip
    return found | {"retracted": sorted({name for names in found.values() for name in names})}


def _under(node: Yaml, key: str) -> Yaml | None:
    return node.value.get(key) if isinstance(node.value, dict) else None


def _keyed(journeys: list[Yaml], key: str) -> list[str]:
    found = [_under(journey, key) for journey in journeys]
    return [name for each in found if each is not None and isinstance(each.value, dict) for name in each.value]


def _listed(journey: Yaml, key: str) -> Iterator[str]:
    """The names in a list: of a text itself, of a mapping its `id`, else its only key."""
    found = _under(journey, key)
    for item in found.value if found is not None and isinstance(found.value, list) else ():
        own = _under(item, "id")
        if isinstance(item.value, str):
            yield item.value
        elif own is not None:
            yield str(own.value)
        elif isinstance(item.value, dict) and len(item.value) == 1:
            yield from item.value


def _world(node: Yaml | None, outer: _World, notes: Notes) -> _World:
    if node is None:
        return outer
    fields = Fields(node, "world", ("start", "customer"), notes)
    start = outer.start
    given = fields.node("start")
    if given is not None:
        try:
            start = parse_instant(str(given.value))
        except ValueError as error:
            notes.error(given.line, f"world: {error}", "with a zone or Z at its end")
    who = fields.node("customer")
    if who is None:
        return msgspec.structs.replace(outer, start=start)
    inner = Fields(who, "world.customer", ("id", "traits", "zone", "consent", "suppressed"), notes)
    traits = plain(inner.node("traits") or Yaml({}, 0)) or {}
    zone = inner.text("zone")
    if zone is not None and find_zone(zone) is None:
        notes.error(inner.at("zone"), f"world: '{zone}' is no time zone", "for example Europe/Madrid")
    zoned = {"zone": zone} if zone is not None else {}
    consent = {purpose: _status(said, notes) for purpose, said in inner.mapping("consent").items()}
    return _World(
        start, inner.text("id", outer.customer) or CUSTOMER, {**outer.traits, **traits, **zoned},
        {**outer.consent, **consent}, inner.flag("suppressed", default=outer.suppressed),
    )  # fmt: skip


def _status(node: Yaml, notes: Notes) -> str:
    if node.value not in STATUSES:
        notes.error(node.line, f"world: consent is '{node.value}'", f"one of: {', '.join(STATUSES)}")
        return "unknown"
    return str(node.value)


def _example(node: Yaml, at: int, world: _World, names: dict[str, list[str]] | None, notes: Notes) -> Example:
    fields = Fields(node, f"examples[{at}]", ("name", "world", "given", "then", "until"), notes)
    name = fields.needed("name", "say in a sentence what it promises")
    fields.where = f"examples '{name}'" if name else f"examples[{at}]"
    here = _world(fields.node("world"), world, notes)
    given = [_given(item, place, fields.where, notes) for place, item in enumerate(fields.items("given"))]
    if here.traits:
        given.insert(0, Given(0, "Identified", "world", traits=here.traits))
    if not fields.has("then"):
        notes.error(node.line, f"{fields.where}: `then` is missing", "write then: [] for nothing at all")
    then = tuple(filter(None, (_expectation(item, fields.where, names, notes) for item in fields.items("then"))))
    latest = max([each.after + each.late for each in given] + [each.after for each in then], default=0)
    return Example(
        name,
        notes.file,
        node.line,
        here.start,
        here.customer,
        tuple(given),
        then,
        fields.length("until", latest) or latest,
        here.consent,
        here.suppressed,
    )


def _given(node: Yaml, at: int, where: str, notes: Notes) -> Given:
    fields = Fields(node, f"{where}: given[{at}]", _GIVEN, notes)
    parts = {
        key: plain(found) for key in ("properties", "context", "traits") if (found := fields.node(key)) is not None
    }
    for key, value in parts.items():
        if not isinstance(value, dict):
            notes.error(fields.at(key), f"{where}: given[{at}]: `{key}` must be a mapping", "for example {total: 12.5}")
            parts[key] = {}
    return Given(
        fields.length("after", 0, zero=True) or 0, fields.needed("event", "what happens"),
        fields.text("id") or f"given-{at}", account=fields.text("account"), customer=fields.text("customer"), late=fields.length("late", 0, zero=True) or 0,
        **parts,
    )  # fmt: skip


def _expectation(node: Yaml, where: str, names: dict[str, list[str]] | None, notes: Notes) -> Expectation | None:
    fields = Fields(node, f"{where}: then", _THEN, notes)
    kinds = [kind for kind in _KINDS if fields.has(kind)]
    if len(kinds) != 1:
        notes.error(
            node.line,
            f"{where}: `then` needs exactly one of {', '.join(_KINDS)}",
            "for example {after: 14d, action: try_export}",
        )
        return None
    kind = kinds[0]
    name = fields.text(kind) or ""
    if names is not None and kind in names and name not in names[kind]:
        notes.error(fields.at(kind), f"{where}: {kind} '{name}' is not defined", notes.meant(name, names[kind]))
    mine, other = ("account", "customer") if kind in _OF_ACCOUNTS else ("customer", "account")
    if fields.has(other):
        notes.error(
            fields.at(other),
            f"{where}: {kind} is of {'an account' if mine == 'account' else 'a customer'}",
            f"write {mine} in place of {other}",
        )
    return Expectation(
        fields.length("after", 0, zero=True) or 0, kind, name, fields.text("gate"), fields.text("band"), node.line, fields.text("change"),
        fields.text(mine),
    )  # fmt: skip

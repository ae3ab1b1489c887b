"""The tracking plan: every event and field that some rule reads, nothing else; and a history held against it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rumbo.core import definition as d
from rumbo.core.expression import needs, parse
from rumbo.core.tracking import ANY, tracking_plan
from rumbo.intake import Record
from rumbo.local.plan import OTHERS, compare_plan
from rumbo.topology import Loaded, load

SHIPPED = sorted(path.parent for path in Path("topologies").glob("*/topology.yaml"))
ACTION = "action: {kind: m, purpose: p, expires_after: 1d}"
JOURNEY = f"""journey: j
version: "1.0"
scores:
  s:
    points:
      - {{event: Bought, where: "event.properties.currency in ['EUR', 'USD']", points: "min(event.properties.total / 10.0, 5.0)", once_per: "event.properties['order id']"}}
    bands: [{{low: {{enter: 5}}}}]
stages:
  - one
  - two: {{when: {{where: "traits.plan == 'pro' && count('Paid') > 2"}}, until: {{idle: Seen, for: 3d}}}}
  - three: {{when: {{where: "has(event.context.beta) && event.context.beta"}}, back_to: {{stage: one, when: {{event: Refunded}}}}}}
segments: {{g: {{not: {{any: [{{event: Left}}, {{segment: h}}]}}}}, h: {{event: Joined}}}}
authority: {{set: {{event: Put, stage: event.properties.to}}, release: Freed}}
triggers:
  - {{id: a, event: [Clicked, Tapped], only_if: {{where: "event.properties.tags[0].startsWith('x')"}}, action: {{kind: c, purpose: p, expires_after: 1d, image: {{by: event.context.campaign.name, cases: {{A: 1}}}}}}}}
  - {{id: b, absence: {{of: Tried, for: 3d, since: {{event: Began}}}}, {ACTION}}}
  - {{id: c, score: {{name: s, entered: low}}, {ACTION}}}
  - {{id: e, sequence: {{steps: [First, {{followed_by: Second, not: Never}}], within: 1d, per: event.properties.cart}}, {ACTION}}}
"""


@pytest.fixture
def topology(tmp_path):
    (tmp_path / "topology.yaml").write_text("topology: t\nsources: [{topic: web}]\njourneys: [j.yaml]\n")
    (tmp_path / "j.yaml").write_text(JOURNEY)
    found = Loaded(tmp_path)
    assert found.errors == []
    return found.topology


def event(name, number=0, **sections):
    return Record(
        value=msgspec.json.encode(
            {
                "type": "track",
                "event": name,
                "userId": "u",
                "messageId": f"{name}{number}",
                "timestamp": "2026-01-01T00:00:00Z",
                **sections,
            }
        )
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.properties.total >= 5", [("total", "number")]),
        ("'a' == event.properties.x", [("x", "string")]),
        ("event.properties.x", [("x", "bool")]),
        ("!event.properties.x || has(event.properties.y)", [("x", "bool"), ("y", "dyn")]),
        ("event.properties.x in [1, 2]", [("x", "number")]),
        ("event.properties.x in event.properties.y", [("x", "dyn"), ("y", "list")]),
        ("event.properties.a * event.properties.b > 1", [("a", "number"), ("b", "number")]),
        ("event.properties.a + 'x' == 'yx'", [("a", "string")]),
        ("size(event.properties.a) > 1", [("a", "dyn")]),
        ("timestamp(event.properties.a) < event.time", [("a", "string")]),
        ("event.properties.a == null", [("a", "dyn")]),
        ("event.properties.a ? event.properties.b == 1 : event.properties['c d'] == 'x'", [("a", "bool"), ("b", "number"), ("c d", "string")]),
        ("event.properties.a[0] == 1", [("a", "list")]),
    ],
)  # fmt: skip
def test_what_a_field_must_be_is_told_from_its_use(text, expected):
    found = [(path[-1], kind) for path, kind in needs(parse(text), "bool") if path != ("event", "time")]
    assert found == expected


def test_the_plan_has_each_event_and_field_with_its_users(topology):
    """On the interactions where it is read; what is read on any interaction stands under `*`."""
    plan = tracking_plan(topology.journeys)
    assert [each.event for each in plan.events] == [
        "Began", "Bought", "Clicked", "First", "Freed", "Joined", "Left", "Never", "Paid", "Put", "Refunded", "Second", "Seen", "Tapped", "Tried", ANY,
    ]  # fmt: skip
    fields = {(each.event, field.field): (field.types, field.used_by) for each in plan.events for field in each.fields}
    assert fields == {
        ("Bought", "event.properties.currency"): (("string",), ("score s",)),
        ("Bought", "event.properties.total"): (("number",), ("score s",)),
        ("Bought", "event.properties.order id"): ((), ("score s",)),
        ("Put", "event.properties.to"): (("string",), ("authority",)),
        ("Clicked", "event.properties.tags"): (("array",), ("trigger a",)),
        ("Tapped", "event.properties.tags"): (("array",), ("trigger a",)),
        ("Clicked", "event.context.campaign.name"): ((), ("trigger a",)),
        ("Tapped", "event.context.campaign.name"): ((), ("trigger a",)),
        ("First", "event.properties.cart"): ((), ("trigger e",)),
        ("Second", "event.properties.cart"): ((), ("trigger e",)),
        (ANY, "event.context.beta"): (("boolean",), ("stage three",)),
    }
    assert [(each.field, each.types, each.used_by) for each in plan.traits] == [
        ("traits.plan", ("string",), ("stage two",))
    ]
    assert next(each.used_by for each in plan.events if each.event == "Paid") == ("stage two",)


def heard_in(value):
    """Every event test in a definition, wherever it stands."""
    if isinstance(value, d.EventTest):
        yield value
    if isinstance(value, msgspec.Struct):
        value = [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, dict):
        value = list(value.values())
    for each in value if isinstance(value, list | tuple) else ():
        yield from heard_in(each)


def test_no_event_that_a_rule_listens_to_is_left_out(topology):
    """Neither of this journey nor of what ships: the structs are walked, the plan must have found the same."""
    for each in (topology, *map(load, SHIPPED)):
        wanted = {name for test in heard_in(each.journeys) for name in test.names}
        assert wanted
        assert wanted <= {need.key for need in tracking_plan(each.journeys).events}


def test_a_history_shows_what_lacks_and_what_is_strange(topology):
    """Never seen with the likely name, other types, and what nothing mentions; nulls are absences."""
    found = compare_plan(
        topology,
        [
            event("Bought", 1, properties={"total": "12.5", "currency": "EUR", "order id": 1}),
            event("bought", 2, properties={"total": 7, "currency": None}),
            event("Tryed", 3, traits={"plan": 4}),
            event("Clicked", 4, properties={"tags": ["x"]}),
            Record(value=b"{broken"),
        ],
    )
    assert (found.records, found.rejected) == (5, 1)
    assert {each.event: each.seen for each in found.events if each.seen} == {"Bought": 2, "Clicked": 1, ANY: 4}
    assert found.unmentioned == {"Tryed": 1}
    said = found.findings
    assert "Tried never came; 'Tryed' came and is never mentioned: is it meant?" in said
    assert "Bought: event.properties.total came as string in 1 of 2, where number is expected" in said
    assert "Clicked: event.context.campaign.name was in none of 1" in said
    assert "traits.plan came as number in 1 of 1, where string is expected" in said
    assert not any("currency" in each for each in said)


def test_names_from_outside_are_bounded(topology):
    found = compare_plan(topology, [event(f"Other {number}", number) for number in range(OTHERS + 7)])
    assert len(found.unmentioned) == OTHERS
    assert found.unmentioned_beyond == 7

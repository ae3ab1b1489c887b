"""Flows as authors write them: what they become, and each mistake with its line and cure."""

from __future__ import annotations

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR
from tests.topology.test_load import journey_of, loaded

A, B = d.EventTest(("a",), None, "A"), d.EventTest(("b",), None, "B")
BODY = """
policies:
  nudge: {purpose: help, expires_after: 3d, cooldown: 1d}
flows:
  - id: cart
    enter: {event: A, per: event.properties.cart, only_if: {event: B, at_least: 2}, again: {cooldown: 7d}}
    exit: {any: [{event: B}, {event: B, within: 7d}]}
    goal: {not: {event: B}}
    in_flight: migrate
    moved: {old: mail}
    steps:
      - wait: {for: 1h}
      - {id: mail, action: {kind: message, template: cart}, policy: nudge}
      - wait: {until: "09:30", zone: Europe/Madrid}
      - wait: {until: {event: B}, at_most: 2d, otherwise: leave}
      - {branch: [{if: {event: B, at_least: 3}, go: mail}], otherwise: done}
      - split: {experiment: x, into: {a: {share: 0.25}, b: {share: 0.75, go: done}}}
      - set: {trait: seen, to: true}
      - go: mail
      - {id: done, goal: bought}
      - exit
"""


def test_a_flow_becomes_data(tmp_path):
    """An event alone is that very interaction; with a number or a window it counts as everywhere."""
    (flow,) = journey_of(tmp_path, BODY).flows
    assert flow.enter == d.Enter(d.OnEvent(A), d.Happened(B, 2), "event.properties.cart", "cooldown", 7 * DAY)
    assert flow.exit == d.AnyOf((d.Comes(B), d.Happened(B, 1, 7 * DAY)))
    assert flow.goal == d.Not(d.Comes(B))
    assert (flow.in_flight, flow.moved) == ("migrate", {"old": "mail"})
    mail = d.Act(d.Action("message", {"template": "cart"}, purpose="help", expires_after=3 * DAY), DAY)
    assert [(step.name, step.do) for step in flow.steps] == [
        ("wait_1", d.Wait(HOUR)),
        ("mail", mail),
        ("wait_2", d.Wait(second=34_200, zone="Europe/Madrid")),
        ("wait_3", d.Wait(2 * DAY, until=d.Comes(B), otherwise="leave")),
        ("branch_1", d.BranchTo(((d.Happened(B, 3), "mail"),), "done")),
        ("split_1", d.Split("x", (d.Variant("a", 0.25), d.Variant("b", 0.75, "done")))),
        ("set_1", d.SetTrait("seen", "true")),
        ("go_1", d.Go("mail")),
        ("done", d.Goal("bought")),
        ("exit_1", d.Leave()),
    ]


MISTAKES = """journey: j
version: "1.0"
flows:
  - {id: Bad Name, enter: {event: A}, steps: [exit]}
  - {id: one, steps: [exit]}
  - {id: Bad Name, enter: {event: A, again: per_key}, steps: [exit]}
  - {id: two, enter: {event: A, again: sometimes}}
  - id: three
    enter: {event: A, again: {}}
    moved: {old: nowhere}
    steps:
      - {wait: {for: 1h}, goal: x}
      - wait: {for: 1h, until: "09:00"}
      - wait: {until: {event: B}}
      - wait: {until: "25:00"}
      - wait: {until: "09:00", zone: Mars}
      - wait: {until: {event: B}, at_most: 1d, otherwise: nowhere}
      - branch: [{go: next}, {if: {event: B}}]
      - split: {experiment: x, into: {a: {share: 0.5}, b: {share: 0.4}}}
      - {id: next, wait: {for: 1h}}
      - {id: same, wait: {for: 1h}, policy: p}
      - {id: same, go: elsewhere}
      - {action: {kind: message, purpose: x, expires_after: 1d}, policy: nope}
      - set: {trait: x, to: "event.propertees.y"}
"""


def test_each_mistake_has_its_line_and_cure(tmp_path):
    found = loaded(tmp_path, MISTAKES).errors
    text = "\n".join(str(each) for each in found)
    for line, words in (
        (4, "is not a name"), (5, "`enter` is missing"), (6, "needs `per`"), (7, "`again` is 'sometimes'"), (7, "`steps` is missing"),
        (9, "needs a `cooldown`"), (10, "step 'nowhere'"), (12, "exactly one of"), (13, "not both"), (14, "needs `at_most`"),
        (15, "'25:00' is no time of day"), (16, "'Mars' is no time zone"), (17, "step 'nowhere'"), (18, "`if` is missing"), (18, "`go` is missing"),
        (19, "must be 1 together"), (20, "is a word of its own"), (21, "`policy` has no meaning for `wait`"), (22, "stands twice"),
        (22, "step 'elsewhere'"), (23, "policy 'nope'"), (24, "did you mean `event.properties"), (6, "'Bad Name' stands twice (first on line 4)"),
    ):  # fmt: skip
        assert any(words in str(each) and each.line == line for each in found), (line, words, text)


def test_no_flow_is_longer_than_fifty_steps(tmp_path):
    steps = "\n".join("      - wait: {for: 1h}" for _ in range(51))
    found = loaded(
        tmp_path, f'journey: j\nversion: "1.0"\nflows:\n  - id: f\n    enter: {{event: A}}\n    steps:\n{steps}\n'
    )
    assert ["at most 50" in str(each) for each in found.errors] == [True]

"""What is allowed and probably not meant is said with its line and cure; nothing that can happen is called impossible."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import SECOND
from rumbo.core.reach import Reach, highest
from rumbo.core.way import Paths
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.topology import Loaded, Source, Topology
from rumbo.topology.lint import nearly

TOPOLOGY = "topology: test\nsources: [{topic: web}]\njourneys: [journey.yaml]\n"
MILD = "action: {kind: m, purpose: p, expires_after: 1d}"


def warnings(tmp_path, body, topology=TOPOLOGY, plan=None):
    (tmp_path / "topology.yaml").write_text(topology)
    (tmp_path / "journey.yaml").write_text(f'journey: j\nversion: "1.0"\n{body}')
    if plan is not None:
        (tmp_path / "plan.yaml").write_text(plan)
    found = Loaded(tmp_path)
    assert found.errors == []
    assert found.topology is not None
    return [(each.line, each.message, each.hint) for each in found.problems]


PLANTED = f"""scores:
  s: {{cap: 40, points: [{{event: A, points: 1, when: {{score: s, at_least: 50}}}}], bands: [{{low: {{enter: 10}}}}, {{high: {{enter: 60}}}}]}}
stages:
  - one
  - two: {{when: {{event: A, where: "event.properties.x > 5 && event.properties.x < 2"}}}}
  - three: {{when: {{stage: four}}, until: {{reached: one}}}}
  - four: {{when: {{score: s, at_least: high}}, back_to: {{stage: one, when: {{all: [{{event: B}}, {{not: {{event: B}}}}]}}}}}}
segments:
  busy: {{event: B, at_least: 3}}
  nobody: {{all: [{{stage: one}}, {{stage: four}}]}}
triggers:
  - {{id: t1, event: A, where: "1 < 2", {MILD}}}
  - {{id: t2, entered: four, {MILD}}}
  - {{id: t3, score: {{name: s, entered: high}}, {MILD}}}
  - {{id: t4, event: A, only_if: {{any: [{{reached: one}}, {{event: B}}]}}, {MILD}}}
  - {{id: t5, when: {{event: B, at_least: 2}}, {MILD}}}
  - {{id: t6, absence: {{of: A, for: 1d, since: {{stage: two}}}}, action: {{kind: m}}}}
  - {{id: reminder_mail, event: A, {MILD}}}
  - {{id: reminder_mial, event: A, {MILD}}}
"""


def test_each_is_said_where_it_stands(tmp_path):
    found = [(line, message) for line, message, _ in warnings(tmp_path, PLANTED)]
    expected = [
        (4, "nobody ever enters band 'high' at 60, the score never exceeds 40"), (4, "rule 'A#"), (7, "stages.two.when: `event.properties.x > 5"),
        (7, "stages.two: nobody can ever come here"), (8, "stages.three: nobody can ever come here"), (8, "stages.three.until: this always holds"),
        (9, "stages.four: nobody can ever come here"), (9, "stages.four.back_to: this can never hold"), (11, "counts 3 of B over"),
        (12, "segments.nobody: this can never hold"), (14, "`1 < 2` always holds"), (15, "nobody can ever be in stage 'four'"), (16, "nobody ever enters band 'high'"),
        (17, "t4.only_if: this always holds"), (18, "counts 2 of B over"), (19, "nobody can ever be in stage 'two'"), (19, "has no `purpose`"),
        (19, "never expires"), (21, "'reminder_mial' is nearly 'reminder_mail'"),
    ]  # fmt: skip
    for line, words in expected:
        assert any(at == line and words in said for at, said in found), (line, words)
    assert len(found) == len(expected), found


def test_an_error_hides_no_warning(tmp_path):
    """And what an error has left out is not called impossible."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    body = 'journey: j\nversion: "1.0"\nstages: [one, {two: {when: nope}}, {three: {when: {stage: two}}}]\nsegments: {g: {event: A, where: "1 > 2"}}\n'
    (tmp_path / "journey.yaml").write_text(body)
    found = [str(each) for each in Loaded(tmp_path).problems]
    assert any("'nope' is not defined" in each for each in found)
    assert any("can never hold" in each for each in found)
    assert not any("nobody can ever come" in each for each in found)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Order Completed", "Order Completd", True), ("Page Viewed", "Page View", True), ("remind_cart", "remnid_cart", True),
        ("Product Viewed", "Products Viewed", True), ("PageViewed", "Page Vieweds", True), ("step_1", "step_2", False), ("hero_a", "hero_b", False),
        ("welcome", "win_back", False), ("Order Completed", "Order Cancelled", False), ("hot", "hat", False), ("t10", "t11", False),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_told_from_another_name(one, other, expected):
    assert nearly(one, other) is expected


def test_what_a_declared_plan_lacks_is_said_at_its_first_mention(tmp_path):
    """Events, fields and types; objects hold what is under them; the nearest name is the cure."""
    body = f"""triggers:
  - {{id: a, event: Order Completed, where: "event.properties.total > 5 && event.properties.curency == 'EUR'", {MILD}}}
  - {{id: b, event: Sing Up, only_if: {{where: "traits.plan == 'pro' && traits.seats > 2"}}, {MILD}}}
  - {{id: c, event: page_viewed, where: "event.context.page.path == '/'", {MILD}}}
"""
    plan = "events:\n  Order Completed: {properties.total: string, properties.currency: string}\n  Sign Up:\n  Page Viewed: {context.page: object}\ntraits: {plan: string}\n"
    assert warnings(tmp_path, body, f"{TOPOLOGY}plan: plan.yaml\n", plan) == [
        (4, "event 'Order Completed': `event.properties.curency` (read by trigger a) is not in the tracking plan", "did you mean 'properties.currency'?"),
        (4, "event 'Order Completed': `event.properties.total` (read by trigger a) is string in the tracking plan, where number is needed", "change the plan or the rule"),
        (5, "customer: `traits.seats` (read by trigger b) is not in the tracking plan", "add it there, and have it collected"),
        (5, "event 'Sing Up' is not in the tracking plan", "did you mean 'Sign Up'?"),
    ]  # fmt: skip


def test_what_is_written_nowhere_is_missed_at_the_head_of_the_first_file(tmp_path):
    """An account is read by itself where `accounts` says no more: no line of the files asks for its trait."""
    body = f"stages: [one]\ntriggers:\n  - {{id: a, event: Page Viewed, {MILD}}}\n"
    plan = "events: {Page Viewed: {properties.x: any}}\n"
    found = warnings(tmp_path, body, f"{TOPOLOGY}accounts: {{}}\nplan: plan.yaml\n", plan)
    assert (
        1,
        "customer: `traits.role` (read by accounts) is not in the tracking plan",
        "add it there, and have it collected",
    ) in found


def test_a_journey_without_stages_has_segments_all_the_same(tmp_path):
    body = "scores: {s: {points: [{event: A, points: 1}], bands: [{low: {enter: 2}}]}}\nsegments: {g: {all: [{event: A}, {not: {score: s, at_least: low}}]}}\n"
    assert warnings(tmp_path, body) == []


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "[journey, j]",
        "journey",
        "journey: [1]\nstages: 7\ntriggers: {a: b}\nsegments: [x]\nscores: 1\ndefine: []\nmatrix: 3\n",
    ],
)
def test_a_file_of_another_form_is_refused_like_any_other(tmp_path, text):
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    (tmp_path / "journey.yaml").write_text(text)
    assert Loaded(tmp_path).errors


def test_a_plan_that_cannot_be_meant_is_refused(tmp_path):
    (tmp_path / "topology.yaml").write_text(f"{TOPOLOGY}plan: plan.yaml\n")
    (tmp_path / "journey.yaml").write_text('journey: j\nversion: "1.0"\n')
    (tmp_path / "plan.yaml").write_text("events:\n  A: {total: number}\n  a: {properties.x: int}\n  B: 5\n")
    said = [str(each) for each in Loaded(tmp_path).errors]
    assert [any(words in each for each in said) for words in ("plan.yaml:2: plan.events.A: `total` is no field", "'a' stands twice", "`properties.x` is 'int'", "not the number 5")] == [True] * 4  # fmt: skip


def test_the_most_that_a_score_can_reach():
    """By caps, and by rules that award once; without them there is no limit."""
    rule = d.Points("k", d.EventTest(("a",)), 5.0)
    once = d.Points("o", d.EventTest(("a",)), 7.0, once=True)
    assert highest(d.Score("s", (rule,))) == float("inf")
    assert highest(d.Score("s", (rule, once), cap=9.0)) == 9
    assert highest(d.Score("s", (once, d.Points("n", d.EventTest(("a",)), -3.0)))) == 7
    assert (
        highest(
            d.Score(
                "s", (d.Points("g", d.EventTest(("a",)), "event.properties.x", group="g"), once), (d.Group("g", 10.0),)
            )
        )
        == 17
    )


FLOWS = f"""stages: [one, {{two: {{when: {{event: A, where: "event.properties.x > 5 && event.properties.x < 2"}}}}}}]
segments: {{busy: {{event: B, at_least: 3, within: 7d}}, nobody: {{all: [{{stage: one}}, {{not: {{stage: one}}}}]}}}}
flows:
  - id: cart
    enter: {{event: A, only_if: {{reached: one}}}}
    exit: {{all: [{{stage: one}}, {{stage: two}}]}}
    goal: {{reached: one}}
    steps:
      - {{id: first, wait: {{until: {{segment: nobody}}, at_most: 2d, otherwise: last}}}}
      - {{id: lost, {MILD}}}
      - {{id: choose, branch: [{{if: {{segment: nobody}}, go: lost}}, {{if: {{reached: one}}, go: last}}, {{if: {{segment: busy}}, go: away}}]}}
      - {{id: away, goal: bought}}
      - {{id: last, wait: {{until: {{reached: one}}, at_most: 2d}}}}
      - {{id: loop, branch: [{{if: {{segment: busy}}, go: leave}}]}}
      - {{go: loop}}
  - {{id: late, enter: {{entered: two}}, steps: [{{wait: {{for: 1h}}}}]}}
  - {{id: joins, enter: {{segment: {{entered: nobody}}}}, steps: [{{id: reminder_mail, {MILD}}}, {{id: reminder_mial, {MILD}}}]}}
"""


def test_flows_are_looked_at_step_by_step(tmp_path):
    """Steps that nobody comes to, waits and branches that are decided, goals and exits that never come, rounds, names."""
    body = FLOWS
    found = [
        (line, message)
        for line, message, _ in warnings(tmp_path, body)
        if not message.startswith(("stages", "segments"))
    ]
    expected = [
        (7, "flows.cart.enter.only_if: this always holds"), (8, "flows.cart.exit: this can never hold"), (9, "flows.cart.goal: this always holds"),
        (11, "flows.cart.first.wait.until: this can never hold"), (12, "flows.cart.lost: nobody ever comes"), (13, "flows.cart.choose: nobody ever comes"),
        (13, "flows.cart.choose.branch.if: this can never hold"), (13, "flows.cart.choose.branch.if: this always holds"), (14, "flows.cart.away: this goal is never reached"),
        (15, "flows.cart.last.wait.until: this always holds"), (16, "flows.cart: loop -> go_1 -> loop goes round without a wait"),
        (18, "flows.late.enter: nobody ever begins it, nobody can ever be in stage 'two'"), (19, "flows.joins.enter: nobody ever begins it, nobody is ever in segment"),
        (19, "flows.joins: step 'reminder_mial' is nearly 'reminder_mail'"),
    ]  # fmt: skip
    for line, words in expected:
        assert any(at == line and words in said for at, said in found), (line, words, found)
    assert len(found) == len(expected), found


def test_the_flows_that_ship_mean_what_they_say():
    """No warning of a flow that is fine: ways back over a wait, a branch that leaves, a goal as a step."""
    found = Loaded(Path("topologies/outreach"))
    assert [str(each) for each in found.problems] == []


names = st.sampled_from(["s0", "s1", "s2", "s3", "out"])
conditions = st.recursive(
    st.builds(lambda key: d.Happened(d.EventTest((key,), None, key)), st.sampled_from("ab"))
    | st.builds(lambda one: d.InStage((one,)), names)
    | st.builds(d.Reached, st.sampled_from(["s0", "s1", "s2", "s3"]))
    | st.builds(d.Level, st.just("s"), st.sampled_from([0.0, 3.0, 9.0]))
    | st.builds(
        d.Where,
        st.sampled_from(["false", "event.properties.n > 1", "event.properties.n > 1 && event.properties.n < 0"]),
    ),
    lambda inner: (
        st.builds(lambda parts: d.All(tuple(parts)), st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: d.AnyOf(tuple(parts)), st.lists(inner, min_size=1, max_size=2))
        | st.builds(d.Not, inner)
    ),
    max_leaves=4,
)


@given(
    st.lists(conditions, min_size=6, max_size=6), st.booleans(), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=6)
)  # fmt: skip
def test_nobody_comes_where_nobody_can_come(made, skip, history):
    """Random stages, random histories: each stage that somebody is in was called possible, and no verdict was wrong there."""
    stages = (
        d.Stage("s0"),
        *(d.Stage(f"s{at}", made[at]) for at in (1, 2, 3)),
        d.Stage("out", made[4], side=True, until=made[0]),
    )
    score = d.Score("s", (d.Points("k", d.EventTest(("a",)), 2.0),), cap=5.0)
    journey = d.Journey("j", "1.0", (score,), stages, allow_skip=skip, segments=(d.Segment("g", made[5]),))
    reach, local = Reach(journey), Local(Topology("t", (Source("-", lateness=0),), (journey,)))
    for at, (name, number) in enumerate(history):
        said = {
            "type": "track",
            "event": name,
            "userId": "u",
            "messageId": str(at),
            "timestamp": f"2026-01-01T00:00:{at:02d}Z",
            "properties": {"n": number},
        }
        local.send(Record(value=msgspec.json.encode(said)))
        state = local.profiles["u"].journeys["j"]
        assert state.stage in reach.stages
        assert {stage for stage, _ in state.history} <= reach.stages
        assert reach.verdict(made[5]) is not False or "g" not in state.segments


targets = st.sampled_from(["f0", "f1", "f2", "f3", "f4", "next", "leave"])
doings = st.one_of(
    st.just("act"), st.just("act"), st.builds(d.Go, targets), st.builds(d.Wait, st.sampled_from([0, SECOND])),
    st.builds(lambda when, to: d.Wait(length=SECOND, until=when, otherwise=to), conditions, targets),
    st.builds(lambda parts, to: d.BranchTo(tuple(parts), to), st.lists(st.tuples(conditions, targets), max_size=2), targets),
    st.builds(lambda one, other: d.Split("e", (d.Variant("a", 0.5, one), d.Variant("b", 0.5, other))), targets, targets),
)  # fmt: skip


@given(
    st.lists(doings, min_size=5, max_size=5), st.lists(conditions, min_size=2, max_size=2), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=6)
)  # fmt: skip
def test_nobody_comes_to_a_step_that_nobody_can_come_to(made, asked, history):
    """Random flows, random histories: each step taken was called possible, and who is put out for going round was in a round."""
    steps = tuple(
        d.FlowStep(f"f{at}", d.Act(d.Action("m", {"at": f"f{at}"})) if each == "act" else each)
        for at, each in enumerate(made)
    )
    flow = d.Flow("f", d.Enter(d.OnEvent(d.EventTest(("a",))), again="always"), steps)
    stages = (d.Stage("s0"), *(d.Stage(f"s{at}", asked[0]) for at in (1, 2, 3)), d.Stage("out", asked[1], side=True))
    score = d.Score("s", (d.Points("k", d.EventTest(("a",)), 2.0),), cap=5.0)
    journey = d.Journey("j", "1.0", (score,), stages, flows=(flow,))
    paths, local = Paths(flow, Reach(journey).verdict), Local(Topology("t", (Source("-", lateness=0),), (journey,)))
    reached, decisions = paths.reached(), []
    for at, (name, number) in enumerate(history):
        said = {"type": "track", "event": name, "userId": "u", "messageId": str(at), "timestamp": f"2026-01-01T00:00:{at:02d}Z", "properties": {"n": number}}  # fmt: skip
        decisions += local.send(Record(value=msgspec.json.encode(said)))
        assert {step for each in local.profiles["u"].journeys["j"].flows for step in each.visits} <= reached
    assert {each.data.params["at"] for each in decisions if each.kind == "action.requested"} <= reached
    turned = any(each.kind == "flow.changed" and each.data.reason == "visits" for each in decisions)
    if turned and not any(isinstance(step.do, d.Wait) for step in steps):
        assert list(paths.rounds())

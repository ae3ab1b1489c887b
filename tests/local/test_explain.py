"""Why, and why not: every decision can be explained from its history, and every silence has a reason."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import profile as record
from rumbo.core.explain import Sight
from rumbo.core.instant import DAY, HOUR, isoformat, parse_instant
from rumbo.core.scope import Scope
from rumbo.core.whynot import why_not
from rumbo.intake import Record
from rumbo.local import simulate
from rumbo.local.explain import explain_decision, explain_silence
from rumbo.local.trace import Trace
from rumbo.topology import Loaded, load

START = 1_767_225_600_000_000
END = START + 20 * DAY
JOURNEY = """
journey: j
version: "1.0"
define: {busy: {event: A, at_least: 2, within: 3d}}
scores: {s: {half_life: 5d, points: [{event: A, points: 3}], bands: [{low: {enter: 5, leave: 3}}]}}
stages: [one, {two: {when: busy}}, {three: {when: {all: [busy, {event: B}]}, back_to: {stage: one, when: {idle: A, for: 4d}}}}, {gone: {side: true, when: {idle: A, for: 8d}, until: {event: A}}}]
segments: {lively: {event: A, at_least: 2, within: 1d}}
triggers:
  - {id: on_segment, segment: {entered: lively}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_event, event: A, where: "event.properties.n >= 2 && !(event.properties.n == 3)", only_if: {stage: [two, three]}, cooldown: 1d, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_condition, when: {any: [busy, {where: "event.name == 'B'"}]}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_stage, entered: two, again: once, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_leaving, left: one, only_if: {not: {reached: three}}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_band, score: {name: s, entered: low}, cooldown: 4d, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_absence, absence: {of: A, for: 3d}, mode: shadow, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_sequence, sequence: {steps: [A, {followed_by: B, not: C}], within: 3d}, only_if: {not: {stage: three}}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_threshold, threshold: {score: s, rises_to: 6}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_fall, threshold: {score: s, falls_below: 2}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_date, date: {trait: renewal, before: 3d}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_anomaly, anomaly: {of: A, per: 6h, change: rise, warm_up: 4}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_drop, anomaly: {of: A, per: 1d, deviations: 0.5, warm_up: 2}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_inactivity, inactivity: {of: any, for: 2d}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: on_silence, absence: {of: B, for: 2d, since: {stage: two}}, action: {kind: m, purpose: p, expires_after: 1d}}
"""
TRIGGERS = (
    "on_segment",
    "on_event",
    "on_condition",
    "on_stage",
    "on_leaving",
    "on_band",
    "on_absence",
    "on_silence",
    "on_sequence",
    "on_inactivity",
)


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "topology.yaml").write_text("topology: t\nsources: [{topic: web, lateness: 1h}]\njourneys: [j.yaml]\n")
    (folder / "j.yaml").write_text(JOURNEY)
    found = Loaded(folder)
    assert found.errors == []
    return found.topology


histories = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("AAB"), st.sampled_from("uv"), st.integers(0, 4)), max_size=20, unique_by=lambda each: (each[0], each[2])
).map(sorted)  # fmt: skip


def records(history):
    """Quarters of a day from the start."""
    for number, (quarter, name, customer, n) in enumerate(history):
        said = {
            "type": "track", "event": name, "userId": customer, "messageId": str(number), "properties": {"n": n},
            "timestamp": isoformat(START + quarter * 6 * HOUR),
        }  # fmt: skip
        yield Record(offset=number, value=msgspec.json.encode(said))


@settings(max_examples=40)
@given(histories)
def test_a_trace_of_one_customer_decides_what_everybodys_run_decides(topology, history):
    """The same decisions in the same order, so that an explanation is of what was decided."""
    decided = list(simulate(topology, records(history), until=END))
    for customer in "uv":
        moments = Trace(topology, customer).moments(records(history), END)
        assert [each for moment in moments for each in moment.decisions] == [
            each for each in decided if each.customer == customer
        ]


@settings(max_examples=20)
@given(histories)
def test_every_decision_can_be_explained(topology, history):
    """By its id alone: every condition that it names holds, and the gates are those that it recorded."""
    for decision in list(simulate(topology, records(history), until=END))[:8]:
        found = explain_decision(topology, decision.id, lambda: records(history), END)
        assert found is not None
        assert (found.id, found.gates) == (decision.id, decision.data.because.gates)
        assert all(each.holds is True for each in found.tree), msgspec.to_builtins(found.tree)
        assert found.tree
        seen = repr(msgspec.to_builtins(found.tree))
        assert all(leaf.condition in seen for leaf in decision.data.because.conditions)


@settings(max_examples=60)
@given(histories, st.sampled_from(TRIGGERS), st.sampled_from("uv"), st.integers(0, 80))
def test_every_silence_has_a_reason(topology, history, trigger, customer, quarter):
    """Either the trigger acted then, or something that would have had to differ is named; and asking changes nothing."""
    at = START + quarter * 6 * HOUR
    found = explain_silence(topology, customer, trigger, at, lambda: records(history))
    known = any(who == customer and START + when * 6 * HOUR <= at for when, _, who, _ in history)
    if not known:
        assert "nothing is known of" in found.summary
        return
    done = [each for each in simulate(topology, (each for each in records(history) if _at(each) <= at), until=at) if each.customer == customer and getattr(each.data, "trigger", "") == trigger]  # fmt: skip
    if found.acted is not None:
        assert found.acted in {each.id for each in done}
    else:
        assert trigger == "on_event" or all(each.at != at for each in done)
        assert found.why_not is not None
        assert found.why_not.differ, found
        assert all(found.why_not.differ)


def _at(each):
    return parse_instant(msgspec.json.decode(each.value)["timestamp"])


@settings(max_examples=10)
@given(histories)
def test_looking_changes_nothing(topology, history):
    """What a question was asked of is, to the byte, what it was."""
    for moment in Trace(topology, "u").moments(records(history), END):
        machine = topology.program().machine("j")
        before, after = record.dump(moment.before), record.dump(moment.after)
        scope = Scope()
        scope.sees(moment.after, moment.event, moment.at)
        scope.state = moment.after.journeys["j"]
        for trigger in TRIGGERS:
            why_not(machine.trigger(trigger), Sight(machine.journey, machine.words, scope), moment.before, lambda _: {})
        assert (record.dump(moment.before), record.dump(moment.after)) == (before, after)


def asked(topology, trigger, day, *events, customer="u"):
    given_ = [(round(day_ * 4), name, "u", n) for day_, name, n in events]
    return explain_silence(topology, customer, trigger, START + round(day * DAY), lambda: records(given_))


@pytest.mark.parametrize(
    ("trigger", "day", "events", "differ"),
    [
        ("on_segment", 0, [(0, "A", 1)], ["segment lively must be entered at that instant: 1 more A within 1d"]),
        ("on_segment", 0.75, [(0, "A", 1), (0.25, "A", 1), (0.75, "A", 1)], ["the customer must not have been in lively before"]),
        ("on_event", 0, [(0, "A", 1)], ["`event.properties.n >= 2` must hold", "stage two or three, not one"]),
        ("on_event", 1, [(0, "A", 2), (1, "A", 3)], ["this must not hold: event.properties.n == 3"]),
        ("on_event", 2, [(0, "B", 2)], ["A where event.properties.n >= 2 && !(event.properties.n == 3) must come", "stage two or three, not one"]),
        ("on_condition", 0, [(0, "A", 0)], ["1 more A within 3d, or `event.name == 'B'` must hold"]),
        ("on_condition", 2, [(0, "A", 0), (1, "A", 0)], ["it must have been false before"]),
        ("on_stage", 1, [(0, "A", 0)], ["stage two must be entered at that instant; it is entered when 1 more A within 3d"]),
        ("on_leaving", 1, [(0, "A", 0)], ["stage one must be left at that instant"]),
        ("on_band", 0, [(0, "A", 0)], ["s at least 5: 2 more than 3"]),
        ("on_absence", 1, [(0, "A", 0)], ["the silence must last until 2026-01-04T00:00:00Z", "gate shadow must let it through"]),
        ("on_sequence", 1, [(1, "B", 0)], ["A must come first, then B, no C before it"]),
        ("on_sequence", 1, [(0, "A", 0)], ["B, no C before it must come after 2026-01-01T00:00:00Z and by 2026-01-04T00:00:00Z"]),
        ("on_sequence", 1.5, [(0, "A", 0), (1, "A", 0), (1.5, "B", 0)], ["this must not hold: stage is three"]),
        ("on_threshold", 0, [(0, "A", 0)], ["s must be at least 6, not 3"]),
        ("on_threshold", 2, [(0, "A", 0), (0.25, "A", 0), (0.5, "A", 0)], ["s must have been below 6 before"]),
        ("on_fall", 0, [(0, "A", 0)], ["s must be below 2, not 3"]),
        ("on_anomaly", 0, [(0, "A", 0)], ["4 whole periods must have passed, not 0"]),
        ("on_anomaly", 9, [(0, "A", 0), (9, "A", 0)], ["more than 3 in a period of 6h, not 1"]),
        ("on_drop", 1, [(1, "B", 0)], ["A must have happened: nothing is usual yet"]),
        ("on_date", 0, [(0, "A", 0)], ["the customer must have a trait renewal"]),
        ("on_inactivity", 1, [(0, "A", 0)], ["the silence must last until 2026-01-03T00:00:00Z"]),
        ("on_silence", 0, [(0, "A", 0)], ["it must be counting: it begins with stage two entered"]),
    ],
)  # fmt: skip
def test_the_reason_is_in_the_authors_words(topology, trigger, day, events, differ):
    """What would have had to differ, each on its own line."""
    found = asked(topology, trigger, day, *events)
    assert found.why_not is not None
    assert len(found.why_not.differ) == len(differ), found.why_not.differ
    for is_, wanted in zip(found.why_not.differ, differ, strict=True):
        assert is_.startswith(wanted), is_


def test_an_event_that_the_customer_never_sent_is_named_with_the_last_one(topology):
    found = asked(topology, "on_event", 3, (0, "A", 2), (1, "B", 1), customer="u")
    assert found.looked_at == "A 0 at 2026-01-01T00:00:00Z"
    assert "nothing is known of w" in asked(topology, "on_event", 3, customer="w").summary


def test_a_trigger_that_is_not_defined_is_told_with_the_nearest():
    with pytest.raises(LookupError, match="did you mean 'hero_image'"):
        explain_silence(load("topologies/saas"), "u", "hero_imag", END, list)


def test_a_customer_without_a_score_is_told_so():
    """Disqualified: no limit is met, and the reason is named."""
    leads = load("topologies/leads")
    traits = {
        "type": "identify",
        "userId": "u",
        "messageId": "i",
        "timestamp": isoformat(START),
        "traits": {"email": "a@x.edu"},
    }
    demo = {
        "type": "track",
        "event": "Demo Requested",
        "userId": "u",
        "messageId": "d",
        "timestamp": isoformat(START + 1),
    }
    history = [Record(offset=at, value=msgspec.json.encode(each)) for at, each in enumerate((traits, demo))]
    found = explain_silence(leads, "u", "mql", START + HOUR, lambda: history)
    assert found.why_not is not None
    assert "engagement must be reported: the customer is disqualified" in repr(found.why_not)


def test_a_decision_of_an_account_is_explained_by_its_contacts():
    """Who did it and by what, who else holds the account there, where it stood; so is its retraction."""
    saas = load("topologies/saas")

    def identify(number, who, at, **more):
        said = {"type": "identify", "userId": who, "messageId": str(number), "timestamp": isoformat(START + at), "context": {"groupId": "acme"}, **more}  # fmt: skip
        return Record("t", 0, number, -1, None, msgspec.json.encode(said))

    def track(number, who, event, at):
        return identify(number, who, at, type="track", event=event)

    history = [
        identify(0, "ana", 0, traits={"role": "champion"}), identify(1, "ben", HOUR, traits={"role": "decision maker"}),
        track(2, "ana", "Demo Requested", DAY), track(3, "ana", "Trial Started", DAY), track(4, "ben", "Trial Started", 2 * DAY),
    ]  # fmt: skip
    made = [each for each in simulate(saas, history, until=END) if each.customer == "acme"]
    found = [explain_decision(saas, each.id, lambda: iter(history), END) for each in made]
    assert [each.summary for each in found] == [
        "account entered stage awareness by contact ana",
        "account moved forward from stage awareness to stage consideration by contact ana",
        "engagement of the account is 70 (was 0) by contact ana",
        "account moved forward from stage consideration to stage decision by contact ben",
        "engagement of the account is 45 (was 70) by contact ana",
    ]
    assert found[3].standing.contacts == 2
    assert found[3].tree[-1].saw == {"contacts": 2, "ana": "decision", "ben": "decision"}
    assert [each.at for each in found] == [isoformat(each.at) for each in made]


def test_a_decision_that_the_history_does_not_hold_is_none(topology):
    assert explain_decision(topology, "ffff", lambda: records([])) is None

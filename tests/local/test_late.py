"""Late events through `simulate`: every feature of the shipped topologies, whatever the order of arrival."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import profile as record
from rumbo.core.decision import decision_id
from rumbo.core.definition import Late
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.retraction import net
from rumbo.local import Local, run_examples, simulate
from rumbo.local.diff import compare
from rumbo.local.explain import explain_decision
from rumbo.topology import Loaded, load
from tests.local.test_acceptance import START, history, made, track

TOPOLOGIES = ("saas", "outreach", "leads", "grocery")


def refolding(topology, **reach):
    return msgspec.structs.replace(topology, late=Late("refold", **reach))


def names_of(topology):
    """Every event that some rule listens to."""
    program = topology.program()
    return sorted(program._plans)


def life(topology, chance, length, days=40):
    """One customer's records in the order in which they happened: events of every rule, with what rules read of them."""
    names = names_of(topology)
    made = []
    for number in range(length):
        said = {
            "properties": {
                "path": chance.choice(["/", "/pricing"]), "asset": chance.choice("abc"), "total": chance.choice([5, 80]),
                "cart_id": chance.choice("xy"), "stage": "decision", "status": chance.choice(["granted", "withdrawn"]),
                "purpose": "marketing", "id": chance.choice("pq"), "order_id": chance.choice("pq"),
            },
            "context": {"traits": {"plan": chance.choice(["free", "pro"]), "zone": "Europe/Madrid"}, "campaign": {"name": "A"}},
        }  # fmt: skip
        made.append(track(chance.choice(names), chance.randrange(days * 24 * 60) * MINUTE, number=number, **said))
    return sorted(made, key=at_of)


def at_of(raw):
    said = msgspec.json.decode(raw.value)
    return said["timestamp"], said["messageId"]


def run(topology, records, until):
    """(everything put out, the profiles) at the end."""
    local = Local(topology)
    out = [each for raw in records for each in local.send(raw)] + local.until(until)
    return out, {name: record.load(record.dump(each)) for name, each in local.profiles.items()}


def stands_for(topology, decision):
    """The ids under which a decision of the right order may stand: its own, or of the record that it came too late."""
    major = next(each for each in topology.journeys if each.id == decision.journey).major
    if decision.kind != "action.requested":
        return {decision.id}
    too_late = decision_id(
        topology.name, decision.journey, major, decision.customer, f"late:{decision.data.trigger}", decision.id
    )
    return {decision.id, too_late}


def same_in_the_end(topology, arrived, ordered, until):
    wanted, profiles = run(topology, ordered, until)
    found, others = run(topology, arrived, until)
    assert others == profiles
    assert max(Counter(each.id for each in found).values(), default=1) == 1
    stands = net(found)
    for each in wanted:
        ids = stands_for(topology, each) & stands.keys()
        assert len(ids) == 1, each
        del stands[ids.pop()]
    assert stands == {}
    return found


@pytest.mark.parametrize("name", TOPOLOGIES)
@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_any_order_of_arrival_ends_alike_in_every_shipped_topology(name, seed, length):
    """Flows, sequences, caps, quiet hours, consent, messages, fits: all that there is, put in its place."""
    chance, topology = random.Random(seed), refolding(load(f"topologies/{name}"))
    ordered = life(topology, chance, length)
    same_in_the_end(topology, chance.sample(ordered, len(ordered)), ordered, START + 60 * DAY)


def test_5_shuffled_within_the_lateness_the_state_and_the_net_decisions_are_the_same():
    """25 customers, 500 events, each up to ten minutes late, through `simulate`: what was put out less what was withdrawn is equal."""
    topology, chance = refolding(load("topologies/saas")), random.Random(5)
    ordered = sorted(history(5), key=at_of)
    within = sorted(ordered, key=lambda raw: START + offset(raw) + chance.randrange(10 * MINUTE))
    assert within != ordered
    end = START + 80 * DAY
    found = same_in_the_end(topology, within, ordered, end)
    assert {each.id for each in simulate(topology, ordered, until=end)} == set(net(found))
    assert list(simulate(topology, within, until=end)) == found


def offset(raw):
    return int(at_of(raw)[1].split("-")[1])


def test_5_whatever_comes_days_late_within_the_reach_ends_alike_too():
    """A whole day of the history arrives at the end."""
    topology = refolding(load("topologies/saas"))
    ordered = sorted(history(6), key=at_of)
    day = [raw for raw in ordered if 10 * DAY <= offset(raw) < 12 * DAY]
    arrived = [raw for raw in ordered if raw not in day] + day
    found = same_in_the_end(topology, arrived, ordered, START + 80 * DAY)
    assert any(each.kind == "decision.retracted" for each in found)
    assert sum(1 for each in found if each.kind == "action.requested") <= sum(
        1 for each in run(topology, ordered, START + 80 * DAY)[0] if each.kind == "action.requested"
    ) + sum(1 for each in found if each.kind == "decision.retracted")


JOURNEY = """
stages: [one, {two: {when: {event: B}}}]
triggers:
  - id: nudge
    absence: {of: B, for: 14d, since: {event: A}}
    action: {kind: message, purpose: service, expires_after: 1d}
"""


def late_history():
    return [track("A"), track("C", 20 * DAY, number=1), track("B", 13 * DAY, number=2)]


def test_a_withdrawal_is_explained_and_compared_like_any_decision(tmp_path):
    """`explain` finds it by its id; two equal versions differ in nothing, withdrawals and all."""
    topology = refolding(made(tmp_path, JOURNEY))
    out = list(simulate(topology, late_history(), until=START + 20 * DAY))
    kinds = [each.kind for each in out]
    assert kinds == ["action.requested", "decision.retracted", "stage.changed"]
    told = explain_decision(topology, out[1].id, late_history, START + 20 * DAY)
    assert told is not None
    assert (told.kind, told.rule, told.data["retracts"]) == ("decision.retracted", "late event", out[0].id)
    assert compare(topology, topology, late_history(), until=START + 20 * DAY).empty


@pytest.mark.parametrize(
    ("said", "reach"),
    [
        ("refold", Late("refold")),
        ("process", Late()),
        ("{policy: refold, events: 20, within: 30d}", Late("refold", 20, 30 * DAY)),
        ("{within: 12h}", Late("refold", within=12 * HOUR)),
        ("{policy: process}", Late()),
    ],
)
def test_a_topology_says_how_far_it_reaches(tmp_path, said, reach):
    made(tmp_path, JOURNEY)
    path = tmp_path / "topology.yaml"
    path.write_text(path.read_text() + f"late: {said}\n")
    found = Loaded(tmp_path)
    assert found.errors == []
    assert found.topology.late == reach


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("never", "`late` is 'never'"),
        ("{policy: never}", "`policy` is 'never'"),
        ("{events: 0}", "`events` must be a whole number from 1 to 5000"),
        ("{within: 2y}", "`within`"),
        ("{within: 500d}", "`within` is at most 400d"),
        ("{policy: process, events: 5}", "`events` is for `policy: refold`"),
        ("{reach: 5}", "`reach` is not known"),
        ("[refold]", "`late` must be text"),
    ],
)
def test_a_reach_that_cannot_be_meant_is_a_problem_with_its_line(tmp_path, said, problem):
    made(tmp_path, JOURNEY)
    path = tmp_path / "topology.yaml"
    path.write_text(path.read_text() + f"late: {said}\n")
    (found,) = Loaded(tmp_path).errors
    assert problem in str(found)
    assert f"{path}:4" in str(found)


def test_an_example_says_that_something_came_late(tmp_path):
    """`late` is how long after it happened it arrives; `retracted` is what was withdrawn, by the name that it had."""
    made(tmp_path, JOURNEY)
    path = tmp_path / "topology.yaml"
    path.write_text(path.read_text() + "late: refold\n")
    (tmp_path / "examples.yaml").write_text(
        "examples:\n"
        "  - name: it was used in time, as it turned out\n"
        "    given: [{event: A}, {after: 13d, late: 7d, event: B}]\n"
        "    until: 30d\n"
        "    then: [{after: 14d, action: nudge}, {after: 13d, retracted: nudge}]\n"
    )
    found = Loaded(tmp_path)
    assert found.errors == []
    (outcome,) = run_examples(found.topology, found.examples)
    assert outcome.passed, outcome
    plain = msgspec.structs.replace(found.topology, late=Late())
    (outcome,) = run_examples(plain, found.examples)
    assert outcome.missing == ("after 13d: retracted nudge",)

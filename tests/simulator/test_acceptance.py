"""The promises of the language, each by its number, through `simulate` and through the real engine on a broker in memory.

The two must also agree in everything: ids, instants and data of every decision.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rumbo.core.decision import Decision
from rumbo.core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from rumbo.core.sequence import PARTIALS, PER_KEY
from rumbo.intake import RawRecord, Record
from rumbo.local import Local, simulate
from rumbo.topology import Topology, load
from tests.local import test_contact as contact
from tests.local.test_acceptance import SAAS, START, history, made, track
from tests.simulator import calm

Decide = Callable[[Topology, list[RawRecord], Instant], list[Decision]]


WRITTEN_MS = START // 1000 + 400 * DAY // 1000
"""When every record was appended: after all that is told of."""


def appended(topology: Topology, records: list[RawRecord]) -> list[Record]:
    """The records as they stand in one partition."""
    source = topology.sources[0].topic
    return [Record(source, 0, number, WRITTEN_MS, None, each.value) for number, each in enumerate(records)]


def locally(topology: Topology, records: list[RawRecord], until: Instant) -> list[Decision]:
    return list(simulate(topology, appended(topology, records), until=until))


def really(topology: Topology, records: list[RawRecord], until: Instant) -> list[Decision]:
    """What the engine writes; each decision equal to that of `simulate`, in the order of its instants."""
    written, expected = (
        calm.run(topology, appended(topology, records), until).decisions,
        locally(topology, records, until),
    )
    assert {each.id: each for each in written} == {each.id: plain(each) for each in expected}
    assert len(written) == len(expected)
    place = {each.id: number for number, each in enumerate(expected)}
    return sorted(written, key=lambda each: place[each.id])


def plain(decision: Decision) -> Decision:
    """As it is read back from JSON."""
    data = msgspec.convert(msgspec.to_builtins(decision.data), type(decision.data))
    return msgspec.structs.replace(decision, data=data)


@pytest.fixture(params=[locally, really], ids=["simulate", "engine"])
def decide(request) -> Decide:
    way: Decide = request.param
    return way


def acts(found: list[Decision], *kinds: str) -> list[tuple[int, str]]:
    """(since the start, trigger) of actions."""
    return [(each.at - START, each.data.trigger) for each in found if each.kind in (kinds or ("action.requested",))]


def test_1_mail_a_image_a_mail_b_image_b(decide):
    """At the instant of the click."""
    clicks = [
        track("Email Link Clicked", at * HOUR, number=at, context={"campaign": {"name": mail}})
        for at, mail in enumerate("ABC")
    ]
    found = [each for each in decide(load(SAAS), clicks, START + DAY) if each.kind == "action.requested"]
    assert [(each.at - START, each.data.params["image"]) for each in found] == [
        (0, "image_a"), (HOUR, "image_b"), (2 * HOUR, "image_default"),
    ]  # fmt: skip


@pytest.mark.parametrize("used", [None, 13])
def test_2_use_or_non_use_fires_at_exactly_14_days_on_a_silent_topic(decide, used):
    records = [track("Account Created")] + (
        [track("Report Exported", used * DAY, number=1)] if used is not None else []
    )
    nudges = [at for at, name in acts(decide(load(SAAS), records, START + 26 * DAY)) if name == "feature_not_used"]
    assert nudges == ([14 * DAY] if used is None else [])


def test_3_a_mail_not_opened_after_3_days_is_visible_as_such(decide, tmp_path):
    """As a segment at its instant and as a call to act; opened on the second day, it is not."""
    topology = made(tmp_path, """
segments: {silent: {message: news, not: opened, for: 3d}}
triggers:
  - {id: news, event: Signed Up, action: {kind: message, purpose: service, expires_after: 1d}}
  - {id: call, when: {message: news, not: opened, for: 3d}, action: {kind: crm, purpose: service, expires_after: 1d}}
""", "contact: {messages: {opened: {event: Email Opened, action: event.properties.action_id}}}\n")  # fmt: skip
    signed = [track("Signed Up", customer=who, number=number) for number, who in enumerate("uv")]
    sent = {each.customer: each.id for each in locally(topology, signed, START) if each.kind == "action.requested"}
    opened = track("Email Opened", 2 * DAY, "v", 2, properties={"action_id": sent["v"]})
    found = decide(topology, [*signed, opened], START + 9 * DAY)
    assert [(each.at - START, each.customer) for each in found if each.kind == "segment.changed"] == [(3 * DAY, "u")]
    assert acts(found) == [(0, "news"), (0, "news"), (3 * DAY, "call")]


def net(found: list[Decision]) -> set[str]:
    """Ids of what stands: emitted and not withdrawn, by a retraction that was not withdrawn itself."""
    withdrawn = [each for each in found if each.kind == "decision.retracted"]
    again = {each.data.retracts for each in withdrawn}
    gone = {each.data.retracts for each in withdrawn if each.id not in again}
    return {each.id for each in found if each.kind != "decision.retracted"} - gone


@pytest.mark.parametrize("seed", [5, 55])
def test_5_shuffled_within_the_lateness_the_final_state_and_the_net_decisions_are_the_same(tmp_path, seed):
    """Ten minutes of lateness, `late: refold`; through `simulate` and through the engine, both orders."""
    for name in ("topology.yaml", "journey.yaml"):
        (tmp_path / name).write_text((SAAS / name).read_text() + ("late: refold\n" if name == "topology.yaml" else ""))
    topology, chance = load(tmp_path), random.Random(seed)
    names = ["Page Viewed", "Asset Downloaded", "Demo Requested", "Trial Started", "Account Created", "Report Exported"]
    drawn = sorted((chance.randrange(30) * 7 * MINUTE + chance.randrange(20) * DAY, number) for number in range(80))
    ordered = [
        track(
            chance.choice(names),
            at,
            f"u{number % 3}",
            number,
            properties={"path": "/pricing", "asset": f"a{number % 4}"},
        )
        for at, number in drawn
    ]
    late = {number: at + chance.randrange(10 * MINUTE) for at, number in drawn}
    arrival = sorted(range(len(drawn)), key=lambda place: late[drawn[place][1]])
    shuffled = [ordered[place] for place in arrival]
    assert shuffled != ordered
    until, ways = START + 60 * DAY, []
    for records in (ordered, shuffled):
        local = Local(topology)
        found = [each for record in appended(topology, records) for each in local.send(record)] + local.until(until)
        engine = calm.run(topology, appended(topology, records), until)
        assert {each.id for each in engine.decisions} == {each.id for each in found}
        ways += [(net(found), local.profiles), (net(engine.decisions), engine.profiles)]
    assert len(ways[0][0]) > 20
    assert all(each == ways[0] for each in ways[1:])


def test_7_a_replay_differs_in_nothing_and_a_changed_threshold_in_what_a_recomputation_says(decide, tmp_path):
    """The decisions of each version, by both ways of running it."""
    for name in ("topology.yaml", "journey.yaml"):
        text = (SAAS / name).read_text()
        (tmp_path / name).write_text(text.replace("mql: {enter: 60, leave: 45}", "mql: {enter: 50, leave: 40}"))
    records, end = history(7, 8, 12), START + 80 * DAY
    old, again, new = (
        {each.id for each in decide(topology, records, end)} for topology in (load(SAAS), load(SAAS), load(tmp_path))
    )
    assert old == again
    assert old != new
    assert len(old) > 20


def test_10_a_purchase_in_a_wait_of_30_days_leaves_at_that_instant(decide, tmp_path):
    topology = made(tmp_path, """
flows:
  - id: cart
    enter: {event: Product Added}
    exit: {event: Order Completed}
    steps: [{wait: {for: 30d}}, {action: {kind: message, purpose: service, expires_after: 1d}}]
""")  # fmt: skip
    records = [
        track("Product Added"),
        track("Order Completed", 19 * DAY, number=1),
        track("Product Added", 40 * DAY, number=2),
    ]
    found = decide(topology, records, START + 90 * DAY)
    assert [(each.at - START, getattr(each.data, "reason", each.kind)) for each in found] == [
        (0, "entered"), (19 * DAY, "exit"), (40 * DAY, "entered"), (70 * DAY, "action.requested"), (70 * DAY, "end"),
    ]  # fmt: skip


def test_11_caps_and_quiet_hours_across_dst_in_two_zones_and_a_withdrawal_cancels_what_is_held(
    decide, tmp_path, monkeypatch
):
    """The year of `test_acceptance_11` in `tests/local/test_contact.py`, decided either way."""
    monkeypatch.setattr(contact, "simulate", lambda topology, records, until=None: decide(topology, records, until))
    contact.test_acceptance_11_cap_and_quiet_hours_across_dst_in_two_zones_and_a_withdrawal(tmp_path)


def test_12_partial_matches_stay_in_bounds_and_the_metric_tells(tmp_path):
    """Through the engine; a million of them through `Local` are in `tests/local/test_acceptance.py`."""
    topology = made(tmp_path, """
triggers:
  - {id: one, sequence: {steps: [A, B], within: 90d}, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: per, sequence: {steps: [A, B], within: 90d, per: event.properties.k}, action: {kind: m, purpose: p, expires_after: 1d}}
""")  # fmt: skip
    records = [track("A", at * SECOND, number=at, properties={"k": at % 100}) for at in range(400)]
    found = calm.run(topology, appended(topology, records), START + DAY)
    matches = found.profiles["u"].journeys["j"].matches
    assert (len(matches["one"]), len(matches["per"])) == (PER_KEY, PARTIALS)
    dropped = found.metrics.registry.get_sample_value("rumbo_profile_bound_total", {"bound": "sequence_partials"})
    assert dropped == 2 * 400 - PER_KEY - PARTIALS


@pytest.mark.parametrize("after", [SECOND, DAY], ids=["with the delivery", "a day later"])
def test_14_a_scanner_burst_brings_no_points_and_no_mql(decide, after):
    """Of six links in three seconds nothing stands; what the first ones had set off is withdrawn."""
    records = [track("Email Delivered", properties={"email_id": "m"})] + [
        track(
            "Email Link Clicked",
            after + at * SECOND // 2,
            number=at + 1,
            properties={"email_id": "m", "link_url": f"/{at}"},
        )
        for at in range(6)
    ]
    found = decide(load("topologies/signals"), records, START + 3 * DAY)
    gone = {each.data.retracts for each in found if each.kind == "decision.retracted"}
    stands = Counter(each.kind for each in found if each.id not in gone)
    assert stands["event.quarantined"] == 6
    assert stands["score.changed"] == stands["stage.changed"] == stands["action.requested"] == 0
    assert len(gone) == (0 if after == SECOND else 2)


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in Path("topologies").glob("*/topology.yaml")))
def test_every_topology_that_ships_decides_the_same_through_the_engine(folder):
    """A busy history with late events, pages, messages and scanners."""
    topology, chance = load(f"topologies/{folder}"), random.Random(folder)
    names = sorted(
        {
            name
            for journey in topology.journeys
            for each in journey.triggers
            for name in getattr(getattr(each.on, "events", None), "names", ())
        }
    )
    names += [
        "Page Viewed",
        "Email Link Clicked",
        "Email Delivered",
        "Account Created",
        "Report Exported",
        "Order Completed",
        "Consent Changed",
    ]
    if topology.derived.friction is not None:
        names += ["Payment Failed", "Form Started", "Form Submitted", "Element Clicked"]
    at, records = 0, []
    for number in range(150):
        at += chance.choice([SECOND, MINUTE, HOUR, DAY])
        said = {
            "path": chance.choice(["/", "/pricing"]), "status": chance.choice(["granted", "withdrawn"]), "purpose": "education",
            "email_id": "m", "link_url": f"/{chance.randrange(5)}", "cart_id": chance.choice("ab"), "total": chance.randrange(90),
            "form": "signup", "element": "pay",
        }  # fmt: skip
        late = chance.choice([0, 0, 0, MINUTE])
        records.append(track(chance.choice(names), at - late, f"u{chance.randrange(4)}", number, properties=said))
    assert len(really(topology, records, START + at + 40 * DAY)) > 0


def test_the_engines_state_is_that_of_simulate():
    """The profiles in the changelog, after pages, sessions, a burst and friction; a form is abandoned when nothing comes any more."""
    topology, local = load("topologies/signals"), Local(load("topologies/signals"))
    records = [
        *(track("Page Viewed", at * 20 * SECOND, number=at, properties={"path": f"/{at % 3}"}) for at in range(9)),
        *(track("Email Link Clicked", HOUR + at, number=at, properties={"link_url": f"/{at}"}) for at in range(4)),
        *(track("Element Clicked", HOUR + MINUTE + at, number=at, properties={"element": "pay"}) for at in range(3)),
        track("Form Started", HOUR + 2 * MINUTE, properties={"form": "signup"}),
    ]
    for each in appended(topology, records):
        local.send(each)
    local.until(START + 2 * HOUR)
    assert [each.trouble is not None and [kind for _, kind, *_ in each.trouble.last] for each in local.profiles.values()] == [["rage_click", "form_abandoned"]]  # fmt: skip
    assert calm.run(topology, appended(topology, records), START + 2 * HOUR).profiles == local.profiles

"""The promises that the language was made for, each by its number, through `simulate`: records in, decisions out, nobody waits."""

from __future__ import annotations

import random
import uuid
from math import log2
from pathlib import Path
from time import process_time

import msgspec
import pytest

from rumbo.core import profile as record
from rumbo.core.instant import DAY, HOUR, isoformat
from rumbo.core.sequence import PARTIALS, PER_KEY
from rumbo.intake import Record
from rumbo.local import Local, simulate
from rumbo.local.diff import compare
from rumbo.topology import Loaded, Topology, load

START = 1_767_225_600_000_000
SAAS = Path("topologies/saas")


def track(name: str, at: int = 0, customer: str = "u", number: int = 0, **said) -> Record:
    """One record as a producer sends it."""
    body = {
        "type": "track",
        "event": name,
        "userId": customer,
        "messageId": f"m{number}-{at}-{name}",
        "timestamp": isoformat(START + at),
    }
    return Record(topic="product-events", offset=number, value=msgspec.json.encode(body | said))


def made(folder: Path, journey: str, more: str = "") -> Topology:
    (folder / "topology.yaml").write_text(
        f"topology: t\nsources: [{{topic: product-events, lateness: 0s}}]\njourneys: [j.yaml]\n{more}"
    )
    (folder / "j.yaml").write_text(f'journey: j\nversion: "1.0"\n{journey}')
    found = Loaded(folder)
    assert found.errors == []
    assert found.topology is not None
    return found.topology


def test_1_mail_a_image_a_mail_b_image_b_within_a_second():
    """At the instant of the click, and in far less than a second of work."""
    topology = load(SAAS)
    local, begun = Local(topology), process_time()
    for at, (mail, image) in enumerate([("A", "image_a"), ("B", "image_b"), ("C", "image_default")]):
        clicked = track("Email Link Clicked", at * HOUR, number=at, context={"campaign": {"name": mail}})
        decided = [each for each in local.send(clicked) if each.kind == "action.requested"]
        assert [(each.at, each.data.params["image"]) for each in decided] == [(START + at * HOUR, image)]
    assert process_time() - begun < 1


def test_2_not_used_after_14_days_to_the_second_on_a_silent_topic():
    """Nothing comes after the account is created; the clock alone moves. Used on day 13, nothing is said."""
    topology = load(SAAS)
    silent = list(simulate(topology, [track("Account Created")], until=START + 60 * DAY))
    assert [each.at - START for each in silent if getattr(each.data, "trigger", "") == "feature_not_used"] == [14 * DAY]
    used = [track("Account Created"), track("Report Exported", 13 * DAY, number=1)]
    assert all(
        getattr(each.data, "trigger", "") != "feature_not_used"
        for each in simulate(topology, used, until=START + 26 * DAY)
    )


def history(seed: int, customers: int = 25, length: int = 20) -> list[Record]:
    chance = random.Random(seed)
    names = ["Page Viewed", "Asset Downloaded", "Demo Requested", "Trial Started", "Account Created", "Report Exported"]
    drawn = sorted(
        (chance.randrange(40 * 24) * HOUR, chance.choice(names), f"u{chance.randrange(customers)}")
        for _ in range(customers * length)
    )
    return [
        track(
            name, at, who, number, properties={"path": chance.choice(["/", "/pricing"]), "asset": chance.choice("abc")}
        )
        for number, (at, name, who) in enumerate(drawn)
    ]


def test_7_equal_definitions_differ_in_nothing_and_a_changed_threshold_in_what_a_recomputation_differs(tmp_path):
    """The difference is that of the two sets of decisions, each version run for itself over the whole history."""
    for name in ("topology.yaml", "journey.yaml"):
        text = (SAAS / name).read_text()
        (tmp_path / name).write_text(text.replace("mql: {enter: 60, leave: 45}", "mql: {enter: 50, leave: 40}"))
    old, new, end = load(SAAS), load(tmp_path), START + 80 * DAY
    records = history(7)
    assert compare(old, load(SAAS), records, until=end).empty
    found = compare(old, new, records, until=end)

    def decided(topology: Topology) -> dict[str, str]:
        aside = {"because", "version"}
        return {
            each.id: repr({key: value for key, value in msgspec.to_builtins(each.data).items() if key not in aside})
            for each in simulate(topology, records, until=end)
        }

    before, after = decided(old), decided(new)
    same = sum(1 for each in before.keys() & after.keys() if before[each] == after[each])
    assert not found.empty
    assert found.total("same") == same
    gone, come = found.total("removed") + found.total("moved"), found.total("added") + found.total("moved")
    assert len(before) == same + found.total("changed") + gone
    assert len(after) == same + found.total("changed") + come
    assert gone + come > 0


GOLDEN = """
scores:
  half: {half_life: 14d, min_delta: 0.001, points: [{event: A, points: event.properties.n}], bands: [{low: {enter: 20}}, {high: {enter: 60, leave: 45}}]}
  linear: {decay: {step_linear: 25%, every: 30d}, min_delta: 0.001, points: [{event: B, points: 40}, {event: Look, points: 0.002, half_life: none}]}
  geometric: {decay: {step_geometric: 25%, every: 30d}, min_delta: 0.001, points: [{event: B, points: 40}, {event: Look, points: 0.002, half_life: none}]}
"""


def scored(topology: Topology, records: list[Record], name: str, until: int) -> list[tuple[float, float]]:
    """(day, value) of each output of one score."""
    found = [
        each
        for each in simulate(topology, records, until=START + until)
        if each.kind == "score.changed" and each.data.score == name
    ]
    return [((each.at - START) / DAY, each.data.value) for each in found]


def test_9_golden_numbers_of_the_lead_score(tmp_path):
    """H = 14 d: 62.071 on day 14, through 45 on day 20.496 and through 20 on day 36.875. Steps of 25 % every 30 d of 40 points."""
    topology = made(tmp_path, GOLDEN)
    awards = [track("A", day * DAY, number=day, properties={"n": n}) for day, n in ((0, 50), (7, 10), (14, 30))]
    half = scored(topology, awards, "half", 60 * DAY)
    assert half[2][1] == pytest.approx(62.071, abs=5e-4)
    assert [day for day, _ in half[3:]] == pytest.approx([20.496, 36.875], abs=5e-4)
    assert half[3][0] == pytest.approx(14 + 14 * log2(half[2][1] / 45), abs=1e-4)
    ages, number = [0, 29, 30, 60, 119, 120], 0.0
    looks = [track("B")] + [track("Look", day * DAY, number=day) for day in ages[1:]]
    for name, expected in (("linear", [40, 40, 30, 20, 10, 0]), ("geometric", [40, 40, 30, 22.5, 16.875, 12.656])):
        values = scored(topology, looks, name, 120 * DAY)
        assert [value - 0.002 * at for at, (_, value) in enumerate(values)] == pytest.approx(expected, abs=6e-4), name
        number += len(values)
    assert number == 2 * len(ages)


def test_12_a_million_partial_matches_stay_in_bounds_and_are_counted(tmp_path):
    """Fifty definitions, each begun twenty thousand times and never ended, by one customer: the latest are kept, the rest is counted."""
    sequence = "sequence: {{steps: [A, B], within: 90d{per}}}, action: {{kind: m, purpose: p, expires_after: 1d}}"
    lines = [
        f"  - {{id: t{at}, {sequence.format(per=', per: event.properties.k' if at % 10 == 0 else '')}}}"
        for at in range(50)
    ]
    topology = made(tmp_path, "triggers:\n" + "\n".join(lines) + "\n")
    local = Local(topology)
    for at in range(20_000):
        local.send(track("A", at * 1_000_000, number=at, properties={"k": at % 100}))
    matches = local.profiles["u"].journeys["j"].matches
    assert [len(matches[f"t{at}"]) for at in range(50)] == [PARTIALS, *[PER_KEY] * 9] * 5
    local.until(START + DAY)
    assert local.counts["sequence_partials"] == 50 * 20_000 - 5 * PARTIALS - 45 * PER_KEY
    assert len(record.dump(local.profiles["u"])) < 128 * 1024
    local.until(START + 100 * DAY)
    assert local.profiles["u"].journeys["j"].matches == {}


def test_14_a_burst_of_a_scanner_gives_no_points_and_no_mql():
    """Six links in three seconds, with the delivery and a day after it: nothing stands of it. Two clicks of a person are an MQL."""
    topology = load("topologies/signals")

    def net(*links: tuple[int, str]) -> list[str]:
        """What stands of clicks at these instants, a day after the delivery."""
        records = [track("Email Delivered", properties={"email_id": "m"})]
        records += [
            track("Email Link Clicked", at, number=number + 1, properties={"email_id": "m", "link_url": link})
            for number, (at, link) in enumerate(links)
        ]
        made = list(simulate(topology, records, until=START + 3 * DAY))
        gone = {each.data.retracts for each in made if each.kind == "decision.retracted"}
        return [
            each.kind for each in made if each.id not in gone and each.kind in {"score.changed", "action.requested"}
        ]

    half = 500_000
    for begin in (1_000_000, DAY):
        assert net(*((begin + at * half, f"/{at}") for at in range(6))) == []
    assert net((DAY, "/0"), (DAY + HOUR // 60, "/1")).count("score.changed") == 0  # a minute's decay: 59.998
    assert net((DAY, "/0"), (DAY + 10_000_000, "/1"), (DAY + HOUR, "/2")) == [
        "action.requested", "action.requested", "score.changed", "action.requested", "action.requested",
    ]  # fmt: skip


BUSY = (
    "Page Viewed", "Page Viewed", "Asset Downloaded", "Page Viewed", "Demo Requested", "Trial Started", "Account Created",
    "Report Exported", "Page Viewed", "Report Exported", "Order Completed", "Signed Up", "Cart Viewed", "Report Exported",
    "Subscription Renewed", "Page Viewed", "Email Link Clicked", "Referral Sent", "Order Completed", "Report Exported",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "events", "limit"),
    [("grocery", BUSY, 1024), ("benchmark", BUSY, 1024), ("saas", ("Page Viewed",) * 20, 1024), ("saas", BUSY, 2048)],
)
def test_a_profile_after_twenty_events_is_under_a_kilobyte(name, events, limit):
    """With ids as producers make them (36 characters); under two where a customer has set off nearly every rule that there is."""
    program = load(f"topologies/{name}").program()
    profile = program.load(str(uuid.UUID(int=7**40)), None)
    local = Local(load(f"topologies/{name}"))
    for number, each in enumerate(events):
        said = {
            "messageId": str(uuid.UUID(int=number * 7**40)),
            "userId": profile.customer,
            "properties": {"path": "/pricing", "asset": f"guide-{number}"},
        }
        local.send(track(each, number * DAY // 2, number=number, **said))
    (kept,) = local.profiles.values()
    assert kept.events == 20
    assert len(record.stored(kept)) < limit

"""Each kind of decision is explained in an author's words: what was seen, and what would have had to differ."""

from __future__ import annotations

import msgspec
import pytest

from rumbo.core.instant import DAY, HOUR, SECOND, isoformat
from rumbo.intake import Record
from rumbo.local import simulate
from rumbo.local.explain import explain_decision
from rumbo.topology import Loaded

START = 1_767_225_600_000_000
END = START + 40 * DAY
TOPOLOGY = """
topology: t
sources: [{topic: web, lateness: 1h}]
journeys: [j.yaml]
late: LATE
SCANNERS
"""
SCANNERS = "scanners: {click: Email Link Clicked, message: event.properties.email_id, link: event.properties.link_url}"
JOURNEY = """
journey: j
version: "1.0"
stages:
  - one
  - {two: {when: {event: A, at_least: 2, within: 3d}, stuck_after: 2d, back_to: {stage: one, when: {event: Back}, cooldown: 0s}}}
  - {three: {when: {event: C}}}
authority: {set: {event: Stage Set, stage: event.properties.stage}, release: Stage Released}
segments: {recent: {event: A, within: 1d}, fresh: {all: [{event: A}, {not: {stage: two}}]}}
scores: {s: {half_life: 1d, points: [{event: P, points: 10}], bands: [{low: {enter: 10, leave: 5}}]}}
triggers:
  - {id: clicked, event: Email Link Clicked, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: silent, absence: {of: Q, for: 1d}, action: {kind: m, purpose: p, expires_after: 1d}}
flows:
  - {id: f, enter: {event: F}, exit: {event: X}, steps: [{wait: {for: 2d}}]}
"""


@pytest.fixture
def told(tmp_path):
    """Every decision of what happened, explained: (hour, name[, properties]) each, in the order of arrival."""

    def explain(*happened, scanners=False, late="process"):
        words = TOPOLOGY.replace("LATE", late).replace("SCANNERS", SCANNERS if scanners else "")
        (tmp_path / "topology.yaml").write_text(words)
        (tmp_path / "j.yaml").write_text(JOURNEY)
        loaded = Loaded(tmp_path)
        assert loaded.errors == []
        history = [
            Record(offset=number, value=msgspec.json.encode({
                "type": "track", "event": name, "userId": "u", "messageId": str(number), "properties": dict(*more),
                "timestamp": isoformat(START + round(hour * HOUR)),
            }))
            for number, (hour, name, *more) in enumerate(happened)
        ]  # fmt: skip
        made = list(simulate(loaded.topology, history, until=END))
        found = [explain_decision(loaded.topology, each.id, lambda: history, END) for each in made]
        assert all(each is not None and each.tree and all(top.holds is True for top in each.tree) for each in found), (
            found
        )
        return found

    return explain


def of(found, kind):
    return next(each for each in found if each.kind == kind)


def test_a_segment_left_by_time_says_what_would_have_kept_the_customer_in(told):
    left = next(each for each in told((0, "A")) if each.data.get("change") == "left")
    assert left.summary == "left segment recent by time alone, in it since 2026-01-01T00:00:00Z"
    assert left.tree[0].parts[0].saw == {"count": 0}
    assert left.differ == ("to stay in recent: 1 more A within 1d",)


def test_a_segment_left_by_an_interaction_says_which_part_no_longer_held(told):
    left = [each for each in told((0, "A"), (1, "A")) if each.data.get("segment") == "fresh"][-1]
    assert left.summary == "left segment fresh by an interaction, in it since 2026-01-01T00:00:00Z"
    assert left.differ == ("to stay in fresh: this must not hold: stage is two",)


def test_stuck_says_since_when_and_what_the_stages_beyond_wait_for(told):
    stuck = of(told((0, "A"), (1, "A")), "stage.stuck")
    assert stuck.summary == "stuck in stage two since 2026-01-01T01:00:00Z, longer than 2d"
    assert stuck.tree[0].saw == {"since": "2026-01-01T01:00:00Z"}
    assert stuck.differ == ("to enter stage three: 1 more C",)


def test_unstable_says_how_often_and_until_when_and_what_asked_for_the_move(told):
    swings = [
        (hour, name) for at in range(3) for hour, name in ((3 * at, "A"), (3 * at + 1, "A"), (3 * at + 2, "Back"))
    ]
    unstable = of(told(*swings, (10, "A")), "stage.unstable")
    assert unstable.summary.startswith("held in stage ")
    assert "3 moves back and forth" in unstable.summary
    assert unstable.tree[0].condition == "more than 3 moves against the one before within 7d"
    assert len(unstable.tree) == 2
    assert unstable.differ == (
        f"3 moves back and forth at most: it is looked at again at {unstable.data['held_until']}",
    )


def test_a_stage_that_somebody_sets_rests_on_the_word_alone_and_what_it_holds_is_suggested(told):
    found = told((0, "Stage Set", {"stage": "two"}), (1, "C"))
    moved, suggested = of(found, "stage.changed"), of(found, "stage.suggested")
    assert moved.summary == "moved forward from stage one to two by authority"
    assert [each.condition for each in moved.tree] == ["interaction Stage Set", "stage set to two with authority"]
    assert suggested.summary == "stage three suggested: somebody has set two since 2026-01-01T00:00:00Z"
    assert [each.condition for each in suggested.tree] == ["stage set with authority", "C at least 1"]
    assert suggested.differ == ("stage two was set with authority: that must be released",)


def test_a_band_left_by_decay_tells_its_limits_and_what_is_left_of_each_rule(told):
    left = [each for each in told((0, "P")) if each.kind == "score.changed"][-1]
    assert left.tree[0].condition == "band low: entered at 10, left below 5"
    assert left.tree[0].saw["previous"] == 10
    assert left.tree[1].condition.startswith("rule ")


def test_a_flow_tells_what_began_it_and_what_ended_it(told):
    entered, left = (each for each in told((0, "F"), (1, "X")) if each.kind == "flow.changed")
    assert (entered.tree[0].saw.get("id"), entered.summary) == ("0", "flow f entered")
    assert left.summary.endswith(": exit")


def test_a_scanners_click_says_since_when_and_that_nobody_came(told):
    found = told((0, "Email Delivered", {"email_id": "m"}), (SECOND / HOUR, "Email Link Clicked", {"email_id": "m", "link_url": "/a"}), scanners=True)  # fmt: skip
    held, quarantined = of(found, "action.suppressed"), of(found, "event.quarantined")
    assert held.differ[0].startswith("gate quarantine must let it through: the click may be a scanner's")
    assert "it alone says yes from 2026-01-01T00:01:01Z" in held.differ[0]
    assert (
        quarantined.summary
        == "Email Link Clicked 1 was a scanner's and is not counted: put aside at 2026-01-01T00:00:01Z, no human came"
    )
    assert [each.condition for each in quarantined.tree] == [
        "no human came until then",
        "less than 3s after the delivery",
    ]
    assert quarantined.differ


def test_a_withdrawal_says_what_it_withdraws_what_that_rested_on_and_who_came_late(told):
    found = told((0, "Q"), (72, "A"), (20, "Q"), late="refold")
    withdrawn = of(found, "decision.retracted")
    assert (
        withdrawn.summary
        == "`m action of trigger silent asked for`, decided at 2026-01-02T00:00:00Z, is withdrawn: an interaction came late"
    )
    came, what = withdrawn.tree
    assert (came.condition, came.saw["id"]) == ("interaction Q", "2")
    assert what.condition == "no longer holds: m action of trigger silent asked for"
    assert [each.condition for each in what.parts] == ["no Q for 1d"]
    assert withdrawn.differ == ("the late interaction must have come before this was decided, or not at all",)

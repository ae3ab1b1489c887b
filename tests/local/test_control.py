"""Control records through `Local`: a clock, a stage that somebody sets, frozen figures; and what is none of these."""

from __future__ import annotations

import json

import pytest

from rumbo.core.instant import isoformat, parse_instant
from rumbo.intake import Reject, read_control
from rumbo.intake.record import Record
from rumbo.local import Local
from rumbo.topology import load

CONTROL = "rumbo.control.v1"


def control(offset: int = 0, *, timestamp: int = -1, **said) -> Record:
    return Record(CONTROL, 0, offset, timestamp, None, json.dumps(said).encode())


def track(name: str, at: str, who: str = "u") -> Record:
    said = {
        "type": "track",
        "event": name,
        "userId": who,
        "messageId": f"{name}{at}",
        "timestamp": at,
        "properties": {},
    }
    return Record("product-events", 0, 0, -1, None, json.dumps(said).encode())


def brief(decisions) -> list[tuple[str, str]]:
    return [
        (isoformat(each.at), getattr(each.data, "to", None) or getattr(each.data, "suggested", None) or each.kind)
        for each in decisions
        if each.kind.startswith("stage")
    ]


def test_a_control_record_sets_and_releases_a_stage():
    local = Local(load("topologies/saas"))
    local.send(track("Page Viewed", "2026-01-01T00:00:00Z"))
    said = {"customer": "u", "journey": "saas", "at": "2026-01-02T00:00:00Z", "id": "crm-1"}
    made = local.send(control(type="stage", stage="decision", **said))
    assert brief(made) == [("2026-01-02T00:00:00Z", "consideration"), ("2026-01-02T00:00:00Z", "decision")]
    assert made[0].data.because.events[0].topic == CONTROL
    assert local.send(control(type="stage", stage="decision", **said)) == []
    suggested = local.send(track("Account Created", "2026-01-03T00:00:00Z"))
    assert brief(suggested) == [("2026-01-03T00:00:00Z", "onboarding")]
    freed = local.send(control(type="release", customer="u", journey="saas", at="2026-01-04T00:00:00Z"))
    assert brief(freed) == [("2026-01-04T00:00:00Z", "onboarding")]


def test_a_clock_record_fires_what_is_due():
    local = Local(load("topologies/saas"))
    local.send(track("Account Created", "2026-01-01T00:00:00Z"))
    made = local.send(control(type="clock", at="2026-01-15T00:00:00Z"))
    assert ("2026-01-15T00:00:00Z", "stage.stuck") in brief(made)


def test_figures_count_from_the_record_on(tmp_path):
    """The same log gives the same decisions: a figure is an input, not a look at something that changes."""
    (tmp_path / "topology.yaml").write_text("topology: t\nsources: [{topic: web}]\njourneys: [j.yaml]\n")
    (tmp_path / "j.yaml").write_text(
        'journey: j\nversion: "1"\nstages: [{one: {stuck_after: {cohort: p90, otherwise: 30d}}}]\n'
    )
    local = Local(load(tmp_path))
    local.send(track("X", "2026-01-01T00:00:00Z", "early"))
    assert local.send(control(type="cohort", journey="j", dwell={"one": "3d"})) == []
    local.send(track("X", "2026-01-01T00:00:00Z", "later"))
    made = local.until(parse_instant("2026-03-01T00:00:00Z"))
    assert [(each.customer, isoformat(each.at), each.data.limit_seconds) for each in made] == [
        ("later", "2026-01-04T00:00:00Z", 3 * 86_400.0),
        ("early", "2026-01-31T00:00:00Z", 3 * 86_400.0),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"type": "clock", "at": "soon"},
        {"type": "stage", "customer": "u", "journey": "saas", "stage": "x"},
        {"type": "stage", "customer": 5, "journey": "saas", "stage": "x", "at": "2026-01-01T00:00:00Z"},
        {"type": "cohort", "journey": "saas", "dwell": {"one": "long"}},
        {"type": "cohort", "journey": "saas", "dwell": {"one": "3d"}, "quantile": "p99"},
        {"type": "else"},
        [],
    ],
)
def test_what_is_no_control_record_is_a_reject(said):
    """With a reason, never an exception; counted, and nothing changes."""
    record = Record(CONTROL, value=json.dumps(said).encode())
    assert isinstance(read_control(record), Reject)
    local = Local(load("topologies/saas"))
    assert local.send(record) == []
    assert local.counts["rejected.not_a_control_record"] == 1


def test_a_control_record_without_a_time_takes_its_records():
    local = Local(load("topologies/saas"))
    made = local.send(
        control(timestamp=1_767_225_600_000, type="stage", customer="u", journey="saas", stage="onboarding")
    )
    assert brief(made)[-1] == ("2026-01-01T00:00:00Z", "onboarding")

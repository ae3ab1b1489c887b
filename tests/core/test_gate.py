"""Gates by time and number: quiet hours, caps, priority, hold-outs, what is held; and the properties that must never break."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.contact import Listed
from rumbo.core.gate import share
from rumbo.core.holding import CAP
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.interaction import Interaction
from rumbo.core.outputs import ActionRequested, ActionSuppressed, ExposureRecorded
from rumbo.core.program import Program
from rumbo.core.request import EXPOSURES
from rumbo.core.zone import local
from tests.core.test_consent import CONTACT, consent
from tests.core.test_step import START, A, B, event, triggers

NIGHT = d.QuietHours(20 * 3600, 9 * 3600)
CALM = d.Limits(NIGHT)
NOON = 12 * HOUR


def rule(name: str, on: d.On, limits: d.Limits = CALM, *, purpose: str = "x", **parts) -> d.Trigger:
    action: dict[str, Any] = {
        each: parts.pop(each) for each in ("expires_after", "priority", "channel", "kind") if each in parts
    }
    return d.Trigger(name, on, d.Action(**{"kind": "message", "purpose": purpose, **action}), limits=limits, **parts)


ON_A, ON_B = d.OnEvent(A), d.OnEvent(B)


class World:
    """One customer of a topology."""

    def __init__(self, *made: d.Trigger, contact: d.Contact | None = None, zone: str = "UTC") -> None:
        self.program = Program("test", [triggers(*made)], contact=contact, zone=zone)
        self.profile = self.program.load("c", None)
        self.decisions: list = []

    def run(self, *events: Interaction, until: int = 0) -> list:
        for each in events:
            self.decisions += self.program.advance(self.profile, each)
            self.profile = self.program.load("c", self.program.dump(self.profile))
        self.decisions += self.program.fire(self.profile, START + until)
        return [(each.at - START, said(each.data)) for each in self.decisions]


def said(data) -> str:
    match data:
        case ActionSuppressed(trigger=trigger, gate=gate, held=held):
            return f"{gate} {'holds ' if held is True else ''}{trigger}"
        case ActionRequested(trigger=trigger):
            return str(trigger)
        case ExposureRecorded(experiment=name, variant=variant):
            return f"{name} {variant}"
    raise AssertionError(data)


def test_nothing_of_marketing_is_asked_of_a_customer_whom_a_score_has_disqualified():
    """At the gate of the suppression list, after the consent; what is held is asked again, and service goes on."""
    score = d.Score("lead", (d.Points("p", A, 5.0),), disqualify=(d.Disqualify(d.Happened(B, 1, DAY), "competitor"),))
    asked = tuple(rule(name, ON_A, purpose=name) for name in ("news", "help"))
    program = Program("test", [d.Journey("j", "1.0", (score,), triggers=asked)], contact=CONTACT)
    profile = program.load("c", None)
    history = (consent("granted"), event("A", 8 * HOUR), event("B", 8 * HOUR + 1), event("A", NOON), event("A", 3 * DAY + NOON))  # fmt: skip
    made = [each for happened in history for each in program.advance(profile, happened)]
    found = [each for each in made if each.kind.startswith("action")]
    assert [((each.at - START) / HOUR, said(each.data)) for each in found] == [
        (8, "quiet_hours holds news"), (8, "quiet_hours holds help"), (9, "suppression_list news"), (9, "help"),
        (12, "suppression_list news"), (12, "help"), (84, "news"), (84, "help"),
    ]  # fmt: skip
    assert found[2].data.detail == "disqualified by score lead: competitor"


# Quiet hours and what is held ------------------------------------------------------------------------------------------


def test_an_action_at_night_waits_for_the_morning():
    """With the id of its own occurrence: held or not, the same."""
    world = World(rule("t", ON_A))
    assert world.run(event("A", 21 * HOUR), until=2 * DAY) == [(21 * HOUR, "quiet_hours holds t"), (33 * HOUR, "t")]
    held, asked = world.decisions
    assert held.data.would_release_at == "2026-01-02T09:00:00Z"
    assert [cause.id for cause in asked.data.because.events] == [f"A@{21 * HOUR}"]
    assert held.id != asked.id
    at_once = World(rule("t", ON_A, d.Limits()))
    at_once.run(event("A", 21 * HOUR))
    assert at_once.decisions[0].id == asked.id


def test_quiet_hours_drop_hold_or_hold_what_does_not_expire_before():
    def after(do: str, **parts) -> list:
        limits = d.Limits(msgspec.structs.replace(NIGHT, do=do))
        return [what for _, what in World(rule("t", ON_A, limits, **parts)).run(event("A", 21 * HOUR), until=2 * DAY)]

    assert after("drop") == ["quiet_hours t"]
    assert after("hold", expires_after=HOUR) == ["quiet_hours holds t", "expired t"]
    assert after("before_expiry", expires_after=HOUR) == ["quiet_hours t"]
    assert after("before_expiry", expires_after=13 * HOUR) == ["quiet_hours holds t", "t"]


def test_the_night_is_the_customers_own():
    """By the trait that names a zone, else by the topology's."""
    world = World(rule("t", ON_A), zone="Asia/Tokyo")
    assert world.run(event("A", NOON)) == [(NOON, "quiet_hours holds t")]
    madrid = event("A", NOON)
    madrid.traits_raw = b'{"timezone": "Europe/Madrid"}'
    assert World(rule("t", ON_A), zone="Asia/Tokyo").run(madrid) == [(NOON, "t")]


def test_a_transactional_purpose_knows_no_night_and_no_cap():
    contact = d.Contact({"receipt": "transactional"}, caps=(d.Cap(1, DAY),))
    world = World(rule("t", ON_A, d.Limits(NIGHT, (d.Cap(1, DAY),)), purpose="receipt"), contact=contact)
    assert world.run(event("A", 21 * HOUR), event("A", 22 * HOUR)) == [(21 * HOUR, "t"), (22 * HOUR, "t")]


def test_a_withdrawal_ends_at_once_what_is_held():
    world = World(rule("t", ON_A, purpose="news"), contact=CONTACT)
    found = world.run(consent("granted"), event("A", 21 * HOUR), consent("withdrawn", 23 * HOUR), until=3 * DAY)
    assert found == [(21 * HOUR, "quiet_hours holds t"), (23 * HOUR, "consent t")]
    assert world.profile.timers == {}
    assert [cause.name for cause in world.decisions[1].data.because.events] == ["A", "Consent"]
    listed = World(rule("t", ON_A, purpose="news"), contact=CONTACT)
    listed.run(consent("granted"), event("A", 21 * HOUR))
    listed.decisions += listed.program.instruct(
        listed.profile, event("X", 22 * HOUR), "", Listed(True, START + 22 * HOUR)
    )
    assert said(listed.decisions[-1].data) == "suppression_list t"


def test_what_is_held_goes_through_every_gate_again():
    """A cool-down or a cap that began meanwhile stops it."""
    twice = World(rule("t", ON_A, cooldown=DAY))
    found = twice.run(event("A", 21 * HOUR), event("A", 22 * HOUR), until=2 * DAY)
    assert found[2:] == [(33 * HOUR, "t"), (33 * HOUR, "cooldown t")]
    ids = [each.id for each in twice.decisions]
    assert len(set(ids)) == len(ids)


def test_what_is_held_counts_as_fired_for_once():
    world = World(rule("t", ON_A, again="once"))
    assert world.run(event("A", 21 * HOUR), event("A", 22 * HOUR), event("A", 2 * DAY)) == [
        (21 * HOUR, "quiet_hours holds t"),
        (33 * HOUR, "t"),
    ]


def test_no_more_is_held_than_there_is_room_for():
    """What finds no room is said to be gone, and counted."""
    world = World(rule("t", ON_A))
    found = world.run(*(event("A", 21 * HOUR + at) for at in range(CAP + 3)))
    assert [what for _, what in found] == ["quiet_hours holds t"] * CAP + ["quiet_hours t"] * 3
    assert len(world.profile.journeys["j"].holds) == CAP
    assert world.program.stats["held_full"] == 3


def test_a_rule_that_went_with_an_older_version_is_counted():
    world = World(rule("t", ON_A))
    world.run(event("A", 21 * HOUR))
    world.program = Program("test", [triggers(rule("other", ON_A))])
    assert world.run(until=2 * DAY)[1:] == []
    assert world.program.stats["held_unknown"] == 1


# Caps ------------------------------------------------------------------------------------------------------------------


def test_a_cap_counts_by_rule_purpose_channel_or_all():
    def second(first: d.Trigger, other: d.Trigger) -> str:
        return str(World(first, other).run(event("A"), event("B", 1))[-1][1])

    def pair(by: Any, **other) -> tuple[d.Trigger, d.Trigger]:
        limits = d.Limits(caps=(d.Cap(1, DAY, by),))
        return rule("one", ON_A, d.Limits(), channel="email"), rule(
            "two", ON_B, limits, **{"channel": "email", **other}
        )

    assert second(*pair("rule")) == "two"
    assert second(*pair("purpose")) == "cap two"
    assert second(*pair("purpose", purpose="y")) == "two"
    assert second(*pair("channel", purpose="y")) == "cap two"
    assert second(*pair("channel", channel="push")) == "two"
    assert second(*pair("all", purpose="y", channel="push")) == "cap two"


def test_the_topologys_cap_is_for_what_it_names():
    contact = d.Contact(caps=(d.Cap(1, DAY, "all", kind="message", channel="email"),))
    mail, push = rule("mail", ON_A, d.Limits(), channel="email"), rule("push", ON_A, d.Limits(), channel="push")
    found = World(mail, push, contact=contact).run(event("A"), event("A", 1))
    assert found == [(0, "mail"), (0, "push"), (1, "cap mail"), (1, "push")]


def test_a_calendar_day_begins_at_the_customers_midnight():
    world = World(rule("t", ON_A, d.Limits(caps=(d.Cap(1),))), zone="Europe/Madrid")
    found = world.run(event("A", 22 * HOUR), event("A", 23 * HOUR - 1), event("A", 23 * HOUR))
    assert found == [(22 * HOUR, "t"), (23 * HOUR - 1, "cap t"), (23 * HOUR, "t")]
    assert world.decisions[1].data.would_release_at == "2026-01-01T23:00:00Z"


def test_where_a_cap_is_short_the_most_urgent_goes_first():
    """Of one input, and of all timers of one instant; the others say that it was so."""
    limits = d.Limits(caps=(d.Cap(1, DAY, "all"),))
    low, high = rule("low", ON_A, limits, priority=7), rule("high", ON_A, limits, priority=1)
    assert World(low, high).run(event("A"), event("A", 1)) == [
        (0, "high"),
        (0, "priority low"),
        (1, "cap high"),
        (1, "cap low"),
    ]
    silence = [rule(name, d.Absence(B, 6 * HOUR, A), limits, priority=priority) for name, priority in (("a", 5), ("b", 2), ("c", 9))]  # fmt: skip
    found = World(*silence).run(event("A"), until=DAY)
    assert found == [(6 * HOUR, "b"), (6 * HOUR, "priority a"), (6 * HOUR, "priority c")]


def test_what_may_be_asked_once_is_asked_once_where_several_of_one_instant_are_weighed_together():
    """Two sequences that one interaction completes; with a cap somewhere both wait for the end of the instant."""
    both = d.Sequence((d.SequenceStep(A), d.SequenceStep(B)), DAY, skip="none")
    for contact in (None, d.Contact(caps=(d.Cap(5, DAY),))):
        world = World(rule("t", both, d.Limits(), again="once"), contact=contact)
        assert world.run(event("A"), event("A", 1), event("B", 2)) == [(2, "t")]


def test_priority_is_weighed_over_all_journeys():
    limits = d.Limits(caps=(d.Cap(1, DAY, "all"),))
    journeys = [d.Journey(name, "1.0", triggers=(rule(name, ON_A, limits, priority=at),)) for name, at in (("a", 5), ("b", 1))]  # fmt: skip
    program = Program("test", journeys)
    made = program.advance(program.load("c", None), event("A"))
    assert [said(each.data) for each in made] == ["b", "priority a"]


# Hold-outs -------------------------------------------------------------------------------------------------------------


def test_a_hold_out_is_recorded_once_and_stays():
    limits = d.Limits(hold_out=d.HoldOut("lift", 0.5))
    customers = [f"c{number}" for number in range(400)]
    held = 0
    for customer in customers:
        program = Program("test", [triggers(rule("t", ON_A, limits))])
        profile = program.load(customer, None)
        made = [said(each.data) for at in range(2) for each in program.advance(profile, event("A", at))]
        out = share("lift", customer) < 0.5
        held += out
        assert made == (["lift hold_out", "holdout t", "holdout t"] if out else ["lift treated", "t", "t"])
    assert 160 < held < 240


def test_no_more_experiments_are_remembered_than_there_is_room_for():
    """The oldest are forgotten, and counted."""
    many = [rule(f"t{at}", ON_A, d.Limits(hold_out=d.HoldOut(f"e{at}", 0.5))) for at in range(EXPOSURES + 6)]
    world = World(*many)
    world.run(event("A", NOON))
    ledger = world.profile.ledger
    assert ledger is not None
    assert list(ledger.exposures) == [f"e{at}" for at in range(6, EXPOSURES + 6)]
    assert world.program.stats["exposures_full"] == 6


def test_the_global_hold_out_is_for_marketing():
    contact = d.Contact({"news": "marketing", "help": "service"}, hold_out=d.HoldOut("everything", 0.9999))
    world = World(
        rule("n", ON_A, d.Limits(), purpose="news"), rule("h", ON_A, d.Limits(), purpose="help"), contact=contact
    )
    assert world.run(event("A")) == [(0, "consent n"), (0, "h")]  # no consent: not exposed
    granted = d.Contact(contact.purposes, CONTACT.consent, hold_out=contact.hold_out)
    world = World(
        rule("n", ON_A, d.Limits(), purpose="news"), rule("h", ON_A, d.Limits(), purpose="help"), contact=granted
    )
    assert world.run(consent("granted"), event("A", 1)) == [(1, "everything hold_out"), (1, "holdout n"), (1, "h")]


# Properties ------------------------------------------------------------------------------------------------------------

happenings = st.lists(
    st.tuples(st.sampled_from(["A", "B", "granted", "withdrawn"]), st.integers(0, 12 * 24 * 4)), max_size=40
).map(lambda made: sorted(made, key=lambda each: each[1]))
NEWS = (d.Cap(2, 3 * DAY, "purpose"), d.Cap(3, 5 * DAY, "all"), d.Cap(1))
RULES = (
    rule("one", ON_A, d.Limits(NIGHT, NEWS), purpose="news", priority=7),
    rule("two", ON_B, d.Limits(NIGHT, NEWS), purpose="news"),
    rule("three", ON_A, d.Limits(caps=(d.Cap(3, 5 * DAY, "all"),)), purpose="help", priority=1),
)


def lived(happened, zone: str) -> World:
    world = World(*RULES, contact=CONTACT, zone=zone)
    base = 86 * DAY  # over the change of clocks in Europe
    for number, (name, quarter) in enumerate(happened):
        at = base + quarter * 15 * MINUTE
        one = event(name, at, str(number)) if name in "AB" else consent(name, at)
        world.run(one)
    world.run(until=base + 30 * DAY)
    return world


@settings(max_examples=60)
@given(happenings, st.sampled_from(["Europe/Madrid", "UTC", "Pacific/Auckland"]))
def test_no_cap_is_ever_exceeded_and_nothing_is_asked_at_night(happened, zone):
    """Over every window, in every zone, over a change of clocks."""
    world = lived(happened, zone)
    asked = [(each.at, each.data.trigger) for each in world.decisions if each.kind == "action.requested"]
    for rules, count, within in (({"one", "two"}, 2, 3 * DAY), ({"one", "two", "three"}, 3, 5 * DAY)):
        times = [at for at, trigger in asked if trigger in rules]
        assert all(sum(1 for at in times if end - within < at <= end) <= count for end in times)
    assert all(9 <= local(at, ZoneInfo(zone)).hour < 20 for at, trigger in asked if trigger != "three")
    for name in ("one", "two"):
        days = [local(at, ZoneInfo(zone)).date() for at, trigger in asked if trigger == name]
        assert len(set(days)) == len(days)


@settings(max_examples=60)
@given(happenings)
def test_nothing_is_asked_for_after_a_withdrawal_and_the_same_life_is_decided_the_same(happened):
    world, again = lived(happened, "UTC"), lived(happened, "UTC")
    assert world.decisions == again.decisions
    granted = False
    news = [each for each in world.decisions if getattr(each.data, "purpose", "") == "news"]
    inputs = sorted(
        [(START + 86 * DAY + quarter * 15 * MINUTE, at, name) for at, (name, quarter) in enumerate(happened)]
    )
    for decision in news:
        before = [name for at, _, name in inputs if at <= decision.at and name not in "AB"]
        tied = {name for at, _, name in inputs if at == decision.at}
        granted = bool(before) and before[-1] == "granted"
        if decision.kind == "action.requested" and not {"granted", "withdrawn"} & tied:
            assert granted
    ids = [each.id for each in world.decisions]
    assert len(set(ids)) == len(ids)

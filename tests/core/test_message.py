"""The message ledger: what became of an action, conditions on it to the instant, caps on deliveries; bounded, in every order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR
from rumbo.core.message import CAP, ID, Message, status_of
from rumbo.core.program import Program
from tests.core.one_customer import OneCustomer
from tests.core.test_step import START, A, B, brief, event, named

MESSAGES = (
    d.MessageRule(named("Delivered"), "event.properties.id", "delivered"),
    d.MessageRule(named("Opened"), "event.properties.id", "opened"),
    d.MessageRule(named("Clicked"), "event.properties.id", "clicked"),
)
CONTACT = d.Contact(messages=MESSAGES)
MAIL = d.Trigger("mail", d.OnEvent(A), d.Action("message"))


class World(OneCustomer):
    """One customer; `sent` are the ids of what was asked for."""

    def __init__(self, *made: d.Trigger, contact: d.Contact = CONTACT, **parts) -> None:
        super().__init__(Program("test", [d.Journey("j", "1.0", triggers=made, **parts)], contact=contact))

    def said_until(self, at: int) -> list:
        self.until(at)
        return [(each.at - START, brief(each.data)) for each in self.decisions]

    @property
    def sent(self) -> list[str]:
        return [each.id for each in self.decisions if each.kind == "action.requested" and each.data.trigger == "mail"]


def nudge(when: d.Condition) -> d.Trigger:
    return d.Trigger("nudge", d.OnCondition(when), d.Action("crm"))


UNOPENED = nudge(d.MessageIs("mail", "opened", not_=True, length=3 * DAY))


def test_a_mail_that_is_not_opened_is_seen_at_that_instant():
    """On a silent topic too; opened, or clicked, in time it is not."""
    assert World(MAIL, UNOPENED).hear(event("A")).said_until(9 * DAY) == [(0, "mail"), (3 * DAY, "nudge")]
    for status in ("Opened", "Clicked"):
        world = World(MAIL, UNOPENED).hear(event("A"))
        assert world.hear(event(status, DAY, id=world.sent[0])).said_until(9 * DAY) == [(0, "mail")]
    delivered = World(MAIL, UNOPENED).hear(event("A"))
    assert delivered.hear(event("Delivered", DAY, id=delivered.sent[0])).said_until(9 * DAY)[1:] == [(3 * DAY, "nudge")]


def test_the_last_message_of_the_rule_counts():
    world = World(MAIL, UNOPENED).hear(event("A"), event("A", 2 * DAY))
    assert world.said_until(9 * DAY) == [(0, "mail"), (2 * DAY, "mail"), (5 * DAY, "nudge")]


def test_a_status_is_a_condition_of_triggers_and_segments():
    clicked = nudge(d.MessageIs("mail", "clicked"))
    world = World(MAIL, clicked, segments=(d.Segment("cold", d.MessageIs("mail", "opened", not_=True, length=DAY)),))
    world.hear(event("A"))
    world.said_until(2 * DAY)
    assert world.hear(event("Clicked", 3 * DAY, id=world.sent[0])).said_until(3 * DAY) == [
        (0, "mail"),
        (DAY, "entered cold"),
        (3 * DAY, "left cold"),
        (3 * DAY, "nudge"),
    ]


def test_a_wait_of_a_flow_ends_with_the_answer():
    steps = (
        d.FlowStep("mail", d.Act(d.Action("message"))),
        d.FlowStep("wait", d.Wait(2 * DAY, until=d.MessageIs("f.mail", "opened"))),
    )
    flow = d.Flow("f", d.Enter(d.OnEvent(A)), steps)
    world = World(flows=(flow,)).hear(event("A"))
    action = next(each.id for each in world.decisions if each.kind == "action.requested")
    world.hear(event("Opened", HOUR, id=action))
    assert [(each.at - START, each.data.reason) for each in world.decisions if each.kind == "flow.changed"] == [
        (0, "entered"),
        (HOUR, "end"),
    ]


def test_what_is_not_ours_or_not_a_message_is_counted_and_changes_nothing():
    world = World(MAIL, UNOPENED).hear(event("A"), event("Opened", HOUR, id="f" * 64), event("Opened", 2 * HOUR, id=7))
    assert world.said_until(9 * DAY) == [(0, "mail"), (3 * DAY, "nudge")]
    assert world.program.stats["message_unknown"] == 2
    task = d.Trigger("mail", d.OnEvent(A), d.Action("crm"))
    assert World(task, UNOPENED).hear(event("A")).said_until(9 * DAY) == [(0, "mail")]


def test_a_cap_on_deliveries_counts_what_has_arrived():
    limits = d.Limits(caps=(d.Cap(1, DAY, count_on="delivered"),))
    world = World(d.Trigger("mail", d.OnEvent(A), d.Action("message"), limits=limits))
    world.hear(event("A"), event("A", 1))
    world.hear(event("Delivered", 2, id=world.sent[0]), event("A", 3), event("A", DAY + 2))
    assert world.said_until(DAY + 2) == [(0, "mail"), (1, "mail"), (3, "cap mail"), (DAY + 2, "mail")]


def test_the_ledger_is_bounded_and_counts_what_it_forgets():
    world = World(MAIL).hear(*(event("A", at) for at in range(CAP + 7)))
    ledger = world.profile.ledger
    assert ledger is not None
    assert list(ledger.messages) == [action[:ID] for action in world.sent[-CAP:]]
    assert world.program.stats["messages_full"] == 7


def test_topologies_without_messages_keep_nothing():
    assert World(MAIL, contact=d.Contact()).hear(event("A"), event("B", 1)).profile.ledger is None
    assert B is not A


@given(
    st.lists(st.tuples(st.sampled_from(["Delivered", "Opened", "Clicked"]), st.integers(1, 9)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_ledger_is_the_same_in_every_order_of_arrival(said, random):
    """The first instant of each status counts, and a later status stands for an earlier one."""

    def told(order) -> dict:
        world = World(MAIL).hear(event("A"))
        world.hear(*(event(name, at * HOUR, f"{name}{at}", id=world.sent[0]) for name, at in order))
        assert world.profile.ledger is not None
        return world.profile.ledger.messages

    kept = told(said)
    assert kept == told(random.sample(said, len(said)))
    message = Message(*next(iter(kept.values())))
    for status, names in (
        ("delivered", {"Delivered", "Opened", "Clicked"}),
        ("opened", {"Opened", "Clicked"}),
        ("clicked", {"Clicked"}),
    ):
        assert status_of(message, status) == min((START + at * HOUR for name, at in said if name in names), default=0)

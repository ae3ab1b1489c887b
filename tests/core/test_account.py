"""Accounts: what their contacts make of them, in every order in which changes come, against an account that is counted anew each time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.account import CONTACTS, RECENT, Account, ContactChange, dump, load
from rumbo.core.instant import DAY
from rumbo.core.retraction import net
from rumbo.core.rollup import SHOWN, AccountMachine

ORDERED = ("one", "two", "three", "four")
SIDES = ("lost", "away")
ORDER = (*ORDERED, *SIDES)
NEVER = d.Where("false")
JOURNEY = d.Journey(
    "j", "2.1", stages=(*(d.Stage(name, NEVER) for name in ORDERED), *(d.Stage(name, NEVER, side=True) for name in SIDES))
)  # fmt: skip
HIGHEST = d.Accounts("j", scores=(d.RollUp("s"),))
RULES = (
    HIGHEST,
    d.Accounts("j", contacts=2, scores=(d.RollUp("s", "sum"), d.RollUp("t", "max"))),
    d.Accounts("j", needs={"two": 3, "four": 2}, scores=(d.RollUp("s", "sum", cap=25.0),)),
)


class Accounts:
    """Accounts that are stored and read again after each change."""

    def __init__(self, rules: d.Accounts = HIGHEST) -> None:
        self.machine = AccountMachine("topology", JOURNEY, rules)
        self.account = Account("acme")
        self.decisions: list = []

    def hear(self, *changes: ContactChange):
        made = []
        for each in changes:
            made += self.machine.step(self.account, each)
            self.account = load(dump(self.account))
        self.decisions += made
        return made


def change(customer: str, at: int = 0, stage: str = "one", number: int = 1, *, gone: bool = False, role: str = "champion", **scores) -> ContactChange:  # fmt: skip
    cause = f"{customer}-{number}", "Something", "2026-01-01T00:00:00Z", "t", 0, number
    return ContactChange("acme", customer, number, at * DAY, gone, role, stage, scores, cause[0], cause)


def stages(decisions) -> list[tuple]:
    return [
        (each.at // DAY, each.data.from_, each.data.to, each.data.direction)
        for each in decisions
        if each.kind == "account.stage.changed"
    ]


# Counted anew -----------------------------------------------------------------------------------------------------------


def counted(
    rules, contacts: dict[str, ContactChange], ordered: Sequence[str] = ORDERED, sides: Sequence[str] = SIDES
) -> str:
    """The stage of an account, as `accounts:` is told to an author."""
    for rank in reversed(range(len(ordered))):
        needs = 1 if rank == 0 else rules.needs.get(ordered[rank], rules.contacts)
        if len([each for each in contacts.values() if each.stage in ordered[rank:]]) >= needs:
            return ordered[rank]
    beside = {each.stage for each in contacts.values()}
    return next((name for name in sides if name in beside), "")


def anew(
    rules: d.Accounts, changes: list[ContactChange], ordered=ORDERED, sides=SIDES
) -> tuple[set[tuple], str, str, dict]:
    """Every move and score that is due, by going through all changes in order; then where the account stands."""
    contacts: dict[str, ContactChange] = {}
    stage, high, scores = "", "", dict.fromkeys((each.score for each in rules.scores), 0.0)
    due: set[tuple] = set()
    for each in sorted(changes, key=lambda one: (one.at, one.customer, one.number)):
        contacts.pop(each.customer, None)
        if not each.gone:
            contacts[each.customer] = each
        now = counted(rules, contacts, ordered, sides)
        if now != stage:
            due.add((each.at, each.customer, each.number, "stage", stage, now))
            stage = now
            if now in ordered and (not high or ordered.index(now) > ordered.index(high)):
                high = now
        for rule in rules.scores:
            points = [one.scores.get(rule.score, 0.0) for one in contacts.values()]
            value = (max(points) if rule.by == "max" else sum(points)) if points else 0.0
            value = round(value if rule.cap is None else min(value, rule.cap), 4)
            if value != scores[rule.score]:
                due.add((each.at, each.customer, each.number, rule.score, scores[rule.score], value))
                scores[rule.score] = value
    return due, stage, high, scores


def said(decisions) -> set:
    """What stands of these decisions, in the same words."""
    found = set()
    for each in net(decisions).values():
        data = each.data
        number = int(data.because.events[0].id.rpartition("-")[2])
        if each.kind == "account.stage.changed":
            found.add((each.at, data.customer, number, "stage", data.from_ or "", data.to or ""))
        else:
            found.add((each.at, data.customer, number, data.score, data.previous, data.value))
    return found


@st.composite
def histories(draw, most: int = 40):
    """Changes of a few contacts: each contact's own are numbered, and their times do not fall."""
    clocks: dict[str, int] = {}
    made = []
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=most)):
        number = len([each for each in made if each.customer == name]) + 1
        clocks[name] = clocks.get(name, 0) + draw(st.integers(0, 3))
        gone = draw(st.integers(0, 5)) == 0
        scores = {} if gone else draw(st.dictionaries(st.sampled_from("st"), st.integers(1, 30).map(float), max_size=2))
        made.append(change(name, clocks[name], draw(st.sampled_from(ORDER)), number, gone=gone, **scores))
    return made


@settings(max_examples=200)
@given(histories(), st.sampled_from(RULES), st.data())
def test_in_every_order_of_arrival_the_account_and_what_stands_of_its_decisions_are_those_that_are_counted_anew(
    changes, rules, data
):
    """Also where some come twice: no id is written a second time."""
    again = data.draw(st.lists(st.sampled_from(changes), max_size=6))
    accounts = Accounts(rules)
    accounts.hear(*data.draw(st.permutations(changes + again)))
    due, stage, high, scores = anew(rules, changes)
    assert said(accounts.decisions) == due
    assert (accounts.account.marks.stage, accounts.account.marks.high_water) == (stage, high)
    assert {each.score: accounts.account.marks.said.get(each.score, 0.0) for each in rules.scores} == scores
    assert len({each.id for each in accounts.decisions}) == len(accounts.decisions)
    assert accounts.machine.stats["contact_change_again"] == len(again)


@given(histories(most=60), st.sampled_from(RULES), st.data())
def test_in_order_nothing_is_withdrawn_however_long_it_goes_on(changes, rules, data):
    changes.sort(key=lambda each: each.key)
    accounts = Accounts(rules)
    accounts.hear(*changes)
    assert all(each.kind != "decision.retracted" for each in accounts.decisions)
    assert said(accounts.decisions) == anew(rules, changes)[0]
    repeated = data.draw(st.sampled_from(changes[-RECENT:]))
    assert accounts.hear(repeated) == []


@given(histories(most=100), st.sampled_from(RULES), st.data())
def test_beyond_the_reach_the_account_stands_where_the_last_word_of_each_contact_puts_it(changes, rules, data):
    """High water never falls, and is never below what is."""
    accounts, highest = Accounts(rules), -1
    own = {name: [each for each in changes if each.customer == name] for name in "abcd"}
    while left := [name for name, each in own.items() if each]:  # a contact's own changes come in their order
        accounts.hear(own[data.draw(st.sampled_from(left))].pop(0))
        marks = accounts.account.marks
        high = ORDERED.index(marks.high_water) if marks.high_water else -1
        if not any(each.kind == "decision.retracted" for each in accounts.decisions):
            assert high >= highest
        highest = high
        assert marks.stage not in ORDERED or high >= ORDERED.index(marks.stage)
    last = {each.customer: each for each in changes}
    assert accounts.account.marks.stage == counted(rules, {name: each for name, each in last.items() if not each.gone})
    assert len(accounts.account.recent) <= RECENT


def test_a_repeat_from_beyond_the_reach_and_a_word_that_a_later_one_has_overtaken_change_nothing():
    accounts = Accounts()
    inputs = [
        change("ana", 0, "four"),
        change("ana", 1, "two", 2),
        *(change("ben", n, "one", n) for n in range(2, RECENT + 10)),
    ]
    accounts.hear(*inputs)
    kept = dump(accounts.account)
    assert accounts.hear(*inputs[:3]) == []
    assert dump(accounts.account) == kept
    assert accounts.machine.stats["contact_change_again"] == 3


def test_from_beyond_the_reach_a_change_counts_as_it_comes_and_the_reach_does_not_go_back():
    accounts = Accounts()
    accounts.hear(*(change("m", n, "one", n) for n in range(1, RECENT + 10)))
    frontier = accounts.account.frontier
    for n in range(RECENT + 2):
        (made,) = [
            each for each in accounts.hear(change(f"a{n}", 0, "two")) if each.data.because.rule == "account stage two"
        ] or [None]
        assert (made is not None) == (n == 0)
        assert accounts.account.frontier >= frontier
        frontier = accounts.account.frontier
    assert accounts.machine.stats["contact_change_beyond"] == RECENT + 2
    assert len(accounts.account.contacts) == RECENT + 3


# What an author is told ---------------------------------------------------------------------------------------------------


def test_an_account_is_where_its_furthest_contact_is_and_falls_with_them_and_its_high_water_stays():
    accounts = Accounts()
    accounts.hear(
        change("ana", 1), change("ben", 2, "two"), change("ana", 3, "four", 2), change("ana", 9, gone=True, number=3)
    )
    assert stages(accounts.decisions) == [
        (1, None, "one", "entered"), (2, "one", "two", "forward"), (3, "two", "four", "forward"), (9, "four", "two", "backward"),
    ]  # fmt: skip
    last = accounts.decisions[-1].data
    assert (last.high_water, last.dwell_seconds, last.customer, last.counted) == ("four", 6 * 86_400, "ana", 1)
    assert accounts.hear(change("ben", 10, gone=True, number=2))[0].data.to is None
    assert accounts.account.marks.high_water == "four"


def test_a_stage_that_needs_several_contacts_waits_for_them_and_is_left_with_one_of_them():
    accounts = Accounts(d.Accounts("j", needs={"three": 2}))
    accounts.hear(change("ana", 1, "three"), change("ben", 2, "two"), change("ben", 3, "three", 2))
    accounts.hear(change("ana", 4, "two", 2))
    assert [move[2] for move in stages(accounts.decisions)] == ["two", "three", "two"]


def test_contacts_beside_the_order_hold_an_account_only_where_all_of_them_are():
    accounts = Accounts()
    accounts.hear(
        change("ana", 1, "lost"), change("ben", 2, "two"), change("ben", 3, "away", 2), change("ana", 4, "away", 2)
    )
    assert [move[2:] for move in stages(accounts.decisions)] == [
        ("lost", "entered"), ("two", "return"), ("lost", "aside"), ("away", "aside"),
    ]  # fmt: skip


def test_a_decision_says_which_contacts_hold_the_account_there_and_which_interaction_did_it():
    accounts = Accounts(d.Accounts("j", contacts=2))
    accounts.hear(*(change(f"c{n:02}", n, "three") for n in range(SHOWN + 3)))
    made = accounts.hear(change("b", 20, "four", role="Decision Maker"), change("a", 21, "four"))
    data = made[-1].data
    assert [each.customer for each in data.contacts] == ["a", "b"]
    assert data.contacts[1].role == "Decision Maker"
    assert [each.id for each in data.because.events] == ["a-1"]
    assert data.because.conditions[-1].saw == {"contacts": 2, "a": "four", "b": "four"}
    fell = accounts.hear(change("a", 22, gone=True, number=2))[0].data
    assert [(each.condition, each.holds) for each in fell.because.conditions] == [
        ("contact a", True), ("at least 2 in four or beyond", False), ("at least 2 in three or beyond", True),
    ]  # fmt: skip
    assert len(fell.contacts) == SHOWN
    assert fell.counted == SHOWN + 4


def test_a_score_is_said_again_once_it_has_moved_by_its_min_delta_and_names_its_largest_contributors():
    accounts = Accounts(d.Accounts("j", scores=(d.RollUp("s", "sum", min_delta=10.0),)))
    accounts.hear(change("ana", 1, s=9.0), change("ben", 2, s=5.0), change("ana", 3, number=2, s=12.0))
    found = [each.data for each in accounts.decisions if each.kind == "account.score.changed"]
    assert [(each.previous, each.value) for each in found] == [(0.0, 14.0)]
    assert [(each.customer, each.value) for each in found[0].contributors] == [("ana", 9.0), ("ben", 5.0)]


def test_ids_hang_on_the_major_version_and_on_nothing_that_a_run_makes():
    first, second = Accounts(), Accounts()
    second.machine = AccountMachine("topology", msgspec.structs.replace(JOURNEY, version="2.9"), HIGHEST)
    third = Accounts()
    third.machine = AccountMachine("topology", msgspec.structs.replace(JOURNEY, version="3.0"), HIGHEST)
    one, two, three = (each.hear(change("ana", 1))[0].id for each in (first, second, third))
    assert one == two != three


def test_a_change_that_came_late_withdraws_what_it_makes_untrue_and_what_holds_again_is_not_said_again():
    accounts = Accounts()
    moved = accounts.hear(change("ana", 1), change("ben", 5, "two"))[-1]
    gone = accounts.hear(change("cho", 2, "two"))
    assert [(each.kind, each.at // DAY) for each in gone] == [("decision.retracted", 2), ("account.stage.changed", 2)]
    assert (gone[0].data.retracts, gone[0].data.account, gone[0].customer) == (moved.id, "acme", "acme")
    assert gone[0].data.customer == "cho"
    again = accounts.hear(change("cho", 3, gone=True, number=2))
    assert [(each.kind, each.data.reason) for each in again if each.kind == "decision.retracted"] == [
        ("decision.retracted", "reinstated")
    ]
    assert set(net(accounts.decisions)) >= {moved.id}


def test_the_contacts_who_changed_longest_ago_go_where_there_are_too_many_and_are_counted():
    accounts = Accounts()
    accounts.hear(change("first", 0, "four"), *(change(f"c{n}", n + 1) for n in range(CONTACTS)))
    assert len(accounts.account.contacts) == CONTACTS
    assert accounts.machine.stats["contacts_full"] == 1
    assert accounts.account.marks.stage == "one"
    assert len(dump(accounts.account)) < 48 * 1024


def test_a_late_change_among_too_many_contacts_changes_nothing_but_its_own_place():
    """Taking a change out brings back the contact who had to go for it."""
    inputs = [change("first", 0, "four"), *(change(f"c{n}", n + 1) for n in range(CONTACTS))]
    late = change("late", CONTACTS - 5, "two")
    accounts, ordered = Accounts(), Accounts()
    accounts.hear(*inputs, late)
    ordered.hear(*sorted([*inputs, late], key=lambda each: each.key))
    assert accounts.account.contacts == ordered.account.contacts
    assert set(net(accounts.decisions)) == set(net(ordered.decisions))
    assert accounts.machine.stats["contacts_full"] == ordered.machine.stats["contacts_full"]


@pytest.mark.parametrize("contacts", [1, 10, CONTACTS])
def test_what_is_stored_grows_with_contacts_and_not_with_changes(contacts):
    accounts = Accounts()
    for n in range(400):
        accounts.machine.step(
            accounts.account, change(f"c{n % contacts}", n, ORDERED[n % 4], n // contacts + 1, s=float(n))
        )
    assert len(dump(accounts.account)) < 16_000 + 80 * contacts

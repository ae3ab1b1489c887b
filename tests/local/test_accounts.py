"""Accounts from interactions: several customers, through `simulate`, against accounts that are counted anew from what was decided of the customers."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as record
from rumbo.core.account import RECENT, ContactChange
from rumbo.core.belonging import TRAIT, Telling
from rumbo.core.definition import Late
from rumbo.core.instant import DAY, HOUR, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.retraction import net
from rumbo.local import Local
from rumbo.topology import Topology
from rumbo.topology.model import Source
from tests.core.one_customer import START, named
from tests.core.test_account import anew

STAGES = (
    d.Stage("one"),
    d.Stage("two", d.Happened(named("Two"))),
    d.Stage("three", d.Happened(named("Three")), back=(d.Back("one", d.Idle(named("Three"), 2 * DAY)),)),
    d.Stage("lost", d.Happened(named("Lost")), side=True, until=d.Happened(named("Found"))),
)
SCORE = d.Score(
    "s", (d.Points("p", named("Points"), 20.0, half_life=DAY),), bands=(d.Band("low", 15.0, 9.0), d.Band("high", 45.0, 30.0)), min_delta=15.0,
    disqualify=(d.Disqualify(d.Idle(named("Points"), 30 * HOUR), "quiet"),),
)  # fmt: skip
JOURNEY = d.Journey("j", "1.0", (SCORE,), STAGES, unstable=d.Flaps(20, HOUR))
ACCOUNTS = d.Accounts("j", leave=named("Left"), roles=("champion", "decisionmaker"), scores=(d.RollUp("s", "sum"),))
TOPOLOGY = Topology("t", (Source("-"),), (JOURNEY,), accounts=ACCOUNTS)
NAMES = ("One", "Two", "Three", "Lost", "Found", "Points", "Left", "Identified", "Other")
ROLES = (None, "champion", "Decision Maker", "user", ["user", "champion"], [], 7)


def event(customer: str, name: str, at: int, number: int, account: str | None = None, **traits) -> Interaction:
    return Interaction(
        customer, name, folded(name), f"{customer}-{number}", START + at, "t", 0, number,
        traits_raw=msgspec.json.encode(traits), _account=account,
    )  # fmt: skip


@st.composite
def lives(draw):
    """What three customers do, in the order of time."""
    made, at = [], 0
    for number in range(draw(st.integers(1, 30))):
        at += draw(st.sampled_from([0, 1, HOUR, 10 * HOUR, 2 * DAY]))
        name = draw(st.sampled_from(NAMES))
        traits = {"role": draw(st.sampled_from(ROLES))} if name == "Identified" else {}
        account = (
            draw(st.sampled_from([None, None, "acme", "beta"]))
            if name != "Left"
            else draw(st.sampled_from([None, "acme"]))
        )
        made.append(event(draw(st.sampled_from("abc")), name, at, number, account, **traits))
    return made


class Watched:
    """A topology in memory, and what its customers were at each instant, told from the events and decisions alone."""

    def __init__(self, rules: d.Accounts, events: list[Interaction]) -> None:
        self.local = Local(msgspec.structs.replace(TOPOLOGY, accounts=rules))
        self.rules, self.events = rules, {each.id: each for each in events}
        self.who: dict[str, dict] = {}
        self.changes: dict[str, list[ContactChange]] = {"acme": [], "beta": []}
        self.made: list = []

    def hear(self, each: Interaction) -> None:
        found = self.local.step(each)
        mine = [one for one in found if one.customer == each.customer and one.data.because.due is None]
        self._timers(one for one in found if one not in mine)
        who = self._who(each.customer)
        before = self._counts(who)
        if each.account is not None and each.key != "left":
            who["account"] = each.account
        if each.key == "left" and each.account in {None, who["account"]}:
            who["account"] = None
        if "role" in each.traits:
            who["role"] = each.traits["role"]
        who["stage"] = who["stage"] or "one"
        for one in mine:
            self._take(who, one)
        self._note(each.customer, before, each.at, each.id)
        self.made += found

    def _who(self, name: str) -> dict:
        return self.who.setdefault(name, {"account": None, "role": None, "stage": "", "s": 0.0, "number": 0})

    def until(self, at: int) -> None:
        found = self.local.until(at)
        self._timers(found)
        self.made += found

    def _timers(self, decisions) -> None:
        for one in decisions:
            if one.kind.startswith("account."):
                continue
            who = self._who(one.customer)
            before = self._counts(who)
            self._take(who, one)
            at = parse_instant(one.data.because.clock)
            self._note(one.customer, before, at, f"due-{at}")

    def _take(self, who: dict, one) -> None:
        if one.kind == "stage.changed":
            who["stage"] = one.data.to
        if one.kind == "score.changed":
            who["s"] = one.data.value or 0.0

    def _counts(self, who: dict):
        roles = who["role"] if isinstance(who["role"], list) else [who["role"]]
        counts = not self.rules.roles or {"champion", "Decision Maker"} & {
            each for each in roles if isinstance(each, str)
        }
        return (who["account"], who["stage"], who["s"]) if who["account"] and counts else None

    def _note(self, name: str, before, at: int, number: str) -> None:
        who, now = self.who[name], self._counts(self.who[name])
        if now == before:
            return
        for old, gone in ((before, True), (now, False)):
            if old is not None and not (gone and now is not None and now[0] == old[0]):
                who["number"] += 1
                scores = {"s": old[2]} if old[2] and not gone else {}
                change = ContactChange(old[0], name, who["number"], at, gone, "", old[1], scores, number)
                own = self.changes[old[0]]
                if own and (own[-1].customer, own[-1].at, own[-1].occurrence) == (name, at, number):
                    own.pop()  # one input is one change
                own.append(change)


def plain(found: set) -> set:
    """Without the numbers of changes, which `said` takes from ids that timers do not have."""
    return {(at, customer, *rest) for at, customer, _, *rest in found}


def stands(decisions, account: str) -> set:
    found = set()
    for each in net(each for each in decisions if each.customer == account).values():
        data = each.data
        if each.kind == "account.stage.changed":
            found.add((each.at, data.customer, "stage", data.from_ or "", data.to or ""))
        else:
            found.add((each.at, data.customer, data.score, data.previous, data.value))
    return found


@settings(max_examples=200)
@given(lives(), st.sampled_from([ACCOUNTS, d.Accounts("j", contacts=2, scores=(d.RollUp("s"),)), msgspec.structs.replace(ACCOUNTS, roles=())]))  # fmt: skip
def test_accounts_are_what_the_decisions_of_their_contacts_make_them(events, rules):
    """Roles, moves from one account to another, leaving, stages by interactions and by time alone, scores that fade."""
    if rules.leave is None:
        events = [each for each in events if each.key != "left"]
    watched = Watched(rules, events)
    for each in events:
        watched.hear(each)
    watched.until(START + 40 * DAY)
    ordered = ("one", "two", "three")
    for account, changes in watched.changes.items():
        due, stage, high, _ = anew(rules, changes, ordered, ("lost",))
        if len(changes) <= RECENT:
            assert stands(watched.made, account) == plain(due)
        marks = watched.local.accounts[account].marks if account in watched.local.accounts else None
        assert (marks.stage, marks.high_water) == (stage, high) if marks is not None else not changes


def told(local: Local) -> dict:
    """What accounts know of their contacts."""
    return {
        (account.account, name): (each.role, each.stage, each.scores)
        for account in local.accounts.values()
        for name, each in account.contacts.items()
    }


def test_what_time_alone_had_done_before_the_last_word_is_not_put_before_it():
    """A late event after which the customer had fallen back already when they came to the account: it hears where they are, as of now."""
    local = Local(msgspec.structs.replace(TOPOLOGY, late=Late("refold")))
    member = event("b", "Identified", 2 * DAY + 1, 1, "acme", role="champion")
    for each in (event("b", "Two", 0, 0), member, event("b", "Three", 0, 2)):
        local.step(each, lateness=100 * DAY)
    (kept,) = local.accounts["acme"].contacts.values()
    assert (kept.stage, local.profiles[member.customer].journeys["j"].stage) == ("one", "one")


@settings(max_examples=60)
@given(lives(), st.data())
def test_late_or_in_order_an_account_knows_of_its_contacts_what_their_profiles_say(events, data):
    """A past that is folded anew tells the account what the contact is now."""
    local = Local(msgspec.structs.replace(TOPOLOGY, late=Late(data.draw(st.sampled_from(["refold", "process"])))))
    for each in data.draw(st.permutations(events)):
        local.step(each, lateness=100 * DAY)
    local.until(START + 40 * DAY)
    wanted = {}
    for name, profile in local.profiles.items():
        account = profile.traits.get(TRAIT, [None])[0]
        role = profile.traits.get("role", [None])[0]
        roles = [
            each for each in (role if isinstance(role, list) else [role]) if each in {"champion", "Decision Maker"}
        ]
        state = profile.journeys["j"]
        if account is not None and roles:
            kept = state.scores.get("s")
            score = kept.emitted if kept is not None and not kept.out else 0.0
            wanted[account, name] = roles[0], state.stage, {"s": round(score, 4)} if round(score, 4) else {}
    assert told(local) == wanted


@given(lives())
def test_a_repeat_tells_nobody_anything(events):
    steps = Telling(ACCOUNTS, TOPOLOGY.program())
    profiles: dict[str, record.Profile] = {}
    for each in events:
        profile = profiles.setdefault(each.customer, record.Profile(each.customer))
        steps.advance(profile, each)
        steps.take()
        kept = record.dump(profile)
        steps.advance(profile, each)
        assert steps.take() == []
        assert record.dump(profile) == kept


def test_a_contact_who_changes_the_account_leaves_one_and_is_in_the_other_with_all_that_they_are():
    local = Local(TOPOLOGY)
    for each in (
        event("a", "Identified", 0, 0, "acme", role="champion"),
        event("a", "Two", HOUR, 1),
        event("a", "Identified", DAY, 2, "beta"),
    ):
        found = local.step(each)
    assert [(each.customer, each.data.from_, each.data.to) for each in found] == [
        ("acme", "two", None),
        ("beta", None, "two"),
    ]
    assert {each.data.customer for each in found} == {"a"}


def test_an_anonymous_visitor_moves_nobody_and_an_earlier_interaction_does_not_either():
    local = Local(TOPOLOGY)
    local.step(event("a", "Identified", DAY, 0, "acme", role="champion"))
    visitor = event("a", "Other", 2 * DAY, 1, "beta")
    visitor.anonymous = True
    local.step(visitor)
    local.step(event("a", "Other", HOUR, 2, "gamma"))
    assert set(told(local)) == {("acme", "a")}


def test_who_leaves_an_account_that_is_not_theirs_stays_in_their_own():
    local = Local(TOPOLOGY)
    local.step(event("a", "Identified", 0, 0, "acme", role="champion"))
    assert local.step(event("a", "Left", HOUR, 1, "beta")) == []
    assert [each.data.to for each in local.step(event("a", "Left", DAY, 2, "acme"))] == [None]


def test_an_account_that_is_a_number_is_its_text_and_what_is_no_id_is_counted():
    local = Local(
        msgspec.structs.replace(
            TOPOLOGY, accounts=msgspec.structs.replace(ACCOUNTS, account="event.properties.company", roles=())
        )
    )
    for at, company in enumerate((42, "  ", True, 1.5, "x" * 300)):
        each = event("a", "Other", at, at)
        each.properties_raw = msgspec.json.encode({"company": company})
        local.step(each)
    local.until(START)
    assert set(told(local)) == {("42", "a")}
    assert local.counts["account_unreadable"] == 4


def test_time_alone_moves_an_account_at_the_instant_at_which_it_moves_the_contact():
    local = Local(TOPOLOGY)
    local.step(event("a", "Identified", 0, 0, "acme", role="champion"))
    local.step(event("a", "Three", HOUR, 1))
    fell = [each for each in local.until(START + 3 * DAY) if each.customer == "acme"]
    assert [(each.at - START, each.data.from_, each.data.to) for each in fell] == [(HOUR + 2 * DAY, "three", "one")]
    assert fell[0].data.because.events == ()
    assert fell[0].data.because.due is not None


def test_others_pay_nothing_for_accounts():
    """Nothing is learned, nothing is kept."""
    local = Local(msgspec.structs.replace(TOPOLOGY, accounts=None))
    local.step(event("a", "Identified", 0, 0, "acme", role="champion"))
    profile = local.profiles["a"]
    assert profile.member is None
    assert profile.traits == {}

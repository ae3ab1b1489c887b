"""The consent ledger and the suppression list: whose word counts, in every order of arrival, and what follows for actions."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.consent import CAP, EVERY, Consent, Status, record, refusal, standing
from rumbo.core.contact import Listed
from rumbo.core.instant import DAY, HOUR
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Ledger
from rumbo.core.program import Program
from tests.core.test_step import START, A, brief, event, named, triggers

SAYS = d.ConsentRule(
    named("Consent"), "event.properties.status", "event.properties.purpose", "event.properties.channel", expires="event.properties.until",
)  # fmt: skip
CONTACT = d.Contact(
    {"news": "marketing", "help": "service", "receipt": "transactional"}, (SAYS, d.ConsentRule(named("Unsubscribed"), "'withdrawn'")),
    (named("Bounced"),), (named("Restored"),),
)  # fmt: skip


def about(purpose: str, name: str = "A", trigger: str | None = None, **parts) -> d.Trigger:
    return d.Trigger(trigger or purpose, d.OnEvent(named(name)), d.Action("message", purpose=purpose, **parts))


def consent(status: str, at: int = 0, purpose: str = "news", channel: str = "*", **more) -> Interaction:
    return event(
        "Consent", at, f"{status}{purpose}{channel}{at}", status=status, purpose=purpose, channel=channel, **more
    )


def run(journey: d.Journey, *events: Interaction, contact: d.Contact = CONTACT) -> list:
    program = Program("test", [journey], contact=contact)
    profile = program.load("c", None)
    return [(each.at - START, brief(each.data)) for happened in events for each in program.advance(profile, happened)]


def test_marketing_needs_a_grant_service_no_denial_and_a_receipt_is_not_asked():
    journey = triggers(about("news"), about("help"), about("receipt"))
    assert run(journey, event("A")) == [(0, "consent news"), (0, "help"), (0, "receipt")]
    assert run(journey, consent("granted"), event("A", 1))[0] == (1, "news")
    assert run(journey, event("Unsubscribed"), event("A", 1)) == [
        (1, "consent news"),
        (1, "consent help"),
        (1, "receipt"),
    ]


def test_a_purpose_that_is_not_declared_behaves_as_without_contact():
    """No topology that declares nothing changes what it decides."""
    assert run(triggers(about("sales")), event("A"), contact=d.Contact()) == [(0, "sales")]


def test_the_last_word_counts_by_its_own_time_and_the_denial_at_one_instant():
    journey = triggers(about("news"))
    late = [consent("granted", 2 * HOUR), consent("withdrawn", HOUR), event("A", 3 * HOUR)]
    assert run(journey, *late) == [(3 * HOUR, "news")]
    tie = [consent("denied", HOUR), consent("granted", HOUR), event("A", 3 * HOUR)]
    assert run(journey, *tie) == [(3 * HOUR, "consent news")]


def test_a_word_for_one_channel_and_one_for_all_are_compared_by_time():
    email, push = about("news", trigger="email", channel="email"), about("news", trigger="push", channel="push")
    said = [consent("granted"), consent("withdrawn", HOUR, channel="Email"), event("A", 2 * HOUR)]
    assert run(triggers(email, push), *said) == [(2 * HOUR, "consent email"), (2 * HOUR, "push")]
    said += [consent("granted", 3 * HOUR), event("A", 4 * HOUR)]
    assert run(triggers(email, push), *said)[2:] == [(4 * HOUR, "email"), (4 * HOUR, "push")]


def test_a_grant_expires_by_the_customers_clock():
    granted = consent("granted", until="2026-01-02T00:00:00Z")
    found = run(triggers(about("news")), granted, event("A", DAY - 1), event("A", DAY))
    assert found == [(DAY - 1, "news"), (DAY, "consent news")]


def test_what_cannot_be_read_widens_nothing():
    """A grant is not taken, a denial counts for every purpose."""
    journey = triggers(about("news"), about("help"))
    broken = [
        event("Consent", 0, status="granted", purpose=5, channel="email"),
        event("Consent", 1, status="maybe", purpose="news"),
    ]
    assert run(journey, *broken, event("A", 2))[0] == (2, "consent news")
    assert run(journey, consent("granted", until="soon"), event("A", 2))[0] == (2, "consent news")
    denied = event("Consent", 1, status="denied", purpose=None, channel="email")
    assert run(journey, consent("granted"), denied, event("A", 2)) == [(2, "news"), (2, "help")]  # only by email
    denied = event("Consent", 1, status="denied", purpose=None, channel=None)
    assert run(journey, consent("granted"), denied, event("A", 2)) == [(2, "consent news"), (2, "consent help")]


def test_nothing_is_asked_of_a_customer_on_the_suppression_list():
    """Whatever its purpose, until they are taken off it; at one instant they stay on."""
    journey = triggers(about("receipt"))
    listed = [event("Bounced"), event("A", 1), event("Restored", 2), event("A", 3)]
    assert run(journey, *listed) == [(1, "suppression_list receipt"), (3, "receipt")]
    assert run(journey, event("Restored"), event("Bounced"), event("A", 1)) == [(1, "suppression_list receipt")]
    assert run(journey, event("Bounced", 1), event("Restored", 0), event("A", 2)) == [(2, "suppression_list receipt")]


def test_a_control_record_says_the_same_and_says_it_once():
    program = Program("test", [triggers(about("news"))], contact=CONTACT)
    profile = program.load("c", None)
    said = event("Consent Said", 0)
    assert program.instruct(profile, said, "", Consent("news", EVERY, "granted", START)) == []
    assert [brief(each.data) for each in program.advance(profile, event("A", 1))] == ["news"]
    program.instruct(profile, event("Suppression Listed", 2), "", Listed(True, START + 2))
    assert [brief(each.data) for each in program.advance(profile, event("A", 3))] == ["suppression_list news"]


def test_an_action_that_comes_after_its_own_expiry_is_not_asked_for():
    """Late by the customer's clock: nobody may do it any more."""
    journey = triggers(d.Trigger("t", d.OnEvent(A), d.Action("message", expires_after=HOUR)))
    assert run(journey, event("B", HOUR), event("A", 1)) == [(1, "t")]
    assert run(journey, event("B", HOUR), event("A")) == [(0, "expired t")]


def test_the_channel_is_the_customers_or_the_topologys():
    contact = d.Contact(preferred=d.Preferred("preferred_channel", "email", ("email", "push")))
    program = Program("test", [triggers(about("x", channel="preferred"))], contact=contact)
    profile, channels = program.load("c", None), []
    for at, preferred in enumerate([None, "push", "pigeon"]):
        if preferred is not None:
            profile.traits["preferred_channel"] = [preferred, 0, False]
        channels += [each.data.channel for each in program.advance(profile, event("A", at))]
    assert channels == ["email", "push", "email"]


words = st.builds(
    Consent, st.sampled_from(["news", "help", EVERY]), st.sampled_from(["email", EVERY]), st.sampled_from(get_args(Status)),
    st.integers(1, 4), st.booleans(), st.sampled_from(["", "crm"]), st.just(""), st.sampled_from([0, 3]),
)  # fmt: skip


@given(st.lists(words, max_size=12), st.randoms(use_true_random=False))
def test_the_ledger_is_the_same_in_every_order_and_a_repeat_changes_nothing(said, random):
    ledger, shuffled = Ledger(), Ledger()
    for each in said:
        record(ledger, each)
    for each in random.sample(said * 2, len(said) * 2):
        record(shuffled, each)
    assert ledger.consents == shuffled.consents


@given(st.lists(words, max_size=12), st.integers(1, 5))
def test_no_grant_of_an_anonymous_visitor_and_no_older_one_outweighs_a_denial(said, now):
    ledger = Ledger()
    for each in said:
        record(ledger, each)
    found = standing(ledger, "news", "email", now)
    mine = [each for each in said if each.purpose in {"news", EVERY} and each.channel in {"email", EVERY} and not 0 < each.expires <= now]  # fmt: skip
    denials = [each.at for each in mine if each.status in {"denied", "withdrawn"}]
    grants = [each.at for each in mine if each.status == "granted" and not each.anonymous]
    other = [each.at for each in mine if each.status == "unknown"]
    if refusal("marketing", found, "news", "email") == "" and all(not each.expires for each in said):
        assert not denials or max(grants, default=0) > max(denials) or max(other, default=0) > max(denials)


@given(st.lists(st.tuples(st.integers(0, 150), st.booleans(), st.integers(1, 9)), max_size=200))
def test_a_full_ledger_forgets_grants_never_denials(said):
    """Bounded, and what it forgets is unknown: no."""
    ledger, denied = Ledger(), dict[str, int]()
    last: dict[str, tuple[int, bool]] = {}
    for number, granted, at in said:
        purpose = f"p{number}"
        record(ledger, Consent(purpose, EVERY, "granted" if granted else "denied", at))
        assert len(ledger.consents) <= CAP
        last[purpose] = max(last.get(purpose, (0, False)), (at, not granted))
        if last[purpose][1]:
            denied[purpose] = at
        else:
            denied.pop(purpose, None)
    for purpose in denied:
        found = standing(ledger, purpose, None, 10)
        assert found is None or found.status == "denied" or found.purpose == EVERY
        assert refusal("marketing", found, purpose, None)

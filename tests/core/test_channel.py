"""The preferred channel: what is shown is what an action gets, its reasons are counts of the ledger, and nothing depends on an order."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.channel import answered, preference
from rumbo.core.instant import DAY
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Ledger, Profile
from rumbo.core.program import Program
from tests.core.test_step import START, A, event, named, triggers

CHANNELS = ("email", "push", "sms")
PREFERRED = d.Preferred("preferred_channel", "email", ("email", "push"))
SAYS = d.ConsentRule(
    named("Consent"), "event.properties.status", "event.properties.purpose", "event.properties.channel"
)
CONTACT = d.Contact({"news": "marketing", "help": "service"}, (SAYS,), preferred=PREFERRED)
MAIL = triggers(d.Trigger("mail", d.OnEvent(A), d.Action("message", purpose="help", channel="preferred")))

instants = st.integers(0, 3)
messages = st.lists(st.tuples(st.sampled_from((*CHANNELS, None)), instants, instants, instants), max_size=20)


def known(**traits) -> Interaction:
    return msgspec.structs.replace(event("Known"), traits_raw=msgspec.json.encode(traits))


def ledger(sent) -> Ledger:
    made = {f"{at:016}": ["j/mail", channel, START, *times] for at, (channel, *times) in enumerate(sent)}
    return Ledger(messages=made)


def prefers(sent, contact=d.Contact()):  # noqa: B008  a value
    profile = Profile("c")
    profile.ledger = ledger(sent)
    return preference(contact, profile, START)


@given(st.one_of(st.none(), st.sampled_from((*CHANNELS, "PUSH", "", 7, True))))
def test_what_is_shown_is_what_an_action_gets(said):
    """Whatever the customer named, before the action and after it; the default where they named none that there is."""
    program = Program("test", [MAIL], contact=CONTACT)
    profile = program.load("c", None)
    program.advance(profile, known(preferred_channel=said) if said is not None else known())
    before = program.prefers(profile, START)
    (action,) = [each for each in program.advance(profile, event("A", 1)) if each.kind.startswith("action")]
    after = program.prefers(profile, START + 1)
    assert before is not None
    assert after is not None
    assert before.channel == after.channel == action.data.channel
    assert before.by == ("customer" if said in {"email", "push"} else "topology")
    assert before.named == (said if isinstance(said, str) else None)


def test_the_trait_is_known_though_no_action_asks_for_it():
    """Who looks the customer up is a reader of it too."""
    program = Program("test", [triggers()], contact=CONTACT)
    profile = program.load("c", None)
    program.advance(profile, known(preferred_channel="push"))
    found = program.prefers(program.load("c", program.dump(profile)), START)
    assert found is not None
    assert (found.channel, found.by) == ("push", "customer")


def test_a_refused_purpose_is_named_with_the_customers_word():
    """Preferring a channel is no permission: marketing has none, and a denial by this channel names what it hits."""
    program = Program("test", [MAIL], contact=CONTACT)
    profile = program.load("c", None)
    assert set(program.prefers(profile, START).refused) == {"news"}
    program.advance(profile, event("Consent", 0, "1", status="granted", purpose="news", channel="email"))
    assert program.prefers(profile, START).refused == {}
    program.advance(profile, event("Consent", DAY, "2", status="denied", purpose="help", channel="email"))
    refused = program.prefers(profile, START + DAY).refused
    assert list(refused) == ["help"]
    assert refused["help"].startswith("denied ")


@given(messages, st.randoms())
def test_no_order_of_the_ledger_matters(sent, chance):
    mixed = list(sent)
    chance.shuffle(mixed)
    assert prefers(sent) == prefers(mixed)


@given(messages)
def test_the_counts_are_those_of_the_ledger(sent):
    """Each message with a channel once; clicked was opened, opened was delivered, delivered was sent; the best answered first."""
    found = answered(ledger(sent))
    assert sum(each.sent for each in found) == sum(channel is not None for channel, *_ in sent)
    assert len({each.channel for each in found}) == len(found)
    for each in found:
        assert 0 <= each.clicked <= each.opened <= each.delivered <= each.sent
        own = [times for channel, *times in sent if channel == each.channel]
        assert each.clicked == sum(times[2] > 0 for times in own)
        assert each.opened == sum(times[1] > 0 or times[2] > 0 for times in own)
    assert list(found) == sorted(found, key=lambda each: each.weight, reverse=True)


@given(messages)
def test_one_more_answer_never_costs_the_first_place(sent):
    first = prefers(sent)
    if first is None:
        assert not any(channel is not None and (opened or clicked) for channel, _, opened, clicked in sent)
        return
    for at, (channel, delivered, opened, clicked) in enumerate(sent):
        if channel == first.channel:
            more = [*sent[:at], (channel, delivered, opened or 1, clicked), *sent[at + 1 :]]
            assert prefers(more).channel == first.channel


def test_one_of_one_is_not_yet_more_than_nine_of_ten():
    sent = [("sms", 1, 1, 0), *[("email", 1, 1, 0)] * 9, ("email", 1, 0, 0)]
    found = prefers(sent)
    assert (found.channel, found.by) == ("email", "answers")
    assert [(each.channel, each.opened, each.sent) for each in found.answers] == [("email", 9, 10), ("sms", 1, 1)]


@given(messages)
def test_where_the_topology_says_what_it_means_answers_only_explain(sent):
    found = prefers(sent, CONTACT)
    assert (found.channel, found.by) == ("email", "topology")
    assert found.answers == answered(ledger(sent))

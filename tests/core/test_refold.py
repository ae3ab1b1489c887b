"""Late interactions put in their place: any order of arrival within the reach ends alike, and nothing is said twice."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as record
from rumbo.core import refold
from rumbo.core.authority import Order
from rumbo.core.consent import Consent
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.interaction import Interaction
from rumbo.core.past import Entry, Head, Past, Shelf
from rumbo.core.program import Program
from rumbo.core.refold import Refolder
from rumbo.core.retraction import net
from tests.core.naive import Naive
from tests.core.test_naive import END, histories, journeys, near
from tests.core.test_step import RICH, START, A, B, C, brief, event, stages, triggers

REFOLD = d.Late("refold")
NUDGE = d.Action("message", {"template": "nudge"}, purpose="service", expires_after=DAY)
_entry = msgspec.msgpack.Decoder(Entry).decode


class World:
    """One customer, with or without storing everything after each input, as a worker may have to."""

    def __init__(self, journey, late=REFOLD, *, stored=False, contact=None, version="v1"):
        self.program = Program("test", [journey], contact=contact)
        self.refolder = Refolder(self.program, late, version)
        self.profile, self.past = self.program.load("c", None), Past("c", Head())
        self.out, self.rows, self.base, self.stored = [], {}, None, stored
        self.met = Counter()

    def send(self, *events):
        for each in events:
            self.out += self.refolder.advance(self.profile, self.past, each)
            self._between()
        return self

    def say(self, at, said, journey="", number="said"):
        event = Interaction("c", "Said", "said", number, START + at, "control", 0, 0)
        self.out += self.refolder.instruct(self.profile, self.past, event, journey, said)
        self._between()
        return self

    def fire(self, after):
        self.out += self.refolder.fire(self.profile, self.past, START + after)
        self._between()
        return self

    def _between(self):
        self.met.update(self.program.stats)
        self.program.stats.clear()
        if self.stored:
            self._store()

    def _store(self):
        past = self.past
        for key in past.removed:
            del self.rows[key]
        self.rows |= {key: msgspec.msgpack.encode(each) for key, each in past.added.items()}
        self.base = past.base if past.rebased else self.base
        head = msgspec.msgpack.decode(msgspec.msgpack.encode(past.head), type=Head)
        shelf = Shelf(lambda _: self.base, lambda _: [_entry(each) for each in self.rows.values()])
        self.past, self.profile = Past("c", head, shelf), self.state()

    def state(self):
        return record.load(record.dump(self.profile))

    def said(self):
        """What was put out, in words."""
        names = {each.id: "withdrawal" if each.kind == "decision.retracted" else brief(each.data) for each in self.out}
        return [
            f"{'again' if each.data.reason == 'reinstated' else 'not'} {names[each.data.retracts]}"
            if each.kind == "decision.retracted"
            else names[each.id]
            for each in self.out
        ]

    def stands(self):
        """By id: what it is, of what instant, and what it says to whoever acts upon it."""
        return {number: (each.kind, each.at, brief(each.data)) for number, each in net(self.out).items()}


def in_order(journey, history, until, **given):
    return World(journey, **given).send(*sorted(history, key=lambda each: (each.at, each.id))).fire(until)


def ends_alike(world, wanted):
    assert world.state() == wanted.state()
    assert max(Counter(each.id for each in world.out).values(), default=1) == 1, "sent twice"
    assert world.stands() == wanted.stands()


def arrive(world, shuffled, chance):
    """Each in its turn, with a clock that moves, and producers that repeat themselves."""
    clock = 0
    for number, each in enumerate(shuffled):
        if chance.random() < 0.3:
            clock += chance.randrange(3 * 24) * HOUR
            world.fire(clock)
        world.send(each)
        if chance.random() < 0.2:
            world.send(chance.choice(shuffled[: number + 1]))


@settings(max_examples=100)
@given(journeys(), histories, st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_arrival_ends_alike(journey, history, chance, stored):
    """The profile and what stands of the decisions, ids and all, are those of the order in which it happened; no id is said twice."""
    shuffled = chance.sample(history, len(history))
    world = World(journey, stored=stored)
    arrive(world, shuffled, chance)
    ends_alike(world.fire(END), in_order(journey, history, END))


@settings(max_examples=60)
@given(journeys(), histories, st.randoms(use_true_random=False))
def test_what_stands_is_what_a_look_at_the_full_history_decides(journey, history, chance):
    """The second implementation knows neither accumulators nor refolds: it has the whole history in order."""
    world, naive = World(journey), Naive(journey)
    arrive(world, chance.sample(history, len(history)), chance)
    stands = net(world.fire(END).out).values()
    expected = [(at - START, what) for at, what in naive.run(history, START + END) if at <= naive.told]
    assert near([(each.at - START, brief(each.data)) for each in stands if each.at <= naive.told]) == near(expected)


many = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("ABCD")), max_size=25).map(
    lambda found: [event(name, at * 7 * HOUR, f"{name}{number}") for number, (at, name) in enumerate(found)]
)


@settings(max_examples=60)
@given(many, st.randoms(use_true_random=False), st.booleans())
def test_interactions_of_one_instant_stand_by_their_ids(history, chance, stored):
    """Total order: time, then id; whatever came first."""
    world = World(RICH, stored=stored)
    arrive(world, chance.sample(history, len(history)), chance)
    ends_alike(world.fire(40 * DAY), in_order(RICH, history, 40 * DAY))


@settings(max_examples=40)
@given(many, st.integers(0, 20), st.integers(0, 24), st.randoms(use_true_random=False))
def test_a_repeat_of_a_late_interaction_changes_nothing(history, again, at, chance):
    """From within the reach or from beyond it."""
    world = World(RICH, d.Late("refold", 4, 20 * DAY))
    world.send(*chance.sample(history, len(history)))
    if not history:
        return
    before, said = world.state(), len(world.out)
    world.send(history[again % len(history)], *history[: at % 5])
    assert (world.state(), len(world.out)) == (before, said)


# What is said ---------------------------------------------------------------------------------------------------------

UNUSED = triggers(d.Trigger("nudge", d.Absence(B, 14 * DAY, A), NUDGE))


def test_an_absence_that_was_none_is_withdrawn_by_the_one_who_came_late():
    """Used on day 13, heard of on day 20: the nudge of day 14 is withdrawn, by its id, and the late one is named as the cause."""
    world = World(UNUSED).send(event("A")).fire(20 * DAY).send(event("B", 13 * DAY))
    assert world.said() == ["nudge", "not nudge"]
    nudge, withdrawal = world.out
    assert withdrawal.data.retracts == nudge.id
    assert (withdrawal.data.retracted, withdrawal.data.reason) == ("action.requested", "late_event")
    assert withdrawal.data.because.events[0].id == event("B", 13 * DAY).id
    assert withdrawal.at == START + 13 * DAY
    assert world.met["late_refolded"] == 1


@pytest.mark.parametrize("stored", [False, True])
def test_a_late_one_at_the_instant_at_which_a_condition_ended_brings_no_second_action(stored):
    """It stands before what is due then: the condition never ended, and did not become true again."""
    on = triggers(d.Trigger("t", d.OnCondition(d.Happened(A, 1, 6 * HOUR)), NUDGE))
    world = World(on, stored=stored).send(event("A")).fire(7 * HOUR).send(event("A", 6 * HOUR))
    assert world.said() == ["t"]


def test_an_action_whose_time_is_over_is_recorded_and_not_asked_for():
    """Nobody gets today what should have been sent weeks ago; what may still be sent, is."""
    on = triggers(d.Trigger("hello", d.OnEvent(A), NUDGE))
    late = World(on).send(event("C", 5 * DAY), event("A"))
    assert late.said() == ["expired hello"]
    assert late.out[0].at == START
    assert "came late" in late.out[0].data.detail
    assert World(on).send(event("C", DAY - MINUTE), event("A")).said() == ["hello"]
    assert late.state() == in_order(on, [event("A"), event("C", 5 * DAY)], 0).state()


GUARDED = triggers(d.Trigger("c", d.OnEvent(C), NUDGE, d.AnyOf((d.Not(d.Happened(B)), d.Happened(A)))))


@pytest.mark.parametrize("stored", [False, True])
def test_what_holds_again_is_not_sent_again(stored):
    """A second late one undoes what the first undid: the withdrawal is withdrawn, by its id."""
    world = World(GUARDED, stored=stored).send(event("C", 3 * DAY), event("B", DAY))
    assert world.said() == ["c", "not c"]
    world.send(event("A", 2 * DAY))
    assert world.said() == ["c", "not c", "again withdrawal"]
    first, withdrawal, again = world.out
    assert (again.data.retracts, again.data.retracted) == (withdrawal.id, "decision.retracted")
    assert world.stands() == {first.id: ("action.requested", first.at, "c")}
    assert world.past.head.withdrawn == {}


@pytest.mark.parametrize("stored", [False, True])
def test_the_same_goes_for_what_was_too_late(stored):
    """What was never asked for is neither withdrawn nor asked for: its record is."""
    world = World(GUARDED, stored=stored).send(
        event("D", 9 * DAY), event("C", 3 * DAY), event("B", DAY), event("A", 2 * DAY)
    )
    assert world.said() == ["expired c", "not expired c", "again withdrawal"]
    assert list(world.stands()) == [world.out[0].id]
    world.send(event("E", HOUR))
    assert len(world.out) == 3


def test_a_late_word_of_the_customer_withdraws_what_was_asked_against_it():
    """A denial that arrives late counts from when it was said."""
    contact = d.Contact(purposes={"education": "marketing"})
    ask = d.Action("message", purpose="education", expires_after=DAY)
    on = triggers(d.Trigger("tip", d.OnEvent(B), ask))
    grant = Consent("education", "*", "granted", START - 1)
    denial = Consent("education", "*", "withdrawn", START + HOUR)
    world = (
        World(on, contact=contact)
        .say(-1, grant, number="g")
        .send(event("A"), event("B", DAY))
        .say(HOUR, denial, number="d")
    )
    assert world.said() == ["tip", "not tip", "consent tip"]


def test_a_late_order_moves_the_customer_when_it_was_given():
    """What a CRM has set counts from then on: what the rules did against it is withdrawn, and suggested instead."""
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), d.Stage("three", d.Happened(B)))
    world = World(journey).send(event("A"), event("B", 2 * DAY)).say(DAY, Order("one"), "j", "crm")
    assert world.said() == ["forward two", "forward three", "not forward three", "backward one", "suggested three"]
    assert world.profile.journeys["j"].stage == "one"


BANDED = d.Journey(
    "j", "1.0",
    (d.Score("s", (d.Points("once", A, 5.0, once=True), d.Points("r", A, 5.0, half_life=DAY), d.Points("b", B, 5.0)),
             bands=(d.Band("low", 9.0, 1.0), d.Band("high", 14.0, 13.0))),),
)  # fmt: skip


@pytest.mark.parametrize("stored", [False, True])
def test_a_band_that_is_another_one_now_is_withdrawn_and_said_anew(stored):
    """By an id of its own, which is that of the right order; where the first holds again, it is not written again."""
    world = World(BANDED, stored=stored).send(event("A", HOUR))
    assert world.said() == ["band low"]
    world.send(event("B"))
    assert world.said() == ["band low", "not band low", "band high"]
    assert world.out[2].at == START + HOUR
    ends_alike(world, in_order(BANDED, [event("A", HOUR), event("B")], HOUR))


def test_a_figure_that_is_another_one_now_is_no_reason_to_say_it_again():
    """Nobody acts upon a value that fades."""
    score = d.Score("s", (d.Points("a", A, 9.0), d.Points("c", C, 1.0)), bands=(d.Band("low", 9.0, 1.0),))
    world = World(d.Journey("j", "1.0", (score,))).send(event("A", HOUR), event("C"))
    assert world.said() == ["band low"]
    assert world.met["late_refolded"] == 1


# The reach ------------------------------------------------------------------------------------------------------------

SCORED = d.Journey(
    "j", "1.0",
    (d.Score("s", (d.Points("r", A, 10.0, half_life=7 * DAY), d.Points("o", A, 5.0, half_life=7 * DAY, once=True)), bands=(d.Band("hot", 1000.0, 900.0),)),),
    triggers=(d.Trigger("a", d.OnEvent(A), NUDGE), d.Trigger("third", d.OnCondition(d.Happened(A, 3)), NUDGE)),
)  # fmt: skip


def test_beyond_the_reach_what_needs_no_order_counts_and_nothing_of_its_own_is_decided():
    """Counters and points that only fade; no trigger on the event itself. What later inputs find changed is said."""
    world = World(SCORED, d.Late("refold", 4, 90 * DAY))
    world.send(event("A"), *(event("C", day * DAY) for day in range(1, 10)))
    assert world.past.head.frontier is not None
    before, said = world.profile.counters["a"], len(world.out)

    def points():
        lane = world.profile.journeys["j"].scores["s"].lanes["/7d"]
        return lane[0] * 2 ** ((lane[1] - START) / (7 * DAY))

    assert points() == pytest.approx(15)
    world.send(event("A", HOUR))
    assert world.profile.counters["a"] == before + 1
    assert points() == pytest.approx(15 + 10 * 2 ** (HOUR / (7 * DAY)))
    assert len(world.out) == said
    assert (world.met["late_beyond_journal"], world.met["late_refolded"]) == (1, 0)
    world.send(event("A", HOUR))
    assert (world.profile.counters["a"], world.met["duplicate"]) == (before + 1, 1)
    world.send(event("A", 9 * DAY + 1))
    assert world.said()[said:] == ["a", "third"]


@settings(max_examples=40)
@given(many, st.integers(1, 9), st.integers(1, 20), st.randoms(use_true_random=False), st.booleans())
def test_a_past_is_bounded_and_reaches_at_least_as_far_as_promised(history, events, days, chance, stored):
    """By number and by time, a quarter over at most; what is within both is never beyond."""
    late = d.Late("refold", events, days * DAY)
    world = World(RICH, late, stored=stored)
    arrived = []
    for each in chance.sample(history, len(history)):
        near_enough = sum(1 for other in arrived if (other.at, other.id) > (each.at, each.id)) < events and (
            not arrived or each.at > max(other.at for other in arrived) - days * DAY
        )
        before = world.met["late_beyond_journal"]
        world.send(each)
        arrived.append(each)
        if near_enough:
            assert world.met["late_beyond_journal"] == before
        kept = world.past.entries
        assert len(kept) == world.past.head.count <= events + events // 4
        if kept:
            assert kept[0].place >= kept[-1].place - late.within - late.within // 4
            assert world.past.head.size == sum(one.size for one in kept)


@settings(max_examples=40)
@given(many, st.integers(1, 6), st.booleans())
def test_in_order_a_short_reach_is_as_good_as_a_long_one(history, events, stored):
    """Folding into the base changes nothing that is decided."""
    ordered = sorted(history, key=lambda each: (each.at, each.id))
    short = World(RICH, d.Late("refold", events, 3 * DAY), stored=stored).send(*ordered).fire(40 * DAY)
    program = Program("test", [RICH])
    profile = program.load("c", None)
    out = [each for one in ordered for each in program.advance(profile, one)] + program.fire(profile, START + 40 * DAY)
    assert short.state() == record.load(record.dump(profile))
    assert short.out == out


def test_large_inputs_do_not_make_a_past_large():
    """By bytes too."""
    world = World(RICH)
    for number in range(40):
        world.send(event("A", number * HOUR, filler="x" * 30_000))
    assert world.past.head.size <= 256 * 1024 + 31_000
    assert 5 < world.past.head.count < 10


def test_a_profile_that_was_stepped_without_its_past_or_by_other_rules_begins_a_new_one():
    """What other rules decided is not withdrawn by these; what happened before is beyond the reach."""
    world = World(UNUSED).send(event("A")).fire(20 * DAY)
    for changed in ("v2", "v1"):
        world.refolder = Refolder(world.program, REFOLD, changed)
        if changed == "v1":
            world.program.advance(world.profile, event("C", 30 * DAY))
        world.out.clear()
        world.send(event("B", 13 * DAY, changed))
        assert world.said() == []
        assert world.met["late_beyond_journal"] == (1 if changed == "v2" else 2)


def test_more_withdrawals_than_are_remembered_begin_the_past_anew(monkeypatch):
    """Rather than send something twice."""
    monkeypatch.setattr(refold, "EXCEPTIONS", 3)
    journey = triggers(d.Trigger("c", d.OnEvent(C), NUDGE, d.Not(d.Happened(B))))
    world = World(journey).send(*(event("C", day * DAY) for day in range(1, 8)), event("B"))
    assert world.said() == ["c"] * 7 + ["not c"] * 7
    assert world.met["refold_exceptions"] == 1
    assert (world.past.head.count, world.past.head.withdrawn) == (0, {})


def test_who_does_not_refold_keeps_the_order_of_arrival():
    """`process`: as it was."""
    program = Program("test", [UNUSED])
    profile = program.load("c", None)
    made = program.advance(profile, event("A")) + program.fire(profile, START + 20 * DAY)
    assert [brief(each.data) for each in made] == ["nudge"]
    assert program.advance(profile, event("B", 13 * DAY)) == []
    assert program.stats["late"] == 1

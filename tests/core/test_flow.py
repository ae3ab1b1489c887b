"""Flows: what begins an instance, what ends it at the instant, waits, branches, splits; bounds; other versions."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.flowing import LIVE, REMEMBERED
from rumbo.core.gate import share
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.interaction import Interaction
from rumbo.core.outputs import ActionRequested, ActionSuppressed, ExposureRecorded, FlowChanged, StageChanged
from rumbo.core.program import Program
from tests.core.test_step import START, A, B, C, event

ON_A = d.OnEvent(A)
EXIT = d.Comes(B)


def act(template: str = "mail", **limits) -> d.Act:
    return d.Act(d.Action("message", {"template": template}, purpose="x"), limits=d.Limits(**limits))


def flow(*steps: Any, name: str = "f", enter: d.Enter | None = None, **parts) -> d.Flow:
    made = [step if isinstance(step, d.FlowStep) else d.FlowStep(f"s{at}", step) for at, step in enumerate(steps)]
    return d.Flow(name, enter or d.Enter(ON_A), tuple(made), **parts)


class World:
    """One customer in the flows of one journey, stored and loaded at every input."""

    def __init__(self, *flows: d.Flow, version: str = "1.0", **parts) -> None:
        self.decisions: list = []
        self.becomes(*flows, version=version, **parts)
        self.profile = self.program.load("c", None)

    def becomes(self, *flows: d.Flow, version: str = "2.0", zone: str = "UTC", **parts) -> None:
        self.program = Program("test", [d.Journey("j", version, flows=flows, **parts)], zone=zone)

    def run(self, *events: Interaction, until: int = 0) -> list:
        for each in events:
            self.decisions += self.program.advance(self.profile, each)
            self.profile = self.program.load("c", self.program.dump(self.profile))
        self.decisions += self.program.fire(self.profile, START + until)
        return [(each.at - START, said(each.data)) for each in self.decisions]

    def acts(self, *events: Interaction, until: int = 0) -> list:
        self.run(*events, until=until)
        return [
            (each.at - START, each.data.params["template"])
            for each in self.decisions
            if each.kind == "action.requested"
        ]

    @property
    def live(self) -> list:
        return list(self.profile.journeys["j"].flows) if self.profile.journeys else []


def said(data) -> str:
    match data:
        case StageChanged(to=to):
            return f"stage {to}"
        case FlowChanged(change="entered"):
            return "in"
        case FlowChanged(reason=reason, step=step):
            return f"{reason} at {step}"
        case ActionSuppressed(gate=gate, params=params):
            return f"{gate} {params['template']}"
        case ActionRequested(params=params):
            return str(params["template"])
        case ExposureRecorded(experiment=name, variant=variant):
            return f"{name} {variant}"
    raise AssertionError(data)


def test_steps_and_waits_to_the_instant_and_the_end():
    world = World(flow(act("one"), d.Wait(HOUR), act("two")))
    assert world.run(event("A"), until=DAY) == [(0, "in"), (0, "one"), (HOUR, "two"), (HOUR, "end at s2")]
    assert world.live == []
    assert world.profile.timers == {}


def test_an_exit_ends_it_at_the_instant_in_the_middle_of_a_wait():
    """And before a step of the same instant; the interaction that ended an earlier one does not end the next."""
    world = World(flow(d.Wait(30 * DAY), act(), exit=EXIT))
    assert world.run(event("B"), event("A", 1), event("B", 9 * DAY), until=60 * DAY) == [
        (1, "in"),
        (9 * DAY, "exit at s0"),
    ]
    at_once = World(flow(d.Wait(HOUR), act(), exit=EXIT))
    assert at_once.run(event("A"), event("B", HOUR), until=DAY) == [(0, "in"), (HOUR, "exit at s0")]


def test_time_alone_ends_it_too():
    """An exit by silence is a timer, to the second."""
    world = World(flow(d.Wait(30 * DAY), exit=d.Idle(C, 3 * DAY)))
    assert world.run(event("C"), event("A", HOUR), until=60 * DAY) == [(HOUR, "in"), (3 * DAY, "exit at s0")]


def test_a_goal_completes_it():
    world = World(flow(d.Wait(DAY), act(), goal=d.Comes(C)))
    assert world.run(event("A"), event("C", HOUR), until=3 * DAY)[1:] == [(HOUR, "goal at s0")]
    assert world.decisions[-1].data.change == "completed"
    assert World(flow(act(), d.Goal("done"), act("never"))).run(event("A"))[1:] == [(0, "mail"), (0, "goal at s1")]


def test_a_wait_for_a_condition_ends_with_it_or_goes_on_otherwise():
    def waits(otherwise: str) -> d.Flow:
        return flow(d.Wait(2 * DAY, until=d.Comes(C), otherwise=otherwise), act("came"), d.Leave(), act("late"))

    assert World(waits("next")).acts(event("A"), event("C", HOUR), until=9 * DAY) == [(HOUR, "came")]
    assert World(waits("s3")).acts(event("A"), until=9 * DAY) == [(2 * DAY, "late")]
    assert World(waits("leave")).run(event("A"), until=9 * DAY)[1:] == [(2 * DAY, "timeout at s0")]
    assert World(waits("leave")).acts(event("C"), event("A", 1), until=HOUR) == []


def test_a_wait_until_a_time_of_day_is_the_customers():
    at_nine = d.Wait(second=9 * 3600)
    assert World(flow(at_nine, act())).acts(event("A", 10 * HOUR), until=3 * DAY) == [(33 * HOUR, "mail")]
    assert World(flow(at_nine, act()), zone="Asia/Tokyo").acts(event("A", 10 * HOUR), until=3 * DAY) == [(DAY, "mail")]


def test_branches_take_the_first_that_holds_and_traits_are_set():
    branch = d.BranchTo(
        ((d.Where("traits.plan == 'pro'"), "pro"), (d.Where("traits.plan == 'pro' || true"), "other")), "leave"
    )
    steps = [
        d.FlowStep("set", d.SetTrait("plan", "event.properties.plan")),
        d.FlowStep("branch", branch),
        d.FlowStep("pro", act("pro")),
        d.FlowStep("done", d.Leave()),
        d.FlowStep("other", act("other")),
    ]
    assert World(flow(*steps)).acts(event("A", plan="pro")) == [(0, "pro")]
    assert World(flow(*steps)).acts(event("A", plan="free")) == [(0, "other")]


def test_a_split_is_sticky_and_recorded():
    split = d.Split("x", (d.Variant("a", 0.5, "one"), d.Variant("b", 0.5, "two")))
    steps = [
        d.FlowStep("split", split),
        d.FlowStep("one", act("one")),
        d.FlowStep("end", d.Leave()),
        d.FlowStep("two", act("two")),
    ]
    found = World(flow(*steps)).run(event("A"), event("A", 1))
    mine = ("a", "one") if share("x", "c") < 0.5 else ("b", "two")
    assert [what for _, what in found if what.startswith("x ")] == [f"x {mine[0]}"]
    assert [what for _, what in found if what in {"one", "two"}] == [mine[1]] * 2


def test_re_entry():
    """Five rules, on interactions of two keys, an hour apart; each instance lasts 90 minutes."""

    def entered(again: str, **parts) -> list[int]:
        enter = d.Enter(ON_A, per="event.properties.cart", again=again, **parts)  # type: ignore[arg-type]  # each of them
        carts = "11212111"
        found = World(flow(d.Wait(90 * MINUTE), enter=enter)).run(
            *(event("A", at * HOUR, cart=cart) for at, cart in enumerate(carts))
        )
        return [at // HOUR for at, what in found if what == "in"]

    assert entered("always") == [0, 1, 2, 3, 4, 5, 6, 7]
    assert entered("after_exit") == [0, 2, 3, 4, 5, 7]
    assert entered("per_key") == [0, 2]
    assert entered("once") == [0]
    assert entered("cooldown", cooldown=3 * HOUR) == [0, 2, 5]


def test_without_a_key_it_does_not_begin_and_that_is_counted():
    world = World(flow(d.Wait(DAY), enter=d.Enter(ON_A, per="event.properties.cart")))
    assert world.run(event("A")) == []
    assert world.program.stats["flow_key_missing"] == 1


def test_no_more_instances_than_there_is_room_for():
    world = World(flow(d.Wait(DAY), enter=d.Enter(ON_A, again="always")))
    world.run(*(event("A", at) for at in range(LIVE + 3)))
    assert len(world.live) == LIVE
    assert world.program.stats["flows_full"] == 3


def test_what_is_remembered_of_keys_is_bounded_and_what_is_forgotten_counted():
    enter = d.Enter(ON_A, per="event.properties.cart", again="per_key")
    world = World(flow(act(), enter=enter))
    world.run(*(event("A", at, cart=at) for at in range(REMEMBERED + 5)))
    assert len(world.profile.journeys["j"].flown) == REMEMBERED
    assert world.program.stats["flows_forgotten"] == 5


def test_a_circle_ends_after_ten_visits():
    world = World(flow(act(), d.Go("s0")))
    assert world.acts(event("A")) == [(0, "mail")] * 10
    assert world.run()[-1] == (0, "visits at s1")
    assert len({each.id for each in world.decisions}) == len(world.decisions)


def test_any_call_of_a_trigger_can_begin_it():
    stages = (d.Stage("one"), d.Stage("two", d.Happened(A)))
    begins = [d.OnStage("two"), d.OnCondition(d.Happened(A)), d.Absence(B, HOUR, A)]
    found = [World(flow(act(), enter=d.Enter(on)), stages=stages).acts(event("A"), until=DAY) for on in begins]
    assert found == [[(0, "mail")], [(0, "mail")], [(HOUR, "mail")]]


def test_its_actions_pass_the_gates_and_what_is_held_ends_with_the_exit():
    """A purchase at night stops the mail of the morning; an instance that has come to its end keeps it."""
    night = d.QuietHours(20 * 3600, 9 * 3600)
    held = flow(act(quiet_hours=night), d.Wait(3 * DAY), exit=EXIT)
    found = World(held).run(event("A", 21 * HOUR), event("B", 22 * HOUR), until=4 * DAY)
    assert found == [
        (21 * HOUR, "in"),
        (21 * HOUR, "quiet_hours mail"),
        (22 * HOUR, "exit at s1"),
        (22 * HOUR, "expired mail"),
    ]
    ended = World(flow(act(quiet_hours=night), exit=EXIT))
    assert ended.acts(event("A", 21 * HOUR), event("B", 22 * HOUR), until=4 * DAY) == [(33 * HOUR, "mail")]


def test_instances_of_another_major_version():
    old = flow(d.FlowStep("pause", d.Wait(DAY)), d.FlowStep("mail", act("old")))

    def then(in_flight: Any, *steps: d.FlowStep, version: str = "2.0", **parts) -> list:
        world = World(old)
        world.run(event("A"))
        world.becomes(flow(*steps, in_flight=in_flight, **parts), version=version)
        return world.run(until=9 * DAY)[1:]

    longer = d.FlowStep("pause", d.Wait(3 * DAY)), d.FlowStep("mail", act("new"))
    renamed = d.FlowStep("rest", d.Wait(3 * DAY)), d.FlowStep("mail", act("new"))
    assert then("finish", *longer)[0] == (DAY, "new")
    assert then("migrate", *longer)[0] == (3 * DAY, "new")
    assert then("abort", *longer) == [(DAY, "version at pause")]
    assert then("finish", *renamed) == [(DAY, "version at pause")]
    assert then("migrate", *renamed, moved={"pause": "rest"})[0] == (3 * DAY, "new")
    assert then("abort", *longer, version="1.5")[0] == (DAY, "new")


def test_a_flow_that_is_gone_is_counted_and_gone():
    world = World(flow(d.Wait(DAY)))
    world.run(event("A"))
    world.becomes()
    assert world.run(event("C", HOUR))[1:] == []
    assert world.live == []
    assert world.program.stats["flow_unknown"] == 1


happenings = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 96)), max_size=30).map(
    lambda made: sorted(made, key=lambda each: each[1])
)


@settings(max_examples=60)
@given(happenings)
def test_nothing_is_asked_outside_an_instance_and_the_same_life_is_decided_the_same(happened):
    """Between entry and end, never after an exit; ids are unique; a repeat changes nothing."""
    steps = (d.Wait(HOUR), act("one"), d.Wait(6 * HOUR, until=d.Comes(C), otherwise="s4"), d.Go("s0"), act("two"))

    def lived(repeats: int) -> World:
        world = World(flow(*steps, exit=EXIT, enter=d.Enter(ON_A, again="after_exit")))
        for number, (name, quarter) in enumerate(happened):
            for _ in range(repeats):
                world.run(event(name, quarter * 15 * MINUTE, str(number)))
        world.run(until=9 * DAY)
        return world

    world = lived(1)
    assert world.decisions == lived(2).decisions
    assert len({each.id for each in world.decisions}) == len(world.decisions)
    inside = False
    for each in world.decisions:
        if each.kind == "flow.changed":
            assert inside is (each.data.change != "entered")
            inside = each.data.change == "entered"
        else:
            assert inside
    exits = [START + quarter * 15 * MINUTE for name, quarter in happened if name == "B"]
    for each in world.decisions:
        assert each.kind != "flow.changed" or each.data.reason != "exit" or each.at in exits
    assert world.live == []

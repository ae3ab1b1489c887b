"""Gates against a naive second implementation: each call is asked again of everything that was emitted before it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR
from tests.core.test_gate import ON_A, ON_B, World, rule
from tests.core.test_step import event

DROP = d.QuietHours(20 * 3600, 9 * 3600, do="drop")
caps = st.builds(d.Cap, st.integers(1, 2), st.sampled_from([6 * HOUR, 12 * HOUR, 2 * DAY, None]), st.sampled_from(["rule", "purpose", "all"]))  # fmt: skip
made = st.fixed_dictionaries({
    "purpose": st.sampled_from("xy"), "quiet": st.sampled_from([False, False, True]), "caps": st.lists(caps, min_size=1, max_size=2), "cooldown": st.sampled_from([0, 0, 6 * HOUR]),
    "again": st.sampled_from(["each", "each", "each", "once"]),
})  # fmt: skip
histories = st.lists(st.tuples(st.integers(0, 24).map(lambda at: 3 * at), st.sampled_from("AB")), max_size=25, unique_by=lambda each: each[0]).map(sorted)  # fmt: skip


def naive(history, rules):
    """(instant, rule or the gate and the rule) of every call."""
    sent: list[tuple[int, str]] = []
    for hour, name in history:
        now, mine = hour * HOUR, rules[name]
        own = [at for at, each in sent if each == name]
        if mine["again"] == "once" and any(who == name for _, who, _ in _told(history, rules, hour)):
            continue
        gate = _no(now, name, mine, rules, sent, own)
        if gate is None:
            sent.append((now, name))
        yield now, name, gate


def _told(history, rules, hour):
    before = [each for each in history if each[0] < hour]
    return [each for each in naive(before, rules) if each[2] is None]


def _no(now, name, mine, rules, sent, own):  # noqa: PLR0917  what a gate sees
    if mine["cooldown"] and own and now < own[-1] + mine["cooldown"]:
        return "cooldown"
    if mine["quiet"] and not 9 * HOUR <= now % DAY < 20 * HOUR:
        return "quiet_hours"
    for cap in mine["caps"]:
        alike = [
            at for at, each in sent
            if cap.by == "all" or each == name or (cap.by == "purpose" and rules[each]["purpose"] == mine["purpose"])
        ]  # fmt: skip
        inside = [at for at in alike if (at > now - cap.within if cap.within is not None else at // DAY == now // DAY)]
        if len(inside) >= cap.count:
            return "cap"
    return None


@settings(max_examples=100)
@given(made, made, histories)
def test_every_call_is_answered_as_by_a_look_at_all_that_was_emitted(one, two, history):
    """Cool-down, quiet hours and caps by rule, purpose and all: the same gate says no, and nothing else does."""
    rules = {"A": one, "B": two}
    on = {"A": ON_A, "B": ON_B}
    world = World(*(
        rule(name, on[name], d.Limits(DROP if each["quiet"] else None, tuple(each["caps"])), purpose=each["purpose"],
             cooldown=each["cooldown"], **({"again": "once"} if each["again"] == "once" else {}))
        for name, each in rules.items()
    ))  # fmt: skip
    for hour, name in history:
        world.run(event(name, hour * HOUR))
    found = world.run(until=20 * DAY)
    assert found == [(at, name if gate is None else f"{gate} {name}") for at, name, gate in naive(history, rules)]

"""A year of 2,469 real households against a brute-force computation that shares no code with Rumbo."""

from __future__ import annotations

import random

import pytest

from rumbo.core.instant import parse_instant
from rumbo.core.outputs import StageChanged
from rumbo.demo.history import END, lines
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.topology import load
from tests.conftest import long
from tests.demo import brute_force

A_THIRD, EVERYBODY = 800, None
LAPSES = {A_THIRD: 1_300, EVERYBODY: 4_000}
"""Fewer would say that little was compared."""


@pytest.fixture(scope="module", params=[A_THIRD, *long(EVERYBODY)], ids=["a third", "everybody"])
def households(request):
    """How many of the households, those with the smallest numbers."""
    return request.param


@pytest.fixture(scope="module")
def year(households):
    """The year through the core: decisions and profiles."""
    topology = load("topologies/grocery")
    local, decisions = Local(topology), []
    for number, value in enumerate(lines(households)):
        decisions += local.send(Record(topology.sources[0].topic, 0, number, -1, None, value))
    decisions += local.until(parse_instant(END))
    return local, decisions


@pytest.fixture(scope="module")
def truth(households):
    return brute_force.tables(households)


def test_every_stage_change_and_every_lapse_to_the_microsecond(year, truth, households):
    """Who moved when, from where to where: the same set, and the same counts at the end."""
    local, decisions = year
    everyone, baskets, _ = truth
    end = parse_instant(END)
    expected, final = set(), {}
    for who in everyone:
        changes, final[f"household-{who}"] = brute_force.stages(baskets[who], end)
        expected |= {(f"household-{who}", *change) for change in changes}
    found, origin = set(), {}
    for decision in decisions:
        if isinstance(decision.data, StageChanged):
            start = origin.pop(decision.customer, decision.data.from_)
            if decision.data.implied:
                origin[decision.customer] = start
            else:
                found.add((decision.customer, decision.at, start, decision.data.to))
    lapses = {each for each in expected if each[3] == "lapsed"}
    assert len(lapses) > LAPSES[households]
    assert lapses == {each for each in found if each[3] == "lapsed"}
    assert found == expected
    assert {name: profile.journeys["grocery"].stage for name, profile in local.profiles.items()} == final


def test_scores_of_ten_households(year, truth):
    """The decaying score at the year's end, recomputed from every event."""
    local, _ = year
    everyone, baskets, redeemed = truth
    end = parse_instant(END)
    machine = local.program.scores("grocery")["engagement"]
    for who in random.Random(10).sample(everyone, 10):
        state = local.profiles[f"household-{who}"].journeys["grocery"].scores.get("engagement")
        found = machine.value(state, end) if state is not None else 0.0
        assert found == pytest.approx(brute_force.score(baskets[who], redeemed[who], end), rel=1e-9)

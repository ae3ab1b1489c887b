"""Profiles as formats 1 to 3 wrote them: read as they were meant."""

from __future__ import annotations

from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import profile as record
from rumbo.core.earlier import JOURNEY, PROFILE, PROFILE_3, SCORE

names = st.sampled_from(["a", "b", "c"])
instants = st.integers(1, 10**16)
times = st.dictionaries(names, instants, max_size=2)
moments = st.lists(instants, max_size=2)
kept = st.dictionaries(names, st.lists(st.one_of(instants, names), max_size=3), max_size=2)
flows = st.lists(
    st.tuples(names, names, names, names, instants, names, instants, instants, times).map(list), max_size=2
)
held = st.tuples(names, names, instants, instants, st.none(), times, st.just([]), instants, st.just("consent")).map(
    list
)
scores = st.fixed_dictionaries({
    "lanes": kept, "rules": kept, "band": st.integers(-1, 3), "emitted": st.floats(0, 9), "seen": kept, "out": names,
})  # fmt: skip
journeys = st.fixed_dictionaries({
    "stage": names, "high_water": names, "entered_at": instants, "entry": names, "history": st.lists(st.tuples(names, instants).map(list)),
    "scores": st.dictionaries(names, scores, max_size=2), "fired": times, "held": st.dictionaries(names, st.booleans()), "since": kept,
    "moved": times, "base": times, "segments": times, "lock": st.just([]) | st.tuples(instants, instants, names).map(list),
    "flips": moments, "unstable": st.just(0) | instants, "matches": st.dictionaries(names, st.lists(st.tuples(names, instants).map(list))),
    "followed": kept, "holds": st.lists(held, max_size=2), "flows": flows, "flown": times,
})  # fmt: skip
profiles = st.fixed_dictionaries({
    "customer": names, "clock": instants, "first_seen": instants, "events": instants, "ring": st.binary(max_size=20), "counters": times,
    "last": times, "windows": st.dictionaries(names, moments), "traits": kept, "journeys": st.dictionaries(names, journeys, max_size=2),
    "timers": times,
})  # fmt: skip


def written(said, fields, parts=MappingProxyType({})):
    """A record as an earlier version wrote it: its fields by their places."""
    return [
        {name: parts[each](one) for name, one in said[each].items()} if each in parts else said[each] for each in fields
    ]


UPTO = {1: (15, 5), 2: (len(JOURNEY), len(SCORE))}
"""How many fields of a journey and of a score each format had."""


def written_by(number, said):
    """A profile as format 1 or 2 wrote it."""
    upto = UPTO[number]

    def journey(each):
        return written(each, JOURNEY[: upto[0]], {"scores": lambda score: written(score, SCORE[: upto[1]])})

    return msgspec.msgpack.encode(written(said, PROFILE[:11], {"journeys": journey}))


@settings(max_examples=30)
@given(profiles)
def test_a_profile_of_format_2_has_what_it_had(said):
    """Every field under its name; and in today's format it is the same one."""
    found = record.load(written_by(2, said))
    assert (found.ring, found.older) == (b"", said["ring"]), "hashed in another way"
    for name in PROFILE[:11]:
        if name not in {"journeys", "ring"}:
            assert getattr(found, name) == said[name]
    assert set(found.journeys) == set(said["journeys"])
    for journey, state in found.journeys.items():
        before = said["journeys"][journey]
        for name in JOURNEY:
            if name != "scores":
                assert _plain(getattr(state, name)) == before[name], name
        for score, own in state.scores.items():
            assert [_plain(getattr(own, name) or {}) if name == "seen" else getattr(own, name) for name in SCORE] == [
                before["scores"][score][name] for name in SCORE
            ]
    again = record.dump(found)
    assert record.load(again) == found
    assert record.dump(record.load(again)) == again


@settings(max_examples=30)
@given(profiles)
def test_of_format_1_what_came_later_is_empty(said):
    """Sequences, held actions, flows, reasons: as for a customer who has none."""
    found = record.load(written_by(1, said))
    for state in found.journeys.values():
        assert not any((state.matches, state.followed, state.holds, state.flows, state.flown))
        assert {own.out for own in state.scores.values()} <= {""}
    assert (found.ledger, found.visits, found.clicks, found.answers, found.trouble, found.member) == (None,) * 6


def written_by_3(profile):
    """A profile as format 3 wrote it: the ids where the formats before it had the clock, journeys as today's."""
    said = {name: getattr(profile, name) for name in PROFILE} | {"ring": profile.older}
    return msgspec.msgpack.encode([said[name] for name in PROFILE_3])


@settings(max_examples=30)
@given(profiles, st.sampled_from([None, "acme"]))
def test_a_profile_of_format_3_is_the_same_one_but_for_its_ids(said, account):
    profile = record.load(written_by(2, said))
    profile.member = record.Member(1, account) if account else None
    third = written_by_3(profile)
    assert record.load(third) == profile
    assert record.marks(third) == profile.journeys


@settings(max_examples=30)
@given(profiles)
def test_what_looks_at_stages_alone_sees_the_same_in_every_format(said):
    before = written_by(2, said)
    for value in (before, written_by_3(record.load(before)), record.dump(record.load(before))):
        found = record.marks(value)
        assert {name: (each.stage, each.high_water) for name, each in found.items()} == {
            name: (each["stage"], each["high_water"]) for name, each in said["journeys"].items()
        }


@settings(max_examples=30)
@given(profiles)
def test_what_nobody_has_anything_of_takes_a_byte(said):
    """So that most profiles are small, and read and written fast."""
    for state in record.load(written_by(2, said)).journeys.values():
        assert (state.memory is None) is not any(
            (state.held, state.since, state.segments, state.matches, state.followed)
        )
        assert (state.course is None) is not any((state.moved, state.base, state.lock, state.flips, state.unstable))
        assert (state.tasks is None) is not any((state.holds, state.flows, state.flown))


@pytest.mark.parametrize(
    "journeys", ["none", {"a": "none"}, {"a": []}, {"a": [1, 2, 3, 4, 5, {"s": 1}]}, {"a": [""] * 30}]
)
def test_anything_else_is_no_profile(journeys):
    second = ["c", 1, 2, 3, b"", {}, {}, {}, {}, journeys, {}]
    with pytest.raises(msgspec.ValidationError):
        record.load(msgspec.msgpack.encode(second))


@pytest.mark.parametrize(
    "value",
    [[], {}, ["c", b"", 1, 2, 3, {}, {}, {}, {}, "none", {}], ["c", b"", 1, 2, 3, {}, {}, {}, {}, {"a": "none"}, {}]],
)
def test_nor_of_format_3(value):
    with pytest.raises(msgspec.ValidationError):
        record.load(msgspec.msgpack.encode(value))


def _plain(value):
    """As lists and dicts."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(dict(value) if isinstance(value, MappingProxyType) else value))

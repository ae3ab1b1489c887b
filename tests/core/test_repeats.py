"""A producer's repeat changes nothing, whichever version has hashed the ids that are kept."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.repeats import ENTRY, fingerprint, knows, note, of_earlier
from rumbo.local.view import profile_view

SIZE = 4
sent = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), max_size=30)
"""Ids, each with one of two bodies."""


def event(number, body):
    """An interaction of this id."""
    return Interaction("c", "A", "a", f"id-{number}", 10**15, "t", 0, 0, msgspec.json.encode({"body": body}))


def model(known, each):
    """The last ids with their bodies, as a plain list; what is said of this one."""
    number, body = each
    bodies = [said for was, said in known if was == number]
    if bodies:
        return "duplicate" if bodies[0] == body else "duplicate_conflict"
    known.append(each)
    del known[:-SIZE]
    return None


@given(sent, sent, st.booleans())
def test_the_last_ids_are_known_whoever_hashed_them(before, after, loaded):
    """Of a state that an earlier version wrote as of our own: what is new, what is a repeat, and whether its body is another."""
    known, fresh = [], [each for each in before if model([], each) is None]
    unique = [each for at, each in enumerate(fresh) if each[0] not in {number for number, _ in fresh[:at]}]
    profile = Profile("c")
    for each in unique:
        model(known, each)
    if loaded:
        profile.older = b"".join(of_earlier(event(*each)) for each in unique)[-SIZE * ENTRY :]
    else:
        for each in unique:
            assert note(profile, event(*each), SIZE * ENTRY) is None
    for each in after:
        assert knows(profile, event(*each)) is (each[0] in {number for number, _ in known})
        assert note(profile, event(*each), SIZE * ENTRY) == model(known, each)
        assert len(profile.ring) + len(profile.older) <= SIZE * ENTRY


def test_an_id_is_hashed_once_and_the_same_everywhere():
    """What is kept must be the same on every machine and in every version: XXH3 of the id and of the body with its instant; BLAKE2b and CRC-32 before."""
    one = Interaction("c", "A", "a", "id-1", 5, "t", 0, 0, b'{"x":1}')
    made = fingerprint(one)
    assert fingerprint(one) is made
    assert made == bytes.fromhex("4788b441b115a61c4716")
    assert of_earlier(one) == bytes.fromhex("5aaebc19545226d276fb")


def test_ids_are_nothing_to_show():
    """Neither those of today nor those of an earlier format."""
    profile = Profile("c", clock=1, events=1, ring=b"0123456789", older=b"9876543210")
    assert profile_view(profile, Program("test", []), 1).more == {}

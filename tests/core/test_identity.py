"""Times as text and ids, where they are written the quick way: the same as the plain way, for every input."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.decision import decision_id
from rumbo.core.identity import Identity
from rumbo.core.instant import isoformat, parse_instant, to_datetime
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.scope import Scope

TEXT = st.text(max_size=12)


@given(st.integers(-(10**15), 10**17))
def test_an_instant_is_written_as_the_library_writes_it_and_read_back(at):
    """With a fraction of six digits only where there is one."""
    assert isoformat(at) == to_datetime(at).isoformat().replace("+00:00", "Z")
    assert parse_instant(isoformat(at)) == at


@given(TEXT, TEXT, st.integers(1, 99), TEXT, TEXT, TEXT)
def test_an_id_is_the_hash_of_its_six_parts(  # noqa: PLR0917  the six parts
    topology, journey, major, customer, trigger, message
):
    """Whatever the parts hold: separators, nothing, letters beyond ASCII."""
    turn = Scope()
    event = Interaction(customer, "A", "a", message, 7, "t", 0, 0)
    turn.sees(Profile(customer), event, 7)
    made = Identity(topology, d.Journey(journey, f"{major}.3")).decide(turn, "action.requested", trigger, None)
    assert made.id == decision_id(topology, journey, str(major), customer, trigger, message)
    turn.sees(Profile(customer), None, 7)
    timed = Identity(topology, d.Journey(journey, f"{major}.3")).decide(turn, "action.requested", trigger, None)
    assert timed.id == decision_id(topology, journey, str(major), customer, trigger, "due 1970-01-01T00:00:00.000007Z")

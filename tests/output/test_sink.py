"""Decisions outside of Kafka: each once, however often and in whatever pieces they are read, and what stands of them."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.errors import DefinitionError, InternalError
from rumbo.output.sink import Read, Sink, Taken

PLACES = [("actions", 0), ("actions", 1), ("corrections", 0)]


def event(number: int, retracts: int | None = None, **data) -> bytes:
    data |= {"journey": "j"} | ({"retracts": str(retracts)} if retracts is not None else {})
    said = {
        "specversion": "1.0",
        "id": str(number),
        "type": "t",
        "time": "2026-01-01T00:00:00Z",
        "subject": "c",
        "data": data,
    }
    return msgspec.json.encode(said)


def rows(path, query):
    with sqlite3.connect(path) as database:
        found = [each[0] for each in database.execute(query)]
    database.close()
    return found


logs = st.lists(
    st.tuples(st.sampled_from(PLACES), st.integers(0, 15), st.one_of(st.none(), st.integers(0, 15))), max_size=40
)


@settings(max_examples=30)
@given(logs, st.data())
def test_each_decision_is_there_once_wherever_the_reader_dies(tmp_path_factory, log, data):
    """Records of several partitions, with repeats, in any pieces; a reader that dies after a piece reads on from the file."""
    path = tmp_path_factory.mktemp("sink") / "decisions.sqlite"
    partitions = {
        place: [event(number, retracts) for each, number, retracts in log if each == place] for place in PLACES
    }
    taken, sink = Taken(), Sink(path, "t")
    while True:
        left = {place: found for place, found in partitions.items() if (sink.next_of(*place) or 0) < len(found)}
        if not left:
            break
        place = data.draw(st.sampled_from(sorted(left)))
        begin = sink.next_of(*place) or 0
        end = data.draw(st.integers(begin + 1, len(left[place])))
        piece = [Read(*place, at, left[place][at]) for at in range(begin, end)]
        taken = taken.and_then(sink.take(piece, {place: end}))
        if data.draw(st.booleans()):
            sink.close()
            sink = Sink(path, "t")
    sink.close()
    ids = {str(number) for _, number, _ in log}
    assert sorted(rows(path, "SELECT id FROM decisions")) == sorted(ids)
    assert (taken.new, taken.again) == (len(ids), len(log) - len(ids))


def test_what_was_withdrawn_does_not_stand_and_what_was_reinstated_does(tmp_path):
    """In whatever order the topics are read: a withdrawal may come before what it withdraws."""
    said = [event(4, 3), event(3, 1), event(5, 2), event(1), event(2), event(6)]
    sink = Sink(tmp_path / "d.sqlite", "t")
    sink.take([Read("actions", 0, at, value) for at, value in enumerate(said)], {("actions", 0): 6})
    assert rows(tmp_path / "d.sqlite", "SELECT id FROM standing ORDER BY id") == ["1", "6"]
    assert sink.withdrawn() == 1
    sink.close()


def test_binary_events_are_read_by_their_headers_and_what_is_no_decision_is_counted(tmp_path):
    headers = [("ce_id", b"9"), ("ce_type", b"t"), ("ce_time", b"2026-01-01T00:00:00Z"), ("ce_subject", b"c")]
    sink = Sink(tmp_path / "d.sqlite", "t")
    read = [
        Read("actions", 0, 0, b'{"journey": "j"}', headers), Read("actions", 0, 1, b"no JSON"),
        Read("actions", 0, 2, None), Read("actions", 0, 3, b"{}"), Read("actions", 0, 4, event(7)),
    ]  # fmt: skip
    assert sink.take(read, {("actions", 0): 5}) == Taken(new=2, foreign=3)
    assert rows(tmp_path / "d.sqlite", "SELECT id FROM decisions ORDER BY id") == ["7", "9"]
    sink.close()


def test_nothing_is_half_written(tmp_path):
    """Where the database refuses, the position stays where it was."""
    path = tmp_path / "d.sqlite"
    sink, other = Sink(path, "t"), sqlite3.connect(path, isolation_level=None)
    sink._database.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InternalError, match="start again"):
        sink.take([Read("actions", 0, 0, event(1))], {("actions", 0): 1})
    other.execute("ROLLBACK")
    other.close()
    assert sink.next_of("actions", 0) is None
    assert sink.take([Read("actions", 0, 0, event(1))], {("actions", 0): 1}) == Taken(new=1)
    sink.close()


def test_a_file_of_another_topology_or_of_another_kind_is_refused(tmp_path):
    Sink(tmp_path / "d.sqlite", "one").close()
    with pytest.raises(DefinitionError, match="holds the decisions of one, not of two"):
        Sink(tmp_path / "d.sqlite", "two")
    (tmp_path / "text").write_text("no database at all, but some text" * 100)
    with pytest.raises(DefinitionError, match="name another one"):
        Sink(tmp_path / "text", "one")

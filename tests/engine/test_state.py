"""The state directory and the position record: what is damaged, foreign, newer or ahead is told apart, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import earlier, profile, state, tally
from rumbo.core.profile import FORMAT
from rumbo.engine import position as record
from rumbo.engine.position import Position, PositionError, SourcePosition
from rumbo.engine.store import AT_ONCE, POSITION_KEY, Memory, Store, StoreError
from rumbo.serve.state import Entry

MINE = "app/profiles/0/4"


def due(instant):
    """A due instant as the index holds it."""
    return instant.to_bytes(8, "big")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "profiles-0"


def filled(folder, count=50):
    """A closed store with some profiles in it."""
    store = Store.open(folder, MINE, Memory(8))
    store.write([(b"p%d" % n, due(0) + b"x" * 100) for n in range(count)], [], count)
    store.close()


def damage(name):
    """Ways in which disks fail."""

    def first(folder, pattern):
        return min(folder.glob(pattern))

    def current_gone(folder):
        (folder / "CURRENT").unlink()

    def current_points_nowhere(folder):
        (folder / "CURRENT").write_text("MANIFEST-999999\n")

    def manifest_cut(folder):
        path = first(folder, "MANIFEST-*")
        path.write_bytes(path.read_bytes()[:20])

    def manifest_flipped(folder):
        path = first(folder, "MANIFEST-*")
        path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))

    return locals()[name]


@pytest.mark.parametrize("kind", ["current_gone", "current_points_nowhere", "manifest_cut", "manifest_flipped"])
def test_a_corrupt_store_is_put_aside_and_an_empty_one_opened(folder, kind):
    """Nothing is deleted, and the changelog fills the new one: it says that it has read none of it."""
    filled(folder)
    damage(kind)(folder)
    store = Store.open(folder, MINE, Memory(8))
    assert store.changelog_next == 0
    assert list(store.profiles()) == []
    assert [each.name for each in folder.parent.glob("*.corrupt-*")] == ["profiles-0.corrupt-1"]
    store.close()


@pytest.mark.parametrize(
    "read", [lambda store: store.get_many([b"p%d" % n for n in range(5_000)]), lambda store: list(store.profiles())]
)
def test_a_corrupt_block_is_told_and_the_next_start_puts_the_store_aside(folder, read):
    """RocksDB opens it as if it were well: the first read that meets the block stops the worker, and must not do so for ever."""
    filled(folder, 5_000)
    Store.open(folder, MINE, Memory(8)).close()  # what was in the log is in a table now
    table = next(folder.glob("*.sst"))
    table.write_bytes(bytes(b ^ 0xFF if 2_000 < at < 2_200 else b for at, b in enumerate(table.read_bytes())))
    store = Store.open(folder, MINE, Memory(8))
    with pytest.raises(StoreError, match=r"is corrupt .* put aside"):
        read(store)
    store.close()
    again = Store.open(folder, MINE, Memory(8))
    assert again.changelog_next == 0
    assert [each.name for each in folder.parent.glob("*.corrupt-*")] == ["profiles-0.corrupt-1"]
    again.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """In one sentence, as every other."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(tmp_path / "file" / "profiles-0", MINE, Memory(8))


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.95])
def test_a_log_that_was_cut_gives_an_earlier_state_whole(folder, cut):
    """What was written last is missing, offset and rows alike: the changelog has it."""
    store = Store.open(folder, MINE, Memory(8))
    for at in range(1, 200):
        store.write([(b"p%d" % at, due(0) + b"x" * 50), (POSITION_KEY, b"%d" % at)], [], at)
        store.flush()
    killed = folder.with_name("profiles-1")
    shutil.copytree(folder, killed)  # as a kill -9 leaves it: in the log, not yet in a table
    store.close()
    log = max(killed.glob("*.log"))
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * cut)])
    store = Store.open(killed, MINE, Memory(8))
    assert 0 < store.changelog_next < 199
    assert store.position() == b"%d" % store.changelog_next
    assert len(list(store.profiles())) == store.changelog_next
    store.close()


def test_what_recovery_takes_is_there_at_once_and_on_disk_when_its_turn_comes(folder):
    """A crash in between costs a second look at the changelog, and leaves an earlier state whole."""
    store = Store.open(folder, MINE, Memory(8))
    store.apply([(b"p1", due(5) + b"x"), (b"p2", due(0) + b"y"), (b"p1", due(7) + b"z"), (POSITION_KEY, b"3")], 3)
    assert store.get_many([b"p1", b"p2"]) == [due(7) + b"z", due(0) + b"y"]
    assert (store.due(9, 10), store.timers, store.changelog_next) == ([(7, b"1")], 1, 3)
    killed = folder.with_name("profiles-1")
    shutil.copytree(folder, killed)
    store.close()
    early = Store.open(killed, MINE, Memory(8))
    assert early.changelog_next == 0  # the timer that was asked for is on disk, but not the rest: all of it comes again
    assert early.reaches == 3
    early.apply([(b"p1", due(7) + b"z"), (b"p2", due(0) + b"y"), (POSITION_KEY, b"3")], 3)
    assert (early.due(9, 10), early.timers, early.position()) == ([(7, b"1")], 1, b"3")
    early.close()
    whole = Store.open(folder, MINE, Memory(8))
    assert (whole.changelog_next, whole.position(), whole.timers) == (3, b"3", 1)
    whole.close()


def test_a_store_of_another_app_is_refused(folder):
    """Its state would be taken for ours."""
    filled(folder)
    with pytest.raises(StoreError, match=r"holds the state of app/profiles/0/4, not of other/profiles/0/4"):
        Store.open(folder, "other/profiles/0/4", Memory(8))
    Store.open(folder, MINE, Memory(8)).close()  # it was given back


def test_a_store_that_another_process_holds_is_refused(folder):
    """Two owners of one directory."""
    store = Store.open(folder, MINE, Memory(8))
    with pytest.raises(StoreError, match="in use by another worker"):
        Store.open(folder, MINE, Memory(8))
    store.close()


def test_a_store_of_a_newer_format_is_refused(folder):
    """With one sentence, and it stays as it is."""
    store = Store.open(folder, MINE, Memory(8))
    store.write([(b"mformat", (FORMAT + 1).to_bytes(4, "big"))], [], 7)
    store.close()
    with pytest.raises(StoreError, match="newer version of Rumbo"):
        Store.open(folder, MINE, Memory(8))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_the_timer_index_is_what_the_profiles_say(tmp_path_factory, writes):
    """Whatever is written, by the engine or from the changelog: due in order, up to the instant and no further."""
    folder = tmp_path_factory.mktemp("store") / "profiles-0"
    store, want = Store.open(folder, MINE, Memory(8)), {}
    for at, (name, first, second) in enumerate(writes, 1):
        key, old = b"p" + name.encode(), want.get(name, 0)
        if at % 2:
            store.write([(key, due(first))], [(due(old), due(first), name.encode())], at)
            want[name] = first
        else:
            store.apply([(key, due(first)), (key, due(second))], at)
            want[name] = second
    for upto in range(6):
        got = store.due(upto, 100)
        assert got == sorted((at, name.encode()) for name, at in want.items() if 0 < at <= upto)
    store.close()


ROWS = st.dictionaries(
    st.sampled_from([b"pa", b"pb", b"pc", b"pd", b"ja", POSITION_KEY]),
    st.none() | st.binary(max_size=40).map(due(0).__add__),
    max_size=4,
)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(ROWS, st.sampled_from(["write", "apply", "flush", "take", "crash", "close"]))),
    st.integers(0, 2_000),
)
def test_what_is_read_is_what_was_written_last_and_after_a_crash_the_changelog_gives_the_rest(steps, allowed):
    """However much memory may keep back, and whatever came to disk of it: every row. The store says from where on it needs the changelog."""
    memory, want, changelog = Memory(8), {}, []
    memory.recent = allowed
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder), MINE, memory)
        for at, (rows, then) in enumerate(steps, 1):
            changelog.append(rows)
            if then == "apply":
                store.apply(list(rows.items()), at)
            else:
                store.write(rows.items(), [], at)
            want |= rows
            if then == "flush":
                store.flush()
            elif then == "take":  # the engine takes what it writes anew, at once
                store.write(
                    [(key, want.get(key)) for key in [b"pa", b"pb"] if store.take_many([key]) != [None]], [], at
                )
            elif then in {"crash", "close"}:
                if then == "crash":
                    store.flush = lambda: None
                store.close()
                store = Store.open(Path(folder), MINE, memory)
                assert store.changelog_next <= store.reaches <= at
                assert then == "crash" or store.changelog_next == at
                for missing in range(store.changelog_next, at):
                    store.apply(list(changelog[missing].items()), missing + 1)
            for key in [b"pa", b"pb", b"pc", b"pd", b"ja", POSITION_KEY]:
                assert store.get_many([key]) == [want.get(key)]
            assert dict(store.profiles() if then == "close" else ()) in [
                {},
                {key[1:]: value for key, value in want.items() if value is not None and key[:1] == b"p"},
            ]
        store.close()


def test_memory_keeps_no_more_rows_than_it_may():
    """Some 240 bytes each, of a megabyte; and what it may not keep is on disk."""
    with TemporaryDirectory() as folder:
        memory = Memory(8)
        memory.recent = 1_000_000
        store = Store.open(Path(folder), MINE, memory)
        for number in range(20_000):
            store.write([(b"p%d" % number, due(0) + bytes(32))], [], number)
            assert len(store._unwritten.rows) + len(store._written) < 5_000
        assert store.get_many([b"p%d" % number for number in range(20_000)]) == [due(0) + bytes(32)] * 20_000
        store.close()


def test_what_was_kept_back_comes_to_disk_in_time(folder, monkeypatch):
    """A crash leaves little to read again, however little is written."""
    now = [0.0]
    monkeypatch.setattr("rumbo.engine.store.monotonic", lambda: now[0])
    store = Store.open(folder, MINE, Memory(8))
    for at in range(1, 30):
        now[0] += 1
        store.write([(POSITION_KEY, b"%d" % at)], [], at)
    assert store._whole_to >= 20
    assert not [each for each in store._unwritten.waiting if each.at < 18]
    store.close()


def test_a_burst_comes_to_disk_a_little_with_each_commit_and_in_its_order(folder, monkeypatch):
    """No commit waits for more than `AT_ONCE` rows that have come of age; and the disk is whole up to the commits that are there."""
    now = [0.0]
    monkeypatch.setattr("rumbo.engine.store.monotonic", lambda: now[0])
    store, brought = Store.open(folder, MINE, Memory(8)), []
    put = store._put

    def watched(rows, timers):
        brought.append(len(rows))
        put(rows, timers)

    store._put = watched
    for at in range(1, 11):
        store.write([(b"p%d-%d" % (at, n), due(0)) for n in range(700)], [], at)
    while sum(brought) <= 7_000:
        at, now[0] = at + 1, now[0] + 1
        store.write([(POSITION_KEY, b"%d" % at)], [], at)
        assert store._whole_to == (sum(brought) // 700 if sum(brought) <= 7_000 else at)
    assert brought == [AT_ONCE] * 7 + [1]
    store.close()


WAITING = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 6)), max_size=6)


@settings(max_examples=60)
@given(st.lists(st.tuples(WAITING, st.sampled_from(["", "due", "flush", "crash"]))), st.integers(0, 2_500))
def test_the_timers_are_those_of_the_profiles_whatever_of_them_is_on_disk(steps, allowed):
    """In due order and no more than were asked for; and again after a crash, when the changelog was read from where the store says."""
    memory, waits, changelog = Memory(8), dict.fromkeys("abcdef", 0), []
    memory.recent = allowed
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder), MINE, memory)
        for at, (moved, then) in enumerate(steps, 1):
            last = dict(moved)
            rows = [(b"p" + who.encode(), due(when)) for who, when in last.items()]
            changelog.append(rows)
            store.write(rows, [(due(waits[who]), due(when), who.encode()) for who, when in last.items()], at)
            waits |= last
            if then == "flush":
                store.flush()
            elif then == "crash":
                store.flush = lambda: None
                store.close()
                store = Store.open(Path(folder), MINE, memory)
                assert store.timers == store._count_timers()
                for missing in range(store.changelog_next, at):
                    store.apply(changelog[missing], missing + 1)
            assert store.timers == sum(1 for when in waits.values() if when)
            for upto in (at % 7, 9) if then else ():
                want = sorted((when, who.encode()) for who, when in waits.items() if 0 < when <= upto)
                assert [when for when, _ in store.due(upto, 2)] == [when for when, _ in want[:2]]
                assert store.due(upto, 100) == want
        store.close()


def test_a_store_that_may_hold_what_its_changelog_has_lost_says_so(folder):
    """Rows of later commits are on disk before all of an earlier one is: a changelog that ends between the two is not its own any more."""
    memory = Memory(8)
    memory.recent = 300
    store = Store.open(folder, MINE, memory)
    for at in range(1, 6):
        store.write([(b"p%d" % n, due(0) + b"%d" % at) for n in range(3)], [], at)
    store.flush = lambda: None
    store.close()
    store = Store.open(folder, MINE, memory)
    assert store.changelog_next < store.reaches == 5
    store.close()


def test_the_position_is_written_with_the_profiles_and_read_again(folder):
    """Old records without the later fields are read as well."""
    store = Store.open(folder, MINE, Memory(8))
    noted = Position(sources={"in": SourcePosition(7, 4, 5, 6, 8, 3)}, clock=9, versions={"a": "1.0"})
    store.write([(POSITION_KEY, record.dump(noted))], [], 1)
    assert record.load(store.position()) == noted
    store.close()
    old = b"\x94\x01\x81\xa2in\x95\x07\x04\x05\x06\x08\x09\xa0"
    assert record.load(old) == Position(sources={"in": SourcePosition(7, 4, 5, 6, 8)}, clock=9)


@pytest.mark.parametrize(
    ("noted", "given", "says"),
    [
        (SourcePosition(5, 4), {"partitions": 8}, "has 8 partitions, and had 4"),
        (
            SourcePosition(5, 4),
            {"bounds": (0, 4)},
            "partition 3, ends at 4, before the position 5: it was deleted and created again",
        ),
        (SourcePosition(5, 4), {"bounds": (6, 9)}, r"partition 3, begins at 6, .*deleted before they were read"),
    ],
)
def test_a_topic_that_does_not_fit_its_position_is_refused(noted, given, says):
    """Each with its cure."""
    with pytest.raises(PositionError, match=says):
        record.check("in", 3, noted, **{"partitions": 4, "bounds": (0, 5), **given})


def test_another_record_where_the_last_one_was_is_another_topic():
    """One that was created again and has grown past the position."""
    noted = SourcePosition(5, 4, last_timestamp=100, last_crc=7, last_offset=4)
    record.same_record("in", 3, noted, (100, 7))
    with pytest.raises(
        PositionError, match=r"partition 3, holds another record at offset 4 .* has grown past the position"
    ):
        record.same_record("in", 3, noted, (100, 8))


@given(st.tuples(st.integers(0, 20), st.integers(0, 20)), st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_an_older_definition_than_wrote_last_is_refused(before, now):
    """1.10 is newer than 1.9."""
    ours, noted = {"a": "{}.{}".format(*now)}, {"a": "{}.{}".format(*before), "gone": "9.9"}
    if now >= before:
        record.not_older(noted, ours)
    else:
        with pytest.raises(PositionError, match="run the newer definition"):
            record.not_older(noted, ours)


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1.0.0", "1.0"), ("0", "0.0")])
def test_versions_of_different_length_are_the_same(one, other):
    """Neither is older."""
    record.not_older({"a": one}, {"a": other})
    record.not_older({"a": other}, {"a": one})


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x92\x63\x80", b"not a position"])
def test_a_position_that_cannot_be_read_is_refused(value):
    """A damaged one, and one of a newer format."""
    with pytest.raises(PositionError, match="newer version"):
        record.load(value)


@settings(max_examples=30)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3)), max_size=5), max_size=8))
def test_timers_are_counted_as_they_move(batches):
    """The count is kept with each write, is what a scan finds, and is there again after the store was closed."""
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder), MINE, Memory(8))
        waits = dict.fromkeys("abcde", 0)
        for number, batch in enumerate(batches, 1):
            last = dict(batch)
            rows = [(b"p" + who.encode(), due(at)) for who, at in last.items()]
            store.write(rows, [(due(waits[who]), due(at), who.encode()) for who, at in last.items()], number)
            waits |= last
            assert store.timers == sum(1 for at in waits.values() if at)
            store.flush()
            assert store.timers == store._count_timers() == sum(1 for at in waits.values() if at)
        store.close()
        again = Store.open(Path(folder), MINE, Memory(8))
        assert again.timers == sum(1 for at in waits.values() if at)
        again.close()


FIELDS = {
    1: {
        "Profile": "customer clock first_seen events ring counters last windows traits journeys timers",
        "JourneyState": "stage high_water entered_at entry history scores fired held since moved base segments lock flips unstable",
        "ScoreState": "lanes rules band emitted seen",
        "Position": "format sources clock definition versions figures",
        "SourcePosition": "next partitions last_timestamp last_crc clock last_offset",
        "Tally": "customers journeys",
        "JourneyTally": "here high moves dwell",
        "Entry": "order at name id topic partition offset decisions more",
    },
    2: {
        "Profile": (
            "customer clock first_seen events ring counters last windows traits journeys timers ledger visits clicks "
            "answers trouble member"
        ),
        "JourneyState": (
            "stage high_water entered_at entry history scores fired held since moved base segments lock flips unstable "
            "matches followed holds flows flown"
        ),
        "ScoreState": "lanes rules band emitted seen out",
        "Position": "format sources clock definition versions figures",
        "SourcePosition": "next partitions last_timestamp last_crc clock last_offset",
        "Tally": "customers journeys",
        "JourneyTally": "here high moves dwell",
        "Entry": "order at name id topic partition offset decisions more",
    },
    3: {
        "Profile": (
            "customer ring clock first_seen events counters last windows traits journeys timers ledger visits clicks "
            "answers trouble member"
        ),
        "JourneyState": "stage high_water entered_at entry history scores fired memory course tasks",
        "ScoreState": "lanes rules band emitted out seen",
        "Position": "format sources clock definition versions figures",
        "SourcePosition": "next partitions last_timestamp last_crc clock last_offset",
        "Tally": "customers journeys",
        "JourneyTally": "here high moves dwell",
        "Entry": "order at name id topic partition offset decisions more",
    },
}
"""What each format that was in use is made of, in order."""
_FIRST = {"Profile": earlier.PROFILE, "JourneyState": earlier.JOURNEY, "ScoreState": earlier.SCORE}
REARRANGED = {1: _FIRST, 2: _FIRST, 3: {"Profile": earlier.PROFILE_3}}
"""What earlier formats have in another order than today's, as it is read."""


def test_a_field_more_is_a_new_format_at_the_end():
    """Fields are read by their place: none may move or go. And an older worker would drop one that it does not know."""
    kinds = (
        profile.Profile,
        state.JourneyState,
        state.ScoreState,
        Position,
        SourcePosition,
        tally.Tally,
        tally.JourneyTally,
        Entry,
    )
    now = {kind.__name__: [each.name for each in msgspec.structs.fields(kind)] for kind in kinds}
    assert set(FIELDS) == set(range(1, FORMAT))
    for number, kept in FIELDS.items():
        before = {name: fields.split() for name, fields in kept.items()}
        read = now | {name: list(each) for name, each in REARRANGED.get(number, {}).items()}
        assert {name: read[name][: len(fields)] for name, fields in before.items()} == before, f"format {number}"
    assert now != {name: fields.split() for name, fields in FIELDS[FORMAT - 1].items()}


def test_a_store_of_an_earlier_format_is_read_and_marked(folder):
    """Its rows stay as they are; a worker of that time keeps off from now on."""
    store = Store.open(folder, MINE, Memory(8))
    store.write([(b"mformat", (1).to_bytes(4, "big")), (b"pa", due(0) + b"x")], [], 7)
    store.close()
    store = Store.open(folder, MINE, Memory(8))
    assert store.changelog_next == 7
    assert dict(store.profiles()) == {b"a": due(0) + b"x"}
    assert store.get_many([b"mformat"]) == [FORMAT.to_bytes(4, "big")]
    store.close()


def test_a_position_of_an_earlier_format_is_written_in_ours_and_a_newer_one_is_refused():
    """With one sentence that names both."""
    assert record.load(record.dump(Position(format=1, clock=5))) == Position(format=FORMAT, clock=5)
    with pytest.raises(
        PositionError, match=rf"format {FORMAT + 1} and this version reads up to {FORMAT}.* run that one"
    ):
        record.load(record.dump(Position(format=FORMAT + 1)))

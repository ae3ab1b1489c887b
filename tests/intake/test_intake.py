"""Intake never raises, rejects with the documented reason, and forgives habits."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import MsgspecError
from msgspec.json import decode as json_decode

from rumbo.core.instant import isoformat
from rumbo.core.interaction import Interaction, folded
from rumbo.intake import FlatMap, Record, Reject, Skip, SourceFormat, all_plain, dead_letter, from_line, inspect, reader
from rumbo.intake.identity import _NOBODY, read_id
from rumbo.intake.times import EARLIEST, pick_time, read_time, usual_time
from tests.intake.poison import POISON, WRONG, event

NOW_MS = 1_777_636_860_000
read = reader(SourceFormat())


def one(value: bytes, **parts):
    return read(Record("web", 2, 7, parts.pop("timestamp", NOW_MS), parts.pop("key", b"k"), value, **parts))


@pytest.mark.parametrize("poison", POISON, ids=lambda each: each.name)
def test_the_poison_set(poison):
    """Each row has its documented verdict."""
    found = one(poison.value)
    verdict = found.reason if isinstance(found, Reject) else "skip" if isinstance(found, Skip) else "ok"
    assert verdict == poison.verdict


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_call_with_a_specversion_that_is_no_text_is_still_a_call(wrong):
    """A structured CloudEvent says its version as text; anything else is a field that a producer added."""
    found = one(event(specversion=wrong))
    assert (found.customer, found.name, found.format) == ("u", "Poisoned", "segment")


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids),
    ).map(lambda each: json.dumps(each).encode())
)
def test_no_bytes_make_it_raise(value):
    """Whatever a producer writes, the answer is an interaction, a reject or nothing to do."""
    assert isinstance(one(value), Interaction | Reject | Skip)


@given(
    st.permutations(sorted(json.loads(event()).items())),
    st.dictionaries(st.text(min_size=1).map("x-{}".format), st.integers(), max_size=3),  # none that names a format
)
def test_order_of_keys_and_unknown_fields_change_nothing(items, unknown):
    """Producers may add what they like."""
    plain, other = one(event()), one(json.dumps({**unknown, **dict(items)}).encode())
    assert plain == other


@pytest.mark.parametrize(
    ("written", "time", "flags"),
    [
        ("2026-05-01T12:00:00.123Z", "2026-05-01T12:00:00.123000Z", ()),
        ("2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00Z", ()),
        ("2026-05-01T12:00:00.123456789Z", "2026-05-01T12:00:00.123456Z", ()),
        ("2026-05-01 12:00:00", "2026-05-01T12:00:00Z", ("zone_assumed",)),
        ("2026-05-01", "2026-05-01T00:00:00Z", ("zone_assumed",)),
        (1_777_636_800, "2026-05-01T12:00:00Z", ("epoch_number",)),
        (1_777_636_800_000, "2026-05-01T12:00:00Z", ("epoch_number",)),
        (1_777_636_800_000_000, "2026-05-01T12:00:00Z", ("epoch_number",)),
        (1_777_636_800_000_000_000, "2026-05-01T12:00:00Z", ("epoch_number",)),
        ("1777636800", "2026-05-01T12:00:00Z", ("epoch_number",)),
    ],
)
def test_times_as_producers_write_them(written, time, flags):
    """Offsets, fractions, epoch numbers of every unit, dates."""
    found = one(event(timestamp=written))
    assert isoformat(found.at) == time
    assert found.flags == flags


def test_a_time_from_the_future_gives_way():
    """More than five minutes after the record: the next field, else the record's own time, and it is said."""
    late = one(event(timestamp="2026-05-01T12:30:00Z", receivedAt="2026-05-01T12:00:30Z"))
    assert isoformat(late.at) == "2026-05-01T12:00:30Z"
    assert "time_clamped" in late.flags
    assert isoformat(one(event(timestamp="2030-01-01T00:00:00Z")).at) == "2026-05-01T12:01:00Z"


def test_no_time_anywhere_is_rejected():
    """Without an event time and a record time nothing can be decided."""
    assert one(event(timestamp=None), timestamp=-1).reason == "no_time"


def test_a_missing_id_is_derived_from_where_the_record_stood():
    """The same record read again gets the same id; another place another."""
    value = event(messageId=None)
    first, again = one(value), one(value)
    other = read(Record("web", 2, 8, NOW_MS, b"k", value))
    assert first.id == again.id != other.id
    assert first.flags == ("id_derived",)


@pytest.mark.parametrize(
    "name", ["Order Completed", "order_completed", "order completed", "ORDER-COMPLETED", "OrderCompleted"]
)
def test_names_compare_without_case_space_and_underscore(name):
    assert folded(name) == "ordercompleted"


def test_the_six_calls_have_their_names():
    """`page` is Page Viewed, and so on."""
    kinds = {
        "page": "Page Viewed",
        "screen": "Screen Viewed",
        "identify": "Identified",
        "group": "Grouped",
        "alias": "Aliased",
    }
    assert {kind: one(event(type=kind)).name for kind in kinds} == kinds


def test_cloudevents_binary_and_structured_are_told_apart():
    """By their headers, or by the envelope; null headers are normal."""
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_type", b"order.completed"),
        ("ce_id", b"e1"),
        ("CE_Subject", b"u"),
        ("ce_time", b"2026-05-01T12:00:00Z"),
        ("x", None),
    )
    binary = one(b'{"total": 5}', headers=headers)
    envelope = {
        "specversion": "1.0",
        "type": "order.completed",
        "id": "e1",
        "subject": "u",
        "time": "2026-05-01T12:00:00Z",
        "data": {"total": 5},
    }
    for found in (binary, one(json.dumps(envelope).encode())):
        assert (found.customer, found.name, found.id, found.properties) == ("u", "order.completed", "e1", {"total": 5})


def test_a_flat_shape_is_six_lines():
    """Dotted paths say where things are."""
    flat = reader(SourceFormat("flat", FlatMap(identity="user.id", event="action", time="ts", id="id")))
    found = flat(
        Record("t", 0, 0, NOW_MS, None, b'{"id":"1","user":{"id":"u_42"},"action":"demo_requested","ts":1777636800}')
    )
    assert (found.customer, found.name, found.id, isoformat(found.at)) == (
        "u_42",
        "demo_requested",
        "1",
        "2026-05-01T12:00:00Z",
    )


def test_the_dead_letter_keeps_bytes_coordinates_and_reason():
    """So that it can be replayed."""
    record = Record("web", 2, 7, NOW_MS, b"k", b"\x1b[31m{", (("h", b"v"), ("n", None)))
    key, value, headers = dead_letter(record, Reject("not_json", "at \x1b"))
    said = dict(headers)
    assert (key, value, said["h"]) == (b"k", b"\x1b[31m{", b"v")
    assert (said["dlq.reason"], said["dlq.topic"], said["dlq.partition"], said["dlq.offset"]) == (
        b"not_json",
        b"web",
        b"2",
        b"7",
    )
    assert b"\x1b" not in said["dlq.detail"]
    assert dead_letter(record, Reject("not_json"), keep=False)[1] is None
    assert dict(dead_letter(record, Reject("not_json"), limit=3)[2])["dlq.truncated"] == b"8"  # value and headers


def test_lines_are_events_or_kafka_records():
    """Both forms that `simulate` reads."""
    assert from_line(event() + b"\n", 3) == Record("-", 0, 3, -1, None, event())
    line = (
        b'{"topic":"web","partition":1,"offset":9,"key":"aw==","headers":{"h":"dg=="},"timestamp_ms":5,"value":"e30="}'
    )
    assert from_line(line, 0) == Record("web", 1, 9, 5, b"k", b"{}", (("h", b"v"),))


def test_inspect_says_what_reader_reads():
    """For people, the same verdict."""
    assert inspect(Record(value=event(), timestamp=NOW_MS), SourceFormat())["name"] == "Poisoned"
    assert inspect(Record(value=b"{"), SourceFormat())["rejected"] == "not_json"


# The quick ways are the plain ways ------------------------------------------------------------------------------------

NUMBERS = st.sampled_from(
    ["1", "-0", "1e5", "1E+99", "1e100", "1e308", "1e309", "-1e999", "1E+0400", "1e-999", "12e0000012", "0.1e310"]
) | st.integers(1, 5_000).flatmap(
    lambda digits: st.sampled_from(["9" * digits, "-" + "9" * digits, "9" * digits + ".5", "1" * digits + "e99"])
)
PIECES = st.sampled_from(
    [
        '"a"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u12"',
        '"1e999"',
        "tru",
        "[",
        "]",
        "NaN",
        '"\\x"',
        "01",
    ]
)


@given(st.lists(NUMBERS | PIECES, min_size=1, max_size=3), st.sampled_from(["properties", "other"]))
def test_what_no_rule_reads_is_refused_as_strictly_as_what_is_decoded(parts, field):
    """A section kept raw hides no number out of range, no lone surrogate, no bad JSON."""
    text = f'{{"type": "track", "event": "A", "userId": "u_42", "{field}": {{"x": [{", ".join(parts)}]}}}}'.encode()
    try:
        json_decode(text)
        readable = True
    except (MsgspecError, RecursionError):
        readable = False
    found = one(text)
    assert isinstance(found, Interaction) is readable
    assert readable or found.reason in {"not_json", "too_large"}


@given(st.lists(st.none() | NUMBERS | PIECES, min_size=1, max_size=5))
def test_numbers_looked_at_together_are_as_strictly_looked_at(parts):
    """One number out of range puts its own record aside, not its neighbours, and none slips through where records meet."""
    values = [None if part is None else event().replace(b"{}", f'{{"x": {part}}}'.encode()) for part in parts]
    records = [Record("web", 2, at, NOW_MS, b"k", value) for at, value in enumerate(values)]
    together = all_plain(records)
    for each in records:
        alone, found = read(each), read(each, known_plain=together)
        assert type(found) is type(alone)
        assert not isinstance(found, Reject) or found == alone


@given(
    st.text(max_size=12)
    | st.sampled_from(
        ["null", "NULL", "Undefined", "none", "0", "000", "Anonymous", "nan", "NIL", "0-0", "İ", "n\u0307il"]
    )
)
def test_a_word_as_an_id_is_read_as_any_other(value):
    """The quick way out for plain words lets nobody through."""
    text = value.replace("\x00", "\ufffd").strip()
    nobody = text.casefold() in _NOBODY or not text.strip("0-")
    assert read_id(value, "", []) == (None if nobody else text)


@given(
    st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01")),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["Z", "+00:00", "+02:00", ""]),
)
def test_a_time_of_the_usual_form_is_read_as_any_other(moment, fraction, zone):
    """Kept seconds give the instant that the whole text gives."""
    text = moment.isoformat(timespec=fraction) + zone
    at, _ = read_time(text)
    record_ms = at // 1000 if at >= 0 else 0
    assert pick_time((text, None), record_ms, 10**9, []) == (at if at >= EARLIEST else max(at // 1000, 0) * 1000)
    assert usual_time(text, record_ms, 10**9) == (
        at if at >= EARLIEST and zone == "Z" and fraction != "microseconds" else 0
    )


@given(
    st.datetimes(datetime.fromisoformat("2001-01-01"), datetime.fromisoformat("2100-01-01")),
    st.integers(0, 23),
    st.sampled_from("0123456789:-T.Z +\u0661"),
)
def test_a_time_that_only_looks_usual_is_read_as_any_other(moment, place, character):
    """The quick way reads a time, or leaves it to the other: one character more or less right gives no other instant."""
    usual = moment.isoformat(timespec="milliseconds") + "Z"
    text = usual[:place] + character + usual[place + 1 :]
    record_ms = 4_200_000_000_000
    assert usual_time(text, record_ms, 10**9) in {0, pick_time((None, text), record_ms, 10**9, [])}

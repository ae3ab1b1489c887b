"""Late events in the engine: what is written, kept and recovered is what the core alone comes to, wherever batches end."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import profile as record
from rumbo.core.definition import Late
from rumbo.core.instant import isoformat
from rumbo.core.profile import DUE_BYTES
from rumbo.engine.notes import load_tally
from rumbo.engine.partition import Batch
from rumbo.engine.pasts import input_key, prefix
from rumbo.engine.place import place_of
from rumbo.intake import Record
from rumbo.local import Local
from tests.serve.worker import DAY, PARTITIONS, START, Worker, run

NAMES = ("Order Completed", "Campaign Received", "Coupon Redeemed")
late_lives = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(NAMES), st.integers(0, 100), st.sampled_from([5.0, 150.0])),
    max_size=40,
)


def refolding(**reach):
    return lambda topology: msgspec.structs.replace(topology, late=Late("refold", **reach))


def records(events, source):
    """As producers send them: (customer, name, day, total), each partition's in their order."""
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    for number, (who, name, day, total) in enumerate(events):
        customer = f"h-{who}"
        place = place_of(customer.encode(), PARTITIONS)
        said = {
            "type": "track", "event": name, "userId": customer, "messageId": f"m{number}",
            "timestamp": isoformat(START + day * DAY), "properties": {"total": total},
        }  # fmt: skip
        yield Record(source, place, offsets[place], -1, customer.encode(), msgspec.json.encode(said))
        offsets[place] += 1


async def take(worker, raws, chance):
    """In batches of any size, with a restart now and then."""
    for place in range(PARTITIONS):
        mine = [raw for raw in raws if raw.partition == place]
        while mine:
            size = chance.randrange(1, 9)
            batch, mine = mine[:size], mine[size:]
            begin = batch[0].offset
            await worker.workers[place].take(Batch(batch[0].topic, begin, begin + len(batch), batch, True))
            worker.offsets[place] = begin + len(batch)
            if chance.random() < 0.1:
                reopen(worker)


def reopen(worker):
    clocks = {number: each.position.clock for number, each in worker.workers.items()}
    sources = {number: each.position.sources for number, each in worker.workers.items()}
    written, ends = worker.producer.written, worker.producer.ends
    worker.close()
    worker.open()
    worker.producer.written, worker.producer.ends = written, ends
    for number, each in worker.workers.items():
        each.position.clock, each.position.sources = clocks[number], sources[number]
        each.producer = worker.producer


@settings(max_examples=12, deadline=None)
@given(late_lives, st.integers(0, 2**32), st.sampled_from([(500, 90), (4, 90), (500, 20)]))
def test_the_engine_puts_late_events_where_the_core_does(tmp_path_factory, events, seed, reach):
    """Outputs, profiles and funnel are those of one pass in memory, in the same order of arrival; the changelog alone gives the same rows."""
    worker = Worker(tmp_path_factory.mktemp("late"), edit=refolding(events=reach[0], within=reach[1] * DAY))
    raws = list(records(events, worker.topology.sources[0].topic))
    run(take(worker, raws, random.Random(seed)))
    run(worker.until(200))
    locals_ = []
    expected = []
    for place in range(PARTITIONS):
        local = Local(worker.topology)
        expected += [each.id for raw in raws if raw.partition == place for each in local.send(raw)]
        expected += [each.id for each in local.until(START + 200 * DAY)]
        locals_.append(local)
    topics = set(worker.topology.outputs.decisions)
    written = [json.loads(value)["id"] for topic, _, value in worker.producer.written if topic in topics]
    assert sorted(written) == sorted(expected)
    assert len(set(written)) == len(written)
    kept = {
        name.decode(): record.load(value[DUE_BYTES:])
        for each in worker.workers.values()
        for name, value in each.store.profiles()
    }
    assert kept == {name: record.load(record.dump(each)) for local in locals_ for name, each in local.profiles.items()}
    check_funnel(worker)
    check_changelog(worker)
    worker.close()


def check_funnel(worker):
    """The tally kept as it went is the one counted from the profiles."""
    for each in worker.workers.values():
        firsts = {journey.id: journey.first for journey in worker.topology.journeys}

        class Uncounted:
            """A store from before there was a tally."""

            get_many = staticmethod(lambda keys: [None for _ in keys])
            profiles = staticmethod(each.store.profiles)

        counted = load_tally(Uncounted(), firsts)
        assert each.notes.committed_tally().customers == counted.customers
        for journey in firsts:
            ours, theirs = each.notes.committed_tally().journeys.get(journey), counted.journeys.get(journey)
            for part in ("here", "high"):
                mine = {name: n for name, n in (getattr(ours, part) if ours else {}).items() if n}
                assert mine == {name: n for name, n in (getattr(theirs, part) if theirs else {}).items() if n}, part


def check_changelog(worker):
    """The last row of each key in the changelog, applied to an empty store, is the store."""
    last = {}
    for topic, key, value in worker.producer.written:
        if topic == worker.stage.changelog:
            last[key] = value
    alive = {key: value for key, value in last.items() if value is not None and key[:1] == b"r"}
    stored = {key: value for each in worker.workers.values() for key, value in each.store.under(b"r")}
    assert stored == alive
    for each in worker.workers.values():
        heads = {key[1:].split(b"\0")[0] for key, _ in each.store.under(b"r")}
        assert heads == {name for name, _ in each.store.profiles()}


def test_who_does_not_refold_writes_no_past(tmp_path):
    """It is asked for in the topology, because it costs."""
    worker = Worker(tmp_path)
    run(
        take(
            worker,
            list(records([(1, NAMES[0], 5, 5.0), (1, NAMES[0], 3, 5.0)], worker.topology.sources[0].topic)),
            random.Random(1),
        )
    )
    assert not any(key.startswith(b"r") for _, key, _ in worker.producer.written if key)
    assert not any(each.store.under(b"r") for each in worker.workers.values())
    worker.close()


def test_a_past_is_apart_from_the_profile_and_a_row_for_each_input(tmp_path):
    """The hot record is as small as without; an input is written once, and goes when the base takes it."""
    events = [(1, NAMES[number % 3], number, 5.0) for number in range(20)]
    sizes = {}
    for name, edit in (("with", refolding(events=8)), ("without", lambda made: made)):
        worker = Worker(tmp_path / name, edit=edit)
        run(take(worker, list(records(events, worker.topology.sources[0].topic)), random.Random(3)))
        (profile,) = [value for each in worker.workers.values() for _, value in each.store.profiles()]
        sizes[name] = len(profile)
        if name == "with":
            rows = [
                key
                for _, key, value in worker.producer.written
                if key and key.startswith(prefix("h-1") + b"i") and value is not None
            ]
            assert len(rows) == len(set(rows)) == 20
            left = [key for each in worker.workers.values() for key, _ in each.store.under(prefix("h-1") + b"i")]
            assert 8 <= len(left) <= 10
        worker.close()
    assert sizes["with"] == sizes["without"] < 1024


def test_rows_of_a_past_stand_in_the_order_in_which_it_happened():
    keys = [input_key("c", (at, "x")) for at in (-5, -1, 0, 1, 2**40)]
    assert keys == sorted(keys)
    assert all(key.startswith(prefix("c")) for key in keys)
    assert not prefix("c1").startswith(prefix("c"))


@pytest.mark.parametrize("times", [1, 2])
def test_turned_off_and_on_again_nothing_is_withdrawn_that_was_not_seen(tmp_path, times):
    """A past that has missed something is not this profile's: it begins anew."""
    worker = Worker(tmp_path, edit=refolding())
    source = worker.topology.sources[0].topic
    raws = list(records([(1, NAMES[0], day, 5.0) for day in (1, 2, 3, 4)], source))
    run(take(worker, raws[:2], random.Random(9)))
    worker.topology = msgspec.structs.replace(worker.topology, late=Late())
    reopen(worker)
    run(take(worker, raws[2 : 2 + times], random.Random(9)))
    worker.topology = refolding()(worker.topology)
    reopen(worker)
    before = len(worker.producer.written)
    late = list(records([(1, NAMES[0], day, 5.0) for day in (1, 2, 3, 4, 0)], source))[-1]
    late = Record(source, late.partition, 2 + times, -1, late.key, late.value.replace(b"m4", b"m9"))
    run(take(worker, [late], random.Random(9)))
    topics = set(worker.topology.outputs.decisions)
    assert not [value for topic, _, value in worker.producer.written[before:] if topic in topics]
    counts = worker.stage.metrics.registry.get_sample_value
    assert counts("rumbo_events_late_total", {"policy": "beyond_journal"}) == 1
    worker.close()

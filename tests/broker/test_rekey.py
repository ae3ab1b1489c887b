"""Raw topics whose keys are not customers: re-keyed exactly once, and what is decided is what would have been decided on the raw topic."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from benchmarks.generate import generate
from rumbo.core.instant import parse_instant
from rumbo.intake import Record
from rumbo.local import Local
from tests.broker.bench import PARTITIONS, Bench
from tests.conftest import long

pytestmark = pytest.mark.broker
EVENTS = 2_000
END = "2027-01-01T00:00:00Z"


def raw(seed):
    """The job's records under keys that say nothing; one customer's stay in one partition, else they would have no order."""
    for each in generate(EVENTS, seed=seed):
        number = int(each.key[1:]) % PARTITIONS
        yield number, random.Random(each.key).randbytes(8), each.value


def fold(bench, records):
    """The decisions and rejects of the raw topic, read as it is."""
    local, ids, offsets, rejected = Local(bench.topology), set(), Counter(), 0
    for number, key, value in records:
        ids |= {each.id for each in local.send(Record(bench.source, number, offsets[number], -1, key, value))}
        offsets[number] += 1
    ids |= {each.id for each in local.until(parse_instant(END))}
    rejected = sum(count for name, count in local.counts.items() if name.startswith("rejected."))
    return ids, rejected


@pytest.mark.parametrize("killed", ["end_sent:5", *long("", "before_end:6", "after_end:6")])
def test_rekeyed_records_decide_what_raw_ones_would(bootstrap, tmp_path, killed):
    """Exactly once through both stages, with a kill -9 in either of them and an empty disk after it; a clock record waits for both."""
    bench = Bench(bootstrap, tmp_path, "benchmark", edit=lambda text: text.replace("key: customer", "key: any"))
    try:
        records = list(raw(seed=41))
        bench.produce(records[: EVENTS // 2])
        if killed:
            assert bench.worker("victim", RUMBO__FAILPOINT=killed, RUMBO__MAX_BATCH="100").wait() == -9
        bench.produce(records[EVENTS // 2 :])
        bench.clock(END)
        worker = bench.worker("successor")
        stop = parse_instant(END) / 1_000_000
        worker.until(lambda: (worker.metric("rumbo_partition_clock_seconds") or 0) >= PARTITIONS * stop)
        assert worker.end() == 0
        wanted, rejected = fold(bench, records)
        written = Counter(each["id"] for each in bench.decisions())
        assert set(written) == wanted
        assert max(written.values()) == 1
        assert len(bench.read(f"{bench.source}.dlq")) == rejected
        events = bench.read(bench.topology.outputs.events)
        assert len(events) == EVENTS - rejected
        assert all(json.loads(each.value)["userId"].encode() == each.key for each in events)
    finally:
        bench.stop()

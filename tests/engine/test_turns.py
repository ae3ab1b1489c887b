"""Partitions take turns: who waits for the event loop waits for a little of one of them, however many have something to step."""

from __future__ import annotations

import asyncio

from rumbo.engine import position
from rumbo.engine.partition import BREATH, Batch, PartitionWorker
from rumbo.engine.position import SourcePosition
from rumbo.engine.store import Memory, Store
from tests.engine.test_cuts import BEGIN, Transactions, World, interaction, stage

PARTITIONS = 3
RECORDS = 400


async def waits(folder):
    """How many records were read between two looks at the loop, while all partitions step at once; and who had read how many at each commit."""
    shared, read, workers = stage(World())._replace(turn=asyncio.Lock()), [0] * PARTITIONS, []
    at_commit, memory = [], Memory(8)
    batch = [interaction(at, "abc"[at % 3], "Viewed", BEGIN + at) for at in range(RECORDS)]
    for number in range(PARTITIONS):
        store = Store.open(folder / str(number), str(number), memory)
        found = position.load(store.position())
        for topic in (*shared.lateness, shared.control):
            found.sources[topic] = SourcePosition(next=0, partitions=1)

        def counted(record, number=number, **known):
            read[number] += 1
            return shared.readers["cuts-input"](record, **known)

        transactions = Transactions([])
        commit = transactions.commit

        async def committed(groups, commit=commit):
            at_commit.append(list(read))
            await asyncio.sleep(0)
            return await commit(groups)

        transactions.commit = committed
        own = shared._replace(readers={"cuts-input": counted})
        workers.append(PartitionWorker(own, 0, store, transactions, found))
    tasks = [
        asyncio.ensure_future(each.take(Batch("cuts-input", 0, RECORDS, batch, caught_up=True))) for each in workers
    ]
    between, before = [], 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        between.append(sum(read) - before)
        before = sum(read)
    await asyncio.gather(*tasks)
    for each in workers:
        each.store.close()
    return between, at_commit


def test_the_loop_is_free_after_a_little_of_one_partition_and_they_end_one_after_the_other(tmp_path):
    """Not after a little of each; and one commits while the next one steps."""
    between, at_commit = asyncio.run(waits(tmp_path))
    assert sum(between) == PARTITIONS * RECORDS
    assert max(between) == BREATH
    assert min(at_commit[0]) < RECORDS == max(at_commit[0])

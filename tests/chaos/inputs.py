"""Faults of what comes in: poison, late and shuffled records, clocks that jump, topics that are deleted, made again, or given partitions."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.structs import TopicPartition

from benchmarks.generate import Produced, murmur2
from rumbo.engine.broker import changelog_of
from tests.broker.bench import PARTITIONS, Worker
from tests.broker.cluster import Node
from tests.chaos.oracle import Verdict
from tests.chaos.round import Round, events
from tests.intake.poison import POISON

LARGEST = 900_000
"""Bytes: what the broker itself refuses never comes in."""
SKEWED = Path(__file__).parent / "skewed"


def poisoned(seed: int) -> Iterator[Produced]:
    """Each row of the poison set first of all, some in each partition; then one record in a hundred."""
    chance, rows = random.Random(seed), [each.value for each in POISON if len(each.value or b"") < LARGEST]
    chance.shuffle(rows)
    for number, value in enumerate(rows):
        yield Produced._make((number % PARTITIONS, b"poison", value, 0))
    for each in events(seed):
        yield each
        if chance.random() < 0.01:
            yield Produced._make((chance.randrange(PARTITIONS), b"poison", chance.choice(rows), 0))


ODD = 13
"""Kinds of odd records and batches beside the set."""
CODECS = ("gzip",)
"""What the oracle's own client reads too; `tests/broker/test_engine.py` has the others."""


def odd(customer: bytes, seed: int) -> Iterator[tuple[bytes | None, bytes, list[tuple[str, bytes]], int | None]]:
    """(key, value, headers, timestamp in ms; None: now): what is odd about a record beside its value. -1 is a record without a timestamp."""
    name = customer.decode()

    def said(number: int, **changes: object) -> bytes:
        event = {
            "type": "track",
            "event": "Page Viewed",
            "messageId": f"odd-{seed}-{number}",
            "userId": name,
            "timestamp": "2026-01-01T00:00:00Z",
        }
        return json.dumps({**event, **changes}).encode()

    yield None, said(1), [], None
    yield b"another", said(2), [], None
    yield customer, said(3), [("huge", b"x" * 100_000)], None
    yield customer, said(4), [("bad", b"\xff\xfe"), ("", b""), ("dlq.reason", b"not ours")], None
    yield customer, said(5, timestamp=None), [], -1
    yield customer, said(6), [], None
    yield customer, said(6), [], None  # the same again
    yield customer, said(6, event="Order Completed"), [], None  # the same id, another body
    yield customer, said(7, userId=f"{name}\u202e\u200b"), [], None  # right to left, and no width
    yield customer, said(8, event="x\r\n\u001b[2Jy"), [], None


def produce_odd(run: Round) -> None:
    """The odd records in every partition, packed batches, and one that the broker refuses."""
    servers, topic = run.bench.bootstrap, run.bench.source
    customers = {murmur2(b"c%07d" % number) % PARTITIONS: b"c%07d" % number for number in range(40)}
    plain = KafkaProducer(bootstrap_servers=servers, max_request_size=20_000_000)
    for number, customer in customers.items():
        for key, value, headers, time_ms in odd(customer, run.seed):
            plain.send(topic, key=key, value=value, headers=headers, partition=number, timestamp_ms=time_ms)
    plain.flush()
    with pytest.raises(MessageSizeTooLargeError):
        plain.send(topic, value=b"x" * 10_000_000, partition=0).get(120)
    plain.close()
    some = events(run.seed + 500)
    for codec in CODECS:
        asyncio.run(packed(servers, topic, codec, [next(some) for _ in range(20)]))
    aborted = KafkaProducer(bootstrap_servers=servers, transactional_id=f"{run.bench.mark}-shop")
    aborted.init_transactions()
    aborted.begin_transaction()
    for number in customers:
        aborted.send(topic, value=b"never", partition=number).get(30)
    aborted.abort_transaction()
    aborted.close()


async def packed(servers: str, topic: str, codec: str, records: list[Produced]) -> None:
    """As batches of a codec."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, compression_type=codec, linger_ms=20)
    await producer.start()
    for each in records:
        value = each.value.replace(b'"m-', b'"%s-' % codec.encode())
        await producer.send(topic, key=each.key, value=value, partition=each.partition)
    await producer.stop()


def poison(run: Round, kills: int = 2) -> Verdict:
    """F7: all of the poison set, as the first records of each partition and mixed at 1 % into live traffic, over kills."""
    run.repeats = True
    produce_odd(run)
    run.traffic.source = poisoned(run.seed)
    run.traffic.start()
    run.until(lambda: run.traffic.sent > len(POISON))
    for _ in range(kills):
        run.start()
        run.up()
        run.go_on(run.chance.uniform(1, 4))
        run.workers.pop("one").kill()
    run.work()
    run.faults = len(POISON) + ODD
    return run.finish()


def flip(node: Node, topic: str, number: int, at: int) -> None:
    """Change a byte of a partition's log, or change it back; from its end where *at* is negative."""
    log = max((node.config.parent / f"data-{node.number}" / f"{topic}-{number}").glob("*.log"))
    data = bytearray(log.read_bytes())
    data[at] ^= 0xFF
    log.write_bytes(data)


FIRST, LAST = 100, -3
"""Bytes of a log's first batch, and of its last."""


def damaged_log(run: Round) -> Verdict:
    """F7b: a byte of a batch has changed on the broker's disk, in the input and in the changelog: said with its place, nothing left out."""
    [node], source = run.cluster.nodes, run.bench.source
    changelog = changelog_of(run.bench.topology)
    run.traffic.start()
    run.start()
    run.up()
    run.go_on(2)
    run.traffic.stop()
    run.until(lambda: run.taken() >= run.written())
    run.end()
    rest = [next(run.traffic.source) for _ in range(100)]
    run.bench.produce((each.partition, each.key, each.value) for each in rest)
    source_of, changelog_place = run.chance.sample(range(PARTITIONS), 2)
    end, before = run.written(source_of), run.taken()

    def both() -> None:
        node.stop()
        flip(node, source, source_of, LAST)
        flip(node, changelog, changelog_place, FIRST)
        node.start()

    run.changelog.close()
    both()
    for disk, topic, number in (
        ("empty", changelog, changelog_place),
        ("one", source, source_of),
        ("one", source, source_of),
    ):
        worker = run.start(disk=disk)
        assert worker.wait(60) == 70, worker.log.read_text()[-300:]
        said = worker.log.read_text()
        assert f"topic {topic}, partition {number}, offset " in said, said[-400:]
        assert "is damaged" in said
        assert "Traceback" not in said
        del run.workers["one"]
        run.faults += 1
    both()  # another replica has it whole
    assert run.positions()[source_of].sources[source].next < end, "it went past what it could not read"
    assert run.taken() >= before
    run.work()
    return run.finish()


def shuffled(seed: int, within: int = 60) -> Iterator[Produced]:
    """In any order within a window; one record in fifty comes again as an event of a day before."""
    chance, window = random.Random(seed), list[Produced]()
    for number, each in enumerate(events(seed)):
        window.append(each)
        if chance.random() < 0.02:
            try:
                event = json.loads(each.value)
            except ValueError:
                continue
            event |= {
                "messageId": f"late-{number}",
                "timestamp": event["timestamp"].replace("2026-01-01", "2025-12-31"),
            }
            window.append(each._replace(value=json.dumps(event).encode()))
        if len(window) > within:
            chance.shuffle(window)
            yield from window
            window.clear()


def out_of_order(run: Round) -> Verdict:
    """F8: records out of order, and some a whole day late, over kills: as documented, and counted."""
    run.traffic.source = shuffled(run.seed)
    run.traffic.start()
    for _ in range(3):
        run.start()
        run.up()
        run.go_on(run.chance.uniform(1, 3))
        run.kill()
    run.work()
    return run.finish()


def clocks_jump(run: Round) -> Verdict:
    """F9: the machine's clock is an hour off either way, or jumps while the worker runs: decisions follow the events' time alone."""
    run.expected = "set the clock"
    run.traffic.start()
    for before, after in ((3600, -3600), (-3600, 0), (0, -90_000), (0, 86_400 * 366)):
        run.start(
            PYTHONPATH=os.pathsep.join(filter(None, (str(SKEWED), os.environ.get("PYTHONPATH")))),
            SKEW=f"{before}:{after}:{run.chance.uniform(1.5, 3)}",
        )
        run.up()
        run.go_on(4)
        run.end()
        run.faults += 1
    run.work()
    return run.finish()


def refuses(run: Round, codes: set[int], says: str) -> None:
    """The next worker ends by itself with one sentence."""
    worker = run.start()
    code = worker.wait(60)
    said = worker.log.read_text()
    assert code in codes, f"exit {code}: {said[-300:]}"
    assert says in said, said[-300:]
    assert "Traceback" not in said
    del run.workers["one"]


def judged_and_at_work(run: Round) -> tuple[Verdict, Worker]:
    """What the oracle says of a while under traffic, and a worker that owns partitions again, for what comes next."""
    run.traffic.start()
    run.start()
    run.up()
    run.go_on(2)
    verdict = run.finish()
    worker = run.start()
    run.up()
    return verdict, worker


def input_made_again(run: Round) -> Verdict:
    """F10: the input topic is deleted under a running worker and made again: said, never read from its beginning as if it were the old one."""
    verdict, worker = judged_and_at_work(run)
    client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
    client.delete_topics([run.bench.source])
    assert worker.wait(60) in {70, 78}, worker.log.read_text()[-300:]
    run.sentences.append(worker.log.read_text().strip().splitlines()[-1][-300:])
    run.faults += 1
    until = time.monotonic() + 20
    while True:
        try:
            client.create_topics([NewTopic(run.bench.source, PARTITIONS, len(run.cluster.nodes))])
            break
        except KafkaError:  # it is deleted in the broker's own time
            assert time.monotonic() < until
            time.sleep(0.1)
    client.close()
    written = len(run.bench.decisions())
    refuses(run, {70}, "deleted and created again")
    some = events(run.seed + 1)
    run.bench.produce(
        (each.partition, each.key, each.value) for each in (next(some) for _ in range(3 * verdict.records))
    )
    refuses(run, {70}, "has grown past the position")
    run.faults += 1
    assert len(run.bench.decisions()) == written, "something was written of the new topic"
    return verdict


def partitions_added(run: Round) -> Verdict:
    """F11: the input is given more partitions under a running worker: customers would be looked for elsewhere, so it stops and says so."""
    verdict, worker = judged_and_at_work(run)
    client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
    client.create_partitions({run.bench.source: NewPartitions(2 * PARTITIONS)})
    client.close()
    assert worker.wait(60) == 78, worker.log.read_text()[-300:]
    assert f"was given {2 * PARTITIONS}" in worker.log.read_text()
    refuses(run, {78}, "partitions")
    run.faults += 1
    return verdict


def offsets_or_changelog_lost(run: Round) -> Verdict:
    """F16: the group's offsets are deleted or set to the beginning: no effect; the changelog's head is cut off: refused on an empty disk."""
    run.traffic.start()
    run.start()
    run.up()
    run.go_on(2)
    group = run.bench.topology.name
    for change in ("deleted", "reset"):
        run.kill()
        client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
        run.until(partial(_forgotten, client, group, run.bench.source, change), 30)
        client.close()
        run.work()
    verdict = run.finish()
    client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
    place = TopicPartition(changelog_of(run.bench.topology), 0)
    client.alter_configs([_compact_and_delete(place.topic)])
    client.delete_records({place: 10})
    client.close()
    run.wipe("one")
    refuses(run, {70, 78}, "")
    run.faults += 1
    return verdict


def _compact_and_delete(topic: str) -> object:
    from kafka.admin import ConfigResource, ConfigResourceType

    return ConfigResource(ConfigResourceType.TOPIC, topic, configs={"cleanup.policy": "compact,delete"})


def _forgotten(client: KafkaAdminClient, group: str, topic: str, how: str) -> bool:
    """Whether the group's offsets could be changed: it must be empty first."""
    try:
        if how == "deleted":
            client.delete_groups([group])
        else:
            from kafka.structs import OffsetAndMetadata

            client.alter_group_offsets(
                group, {TopicPartition(topic, number): OffsetAndMetadata(0, "", -1) for number in range(PARTITIONS)}
            )
    except KafkaError:
        return False
    return True

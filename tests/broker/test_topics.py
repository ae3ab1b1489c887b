"""Topics that change under their state, keys in the wrong place, and the live clock: on a real Kafka, each told apart."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import KafkaError

from benchmarks.generate import generate
from rumbo.engine import transaction
from rumbo.engine.broker import changelog_of
from rumbo.engine.failpoint import Failpoints
from tests.broker.bench import PARTITIONS

pytestmark = pytest.mark.broker
EVENTS = 400


def produce(bench, seed, count=EVENTS):
    """Some events of the benchmark's job."""
    bench.produce((each.partition, each.key, each.value) for each in generate(count, seed=seed))


def played(bench, **environment):
    """A worker that has read everything."""
    worker = bench.worker(RUMBO__INSTANCE="solo", **environment)
    worker.until(worker.owns)
    worker.until(lambda: worker.metric("rumbo_consumer_lag_records", topic=bench.source) == 0)
    worker.until(lambda: (worker.metric("rumbo_events_received_total") or 0) >= EVENTS)
    return worker


def remade(bench, topic):
    """Delete a topic and create it again."""
    client = KafkaAdminClient(bootstrap_servers=bench.bootstrap)
    client.delete_topics([topic])
    until = time.monotonic() + 20
    while True:
        try:
            client.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})])
            break
        except KafkaError:  # the broker deletes in its own time
            assert time.monotonic() < until
            time.sleep(0.1)
    client.close()


def refused(bench, code, says):
    """The next worker ends with this code and says why, in words."""
    worker = bench.worker(RUMBO__INSTANCE="solo")
    assert worker.wait() == code, worker.log.read_text()[-2000:]
    assert says in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def test_a_clock_far_ahead_of_the_brokers_is_told_with_its_cure(world, monkeypatch):
    """The broker takes no record from a day ahead; its own word for that would send an operator the wrong way."""
    bench = world("benchmark")
    monkeypatch.setattr(transaction, "time", lambda: time.time() + 86_400)

    async def commit():
        producer = transaction.PartitionProducer(
            bench.settings.connection(), bench.mark, compression=None, failpoints=Failpoints()
        )
        await producer.start()
        try:
            await producer.commit([(bench.topology.outputs.actions, 0, [(b"k", b"v", [])])])
        finally:
            await producer.stop()

    with pytest.raises(transaction.RefusedError, match="set the clock"):
        asyncio.run(commit())


def test_a_topic_created_again_is_refused_even_when_it_has_grown_past_the_position(world):
    """The record that was read last is another one now."""
    bench = world("benchmark")
    produce(bench, 1)
    played(bench).end()
    remade(bench, bench.source)
    produce(bench, 2, EVENTS * 3)
    refused(bench, 70, "has grown past the position")


def test_a_changelog_that_was_lost_is_refused(world):
    """The group has offsets, the state is gone: to start from nothing would be to count everything twice, or not at all."""
    bench = world("benchmark")
    produce(bench, 3)
    worker = played(bench)
    group = KafkaConsumer(bootstrap_servers=bench.bootstrap, group_id=bench.topology.name)
    worker.until(lambda: group.committed(TopicPartition(bench.source, 0)) is not None)
    group.close()
    worker.end()
    remade(bench, changelog_of(bench.topology))
    refused(bench, 70, "the changelog was lost")


def test_partitions_added_while_it_runs_stop_the_worker(world):
    """Customers would be looked for in the wrong partition."""
    bench = world("benchmark")
    worker = bench.worker()
    worker.until(worker.owns)
    client = KafkaAdminClient(bootstrap_servers=bench.bootstrap)
    client.create_partitions({bench.source: NewPartitions(PARTITIONS * 2)})
    client.close()
    assert worker.wait() == 78
    assert f"was given {PARTITIONS * 2} while it was read" in worker.log.read_text()


def test_a_source_deleted_while_it_runs_stops_the_worker(world):
    """It is not waited for: what would come under its name is another topic."""
    bench = world("benchmark")
    worker = bench.worker()
    worker.until(worker.owns)
    client = KafkaAdminClient(bootstrap_servers=bench.bootstrap)
    client.delete_topics([bench.source])
    client.close()
    assert worker.wait() == 78
    assert "was deleted while it was read" in worker.log.read_text()


def test_a_worker_with_an_older_definition_is_refused(world):
    """A roll-out left one behind."""
    bench = world("benchmark")
    produce(bench, 4)
    played(bench).end()
    path = bench.topology_folder / "journey.yaml"
    path.write_text(path.read_text().replace('version: "1.0"', 'version: "0.9"'))
    refused(bench, 70, "run the newer definition")


def test_strict_keys_refuse_another_partitioner(world):
    """Every customer in partition 0: three of four do not belong there."""
    bench = world("benchmark", edit=lambda text: text + "\nkeys: strict\n")
    bench.produce((0, each.key, each.value) for each in generate(EVENTS, seed=5))
    refused(bench, 70, "murmur2")


LIVE = """\
journey: quiet
version: "1.0"
stages:
  - active
policies: {service: {purpose: service, expires_after: 1d}}
triggers:
  - {id: gone, absence: {of: Page Viewed, for: 2s}, action: {kind: message, template: miss_you}, policy: service}
"""


def test_a_live_clock_fires_on_a_silent_topic_after_its_time_and_not_before(world):
    """By the wall's time, two seconds after the last event's: no other event comes, no clock record is sent."""
    edit = lambda text: text.replace("lateness: 10m", "lateness: 0s").partition("# The companies")[0]
    bench = world("saas", edit=edit, journey=LIVE)
    worker = bench.worker()
    worker.until(worker.owns)
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    event = {"type": "track", "event": "Page Viewed", "userId": "u1", "messageId": "m1", "timestamp": stamp}
    bench.produce([(1, b"u1", json.dumps(event).encode())])
    worker.until(lambda: bench.decisions() != [], 20)
    [decision] = bench.decisions()
    assert decision["data"]["trigger"] == "gone"
    assert 2 <= time.time() - now < 15
    [record] = bench.read(bench.topology.outputs.actions)
    assert record.timestamp / 1000 - now >= 1.99

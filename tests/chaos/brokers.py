"""Faults of brokers: killed, frozen, away, with a full disk; by what they lead."""

from __future__ import annotations

import signal
import time

from kafka.admin import KafkaAdminClient

from tests.broker.cluster import Node
from tests.chaos.oracle import Verdict
from tests.chaos.round import Round

ROLES = ("leader", "group coordinator", "transaction coordinator", "controller")
INTERNAL_PARTITIONS = 4
"""Of `__consumer_offsets` and `__transaction_state`, as the tests' brokers have them."""


def java_hash(text: str) -> int:
    """`String.hashCode`, made positive as Kafka does."""
    found = 0
    for letter in text:
        found = (31 * found + ord(letter)) & 0xFFFFFFFF
    return found & 0x7FFFFFFF


def node_of(run: Round, role: str) -> Node:
    """The node that has a role now."""
    name = run.bench.topology.name
    topic, number = {
        "leader": (run.bench.source, run.chance.randrange(4)),
        "group coordinator": ("__consumer_offsets", java_hash(name) % INTERNAL_PARTITIONS),
        "transaction coordinator": ("__transaction_state", java_hash(f"{name}-profiles-0") % INTERNAL_PARTITIONS),
        "controller": ("", 0),
    }[role]
    client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
    try:
        if role == "controller":
            quorum = client.describe_metadata_quorum()
            leader = quorum["topics"][0]["partitions"][0]["leader_id"]
        else:
            [found] = client.describe_topics([topic])
            leader = next(each["leader_id"] for each in found["partitions"] if each["partition_index"] == number)
    finally:
        client.close()
    return run.cluster.nodes[int(leader) - 1]


def in_sync(run: Round) -> bool:
    """Whether every replica of every topic is there again."""
    client = KafkaAdminClient(bootstrap_servers=run.bench.bootstrap)
    try:
        return all(
            len(part["isr_nodes"]) == len(part["replica_nodes"])
            for topic in client.describe_topics()
            for part in topic["partitions"]
        )
    finally:
        client.close()


def broker_lost(run: Round) -> Verdict:
    """F2: stopped in order or killed, started again at once or after a while; whichever leads, coordinates or controls."""
    run.traffic.start()
    run.start()
    run.up()
    for role in run.chance.sample(ROLES, 4):
        node, hard, bounce = node_of(run, role), run.chance.random() < 0.5, run.chance.random() < 0.5
        node.stop(gently=not hard)
        run.faults += 1
        if not bounce:
            run.moves(90)
        node.start()
        run.moves(90)
        run.until(lambda: in_sync(run), 90)
    return run.finish()


def all_frozen(run: Round) -> Verdict:
    """F12: every broker stands still for a while: nothing is dropped, memory stays bounded."""
    run.traffic.start()
    run.start()
    run.up()
    run.moves()
    for seconds in (run.chance.uniform(4, 12), run.chance.uniform(12, 20)):
        for node in run.cluster.nodes:
            node.signal(signal.SIGSTOP)
        time.sleep(seconds)  # the fault itself
        for node in run.cluster.nodes:
            node.signal(signal.SIGCONT)
        run.faults += 1
        run.figures["rss_mib"] = max(run.figures.get("rss_mib", 0), run.memory("one"))
        run.moves(90)
    return run.finish()


def leader_frozen(run: Round) -> Verdict:
    """F13: the leader does not answer for longer than a commit may take: the process stops and starts again, no transaction is torn."""
    run.traffic.start()
    run.start()
    run.up()
    run.moves()
    node = node_of(run, run.chance.choice(("leader", "transaction coordinator")))
    node.signal(signal.SIGSTOP)
    run.go_on(run.chance.uniform(27, 35))
    node.signal(signal.SIGCONT)
    run.faults += 1
    run.moves(120)
    run.until(lambda: in_sync(run), 90)
    return run.finish()

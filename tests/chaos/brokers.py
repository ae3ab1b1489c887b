"""Faults of brokers: killed, frozen, away, with a full disk; by what they lead."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kafka.admin import KafkaAdminClient

from tests.broker.cluster import Cluster, Node
from tests.chaos.disks import fill, small_disk
from tests.chaos.network import Network
from tests.chaos.oracle import Verdict
from tests.chaos.proxy import Proxy
from tests.chaos.round import Round
from tests.chaos.workers import shared

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


def bounced(run: Round) -> Verdict:
    """The only broker is killed and started again, under load: the worker waits for it or is started again."""
    run.traffic.start()
    run.work()
    [node] = run.cluster.nodes
    node.stop(gently=False)
    run.faults += 1
    node.start()
    run.moves(90)
    return run.finish()


@contextmanager
def silence(run: Round) -> Iterator[None]:
    """Every broker stands still meanwhile."""
    for node in run.cluster.nodes:
        node.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in run.cluster.nodes:
            node.signal(signal.SIGCONT)


def no_progress(run: Round, backlog: int = 2_000) -> Verdict:
    """F12b: the brokers stand still while there is much to read, for longer than the worker's patience, which is less than a transaction may
    take: the watchdog ends it with the reason, and nothing is lost."""
    some = (next(run.traffic.source) for _ in range(backlog))
    run.bench.produce((each.partition, each.key, each.value) for each in some)
    run.start(RUMBO__STALL_SECONDS="5", RUMBO__MAX_BATCH="4")
    run.up()
    run.moves()
    assert run.taken() < backlog, "it had read everything before anything went wrong"
    with silence(run):
        worker = run.workers.pop("one")
        began = time.monotonic()
        code = worker.wait(60)
    said = worker.log.read_text()
    assert code == 70, said[-300:]
    assert "has something to read and has committed nothing for" in said, said[-300:]
    run.figures["patience"] = round(time.monotonic() - began, 1)
    run.faults += 1
    run.traffic.start()
    run.work()
    return run.finish()


def told_to_end_in_silence(run: Round) -> Verdict:
    """F12c: every broker stands still and the worker, which has as much time to give partitions back as it has by default, is told to end: it
    does within ten seconds, and what it could not finish is its successor's."""
    run.traffic.start()
    for _ in range(2):
        run.work(RUMBO__REBALANCE_TIMEOUT="60")
        with silence(run):
            run.go_on(run.chance.uniform(0, 2))
            run.end()
        run.faults += 1
    run.work()
    return run.finish()


def all_frozen(run: Round) -> Verdict:
    """F12: every broker stands still for a while: nothing is dropped, memory stays bounded."""
    run.traffic.start()
    run.work()
    for seconds in (run.chance.uniform(4, 12), run.chance.uniform(12, 20)):
        with silence(run):
            time.sleep(seconds)  # the fault itself
        run.faults += 1
        run.figures["rss_mib"] = max(run.figures.get("rss_mib", 0), run.memory("one"))
        run.moves(90)
    return run.finish()


def leader_frozen(run: Round) -> Verdict:
    """F13: the leader does not answer for longer than a commit may take: the process stops and starts again, no transaction is torn."""
    run.traffic.start()
    run.work()
    node = node_of(run, run.chance.choice(("leader", "transaction coordinator")))
    node.signal(signal.SIGSTOP)
    run.go_on(run.chance.uniform(27, 35))
    node.signal(signal.SIGCONT)
    run.faults += 1
    run.moves(120)
    run.until(lambda: in_sync(run), 90)
    return run.finish()


@contextmanager
def cluster_with_a_small_disk(folder: Path) -> Iterator[Cluster]:
    """Three brokers; the second has a file system of its own."""
    with small_disk(folder / "data-2", "256m"), Cluster(folder, 3) as cluster:
        yield cluster


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def broker_disk_full(run: Round) -> Verdict:
    """F5b: the log directory of one broker of three is full: that broker is lost, and comes back when there is space."""
    data, node = run.cluster.nodes[1].config.parent / "data-2", run.cluster.nodes[1]
    run.traffic.start()
    run.work()
    filler = fill(data)
    process = node.process
    assert process is not None
    run.until(partial(_has_ended, process), 120)
    run.faults += 1
    run.moves(90)
    filler.unlink()
    node.start()
    run.until(lambda: in_sync(run), 120)
    run.moves(90)
    return run.finish()


def cut_off(run: Round) -> Verdict:
    """F14: a worker's network is cut, for less and for more than its session; or what it sends to one broker of three is dropped."""
    network = run.cluster.network
    assert isinstance(network, Network)
    run.away = network
    run.traffic.start()
    run.start("away")
    run.start("two")
    run.until(lambda: shared(run))
    for kind in run.chance.sample(("short", "long", "one", "two"), 4):
        if kind == "short":
            with network.cut():
                run.go_on(run.chance.uniform(0.5, 4))
        elif kind == "long":
            with network.cut():
                run.until(run.workers["two"].owns)
                run.go_on(run.chance.uniform(0, 5))
        else:
            brokers = run.chance.sample((1, 2, 3), 1 if kind == "one" else 2)
            with network.dark(*brokers):
                run.go_on(run.chance.uniform(2, 15))
        run.faults += 1
        run.until(lambda: shared(run))
        run.moves(90)
    return run.finish()


TROUBLES = ("slow", "reset", "shut", "no answer", "nothing heard", "half-open")


def bad_network(run: Round, troubles: int = len(TROUBLES)) -> Verdict:
    """F14b: a worker's network is slow, resets or refuses connections, or leaves them open and passes nothing, one way or both."""
    proxy = run.cluster.network
    assert isinstance(proxy, Proxy)
    run.door = run.cluster.door
    run.traffic.start()
    run.start("away"), run.start("two")
    run.until(lambda: shared(run))
    assert proxy.passed, "nobody came through the proxy"
    everywhere = range(len(proxy.ports))
    for kind in run.chance.sample(TROUBLES, troubles):
        match kind:
            case "slow":
                with proxy.slow(0.5):
                    run.go_on(run.chance.uniform(3, 10))
            case "reset":
                for _ in range(3):
                    proxy.reset()
                    run.go_on(run.chance.uniform(0.1, 1))
            case "shut":
                with proxy.shut():
                    run.go_on(run.chance.uniform(0.5, 4))
            case "no answer":
                with proxy.half_open(everywhere, "answers"):
                    run.go_on(run.chance.uniform(0.5, 10))
            case "nothing heard":
                with proxy.half_open(everywhere, "asks"):
                    run.go_on(run.chance.uniform(0.5, 10))
            case _:
                with proxy.half_open(everywhere, "asks", "answers"):
                    run.until(run.workers["two"].owns)
                    run.go_on(run.chance.uniform(0, 5))
        run.faults += 1
        run.until(lambda: shared(run))
        run.moves(90)
    return run.finish()

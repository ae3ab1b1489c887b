"""The fault catalogue: which scenario is which fault, on how many nodes, how many faults make a whole run."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from tests.broker.cluster import Cluster
from tests.chaos import brokers, disks, inputs, network, proxy, workers
from tests.chaos.oracle import Verdict
from tests.chaos.round import Round


class Scenario(NamedTuple):
    """One row of the catalogue. `target` counts single faults, not rounds."""

    name: str
    what: str
    play: Callable[[Round], Verdict]
    target: int
    nodes: int = 1
    kafka: Callable[[Path], AbstractContextManager[Cluster]] | None = None
    """Brokers of its own; none: so many as any other scenario has."""


def everything(run: Round) -> Verdict:
    """F18: two workers and three nodes, and for a while whatever comes to mind, one after the other."""
    run.traffic.start()
    run.start("one"), run.start("two")
    run.until(lambda: workers.shared(run))
    for _ in range(10):
        name = run.chance.choice(["one", "two"])
        match run.chance.choice(["kill", "wipe", "end", "freeze", "node", "frozen node"]):
            case "kill":
                run.kill(name)
                run.go_on(run.chance.uniform(0, 3))
                run.start(name)
            case "wipe":
                run.kill(name)
                run.wipe(name)
                run.start(name)
            case "end":
                run.end(name)
                run.start(name)
                run.faults += 1
            case "freeze":
                worker = run.workers[name]
                worker.process.send_signal(signal.SIGSTOP)
                run.go_on(run.chance.uniform(1, 1.6 * workers.SESSION))
                worker.process.send_signal(signal.SIGCONT)
                run.faults += 1
            case "node":
                node = run.chance.choice(run.cluster.nodes)
                node.stop(gently=run.chance.random() < 0.5)
                run.go_on(run.chance.uniform(0, 4))
                node.start()
                run.until(lambda: brokers.in_sync(run), 90)
                run.faults += 1
            case _:
                node = run.chance.choice(run.cluster.nodes)
                node.signal(signal.SIGSTOP)
                run.go_on(run.chance.uniform(1, 12))
                node.signal(signal.SIGCONT)
                run.until(lambda: brokers.in_sync(run), 90)
                run.faults += 1
        run.moves(120)
    return run.finish()


SCENARIOS = (
    Scenario("F1", "kill -9 of a worker at a random instant, same or empty disk", workers.killed_anywhere, 300),
    Scenario("F1b", "kill -9 at each of ten named points of the protocol", workers.killed_at_every_point, 200),
    Scenario("F2", "a broker of three stopped or killed: leader, coordinators, controller", brokers.broker_lost, 60, 3),
    Scenario("F3", "a worker frozen past its session, woken after its partitions were taken", workers.frozen_past_its_session, 50),
    Scenario("F3b", "a worker's event loop stands still for one and a half sessions", workers.loop_stands_still, 20),
    Scenario("F4", "a rebalance storm: one of three workers comes or goes every few seconds", workers.storm, 100),
    Scenario("F5", "the state's file system is full", disks.disk_full, 10),
    Scenario("F5b", "one broker of three has a full disk", brokers.broker_disk_full, 5, 3, brokers.cluster_with_a_small_disk),
    Scenario("F6", "a store's files cut, flipped or deleted; another app's; a newer version's", disks.corrupt, 80),
    Scenario("F6b", "the state directory deleted, restored from an old backup, or ahead of its changelog", disks.disk_of_another_time, 10),
    Scenario("F7", "the poison set, first in each partition and at 1 % of live traffic, over kills", inputs.poison, 150),
    Scenario("F7b", "a byte of a batch changed on the broker's disk, in the input and in the changelog", inputs.damaged_log, 9),
    Scenario("F8", "records out of order, some a day late, over kills", inputs.out_of_order, 10),
    Scenario("F9", "the machine's clock is off or jumps", inputs.clocks_jump, 10),
    Scenario("F10", "the input topic deleted, and made again", inputs.input_made_again, 5),
    Scenario("F11", "the input topic given more partitions", inputs.partitions_added, 3),
    Scenario("F12", "every broker stands still for up to 20 s", brokers.all_frozen, 10),
    Scenario("F12b", "every broker stands still for longer than a worker's patience, with much to read (the watchdog)", brokers.no_progress, 5),
    Scenario("F12c", "every broker stands still as a worker is told to end", brokers.told_to_end_in_silence, 10),
    Scenario("F13", "the leader or the coordinator silent for longer than a commit may take", brokers.leader_frozen, 20, 3),
    Scenario("F14", "a worker's network cut for less or more than its session; what it sends to one or two brokers dropped", brokers.cut_off, 20, 3, network.cluster_behind),
    Scenario("F14b", "a worker's network slow, reset, refused, or half-open one way or both", brokers.bad_network, 20, 1, proxy.Doors),
    Scenario("F15", "SIGTERM under load, SIGINT twice, no memory left", workers.told_to_end, 20),
    Scenario("F16", "the group's offsets lost or reset; the changelog's head cut off", inputs.offsets_or_changelog_lost, 3),
    Scenario("F17", "a rolling upgrade from the last version of the format before", workers.upgraded, 9),
    Scenario("F18", "a seeded mix of kills, freezes, wiped disks and lost brokers", everything, 50, 3),
)  # fmt: skip

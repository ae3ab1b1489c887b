"""Faults of workers: killed, frozen, standing still, coming and going, told to end, out of memory."""

from __future__ import annotations

import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from rumbo.core.profile import FORMAT
from rumbo.engine.failpoint import NAMES
from tests.broker.bench import Worker
from tests.chaos.earlier import path_of
from tests.chaos.oracle import Verdict
from tests.chaos.round import Round

KILLS = 20
"""Of one round: what one of them did wrong is still wrong at its end, when the oracle looks."""
ONCE = {"in_init", "in_recovery", "in_revoke"}
"""Points that a worker passes once in a while, not with every batch."""
SESSION = 6
"""Seconds: `Bench` gives it to every worker."""


def killed_anywhere(run: Round) -> Verdict:
    """F1: kill -9 at random instants, one time in four while it takes its partitions, now and then with an empty disk after it."""
    disk = "disk"
    run.traffic.start()
    for number in range(KILLS):
        run.start(disk=disk)
        if run.chance.random() < 0.25:
            run.go_on(run.chance.uniform(0.3, 1.5))
        else:
            run.up()
            run.go_on(run.chance.uniform(0, 2) ** 2 / 2)
        run.kill()
        if run.chance.random() < 0.3:
            disk = f"disk-{number}"
    run.work(disk=disk)
    return run.finish()


def killed_at_every_point(run: Round) -> Verdict:
    """F1b: kill -9 at each named point of the protocol, in any order, at any passing."""
    points = list(NAMES)
    run.chance.shuffle(points)
    recovers, commits = points.index("in_recovery"), points.index("after_end")
    if recovers < commits:  # what there is to recover must have been committed before
        points[recovers], points[commits] = points[commits], points[recovers]
    run.traffic.start()
    for name in points:
        disk = "empty" if name == "in_recovery" else "one"
        if name == "in_recovery":
            run.wipe("empty")
        passing = 1 if name in ONCE else run.chance.randint(1, 30)
        worker = run.start(disk=disk, RUMBO__FAILPOINT=f"{name}:{passing}")
        if name == "in_revoke":
            run.up()
            worker.process.terminate()
        assert worker.wait(90) == -signal.SIGKILL, f"{name} was not reached: {worker.log.read_text()[-300:]}"
        run.faults += 1
    run.figures["points"] = len(points)
    run.work()
    return run.finish()


def frozen_past_its_session(run: Round) -> Verdict:
    """F3: a zombie. Others take its partitions, records come, it wakes: it must write nothing, and find its place again."""
    run.traffic.start()
    run.start("one"), run.start("two")
    run.until(lambda: shared(run))
    for _ in range(3):
        name, other = run.chance.sample(["one", "two"], 2)
        zombie = run.workers[name]
        run.go_on(run.chance.uniform(0, 0.5))
        zombie.process.send_signal(signal.SIGSTOP)
        run.until(partial(has_all, run, other))
        run.moves()
        zombie.process.send_signal(signal.SIGCONT)
        run.faults += 1
        run.until(lambda: shared(run))
    run.moves()
    return run.finish()


def has_all(run: Round, name: str) -> bool:
    """Whether a worker has every partition."""
    return run.workers[name].owns()


def silent(worker: Worker) -> bool:
    """Whether it lives and does not answer."""
    return worker.metric("rumbo_ready") is None and worker.process.poll() is None


def shared(run: Round) -> bool:
    """Whether two workers have half of the partitions each."""
    return all(worker.owns(2) for worker in run.workers.values())


def loop_stands_still(run: Round) -> Verdict:
    """F3b: its event loop stands still for one and a half sessions, in the middle of a batch: it goes on, or finds its place again."""
    run.traffic.start()
    run.start("two")
    for _ in range(3):
        worker = run.start("one", RUMBO__FAILPOINT=f"after_step:{run.chance.randint(20, 60)}:{1.5 * SESSION}")
        run.up("one")
        run.until(partial(silent, worker))
        run.faults += 1
        run.until(lambda: shared(run))
        run.moves()
        run.end("one")
    run.start("one")
    run.until(lambda: shared(run))
    return run.finish()


def storm(run: Round, changes: int = 12) -> Verdict:
    """F4: one of three workers comes or goes every few seconds, in order or killed; members without a stable name, so that all move."""
    names = ["one", "two", "three"]
    run.traffic.start()
    for name in names:
        run.start(name, RUMBO__INSTANCE=None)
    for _ in range(changes):
        run.go_on(run.chance.uniform(2, 5))
        name = run.chance.choice(names)
        if name not in run.workers:
            run.start(name, RUMBO__INSTANCE=None)
            run.faults += 1
        elif len(run.workers) > 1 and run.chance.random() < 0.5:
            run.kill(name)
        elif len(run.workers) > 1:
            run.end(name)
            run.faults += 1
    run.moves()
    return run.finish()


def told_to_end(run: Round) -> Verdict:
    """F15: SIGTERM under load must end in order within ten seconds and abort nothing; SIGINT twice; no memory left."""
    run.traffic.start()
    for _ in range(4):
        run.start()
        run.up()
        run.go_on(run.chance.uniform(0.2, 1.5))
        run.end()
        run.faults += 1
    assert run.uncommitted() == 0, "SIGTERM aborted a transaction"
    worker = run.start()
    run.up()
    worker.process.send_signal(signal.SIGINT)
    time.sleep(0.05)  # a person's second Ctrl-C
    worker.process.send_signal(signal.SIGINT)
    assert worker.wait(12) in {0, -signal.SIGINT, 130}, worker.log.read_text()[-300:]
    run.faults += 1
    worker = run.start()
    run.up()
    lines = Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    used = next(line for line in lines if line.startswith("VmSize")).split()[1]
    subprocess.run(["prlimit", "--pid", str(worker.process.pid), f"--as={int(used) * 1024 + 4_000_000}"], check=True)
    run.go_on_without(worker, 8)
    run.faults += 1
    run.work()
    return run.finish()


LAST_OF_FORMAT_3 = "6277c40"


def upgraded(run: Round) -> Verdict:
    """F17: two workers of the last version with format 3 are replaced one after the other; an old one refuses what a new one has written."""
    source = run.folder / "old"
    source.mkdir()
    old = path_of(LAST_OF_FORMAT_3, source)
    run.traffic.start()
    run.start("one", PYTHONPATH=old), run.start("two", PYTHONPATH=old)
    run.until(lambda: shared(run))
    run.moves()
    run.end("one")
    run.start("one")
    run.until(lambda: shared(run) and FORMAT in run.formats())
    behind = run.workers.pop("two")
    run.kill("one")
    assert behind.wait(60) == 70, behind.log.read_text()[-300:]
    assert "newer version of Rumbo" in behind.log.read_text()
    run.faults += 1
    run.start("one"), run.start("two")
    run.until(lambda: shared(run))
    run.faults += 1
    run.moves()
    return run.finish()

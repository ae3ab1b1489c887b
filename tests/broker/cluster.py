"""A real Apache Kafka for tests and benchmarks: KRaft nodes as child processes on loopback, no Docker.

    python -m tests.broker.cluster --folder DIR [--nodes 3]       prints the bootstrap servers, runs until Ctrl-C

Needs Java 17 or later, and Maven the first time (45 jars from Maven Central, kept in the user's cache). It never touches a
broker that it did not start, and its nodes die with the process that started them.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

VERSION = "4.1.1"
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"rumbo-kafka-{VERSION}"
CLUSTER = "cnVtYm8tdGVzdHMtYnJva2Vy"[:22]
READY = "Kafka Server started"
DIE_WITH_PARENT = 1

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=CLIENT://{host}:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
unclean.leader.election.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""
DOOR = """\
listeners=CLIENT://{host}:{port},CONTROLLER://127.0.0.1:{controller},DOOR://127.0.0.1:{inner}
advertised.listeners=CLIENT://{host}:{port},DOOR://127.0.0.1:{outer}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,DOOR:PLAINTEXT
"""


class CannotStart(Exception):
    """Kafka cannot be fetched or started here; the message says why."""


def available() -> str | None:
    """Why no broker can be started here; None when one can."""
    if shutil.which("java") is None:
        return "java is not installed"
    if not (CACHE / "complete").exists() and shutil.which("mvn") is None:
        return "mvn is not installed, and Kafka was never fetched"
    return None


def fetch() -> Path:
    """The folder of Kafka's jars, fetched once for all processes of this user."""
    jars, complete = CACHE / "jars", CACHE / "complete"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
            done = subprocess.run(
                ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *goal], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CannotStart(f"Maven could not fetch Kafka {VERSION}:\n{done.stdout[-1500:]}")
            complete.touch()
    return jars


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def die_with_parent() -> None:
    """In a child before it runs: an interrupted run leaves nobody behind."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


class Node:
    """One broker process; its data outlives it."""

    def __init__(self, number: int, folder: Path, command: list[str]) -> None:
        self.number, self.command = number, command
        self.config, self.log = folder / f"{number}.properties", folder / f"{number}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._offset = 0

    def format(self, *options: str) -> None:
        """Give an empty data folder its identity, and with `--add-scram` its first users."""
        arguments = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self.config), "-g", *options]
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotStart(f"node {self.number}:\n{(done.stdout + done.stderr)[-1500:]}")

    def launch(self) -> None:
        """Start the process; `wait` says when it serves."""
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "kafka.Kafka", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509  the tests start nodes from one thread
            )

    def wait(self, seconds: float = 90) -> None:
        """Until it says that it serves (its port opens earlier)."""
        until = time.monotonic() + seconds
        while READY not in (said := self.said()):
            if self.process is None or self.process.poll() is not None or time.monotonic() > until:
                raise CannotStart(f"node {self.number} does not serve:\n{said[-2000:]}")
            time.sleep(0.05)

    def start(self) -> None:
        """Start on what the last process left, and wait."""
        self.launch()
        self.wait()

    def said(self) -> str:
        """Its log since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._offset)
            return log.read().decode(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal: SIGKILL is a crash, SIGSTOP a freeze, SIGCONT its end."""
        if self.process is not None:
            self.process.send_signal(number)

    def stop(self, *, gently: bool = True) -> None:
        """End the process and wait for it."""
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM if gently else signal.SIGKILL)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Cluster:
    """One or three nodes in a folder."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        heap: str = "384m",
        extra: str = "",
        *,
        format_options: tuple[str, ...] = (),
        java_options: tuple[str, ...] = (),
        hosts: Sequence[str] = (),
        doors: Sequence[int] = (),
    ) -> None:
        self._format_options = format_options
        hosts = hosts or ["127.0.0.1"] * nodes
        self.network: object = None
        """Between these brokers and a worker, where a test has put one."""
        self.behind_doors = [free_port() for _ in doors]
        """Ports of listeners that are advertised elsewhere, one a node: where a proxy stands."""
        self.door = ",".join(f"127.0.0.1:{port}" for port in doors)
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        java = ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *java_options]
        command = [*java, f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}", "-cp", f"{fetch()}/*"]
        self.nodes = [Node(number, folder, command) for number in range(1, nodes + 1)]
        ports, controllers = [free_port() for _ in self.nodes], [free_port() for _ in self.nodes]
        voters = ",".join(f"{node.number}@127.0.0.1:{port}" for node, port in zip(self.nodes, controllers, strict=True))
        self.bootstrap = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
        for node, host, port, controller in zip(self.nodes, hosts, ports, controllers, strict=True):
            text = PROPERTIES.format(
                node=node.number, voters=voters, host=host, port=port, controller=controller, data=folder / f"data-{node.number}",
                replicas=nodes, in_sync=min(2, nodes),
            )  # fmt: skip
            if doors:
                inner, outer = self.behind_doors[node.number - 1], doors[node.number - 1]
                text += DOOR.format(host=host, port=port, controller=controller, inner=inner, outer=outer)
            node.config.write_text(text + extra)

    def __enter__(self) -> Cluster:
        for node in self.nodes:
            node.format(*self._format_options)
        for node in self.nodes:
            node.launch()
        try:
            for node in self.nodes:
                node.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every node; the test's data needs no goodbye."""
        for node in self.nodes:
            node.stop(gently=False)


def main() -> None:
    """Run a cluster until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="A real Apache Kafka on loopback.")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with Cluster(options.folder or Path(tempfile.mkdtemp(prefix="kafka-")), options.nodes) as cluster:
        print(cluster.bootstrap, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

"""The engines: how each is started, where it writes, how far it says that it is. What each does is in its own file."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.compare import from_cloudevent
from benchmarks.names import NAMES
from benchmarks.reference import Output
from benchmarks.topics import KINDS, Kafka

ROOT = Path(__file__).parents[1]
TOPOLOGY = ROOT / "topologies" / "benchmark"
PEERS = ROOT / "benchmarks" / ".venv" / "bin" / "python"
RUMBO = ROOT / ".venv" / "bin" / "python"
JAVA = ROOT / "benchmarks" / "kafka_streams" / "target"
OUTPUTS = ("scores", "transitions", "actions")


class Run(NamedTuple):
    """One run of an engine: its name is the group's, and the prefix of its topics."""

    kafka: Kafka
    name: str
    folder: Path
    topic: str
    session_ms: int = 30_000
    commit_ms: int = 1_000
    triggers: int = 10
    journal: int = 0
    """Entries of each kind kept of a customer, where somebody looks at them."""
    web_port: int = 0
    """Where the worker answers; 0: nowhere."""

    @property
    def outputs(self) -> list[str]:
        """Topics of what was decided."""
        return [f"{self.name}.{each}" for each in OUTPUTS]

    @property
    def dead(self) -> str:
        """The topic of what could not be read."""
        return f"{self.name}.dlq"


class Started(NamedTuple):
    """What starts a worker."""

    command: list[str]
    env: dict[str, str]


def _topics(run: Run) -> None:
    run.kafka.create([*run.outputs, run.dead])


def _said(topic: str, value: bytes) -> Output:
    """A peer's output."""
    said = json.loads(value)
    return Output(KINDS[topic.rsplit(".", 1)[1]], said["customer"], said["message"], said["what"], said.get("score"))


def _cloudevent(topic: str, value: bytes) -> Output | None:
    """Rumbo's."""
    return from_cloudevent(value)


def _rejected(run: Run) -> int:
    return sum(1 for _ in run.kafka.read([run.dead]))


class Engine(NamedTuple):
    """One engine of the table; `names.py` has its name."""

    key: str
    prepare: Callable[[Run], None]
    start: Callable[[Run, int], Started]
    """By the run and the number of the worker."""
    parse: Callable[[str, bytes], Output | None] = _said
    """An output as the reference names it, by its topic and value; None for what the job does not compare."""
    dead: Callable[[Run], int] = _rejected
    """How many dead letters the run wrote."""
    tells: bool = True
    """Whether it commits offsets to its group; else its progress is read off its outputs."""
    share: float = 1.0
    """The part of the input that it is given: a slow one would take all the time."""

    @property
    def name(self) -> str:
        """With its guarantee, where two share the name."""
        return NAMES[self.key].label

    def read(self, run: Run) -> tuple[list[Output], int]:
        """Everything that the run wrote: outputs, and the number of dead letters."""
        parsed = (self.parse(message.topic(), message.value()) for message in run.kafka.read(run.outputs))
        return [each for each in parsed if each is not None], self.dead(run)


def _env(run: Run, number: int) -> dict[str, str]:
    return {
        "BROKER": run.kafka.boot, "RUN": run.name, "STATE": str(run.folder / f"state-{number}"), "INPUT": run.topic, "PYTHONPATH": str(ROOT),
        "SESSION_MS": str(run.session_ms), "COMMIT_MS": str(run.commit_ms),
    }  # fmt: skip


def _python(module: str, interpreter: Path = PEERS, *arguments: str, **more: str) -> Callable[[Run, int], Started]:
    return lambda run, number: Started([str(interpreter), "-m", module, *arguments], {**_env(run, number), **more})


def _streams(guarantee: str) -> Callable[[Run, int], Started]:
    """Kafka Streams: one thread; a heap of 1 GiB, the collector that Java chooses for one core (serial)."""
    jars = f"{JAVA / 'shop-1.jar'}:{JAVA / 'lib'}/*"
    command = ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", jars, "shop.Shop"]
    return lambda run, number: Started(command, {**_env(run, number), "GUARANTEE": guarantee})


def _topology(run: Run) -> None:
    """Rumbo's: the benchmark topology with the names of this run, and with triggers that no event can match where they are asked for."""
    folder = run.folder / "topology"
    shutil.copytree(TOPOLOGY, folder)
    text = (folder / "topology.yaml").read_text().replace("topology: benchmark", f"topology: {run.name}").replace("benchmark-input", run.topic)
    names = ("transitions", "scores", "actions", "suppressed", "corrections", "progress", "control", "events")
    text += f"\noutputs: {{{', '.join(f'{each}: {run.name}.{each}' for each in names)}}}\n" + (f"journal: {run.journal}\n" if run.journal else "")
    (folder / "topology.yaml").write_text(text)
    more = [
        f"  - {{id: other_{number}, event: Other {number}, where: \"event.properties.value >= {number}\", cooldown: 1h, "
        "action: {kind: crm, task: other}, policy: service}\n"
        for number in range(run.triggers - 10)
    ]
    with (folder / "journey.yaml").open("a") as journey:
        journey.writelines(more)
    command = [str(RUMBO), "-m", "rumbo.cli", "topics", str(folder), "--create", "--partitions", "4", "--broker", run.kafka.boot]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    (run.folder / "dead-before").write_text(str(sum(1 for _ in run.kafka.read([f"{run.topic}.dlq"]))))


def _rumbo(run: Run, number: int) -> Started:
    command = [
        str(RUMBO), "-m", "rumbo.cli", "run", str(run.folder / "topology"), "--broker", run.kafka.boot,
        "--state-dir", str(run.folder / f"state-{number}"), "--web-port", str(run.web_port),
    ]  # fmt: skip
    return Started(command, {"RUMBO__SESSION_TIMEOUT": str(run.session_ms / 1000), "RUMBO__WEB_RATE": "10000"})


def _rejected_since(run: Run) -> int:
    return sum(1 for _ in run.kafka.read([f"{run.topic}.dlq"])) - int((run.folder / "dead-before").read_text())


ENGINES = {
    each.key: each
    for each in (
        Engine("faust", _topics, _python("benchmarks.plain_faust", RUMBO, "worker", "--without-web"), share=0.1),
        Engine("quix", _topics, _python("benchmarks.quix_streams")),
        Engine("bytewax", _topics, _python("benchmarks.bytewax_flow"), tells=False),
        Engine("quix_tuned", _topics, _python("benchmarks.quix_tuned")),
        Engine("rumbo", _topology, _rumbo, _cloudevent, _rejected_since),
        Engine("streams_eos", _topics, _streams("exactly_once_v2")),
        Engine("streams_alo", _topics, _streams("at_least_once")),
        Engine("bound", _topics, _python("benchmarks.bare_bound")),
    )
}

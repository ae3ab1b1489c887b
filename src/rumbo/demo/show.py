"""The demonstration: an embedded broker, a worker, a year of history played into them, and the board. Ctrl-C ends all of it.

The broker is a small one from a wheel (extra `demo`): transactions work, one worker only; a child of this process, on a free
port of this machine, in a temporary folder. Nothing outlives the command.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from rich.console import Console
from rich.live import Live

from rumbo.config import Settings, settings
from rumbo.core.instant import parse_instant
from rumbo.demo.board import Board
from rumbo.demo.history import END, Event, history
from rumbo.engine.admin import create_topics, send_clock
from rumbo.errors import BrokerError, DefinitionError, InternalError
from rumbo.topology import Topology, load

PARTITIONS = 4
DRAW_SECONDS = 0.2
WAIT_SECONDS = 60.0
END_SECONDS = 4.0
"""How long a child may take to end in order: its folder is thrown away, so that nothing is lost with it."""
_DIE_WITH_PARENT = 1


def show(topology: Path, households: int | None, seconds: float, *, stay: bool = False) -> None:
    """Play the year in about so many seconds; with *stay* the page is served afterwards, until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended either way, it leaves nothing behind
    console = Console(stderr=True)
    console.print("reading the year (once, a few seconds) …")
    events = list(history(households))
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="rumbo-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        known = stack.enter_context(_broker(folder))
        checked = load(topology)
        create_topics(checked, known, partitions=PARTITIONS, replicas=1)
        worker = stack.enter_context(_worker(topology, known, folder))
        board = Board(len(events))
        url = f"http://127.0.0.1:{known.web_port}/"
        console.print(f"the live page, while the year plays: {url}", highlight=False, soft_wrap=True)
        _play(board, events, checked, known, worker, seconds, console)
        console.print()
        click.echo(board.summary())
        if stay:
            _stay(url, worker, console)
    console.print(
        "\nwhere to look next: topologies/grocery/journey.yaml (the rules), `rumbo test topologies/grocery` (what they promise),\n"
        "`rumbo init my-product` (a topology of your own), docs/ (how it works)"
    )


def _stay(url: str, check: Any, console: Console) -> None:
    console.print(f"\nthe page stays at {url} until Ctrl-C", highlight=False, soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            check()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _child(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A child that gets no Ctrl-C of its own and dies with us."""
    linux = sys.platform == "linux"
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent if linux else None,  # noqa: PLW1509  no threads yet
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[Settings]:
    found = find_spec("noida_db")
    if found is None or found.origin is None:
        raise DefinitionError("the embedded broker", ["it is not installed: pip install 'rumbo[demo]'"])
    port, log = _free_port(), folder / "broker.log"
    binary = Path(found.origin).parent / "noida-db"
    child = _child(
        [str(binary), "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", str(folder / "broker")], log
    )
    try:
        until = time.monotonic() + 20
        while not _answers(port):
            if child.poll() is not None or time.monotonic() > until:
                raise BrokerError(f"the embedded broker does not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.05)
        yield settings({}, broker=f"127.0.0.1:{port}", state_dir=folder / "state", web_port=_free_port())
    finally:
        _end(child)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _worker(topology: Path, known: Settings, folder: Path) -> Iterator[Any]:
    log = folder / "worker.log"
    command = [
        sys.executable, "-m", "rumbo.cli", "run", str(topology), "--broker", known.broker,
        "--state-dir", str(known.state_dir), "--web-port", str(known.web_port),
    ]  # fmt: skip
    child = _child(command, log)

    def check() -> None:
        if child.poll() is not None:
            raise InternalError(
                f"the worker has stopped (exit {child.returncode}): {log.read_text(errors='replace')[-800:]}"
            )

    try:
        until = time.monotonic() + WAIT_SECONDS
        while not _answers(known.web_port):
            check()
            if time.monotonic() > until:
                raise InternalError(f"the worker does not start: {log.read_text(errors='replace')[-800:]}")
            time.sleep(0.05)
        yield check
    finally:
        _end(child)


def _play(  # noqa: PLR0913, PLR0917  the parts of one performance
    board: Board, events: list[Event], topology: Topology, known: Settings, check: Any, seconds: float, console: Console
) -> None:
    reader = _reader(topology, known)
    producer = KafkaProducer(bootstrap_servers=known.broker, linger_ms=20, batch_size=200_000)
    source, start = topology.sources[0].topic, time.monotonic()
    with _screen(console, board) as draw:
        for number, event in enumerate(events):
            producer.send(source, key=event.household.encode(), value=event.value)
            if number % 500 == 0:
                board.played = number
                _drain(reader, board, 0)
                draw()
                check()
                ahead = start + seconds * number / len(events) - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
        producer.flush()
        board.played = len(events)
        send_clock(topology, known, parse_instant(END), PARTITIONS)
        _until_ended(board, known, reader, draw, check)
    producer.close()
    reader.close()


def _until_ended(board: Board, known: Settings, reader: Any, draw: Any, check: Any) -> None:
    """Until every partition's clock stands at the year's end and its outputs have been read."""
    end, until = parse_instant(END) / 1_000_000, time.monotonic() + WAIT_SECONDS
    ended = False
    while True:
        before = board.decisions
        _drain(reader, board, 200)
        draw()
        check()
        if ended and board.decisions == before:
            return
        clocks = _clocks(known)
        ended = len(clocks) == PARTITIONS and min(clocks) >= end
        if time.monotonic() > until:
            raise InternalError("the year did not end in time; see the worker's log")


def _clocks(known: Settings) -> list[float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{known.web_port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return []
    return [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("rumbo_partition_clock_seconds{")]


def _reader(topology: Topology, known: Settings) -> Any:
    reader = KafkaConsumer(
        bootstrap_servers=known.broker,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    places = [TopicPartition(topic, number) for topic in topology.outputs.decisions for number in range(PARTITIONS)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    return reader


def _drain(reader: Any, board: Board, wait_ms: int) -> None:
    with contextlib.suppress(KafkaError):
        for records in reader.poll(wait_ms, max_records=5000).values():
            for record in records:
                board.take(record.value)


@contextlib.contextmanager
def _screen(console: Console, board: Board) -> Iterator[Any]:
    """A live board on a terminal; plain lines elsewhere."""
    drawn = 0.0
    if not console.is_terminal:

        def say() -> None:
            nonlocal drawn
            if time.monotonic() - drawn > 5:  # noqa: PLR2004  seconds between two lines
                drawn = time.monotonic()
                console.print(board.line(), highlight=False)

        yield say
        return
    with Live(board.draw(), console=console, refresh_per_second=8) as live:

        def draw() -> None:
            nonlocal drawn
            if time.monotonic() - drawn > DRAW_SECONDS:
                drawn = time.monotonic()
                live.update(board.draw())

        yield draw
        live.update(board.draw())

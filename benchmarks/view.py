"""How long a customer view takes from a worker at half load: it drains once to know its rate, then gets half of that, and is asked all the while.

The topology keeps journals here, so that timelines have something to show; its drain rate is measured with them.
"""

from __future__ import annotations

import pickle
import socket
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import figures, modes, report
from benchmarks.engines import Engine, Run
from benchmarks.open_loop import open_loop
from benchmarks.topics import Input, Kafka

READS = 100
"""Requests a second."""
KEPT = 20


def view(kafka: Kafka, engine: Engine, given: Input, share: float, seconds: float) -> dict[str, Any]:
    """The worker's drain rate, its decisions' latency at *share* of that, and the latency of what it was asked meanwhile."""
    own = modes.drain(kafka, engine, given, journal=KEPT)
    if not report.counts(own):
        raise RuntimeError(f"the drain went wrong: {own['found']}")
    rate, port = own["wall_rate"] * share, _free_port()
    events = int(rate * seconds) // 100 * 100
    with tempfile.TemporaryDirectory(prefix="bench-view-") as folder:
        file = Path(folder) / "asked"
        url = f"http://127.0.0.1:{port}"

        def viewer(_run: Run) -> tuple[str, ...]:
            return "viewer", url, str(file), str(events), str(rate), str(READS), str(seconds)

        told = open_loop(kafka, engine, rate, seconds, [viewer], journal=KEPT, web_port=port)
        return {"own_rate": own["wall_rate"], **told, "reads": READS, "views": figures.answers(pickle.loads(file.read_bytes()))}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port

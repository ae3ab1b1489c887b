"""How a worker's process ends, whatever still runs in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.broker.cluster import free_port

LEFT = """
import threading
threading.Thread(target=threading.Event().wait).start()
from rumbo.cli import main
main()
"""


def test_a_thread_that_was_left_running_does_not_keep_the_process(tmp_path):
    """The code and the sentence are those of the reason; the end comes by itself."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT, "run", "topologies/benchmark", "--broker", f"127.0.0.1:{free_port()}",
         "--state-dir", str(tmp_path), "--web-port", "0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 69
    assert done.stderr.startswith("rumbo: no Kafka at")
    assert len(done.stderr.splitlines()) == 1


STANDS_STILL = """
import asyncio, threading
from rumbo.engine import app
from rumbo.errors import BrokerError

class Faust:
    class consumer:
        stop_flow = staticmethod(lambda: None)

    async def stop(self):
        threading.Event().wait()  # as Faust waits for its thread: in the loop

app.END_SECONDS = 0.2
worker = object.__new__(app.Worker)
worker._failure = BrokerError("away") if FAILED else None
asyncio.run(worker._stop(Faust(), ()))
"""


@pytest.mark.parametrize(("failed", "code"), [(False, 0), (True, 69)])
def test_a_loop_that_stands_still_does_not_keep_a_process_that_was_told_to_end(failed, code):
    """It ends by the code of the reason, though nothing turns in it any more."""
    done = subprocess.run(
        [sys.executable, "-c", STANDS_STILL.replace("FAILED", str(failed))],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert b"the position is kept" in done.stdout + done.stderr
    assert (b"away" in done.stdout + done.stderr) is failed

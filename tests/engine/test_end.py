"""How a worker's process ends, whatever still runs in it."""

from __future__ import annotations

import subprocess
import sys

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

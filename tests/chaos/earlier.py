"""An earlier version of the product, to be run beside this one: its source at a commit, and the libraries that it was locked to."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.broker.bench import ROOT
from tests.packages import CACHE

LOCK = "requirements-run.lock"


def path_of(commit: str, folder: Path) -> str:
    """What PYTHONPATH must say for a process to be that version; its source is laid into *folder*."""
    archive = subprocess.run(["git", "archive", commit, "src", LOCK], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    return os.pathsep.join([str(folder / "src"), str(_libraries(commit, folder / LOCK))])


def _libraries(commit: str, lock: Path) -> Path:
    """Its libraries, fetched once for this user and this Python."""
    found = CACHE / f"libraries-{commit}-{sys.implementation.cache_tag}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with found.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not found.exists():
            with TemporaryDirectory(dir=CACHE) as made:  # what is broken off leaves nothing behind
                pip = [
                    sys.executable,
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--require-hashes",
                ]
                done = subprocess.run(
                    [*pip, "-r", str(lock), "--target", f"{made}/all"], capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stderr[-1000:]
                Path(made, "all").rename(found)
    return found

"""An earlier version of the product, to be run beside this one: its source at a commit, and the libraries that it was locked to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.broker.bench import ROOT
from tests.packages import kept

LOCK = "requirements-run.lock"


def path_of(commit: str, folder: Path) -> str:
    """What PYTHONPATH must say for a process to be that version; its source is laid into *folder*."""
    archive = subprocess.run(["git", "archive", commit, "src", LOCK], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    name = f"libraries-{commit}-{sys.implementation.cache_tag}"
    libraries = kept(name, lambda made: _install(folder / LOCK, made / name))
    return os.pathsep.join([str(folder / "src"), str(libraries)])


def _install(lock: Path, where: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    wanted = ["-r", str(lock), "--target", str(where)]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]

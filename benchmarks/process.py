"""A worker as a process on its core: started, looked at, stopped. CPU and memory are those of its whole tree of processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


def engine_cores(workers: int = 1) -> str:
    """Core 0 is the broker's and the loader's; the engine has core 1, several workers have the others as far as there are any."""
    if CORES == 1:
        return "0"
    return "1" if workers == 1 else f"1-{min(CORES - 1, workers)}"


def use_core_0() -> None:
    """This process and those that it starts from now on: the broker, the loader, the reader."""
    os.sched_setaffinity(0, {0})


class Worker:
    """One running engine."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path, workers: int = 1) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                ["taskset", "-c", engine_cores(workers), *command], env={**os.environ, **env}, stdout=file, stderr=file,
                stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip

    def cpu(self) -> float:
        """User and system seconds of the tree, with those of children that have ended."""
        return sum(_ticks(pid) for pid in _tree(self.process.pid)) / TICK

    def memory(self) -> tuple[float, float]:
        """Resident MiB of the tree now, and the most that its processes had."""
        return sum(_status(pid, "VmRSS") for pid in _tree(self.process.pid)), sum(most(pid) for pid in _tree(self.process.pid))

    def check(self) -> None:
        """Raise when it has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM, and after *seconds* SIGKILL."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """A crash."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(each) for each in fields[11:15])


def _status(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0) / 1024


def most(pid: int) -> float:
    """The most that a process had, MiB resident, since its program began; 0 where it is over. (`ru_maxrss` begins with what its parent had.)"""
    return _status(pid, "VmHWM")


def wait_for(holds: object, seconds: float, what: str, every: float = 0.05) -> None:
    """Until *holds* answers true."""
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            raise TimeoutError(f"{what} was not there after {seconds:.0f} s")
        time.sleep(every)

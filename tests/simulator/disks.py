"""The databases of a schedule's disks. Opening and closing RocksDB is half of what a schedule costs, and tells nothing new each time.

In one schedule of `EVERY` each owner opens and closes its databases as a worker does; in the others a database that was given back
stays open for the next owner of its folder, and after the schedule, emptied, for a folder of the next one. What two owners at once
would meet, its lock, is told either way.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from rocksdict import Rdict

EVERY = 10
USES = 100
"""Schedules that one database serves, before what was deleted in it makes it slow."""
MEMORY = "/dev/shm"  # noqa: S108  disks that need no fsync, where the machine has such
_spare: list[tuple[Any, int]] = []
"""Emptied databases of this process, and how many schedules each has served."""


def folder(prefix: str) -> Path:
    """A new one, in memory where the machine allows it."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if os.access(MEMORY, os.W_OK) else None))


@cache
def _shelf() -> Path:
    """Where this process keeps its databases from schedule to schedule."""
    place = folder("simulated-disks-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


class Held:
    """A database in somebody's hands; `close` gives it back."""

    def __init__(self, db: Any, uses: int) -> None:
        self.db, self.uses, self.taken = db, uses, True
        self.get, self.write, self.iter = db.get, db.write, db.iter

    def close(self) -> None:
        """Give it back as it is."""
        self.taken = False


class Disks:
    """In the place of RocksDB's constructor."""

    def __init__(self, seed: int) -> None:
        self._really = seed % EVERY == 0
        self._held: dict[int, Held] = {}
        """By the folder's inode: one that was put aside and made anew is another."""

    def __call__(self, path: str, options: Any) -> Any:
        """Open a folder's database. Raises as RocksDB does where somebody has it."""
        if self._really:
            return Rdict(path, options=options)
        place = Path(path).stat().st_ino
        held = self._held.get(place)
        if held is None:
            held = self._held[place] = Held(*(_spare.pop() if _spare else (_made(options), 0)))
        elif held.taken:
            raise RuntimeError(f"IO error: lock hold by current process: {path}/LOCK")
        held.taken = True
        return held

    def close(self) -> None:
        """At the end of the schedule."""
        for held in self._held.values():
            if held.uses < USES:
                held.db.delete_range(b"", b"\xff")
                _spare.append((held.db, held.uses + 1))
            else:
                _gone(held.db)
        self._held.clear()


def _made(options: Any) -> Any:
    return Rdict(tempfile.mkdtemp(dir=_shelf()), options=options)


def _gone(db: Any) -> None:
    place = db.path()
    db.close()
    shutil.rmtree(place, ignore_errors=True)

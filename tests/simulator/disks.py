"""The databases of a schedule's disks. Opening and closing RocksDB is half of what a schedule costs, and tells nothing new each time.

In one schedule of `EVERY` each owner opens and closes its databases as a worker does; in the others a database that was given back
stays open for the next owner of its folder. What two owners at once would meet, its lock, is told either way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rocksdict import Rdict

EVERY = 5


class Held:
    """A database in somebody's hands; `close` gives it back."""

    def __init__(self, db: Any) -> None:
        self.db, self.taken = db, True
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
            held = self._held[place] = Held(Rdict(path, options=options))
        elif held.taken:
            raise RuntimeError(f"IO error: lock hold by current process: {path}/LOCK")
        held.taken = True
        return held

    def close(self) -> None:
        """At the end of the schedule."""
        for held in self._held.values():
            held.db.close()
        self._held.clear()

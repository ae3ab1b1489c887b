"""The local state of one partition: one RocksDB, opened and closed by its owner alone.

Keys begin with a letter: `p` profiles, `r` their pasts, `j` journals, `m` what the engine notes, `t` the timer index (due instant,
customer), which is local and rebuilt from the profiles' first eight bytes. What a transaction committed is seen at once and comes to
disk with what follows, a little with each commit: a profile and its place in the timer index together. The disk has all of some commit
and perhaps rows of later ones, never one that is not in the changelog; read from that commit on, the changelog gives the rest and
the same rows again. It never decides anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Env,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from rumbo.core.instant import Instant
from rumbo.core.profile import DUE_BYTES, FORMAT
from rumbo.engine.unwritten import NO_TIMER, Rows, TimerMoves, Unwritten
from rumbo.errors import InternalError

MIB: Final = 1024 * 1024
LEAST_WRITES: Final = 4 * MIB
"""What RocksDB may collect before it makes a table of it: less than a few of its own blocks would be a table for each write."""
_FORMAT_KEY: Final = b"mformat"
_OWNER_KEY: Final = b"mowner"
_NEXT_KEY: Final = b"mchangelog"
_AHEAD_KEY: Final = b"mahead"
_TIMERS_KEY: Final = b"mtimers"
POSITION_KEY: Final = b"mposition"
_PROFILE: Final = b"p"[0]
_TIMER: Final = b"t"[0]
_BLOOM_BITS: Final = 10
FLUSH_SECONDS: Final = 10.0
"""Rows come to disk after so long, with the next commit, so that a crash leaves little to read from the changelog."""
AT_ONCE: Final = 1_000
"""Rows that a commit brings to disk for their age, at most: some 3 ms of work. A burst comes to disk as slowly as that."""
_UNKNOWN: Final = object()
_DAMAGED: Final = "DAMAGED"
"""A file that marks a folder in which a block was found corrupt after it was opened: the next start puts it aside."""

log = structlog.get_logger("rumbo.store")


class StoreError(InternalError):
    """The state directory cannot be used; the message says why and the cure."""


class InUseError(StoreError):
    """Another worker has the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is in use by another worker; give each worker a state directory of its own (RUMBO__STATE_DIR)"
        )


class Memory:
    """What the stores of one process share: a bound on the rows that are kept in Python, and RocksDB's block cache, a quarter of that.

    RocksDB's compactions get the processor when nobody else wants it, or when a write has to wait for them.
    """

    def __init__(self, cache_mib: int) -> None:
        self.stores, self.recent = 0, cache_mib * MIB
        env = Env()  # the process's own: all of its stores share it
        env.lower_thread_pool_cpu_priority()
        self.cache = Cache(max(cache_mib * MIB // 4, 2 * LEAST_WRITES))
        writes = max(cache_mib * MIB // 8, LEAST_WRITES)
        self.writes = WriteBufferManager.new_write_buffer_manager_with_cache(writes, False, self.cache)

    def options(self) -> Any:
        """RocksDB's options for point reads of small records."""
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self.cache)
        blocks.set_bloom_filter(_BLOOM_BITS, False)
        blocks.set_cache_index_and_filter_blocks(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_manager(self.writes)
        options.set_write_buffer_size(16 * MIB)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(256)
        options.set_keep_log_file_num(2)
        options.set_max_background_jobs(2)
        return options


class Store:
    """The state of one partition. `changelog_next` is the changelog offset after the last record that is in it; `timers` how many customers wait."""

    def __init__(self, db: Any, folder: Path, memory: Memory) -> None:
        self._db, self.folder, self._memory = db, folder, memory
        memory.stores += 1
        found, ahead, timers = db.get([_NEXT_KEY, _AHEAD_KEY, _TIMERS_KEY])
        self.changelog_next = int.from_bytes(found, "big") if found is not None else 0
        self._ahead = int.from_bytes(ahead, "big") if ahead is not None else 0
        self._empty = found is None and ahead is None
        """Whether nothing was ever written: then nothing is looked for on disk."""
        self._scan_from = b"t"
        self._unwritten = Unwritten()
        self._written: dict[bytes, bytes] = {}
        """Profiles that came to disk last, and were not read by one who changes them."""
        self._whole_to = self.changelog_next
        """The changelog offset up to which the disk has everything."""
        self.timers = int.from_bytes(timers, "big") if timers is not None else self._count_timers()
        self._timers_on_disk = self.timers

    @classmethod
    def open(cls, folder: Path, owner: str, memory: Memory) -> Store:
        """Open or make the store of `owner` (app, stage and partition).

        A corrupt one is put aside and an empty one opened, to be rebuilt from the changelog. Raises StoreError for one that
        another process holds, that belongs to another owner, or that a newer version wrote.
        """
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103  Path.mkdir gives parents the default mode
            _unmarked(folder)
            db = Rdict(str(folder), options=memory.options())
            known = db.get([_FORMAT_KEY, _OWNER_KEY])
        except Exception as error:  # noqa: BLE001  rocksdict raises nothing narrower
            return cls._instead(folder, owner, memory, error)
        cls._claim(db, folder, owner, known)
        return cls(db, folder, memory)

    @classmethod
    def _instead(cls, folder: Path, owner: str, memory: Memory, error: Exception) -> Store:
        reason = str(error)
        if "lock hold by" in reason.lower() or "While lock file" in reason:
            raise InUseError(folder) from None
        if isinstance(error, OSError) or "No space left" in reason:
            raise _unusable(folder, reason) from None
        aside = put_aside(folder)
        log.warning(
            "state was corrupt: put aside, rebuilding from the changelog",
            folder=str(folder),
            aside=str(aside),
            reason=reason,
        )
        return cls.open(folder, owner, memory)

    @classmethod
    def _claim(cls, db: Any, folder: Path, owner: str, known: list[bytes | None]) -> None:
        """Whether the store is ours to use; an empty one and one of an earlier format are made so."""
        written, whose = known
        version = int.from_bytes(written, "big") if written is not None else 0
        if version > FORMAT:
            db.close()
            raise StoreError(
                f"{folder} has format {version} and this version reads up to {FORMAT}: a newer version of Rumbo wrote it; run that one, "
                "or remove the folder to rebuild it"
            )
        if whose is not None and whose != owner.encode():
            db.close()
            other = whose.decode(errors="replace")
            raise StoreError(
                f"{folder} holds the state of {other}, not of {owner}: nothing of it was touched; point RUMBO__STATE_DIR elsewhere"
            )
        if version < FORMAT:
            cls._mark(db, folder, owner)
            if version:
                log.info("state of an earlier format: read as it is", folder=str(folder), format=version, now=FORMAT)

    @staticmethod
    def _mark(db: Any, folder: Path, owner: str) -> None:
        """Write whose it is and in which format. Rows of earlier formats stay: they are read as they are, and written anew as they change."""
        batch = WriteBatch(raw_mode=True)
        batch.put(_FORMAT_KEY, FORMAT.to_bytes(4, "big"))
        batch.put(_OWNER_KEY, owner.encode())
        try:
            db.write(batch)
        except Exception as error:  # noqa: BLE001  rocksdict raises nothing narrower
            db.close()
            raise _unusable(folder, str(error)) from None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of these keys, None where there is none."""
        return self._find(keys, self._written.get)

    def take_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As `get_many`, for who writes these rows anew: what memory keeps of them is given up."""
        return self._find(keys, self._written.pop)

    def _find(self, keys: Sequence[bytes], known: Callable[[bytes, None], bytes | None]) -> list[bytes | None]:
        unwritten, found, missing = self._unwritten.rows, list[bytes | None](), list[int]()
        for at, key in enumerate(keys):
            value = unwritten.get(key, _UNKNOWN)
            if value is _UNKNOWN:
                value = known(key, None)
                if value is None:
                    missing.append(at)
            found.append(value)  # type: ignore[arg-type]  # bytes or None
        if missing and not self._empty:
            try:
                read = self._db.get([keys[at] for at in missing])
            except Exception as error:
                raise _unusable(self.folder, str(error)) from error
            for at, value in zip(missing, read, strict=True):
                found[at] = value
        return found

    def position(self) -> bytes | None:
        """The position record last written."""
        return self.get_many([POSITION_KEY])[0]

    @property
    def reaches(self) -> int:
        """The changelog offset after the last record of which something may be in it: a changelog that ends before has lost it."""
        return max(self._ahead, self.changelog_next)

    def write(self, rows: Rows, timers: TimerMoves, changelog_next: int) -> None:
        """Take what a transaction committed: rows (None deletes), timer moves and the changelog's next offset. Seen at once."""
        unwritten, now = self._unwritten, monotonic()
        self.timers += unwritten.take(rows, timers, changelog_next, now)
        self.changelog_next = changelog_next
        allowed, each = self._memory.recent // self._memory.stores, unwritten.each()
        over = len(unwritten.rows) - allowed * 3 // 4 // each
        if count := max(over, unwritten.older(now - FLUSH_SECONDS, AT_ONCE)):
            self._bring(unwritten.first(count))
        self._spare(allowed // each - len(unwritten.rows))

    def flush(self) -> None:
        """Bring to disk what is not there yet."""
        if self._unwritten.waiting:
            self._bring(self._unwritten.first(len(self._unwritten.rows)))

    def _bring(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        """Bring the rows that have waited longest to disk, with their timers."""
        written = self._written
        for key, value in rows:
            if key[0] == _PROFILE:
                if value is None:
                    written.pop(key, None)
                else:
                    written[key] = value
        moves = self._unwritten.moved(rows)
        self._whole_to = max(self._unwritten.forget(rows), self._whole_to)
        self._put(sorted(rows), moves)

    def _spare(self, count: int) -> None:
        """Keep no more than so many profiles that are on disk in memory as well."""
        written = self._written
        for key in list(islice(written, max(len(written) - max(count, 0), 0))):
            del written[key]

    def _put(self, rows: Rows, timers: TimerMoves) -> None:
        """Write rows, timer moves, the count of timers and how far the changelog is in it, all or nothing."""
        self._ahead, self._empty = self.reaches, False
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        for old, new, customer in timers:
            if old != new:
                self._timers_on_disk += (new != NO_TIMER) - (old != NO_TIMER)
                if old != NO_TIMER:
                    delete(b"t" + old + customer)
                if new != NO_TIMER:
                    self._earlier(new)
                    put(b"t" + new + customer, b"")
        put(_TIMERS_KEY, self._timers_on_disk.to_bytes(8, "big"))
        put(_NEXT_KEY, self._whole_to.to_bytes(8, "big"))
        put(_AHEAD_KEY, self._ahead.to_bytes(8, "big"))
        try:
            self._db.write(batch)
        except Exception as error:
            raise _unusable(self.folder, str(error)) from error

    def _earlier(self, due: bytes) -> None:
        """A timer before the place where the scan begins moves that place back."""
        key = b"t" + due
        self._scan_from = min(self._scan_from, key)

    def apply(self, records: Sequence[tuple[bytes, bytes | None]], changelog_next: int) -> None:
        """Take changelog records, keeping the timer index: the last record of a key counts. They come to disk as what is committed does."""
        last = dict(records)
        keys = [key for key in last if key[0] == _PROFILE]
        moves: list[tuple[bytes, bytes, bytes]] = []
        for key, before in zip(keys, self.take_many(keys), strict=True):
            was = before[:DUE_BYTES] if before is not None else NO_TIMER
            now = (last[key] or NO_TIMER)[:DUE_BYTES]
            if was != now:
                moves.append((was, now, key[1:]))
        self.write(last.items(), moves, changelog_next)

    def due(self, upto: Instant, limit: int) -> list[tuple[Instant, bytes]]:
        """The timers due at or before an instant, in due order: (due, customer), at most `limit`."""
        bound = (upto + 1).to_bytes(DUE_BYTES, "big")
        self._bring_timers(self._unwritten.due(bound, limit))
        found = self._scan(bound, limit)
        while stale := self._unwritten.stale(customer for _, customer in found):
            self._bring_timers(stale)
            found = self._scan(bound, limit)
        if found:  # what was before is gone: do not walk over its tombstones again
            self._scan_from = b"t" + found[0][0].to_bytes(DUE_BYTES, "big")
        return found

    def _bring_timers(self, customers: list[bytes]) -> None:
        """Bring these customers' timers to disk before their turn."""
        if customers:
            rows = self._unwritten.profiles(customers)
            self._put(rows, self._unwritten.moved(rows))

    def _scan(self, bound: bytes, limit: int) -> list[tuple[Instant, bytes]]:
        """The timers on disk that are due before the bound."""
        options = ReadOptions()
        options.set_iterate_upper_bound(b"t" + bound)
        cursor = self._db.iter(options)
        cursor.seek(self._scan_from)
        found: list[tuple[Instant, bytes]] = []
        while len(found) < limit and cursor.valid():
            key = cursor.key()
            found.append((int.from_bytes(key[1 : 1 + DUE_BYTES], "big"), key[1 + DUE_BYTES :]))
            cursor.next()
        self._whole(cursor)
        return found

    def under(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Every row whose key begins so, in order."""
        self.flush()
        cursor, found = self._db.iter(ReadOptions()), list[tuple[bytes, bytes]]()
        cursor.seek(prefix)
        while cursor.valid() and (key := cursor.key()).startswith(prefix):
            found.append((key, cursor.value()))
            cursor.next()
        self._whole(cursor)
        return found

    def profiles(self) -> Iterator[tuple[bytes, bytes]]:
        """Every customer and its stored value, for checks. Not for use while others write."""
        self.flush()
        cursor = self._db.iter(ReadOptions())
        cursor.seek(b"p")
        while cursor.valid() and cursor.key()[0] == _PROFILE:
            yield cursor.key()[1:], cursor.value()
            cursor.next()
        self._whole(cursor)

    def _whole(self, cursor: Any) -> None:
        """A cursor ends at a block that it cannot read as it ends at the end. Raises StoreError."""
        try:
            cursor.status()
        except Exception as error:
            raise _unusable(self.folder, str(error)) from error

    def _count_timers(self) -> int:
        """For a store from before they were counted, once."""
        cursor, found = self._db.iter(ReadOptions()), 0
        cursor.seek(b"t")
        while cursor.valid() and cursor.key()[0] == _TIMER:
            found += 1
            cursor.next()
        return found

    @property
    def closed(self) -> bool:
        """Whether the folder was given back."""
        return self._db is None

    def size(self) -> tuple[int, int]:
        """About how many keys and bytes there are, on disk and not yet on disk."""
        ask = self._db.property_int_value
        files, memory = ask("rocksdb.total-sst-files-size") or 0, ask("rocksdb.cur-size-all-mem-tables") or 0
        keys = int(ask("rocksdb.estimate-num-keys") or 0)
        return keys + len(self._unwritten.rows), int(files) + int(memory) + self._unwritten.size()

    def close(self) -> None:
        """Give the folder back. What cannot be brought to disk any more is in the changelog."""
        if self._db is not None:
            try:
                self.flush()
            except StoreError as error:
                log.warning("what was written last is not on disk: it is read from the changelog", reason=str(error))
            self._db.close()
            self._db = None
            self._memory.stores -= 1


def _unmarked(folder: Path) -> None:
    """Raise StoreError for a folder that was marked as damaged."""
    if (folder / _DAMAGED).exists():
        raise StoreError("a corrupt block was found in it")


def _unusable(folder: Path, reason: str) -> StoreError:
    """What a disk's answer means to who reads the log. A corrupt block also marks the folder: RocksDB opens it again as if it were well."""
    if "No space left" in reason:
        return StoreError(
            f"{folder}: no space left on the device; free some and start again (the position is kept, nothing is lost)"
        )
    if "Corruption" in reason:
        with contextlib.suppress(OSError):
            (folder / _DAMAGED).touch()
        return StoreError(f"{folder} is corrupt ({reason}): start again, it is put aside then and rebuilt")
    return StoreError(f"{folder} cannot be used: {reason}")


def put_aside(folder: Path) -> Path:
    """Rename a state folder that cannot be used, so that nothing is lost."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.corrupt-{number}")).exists():
        number += 1
    shutil.move(folder, aside)
    return aside

"""The local state of one partition: one RocksDB, opened and closed by its owner alone, written one atomic batch at a time.

Keys begin with a letter: `p` profiles, `r` their pasts, `j` journals, `m` what the engine notes, `t` the timer index (due instant,
customer), which is local and rebuilt from the profiles' first eight bytes. The store is never ahead of the changelog. It never decides anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from rumbo.core.instant import Instant
from rumbo.core.profile import DUE_BYTES, FORMAT
from rumbo.errors import InternalError

MIB: Final = 1024 * 1024
_FORMAT_KEY: Final = b"mformat"
_OWNER_KEY: Final = b"mowner"
_NEXT_KEY: Final = b"mchangelog"
_TIMERS_KEY: Final = b"mtimers"
POSITION_KEY: Final = b"mposition"
_PROFILE: Final = b"p"[0]
_TIMER: Final = b"t"[0]
_NO_TIMER: Final = bytes(DUE_BYTES)
_BLOOM_BITS: Final = 10
_DAMAGED: Final = "DAMAGED"
"""A file that marks a folder in which a block was found corrupt after it was opened: the next start puts it aside."""

Rows = Iterable[tuple[bytes, bytes | None]]
TimerMoves = Iterable[tuple[bytes, bytes, bytes]]
"""(old due, new due, customer): due instants as eight bytes, zeros for none."""

log = structlog.get_logger("rumbo.store")


class StoreError(InternalError):
    """The state directory cannot be used; the message says why and the cure."""


class Memory:
    """What the stores of one process share: a block cache, a bound on what is not yet on disk, one on what was written last."""

    def __init__(self, cache_mib: int = 64, write_mib: int = 64) -> None:
        self.stores, self.recent = 0, cache_mib * MIB // 2
        self.cache = Cache(cache_mib * MIB)
        self.writes = WriteBufferManager.new_write_buffer_manager_with_cache(write_mib * MIB, False, self.cache)

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
    """The state of one partition. `changelog_next` is the changelog offset after the last record that is in it."""

    def __init__(self, db: Any, folder: Path, memory: Memory) -> None:
        self._db, self.folder, self._memory = db, folder, memory
        memory.stores += 1
        found, timers = db.get([_NEXT_KEY, _TIMERS_KEY])
        self.changelog_next = int.from_bytes(found, "big") if found is not None else 0
        self._scan_from = b"t"
        self.timers = int.from_bytes(timers, "big") if timers is not None else self._count_timers()
        """Customers in the timer index."""

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
            raise StoreError(
                f"{folder} is in use by another worker; give each worker a state directory of its own"
            ) from None
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
                f"{folder} holds the state of {other}, not of {owner}; point the state directory elsewhere"
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
        try:
            found: list[bytes | None] = self._db.get(list(keys))
        except Exception as error:
            raise _unusable(self.folder, str(error)) from error
        return found

    def position(self) -> bytes | None:
        """The position record last written."""
        return self.get_many([POSITION_KEY])[0]

    def write(self, rows: Rows, timers: TimerMoves, changelog_next: int) -> None:
        """Write rows (None deletes), timer moves and the changelog's next offset, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        waiting = self.timers
        for old, new, customer in timers:
            if old != new:
                if old != _NO_TIMER:
                    waiting -= 1
                    delete(b"t" + old + customer)
                if new != _NO_TIMER:
                    waiting += 1
                    self._earlier(new)
                    put(b"t" + new + customer, b"")
        if waiting != self.timers:
            put(_TIMERS_KEY, waiting.to_bytes(8, "big"))
        put(_NEXT_KEY, changelog_next.to_bytes(8, "big"))
        try:
            self._db.write(batch)
        except Exception as error:
            raise _unusable(self.folder, str(error)) from error
        self.changelog_next, self.timers = changelog_next, waiting

    def _earlier(self, due: bytes) -> None:
        """A timer before the place where the scan begins moves that place back."""
        key = b"t" + due
        self._scan_from = min(self._scan_from, key)

    def apply(self, records: Sequence[tuple[bytes, bytes | None]], changelog_next: int) -> None:
        """Write changelog records, keeping the timer index: the last record of a key counts."""
        last = dict(records)
        keys = [key for key in last if key[0] == _PROFILE]
        old = self.get_many(keys) if self.changelog_next else [None] * len(keys)
        moves = [
            (before[:DUE_BYTES] if before is not None else _NO_TIMER, (last[key] or _NO_TIMER)[:DUE_BYTES], key[1:])
            for key, before in zip(keys, old, strict=True)
        ]
        self.write(last.items(), moves, changelog_next)

    def due(self, upto: Instant, limit: int) -> list[tuple[Instant, bytes]]:
        """The timers due at or before an instant, in due order: (due, customer), at most `limit`."""
        options = ReadOptions()
        options.set_iterate_upper_bound(b"t" + (upto + 1).to_bytes(DUE_BYTES, "big"))
        cursor = self._db.iter(options)
        cursor.seek(self._scan_from)
        found: list[tuple[Instant, bytes]] = []
        while len(found) < limit and cursor.valid():
            key = cursor.key()
            found.append((int.from_bytes(key[1 : 1 + DUE_BYTES], "big"), key[1 + DUE_BYTES :]))
            cursor.next()
        self._whole(cursor)
        if found:  # what was before is gone: do not walk over its tombstones again
            self._scan_from = b"t" + found[0][0].to_bytes(DUE_BYTES, "big")
        return found

    def under(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Every row whose key begins so, in order."""
        cursor, found = self._db.iter(ReadOptions()), list[tuple[bytes, bytes]]()
        cursor.seek(prefix)
        while cursor.valid() and (key := cursor.key()).startswith(prefix):
            found.append((key, cursor.value()))
            cursor.next()
        self._whole(cursor)
        return found

    def profiles(self) -> Iterator[tuple[bytes, bytes]]:
        """Every customer and its stored value, for checks. Not for use while others write."""
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
    def recent(self) -> int:
        """This store's share of the bytes that may be kept in Python of what was written last."""
        return self._memory.recent // self._memory.stores

    @property
    def closed(self) -> bool:
        """Whether the folder was given back."""
        return self._db is None

    def size(self) -> tuple[int, int]:
        """About how many keys and bytes there are, on disk and not yet on disk."""
        ask = self._db.property_int_value
        files, memory = ask("rocksdb.total-sst-files-size") or 0, ask("rocksdb.cur-size-all-mem-tables") or 0
        return int(ask("rocksdb.estimate-num-keys") or 0), int(files) + int(memory)

    def close(self) -> None:
        """Give the folder back."""
        if self._db is not None:
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

"""Decisions outside of Kafka, each of them once: a SQLite file that knows each by its id, and how far each partition was read.

What was read and where it ends are written in one transaction of the database, so that a reader that dies reads again from where the file is, and what comes
again, for whatever reason, is dropped by its id. It knows no Kafka and decides nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from rumbo.errors import DefinitionError, InternalError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS owner (topology TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (topic TEXT, number INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, time TEXT NOT NULL, customer TEXT NOT NULL, journey TEXT, retracts TEXT, data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_customer ON decisions (customer, time);
CREATE INDEX IF NOT EXISTS by_retracted ON decisions (retracts) WHERE retracts IS NOT NULL;
CREATE VIEW IF NOT EXISTS standing AS
SELECT id, type, time, customer, journey, data FROM decisions AS made
WHERE retracts IS NULL AND NOT EXISTS (
  SELECT 1 FROM decisions AS withdrawal WHERE withdrawal.retracts = made.id
  AND NOT EXISTS (SELECT 1 FROM decisions AS again WHERE again.retracts = withdrawal.id)
);
"""
"""`standing`: what was decided and not withdrawn, by a withdrawal that was not withdrawn itself."""


class Read(NamedTuple):
    """A record of an output topic."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Taken(NamedTuple):
    """What some records came to: decisions that are new, that were there already, and records that are no decisions."""

    new: int = 0
    again: int = 0
    foreign: int = 0

    def and_then(self, more: Taken) -> Taken:
        """Both together."""
        return Taken(*map(sum, zip(self, more, strict=True)))


class _Event(msgspec.Struct):
    """What is read of a structured CloudEvent."""

    specversion: str
    id: str
    type: str
    time: str
    subject: str
    data: msgspec.Raw


class _Said(msgspec.Struct):
    """What is read of its data."""

    journey: str | None = None
    retracts: str | None = None


_structured: Final = msgspec.json.Decoder(_Event).decode
_said: Final = msgspec.json.Decoder(_Said).decode


class Sink:
    """The file of one topology. Raises DefinitionError for a file that is no such database, or another topology's."""

    def __init__(self, path: Path, topology: str) -> None:
        self._path, why = path, ""
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            # what a lost machine forgets is read again: rows and positions go together
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            owner = self._database.execute("SELECT topology FROM owner").fetchone()
            if owner is None:
                self._database.execute("INSERT INTO owner VALUES (?)", (topology,))
            elif owner[0] != topology:
                why = f"it holds the decisions of {owner[0]}, not of {topology}: name another file"
        except sqlite3.Error as error:
            self._database.close()
            raise _unusable(path, error) from None
        if why:
            self._database.close()
            raise DefinitionError(str(path), [why])

    def next_of(self, topic: str, partition: int) -> int | None:
        """Where a partition is to be read on; None where it never was."""
        found = self._database.execute("SELECT next FROM positions WHERE topic = ? AND number = ?", (topic, partition))
        row = found.fetchone()
        return int(row[0]) if row is not None else None

    def take(self, records: Iterable[Read], ends: Mapping[tuple[str, int], int]) -> Taken:
        """Write decisions that are not there yet, and where their partitions were read to, all or nothing. Raises InternalError where the disk refuses."""
        read, execute, many = [_row(each) for each in records], self._database.execute, self._database.executemany
        rows = [each for each in read if each is not None]
        try:
            execute("BEGIN IMMEDIATE")
            new = many("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", rows).rowcount if rows else 0
            many("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", [(*place, end) for place, end in ends.items()])
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise InternalError(f"{self._path}: {error}; nothing of these records was written: start again") from error
        return Taken(new, len(rows) - new, len(read) - len(rows))

    def withdrawn(self) -> int:
        """How many decisions do not stand any more."""
        query = "SELECT (SELECT count(*) FROM decisions WHERE retracts IS NULL) - (SELECT count(*) FROM standing)"
        return int(self._database.execute(query).fetchone()[0])

    def close(self) -> None:
        """Give the file back."""
        self._database.close()


def _unusable(path: Path, error: sqlite3.Error) -> DefinitionError:
    return DefinitionError(str(path), [f"it cannot be used as a SQLite file ({error}): name another one"])


def _row(record: Read) -> tuple[str, str, str, str, str | None, str | None, str] | None:
    """The row of a decision, structured or binary; None for a record that is none."""
    try:
        event = _event(record)
        said = _said(event.data)
    except (KeyError, msgspec.MsgspecError):
        return None
    return event.id, event.type, event.time, event.subject, said.journey, said.retracts, bytes(event.data).decode()


def _event(record: Read) -> _Event:
    """Raises KeyError or msgspec.MsgspecError for a record that is none."""
    value = record.value or b""
    try:
        return _structured(value)
    except msgspec.MsgspecError:
        said = {name: text.decode(errors="replace") for name, text in record.headers if name.startswith("ce_")}
    return _Event("1.0", said["ce_id"], said["ce_type"], said["ce_time"], said["ce_subject"], msgspec.Raw(value))

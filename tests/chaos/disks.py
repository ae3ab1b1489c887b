"""Faults of disks: full, corrupt, foreign, gone, restored from an old backup."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rumbo.core.profile import FORMAT
from rumbo.engine.store import Memory, Store
from tests.broker.bench import PARTITIONS
from tests.chaos.oracle import Verdict, owner
from tests.chaos.round import Round

SMALL = "48m"


@contextmanager
def small_disk(folder: Path, size: str = SMALL) -> Iterator[None]:
    """A file system of its own under a folder (needs root)."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take every free byte."""
    target = folder / "filler"
    with target.open("wb") as out:
        try:
            while True:
                out.write(bytes(64 * 1024))
                out.flush()
        except OSError:
            return target


def disk_full(run: Round) -> Verdict:
    """F5: the state's file system is full. The worker ends with a sentence and a code, the position stays; with space it goes on."""
    with small_disk(run.state("one")):
        run.traffic.start()
        for _ in range(3):
            run.work()
            filler = fill(run.state("one"))
            worker = run.workers.pop("one")
            assert worker.wait(60) == 70, worker.log.read_text()[-300:]
            said = worker.log.read_text()
            assert "no space left" in said, said[-300:]
            filler.unlink()
            run.faults += 1
        run.work()
        return run.finish()


def one(folder: Path, pattern: str) -> Path:
    """One file of a store."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_size)


def _gone(folder: Path) -> None:
    (folder / "CURRENT").unlink()


def _nowhere(folder: Path) -> None:
    (folder / "CURRENT").write_text("MANIFEST-999999\n")


def _manifest_cut(folder: Path) -> None:
    path = one(folder, "MANIFEST-*")
    path.write_bytes(path.read_bytes()[:20])


def _manifest_flipped(folder: Path) -> None:
    path = one(folder, "MANIFEST-*")
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def _log_cut(folder: Path) -> None:
    path = one(folder, "*.log")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _table_flipped(folder: Path) -> None:
    path = one(folder, "*.sst")
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 4, len(data) // 2)
    data[middle] = bytes(byte ^ 0xFF for byte in data[middle])
    path.write_bytes(bytes(data))


def _table_cut(folder: Path) -> None:
    path = one(folder, "*.sst")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _stale_lock(folder: Path) -> None:
    (folder / "LOCK").write_text("4711")


DAMAGES = (_gone, _nowhere, _manifest_cut, _manifest_flipped, _log_cut, _table_flipped, _table_cut, _stale_lock)


def corrupt(run: Round) -> Verdict:
    """F6: files of a store cut, flipped or deleted: put aside and rebuilt, never an empty state; another app's or a newer one: refused."""
    run.expected = "is corrupt"  # RocksDB may meet a damage only when a store closes
    run.traffic.start()
    run.start()
    run.up()
    run.go_on(2)
    for damage in run.chance.sample(DAMAGES, len(DAMAGES)):
        run.end()  # closes its stores, so that there are tables as well as logs
        run.work()
        run.workers.pop("one").kill()
        damage(_store(run, run.chance.randrange(PARTITIONS)))
        run.faults += 1
        run.work()
    for spoil, says in ((_foreign, "holds the state of"), (_newer, "newer version of Rumbo")):
        run.end()
        folder = _store(run, run.chance.randrange(PARTITIONS))
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept)
        spoil(run, folder)
        worker = run.start()
        assert worker.wait(60) == 70, worker.log.read_text()[-300:]
        assert says in worker.log.read_text()
        shutil.rmtree(folder)
        kept.rename(folder)
        run.faults += 1
        run.start()
        run.up()
    run.moves()
    return run.finish()


def _store(run: Round, number: int) -> Path:
    return run.state("one") / run.bench.topology.name / f"profiles-{number}"


def _rewritten(run: Round, folder: Path, key: bytes, value: bytes) -> None:
    number = int(folder.name.rsplit("-", 1)[1])
    store = Store.open(folder, owner(run.bench, number), Memory(8))
    store.write([(key, value)], [], store.changelog_next)
    store.close()


def _foreign(run: Round, folder: Path) -> None:
    _rewritten(run, folder, b"mowner", b"another/profiles/0/4")


def _newer(run: Round, folder: Path) -> None:
    _rewritten(run, folder, b"mformat", struct.pack(">I", FORMAT + 1))


CHANGES = ("wiped", "backup", "ahead", "wiped", "backup")


def disk_of_another_time(run: Round, changes: Sequence[str] = CHANGES) -> Verdict:
    """F6b: the state directory is deleted; an old backup is restored; the state is ahead of its changelog."""
    run.traffic.start()
    run.start()
    run.up()
    run.go_on(1)
    backup = run.folder / "backup"
    for change in changes:
        run.kill()
        state = run.state("one")
        if not backup.exists():
            shutil.copytree(state, backup)
        if change == "wiped":
            run.wipe("one")
        elif change == "backup":
            run.wipe("one")
            shutil.copytree(backup, state)
        else:
            folder = _store(run, run.chance.randrange(PARTITIONS))
            store = Store.open(folder, owner(run.bench, int(folder.name[-1])), Memory(8))
            store.write([], [], store.changelog_next + 1_000_000)
            store.close()
        run.work()
    return run.finish()

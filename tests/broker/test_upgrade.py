"""State of an earlier format: read as it is, gone on from by two workers that are restarted one after the other, written in today's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.generate import generate, murmur2
from rumbo.core import profile as profiles
from rumbo.core.profile import DUE_BYTES, FORMAT
from rumbo.engine import position as record
from rumbo.engine.broker import changelog_of
from rumbo.engine.store import POSITION_KEY
from rumbo.intake import Record
from rumbo.local import Local
from tests.broker import kept
from tests.broker.bench import PARTITIONS, Bench, positions
from tests.broker.test_exactly_once import normal
from tests.conftest import long

pytestmark = pytest.mark.broker
FORMATS = sorted((Path(__file__).parent / "formats").glob("*.tar.gz"))
HALF = 200


def test_every_earlier_format_is_kept():
    """A new format comes with what the last one wrote: `git show LAST:src`, then `python -m tests.broker.kept`."""
    assert [int(path.name.split(".")[0]) for path in FORMATS] == list(range(1, FORMAT))


@pytest.mark.parametrize("path", [*long(*FORMATS[:-1]), FORMATS[-1]], ids=lambda path: f"format {path.name[0]}")
def test_two_workers_are_upgraded_one_after_the_other(bootstrap, tmp_path, path):
    """Nothing is rebuilt, nothing is lost; what comes then is decided as if this version had written the state."""
    names = kept.topics(_bench(bootstrap, tmp_path / "names", create=False))
    kept.forget(bootstrap, names)
    bench = _bench(bootstrap, tmp_path / "bench")
    try:
        kept.play_back(bench, path, tmp_path / "bench" / "state-one", tmp_path / "bench" / "state-two")
        before = {each.key: each.value for each in bench.read(changelog_of(bench.topology)) if each.key[:1] == b"p"}
        decided = {each["id"] for each in bench.decisions()}
        local = continued(bench, before)
        records = [
            each._replace(value=each.value.replace(b'"m-', b'"n-'))
            for each in generate(2 * HALF, customers=80, seed=72)
        ]
        for each in records:
            decided |= {
                made.id
                for made in local.send(Record(bench.source, each.partition, 0, each.time_ms, each.key, each.value))
            }
        workers = [bench.worker("one"), bench.worker("two")]
        workers[0].until(lambda: all(each.owns(2) for each in workers))
        for number, part in enumerate((records[:HALF], records[HALF:])):
            bench.produce((each.partition, each.key, each.value) for each in part)
            assert workers[number].end() == 0
            workers[number] = bench.worker(("one", "two")[number])
            workers[0].until(lambda: all(each.owns(2) for each in workers))
        workers[0].until(lambda: positions(bench) == kept.EVENTS + 2 * HALF)
        logs = "".join(path.read_text() for path in (tmp_path / "bench").glob("*.log"))
        assert "state of an earlier format" in logs
        rebuilt = [line for line in logs.splitlines() if '"recovered"' in line and json.loads(line)["records"] > 150]
        assert rebuilt == [], "the old state was not read but rebuilt"
        written = [each["id"] for each in bench.decisions()]
        assert len(written) == len(set(written))
        assert set(written) == decided
        changelog = {each.key: each.value for each in bench.read(changelog_of(bench.topology))}
        assert record.load(changelog[POSITION_KEY]).format == FORMAT
        found = {key[1:]: value for key, value in changelog.items() if key[:1] == b"p"}
        assert normal(found) == normal({name.encode(): profiles.stored(each) for name, each in local.profiles.items()})
    finally:
        bench.stop()


def _bench(bootstrap, folder, **options):
    folder.mkdir()
    return Bench(bootstrap, folder, "benchmark", mark=kept.MARK, **options)


def continued(bench, rows):
    """The core, with profiles that an earlier version wrote."""
    local = Local(bench.topology)
    for key, value in rows.items():
        name = key[1:].decode()
        here = local._partition(murmur2(key[1:]) % PARTITIONS)
        here.profiles[name] = local.program.load(name, value[DUE_BYTES:])
    return local

"""A whole topology as it stood, kept in a file: every topic with its offsets, and the state directory. By it each format can be read later.

    python -m tests.broker.kept FILE        with the version whose format is to be kept

It holds the tests' generated events only.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
from base64 import b64decode, b64encode
from itertools import groupby
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import UnknownTopicOrPartitionError

from benchmarks.generate import generate
from rumbo.engine.broker import needed
from tests.broker.bench import PARTITIONS, Bench
from tests.broker.cluster import Cluster

MARK = "kept"
"""The topics' names are in the state: they are the same when it is played back."""
EVENTS, CUSTOMERS = 240, 60
IN_THE_WAY = ("LOG", "LOCK", "OPTIONS", "lock")
"""Files that RocksDB makes anew."""


def topics(bench: Bench) -> list[str]:
    """Every topic of the topology."""
    return [each.name for each in needed(bench.topology, PARTITIONS)]


def _bytes(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def dump(bench: Bench, state: Path) -> bytes:
    """Everything, as one archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        lines = [
            json.dumps({
                "topic": topic, "partition": each.partition, "offset": each.offset, "timestamp": each.timestamp, "key": _bytes(each.key),
                "value": _bytes(each.value), "headers": [(name, _bytes(value)) for name, value in each.headers],
            })
            for topic in topics(bench)
            for each in bench.read(topic)
        ]  # fmt: skip
        said = "\n".join(lines).encode()
        entry = tarfile.TarInfo("topics.jsonl")
        entry.size = len(said)
        archive.addfile(entry, io.BytesIO(said))
        for path in sorted(state.rglob("*")):
            if path.is_file() and not path.name.startswith(IN_THE_WAY) and "profiles-" in path.parent.name:
                archive.add(path, f"state/{path.relative_to(state)}")
    return gzip.compress(gzip.decompress(out.getvalue()), 9, mtime=0)


def forget(bootstrap: str, names: list[str]) -> None:
    """Delete topics that an earlier run has left on a broker of many runs, and see them gone: they are made anew in a moment."""
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    for name in names:
        try:
            client.delete_topics([name])
        except UnknownTopicOrPartitionError:
            continue
    while set(names) & set(client.list_topics()):
        continue
    client.close()


def play_back(bench: Bench, kept: Path, *states: Path) -> None:
    """Write every record to the offset where it was, and give each worker the state directory."""
    with tarfile.open(kept) as archive:
        file = archive.extractfile("topics.jsonl")
        assert file is not None
        records = [json.loads(line) for line in file]
        for member in (each for each in archive.getmembers() if each.name.startswith("state/")):
            data = archive.extractfile(member)
            assert data is not None
            content = data.read()
            for state in states:
                target = state / member.name.removeprefix("state/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    plain = KafkaProducer(bootstrap_servers=bench.bootstrap, linger_ms=5)
    of_transactions = KafkaProducer(bootstrap_servers=bench.bootstrap, transactional_id="kept", linger_ms=5)
    of_transactions.init_transactions()
    for (topic, _), found in groupby(records, key=lambda each: (each["topic"], each["partition"])):
        if topic in {bench.source, bench.topology.outputs.control}:
            for each in found:
                _send(plain, each)
        else:
            _in_transactions(of_transactions, list(found))
    plain.close()
    of_transactions.close()


def _in_transactions(producer: Any, records: list[dict[str, Any]]) -> None:
    """The end of a transaction takes an offset: where one is missing, one ended."""
    for _, run in groupby(enumerate(records), key=lambda pair: pair[1]["offset"] - pair[0]):
        producer.begin_transaction()
        for _, each in run:
            _send(producer, each)
        producer.commit_transaction()


def _send(producer: Any, each: dict[str, Any]) -> None:
    def raw(value: str | None) -> bytes | None:
        return None if value is None else b64decode(value)

    sent = producer.send(
        each["topic"], key=raw(each["key"]), value=raw(each["value"]), partition=each["partition"], timestamp_ms=each["timestamp"],
        headers=[(name, raw(value)) for name, value in each["headers"]],
    )  # fmt: skip
    producer.flush()
    assert sent.get(10).offset == each["offset"], "the topic was not empty"


def main() -> None:
    """Keep what this version writes."""
    with tempfile.TemporaryDirectory() as made, Cluster(Path(made) / "kafka") as cluster:
        bench = Bench(cluster.bootstrap, Path(made), "benchmark", mark=MARK)
        try:
            bench.produce(
                (each.partition, each.key, each.value) for each in generate(EVENTS, customers=CUSTOMERS, seed=71)
            )
            worker = bench.worker()
            worker.until(lambda: worker.owns() and worker.metric("rumbo_events_received_total") == EVENTS)
            worker.until(lambda: worker.metric("rumbo_consumer_lag_records") == 0)
            assert worker.end() == 0
            Path(sys.argv[1]).write_bytes(dump(bench, worker.state))
        finally:
            bench.stop()


if __name__ == "__main__":
    main()

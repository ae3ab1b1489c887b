"""The whole core against an independent implementation: the benchmark job in sixty lines of plain Python."""

from __future__ import annotations

import pytest

from benchmarks.compare import compare, from_cloudevent
from benchmarks.generate import PARTITIONS, generate
from benchmarks.reference import Reference
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.output import Encoder
from rumbo.topology import load


@pytest.mark.parametrize("skewed", [False, True])
def test_the_job_gives_what_plain_python_gives(skewed):
    """Same decisions, same scores, same dead letters: nothing missing, nothing extra, nothing twice."""
    topology, reference = load("topologies/benchmark"), Reference()
    local, encode = Local(topology), Encoder(topology.outputs).value
    offsets, written = [0] * PARTITIONS, []
    for made in generate(20_000, skewed=skewed, seed=7):
        record = Record("benchmark-input", made.partition, offsets[made.partition], made.time_ms, made.key, made.value)
        offsets[made.partition] += 1
        written += [encode(decision) for decision in local.send(record)]
        reference.feed(made.value)
    rejected = sum(count for name, count in local.counts.items() if name.startswith("rejected."))
    outputs = [output for output in map(from_cloudevent, written) if output is not None]
    found = compare(reference, outputs, rejected)
    expected = found.pop("expected")
    assert expected > 2_000
    assert found == dict.fromkeys(found, 0)
    assert local.program.stats["duplicate"] == reference.repeats

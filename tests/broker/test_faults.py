"""A short, seeded part of the fault catalogue, judged by its oracle: the whole is `make chaos`."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.broker.cluster import Cluster, available
from tests.chaos import brokers, disks, inputs, workers
from tests.chaos.round import Round
from tests.conftest import NO_KAFKA

pytestmark = [pytest.mark.broker, pytest.mark.long, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A broker that may be killed."""
    why = available()
    if why is not None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a real Kafka for the broker tests: {why}")
        pytest.skip(f"{NO_KAFKA}{why}")
    with Cluster(tmp_path_factory.mktemp("own")) as made:
        yield made


@pytest.mark.parametrize(
    "play",
    [
        partial(workers.storm, changes=4),
        partial(disks.disk_of_another_time, changes=("wiped",)),
        brokers.bounced,
        partial(inputs.poison, kills=1),
        brokers.no_progress,
        brokers.told_to_end_in_silence,
    ],
    ids=[
        "a rebalance storm",
        "a wiped directory",
        "a broker bounce",
        "the poison set",
        "the watchdog",
        "an end in silence",
    ],
)
def test_the_promise_holds_under(cluster, tmp_path, play):
    """Every figure of the oracle is 0."""
    run = Round(cluster, tmp_path, seed=7)
    try:
        verdict = play(run)
    finally:
        run.stop()
    assert run.faults > 0
    assert verdict.decisions > 100
    assert verdict.holds, verdict.said

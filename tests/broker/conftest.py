"""What the broker tests share."""

from __future__ import annotations

import os

import pytest

from tests.broker.bench import Bench
from tests.broker.cluster import available
from tests.broker.secure import PASSWORDS, Secured, secure_cluster


@pytest.fixture
def world(bootstrap, tmp_path):
    """Makes benches, and ends their workers whatever happens."""
    made = []

    def make(template, **options):
        made.append(Bench(bootstrap, tmp_path, template, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.stop()


@pytest.fixture(scope="session")
def secured(tmp_path_factory, tool):
    tool("openssl")
    if why := available():
        pytest.fail(f"CI needs a real Kafka: {why}") if os.environ.get("CI") else pytest.skip(f"no Kafka: {why}")
    folder = tmp_path_factory.mktemp("secure")
    with secure_cluster(folder, PASSWORDS, names="IP:127.0.0.1") as cluster:
        yield Secured(cluster, folder)

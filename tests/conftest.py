"""What the tests share: the order (quick ones first), and a real Kafka, found or started once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.broker.cluster import Cluster, available

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_unavailable: list[str] = []


def pytest_collection_modifyitems(items):
    """Quick tests first."""
    items.sort(key=lambda item: "broker" in item.keywords)


def _docker() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory) -> Iterator[str]:
    """Bootstrap servers: RUMBO_TEST_BROKER, else Docker, else Java. With none: skipped and said; in CI that is a failure."""
    given = os.environ.get("RUMBO_TEST_BROKER")
    if given:
        yield given
        return
    if _docker():
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer("apache/kafka:4.1.1").with_kraft() as container:
            yield container.get_bootstrap_server()
        return
    why = available()
    if why is not None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a real Kafka for the broker tests: {why}")
        _unavailable.append(why)
        pytest.skip(f"no Kafka: {why}")
    with Cluster(Path(tmp_path_factory.mktemp("kafka"))) as cluster:
        yield cluster.bootstrap


def pytest_terminal_summary(terminalreporter):
    """One plain line when the broker tests could not run."""
    if _unavailable:
        terminalreporter.write_line(
            f"BROKER TESTS SKIPPED: {_unavailable[0]} (set RUMBO_TEST_BROKER, or install Docker, or Java and Maven)"
        )

"""What the tests share: the order (quick ones first), and a real Kafka, found or started once a session."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from tests.broker.cluster import Cluster, available

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

NO_KAFKA = "no Kafka: "
DEAR = {
    "demo/test_year.py": "year",
    "broker/test_rights.py": "secure",
    "broker/test_canary.py": "secure",
    "broker/test_upgrade.py": "upgrade",
    "docs/test_site.py": "site",
    "output/test_output.py": "decisions",
    "topology/test_load.py": "hostile",
}
"""Files whose tests share something dear: a year that was played, a broker of their own, names of topics, a site that was built, the decisions of every topology, the costs of files."""
NO_TOOL = "not installed here: "


def long(*cases):
    """Cases of a parametrised test that `make test-long` runs, and `make test` does not."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long) for case in cases]


def pytest_collection_modifyitems(items):
    """Quick tests first."""
    items.sort(key=lambda item: "broker" in item.keywords)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadgroup` the tests of a file that shares something dear stay in one process (pytest 9.2 no longer reads xdist's marks)."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return next((shared for name, shared in DEAR.items() if file.endswith(name)), nodeid)

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def tool():
    """Finds a programme that a test needs; without it the test is skipped and said, in CI that is a failure."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            if os.environ.get("CI"):
                pytest.fail(f"CI needs {name}")
            pytest.skip(f"{NO_TOOL}{name}")
        return found

    return find


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
        pytest.skip(f"{NO_KAFKA}{why}")
    folder = tmp_path_factory.mktemp("kafka")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with Cluster(folder) as cluster:
            yield cluster.bootstrap
        return
    yield from shared(tmp_path_factory.getbasetemp().parent, folder)


def shared(place: Path, folder: Path) -> Iterator[str]:
    """One broker for all processes of a run: the first that needs it starts it, and ends it when the others need it no more."""
    me = str(os.getpid())
    with _users(place) as users:
        cluster = None if users else Cluster(folder).__enter__()
        users[me] = cluster.bootstrap if cluster is not None else next(iter(users.values()))
        bootstrap = users[me]
    yield bootstrap
    while True:
        with _users(place) as users:
            if cluster is None or not users.keys() - {me}:
                users.pop(me, None)
                break
        time.sleep(0.1)  # polling other processes, not waiting for a guess
    if cluster is not None:
        cluster.stop()


@contextmanager
def _users(place: Path) -> Iterator[dict[str, str]]:
    """The processes that use the broker (by id, those that live), and where it is; nobody else sees them meanwhile."""
    with (place / "kafka.users").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = dict(line.split() for line in file)
        users = {process: bootstrap for process, bootstrap in users.items() if Path("/proc", process).exists()}
        yield users
        file.truncate(0)
        file.writelines(f"{process} {bootstrap}\n" for process, bootstrap in users.items())


def pytest_terminal_summary(terminalreporter):
    """One plain line when the broker tests could not run (told by the reports: the tests run in processes of their own)."""
    said = [each.longrepr[2] for each in terminalreporter.stats.get("skipped", ()) if isinstance(each.longrepr, tuple)]
    why = next((reason.partition(NO_KAFKA)[2] for reason in said if NO_KAFKA in reason), None)
    if why is not None:
        terminalreporter.write_line(
            f"BROKER TESTS SKIPPED: {why} (set RUMBO_TEST_BROKER, or install Docker, or Java and Maven)"
        )
    missing = sorted({reason.partition(NO_TOOL)[2] for reason in said if NO_TOOL in reason})
    if missing:
        terminalreporter.write_line(
            f"SKIPPED FOR WANT OF {', '.join(missing)} (Debian: apt-get install --no-install-recommends prometheus openssl chromium chromium-driver)"
        )

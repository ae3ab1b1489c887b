"""A Kafka that allows nothing by itself, over TLS with logins: a worker runs with the rights that `rumbo acls` names, and needs each."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest
from kafka.admin import ACLFilter, ResourcePatternFilter

from benchmarks.generate import generate
from rumbo.config import settings
from rumbo.engine.admin import acls, admin, check_rights, grant
from rumbo.engine.broker import Broker
from rumbo.engine.rights import rights
from rumbo.errors import BrokerError, DefinitionError
from tests.broker.bench import PARTITIONS, ROOT, Bench
from tests.broker.secure import PASSWORDS

pytestmark = pytest.mark.broker
EVENTS = 400
WORKER = "User:worker"


@pytest.fixture(scope="module")
def bench(secured, tmp_path_factory):
    """A topology with a keyed and a raw source, so that every kind of right is needed; its topics are made by somebody who may."""
    raw = "sources:\n  - {topic: raw-events, key: any}"
    made = Bench(
        secured.cluster.bootstrap, tmp_path_factory.mktemp("bench"), "benchmark", known=secured.known("admin"),
        edit=lambda text: text.replace("sources:", raw).replace("raw-events", "benchmark-raw"),
    )  # fmt: skip
    grant(rights(made.topology), WORKER, made.settings)
    yield made
    made.stop()


def run(secured, bench, name="worker", **otherwise):
    """`rumbo run`, to its end."""
    command = [
        sys.executable, "-m", "rumbo.cli", "run", str(bench.topology_folder),
        "--state-dir", str(bench.folder / "state-run"), "--web-port", "0",
    ]  # fmt: skip
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={**os.environ, **secured.environment(name, **otherwise)},
    )  # fmt: skip


def test_a_worker_runs_with_exactly_these_rights(secured, bench):
    """Both stages, decisions, dead letters, and a recovery: nothing is denied; and what is granted is used, but for outputs never written to."""
    records = list(generate(EVENTS, seed=5))
    bench.source = bench.topology.sources[0].topic
    bench.produce((each.partition, None, each.value) for each in records)
    bench.produce([(0, b"k", b"{broken")])
    bench.source = bench.topology.sources[1].topic
    bench.produce((each.partition, each.key, each.value) for each in records)
    worker = bench.worker("one", **secured.environment("worker"))
    worker.until(lambda: (worker.metric("rumbo_events_received_total") or 0) >= 3 * EVENTS)
    worker.until(lambda: worker.metric("rumbo_consumer_lag_records") == 0)
    assert worker.end() == 0
    assert bench.decisions()
    heir = bench.worker("two", **secured.environment("worker"))  # its directory is empty: it must read the changelog
    heir.until(heir.owns)
    assert heir.end() == 0
    told = secured.told()
    assert {each for each in told if each[0] != "Allowed"} == set()
    used = {(operation, name) for _, operation, _, name in told}
    written = {topic for topic in bench.topology.outputs.decisions if ("WRITE", topic) in used}
    assert written
    for each in rights(bench.topology):
        for operation in each.operations:
            wire = "DESCRIBE_CONFIGS" if operation == "DescribeConfigs" else operation.upper()
            names = {name for found, name in used if found == wire}
            idle = each.role in {"output", "dead letters"} and wire == "WRITE" and each.name not in written
            assert idle or any(name.startswith(each.name) if each.prefixed else name == each.name for name in names), (
                each
            )


def without(secured, acl):
    """Take one right away."""
    pattern = acl.resource_pattern
    kept = ResourcePatternFilter(pattern.resource_type, pattern.resource_name, pattern.pattern_type)
    with admin(secured.known("admin")) as client:
        client.delete_acls([ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, kept)])


def refused(bench, known, seconds=10):
    """The problems that a start meets, once the broker has heard of the change."""
    until = time.monotonic() + seconds
    while True:
        try:
            check_rights(bench.topology, known)
        except DefinitionError as error:
            return error.problems
        assert time.monotonic() < until, "nothing is missing"


def test_without_any_one_of_them_it_says_which(secured, bench):
    """Each right alone is missed by name, and by nothing else; given back, all is well again."""
    known, granted = secured.known("worker"), acls(rights(bench.topology), WORKER)
    names = {"READ": "Read", "WRITE": "Write", "DESCRIBE_CONFIGS": "DescribeConfigs"}
    for acl in granted:
        without(secured, acl)
        first, *others = refused(bench, known)
        assert acl.resource_pattern.resource_name in first
        assert names[acl.operation.name] in first
        assert others == [f"grant them: `rumbo acls TOPOLOGY --principal {WORKER}` prints how"]
        grant(rights(bench.topology), WORKER, secured.known("admin"))
    check_rights(bench.topology, known)


@pytest.mark.parametrize("resource", ["GROUP", "TRANSACTIONAL_ID"])
def test_a_worker_without_a_right_does_not_start(secured, bench, resource):
    """One message, exit code 78, nothing joined."""
    acl = next(
        each for each in acls(rights(bench.topology), WORKER) if each.resource_pattern.resource_type.name == resource
    )
    without(secured, acl)
    done = run(secured, bench)
    grant(rights(bench.topology), WORKER, secured.known("admin"))
    assert done.returncode == 78
    assert f"{WORKER} lacks rights on" in done.stderr
    assert acl.resource_pattern.resource_name in done.stderr
    assert "Traceback" not in done.stderr


def test_only_who_may_can_grant(secured, bench):
    with pytest.raises(DefinitionError, match="Alter on the cluster"):
        grant(rights(bench.topology), WORKER, secured.known("worker"))


@pytest.mark.parametrize(
    ("otherwise", "cure"),
    [
        ({"password_file": "wrong.password"}, "RUMBO__PASSWORD_FILE is wrong"),
        ({"ca_file": None}, "RUMBO__CA_FILE must be the CA"),
        ({"broker": "localhost"}, "the broker's certificate is for another name"),
        ({"sasl_mechanism": "PLAIN"}, "does not offer this RUMBO__SASL_MECHANISM"),
        ({"security": "sasl_plaintext"}, "does this port want TLS"),
    ],
)
def test_a_connection_that_is_not_let_in_says_why(secured, otherwise, cure):
    """aiokafka says the same of all; the host's name is checked against the certificate."""
    if "password_file" in otherwise:
        otherwise = {"password_file": secured.folder / otherwise["password_file"]}
    if "broker" in otherwise:
        otherwise = {"broker": secured.cluster.bootstrap.replace("127.0.0.1", "localhost")}
    known = settings({}, **secured.options("worker", **otherwise))

    async def start():
        await Broker(known.connection()).start()

    with pytest.raises(BrokerError, match=cure) as caught:
        asyncio.run(start())
    assert PASSWORDS["worker"] not in str(caught.value)


def test_a_wrong_password_ends_a_worker_with_69(secured, bench):
    done = run(secured, bench, password_file=str(secured.folder / "wrong.password"))
    assert done.returncode == 69
    assert "RUMBO__PASSWORD_FILE is wrong" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_partitions_have_a_producer_each(bench):
    """The prefix of the transactional ids is the topology's stage, and covers no other topology's."""
    prefixes = [each.name for each in rights(bench.topology) if each.prefixed]
    assert prefixes == [f"{bench.topology.name}-{stage}-" for stage in ("profiles", "intake")]
    assert PARTITIONS > 1

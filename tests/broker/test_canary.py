"""Nothing of a customer and no secret is in what a worker says or shows to everybody: known canaries are looked for after a whole run."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from rumbo.engine.admin import grant
from rumbo.engine.broker import changelog_of
from rumbo.engine.place import place_of
from rumbo.engine.rights import rights
from tests.broker.bench import PARTITIONS, Bench
from tests.broker.secure import PASSWORDS

pytestmark = pytest.mark.broker
CUSTOMER = "canary-customer-7f3a"
UNTIMED = "canary-untimed-9d2e"
BROKEN = "canary-broken-51c0"
TOKEN = f"canary-token-{'ab' * 16}"
GUESS = f"canary-guess-{'cd' * 16}"
HERE = place_of(CUSTOMER.encode(), PARTITIONS)


def event(number, name, customer=CUSTOMER, **more):
    said = {
        "type": "track", "event": name, "messageId": f"canary-message-{customer}-{number}", "userId": customer,
        "timestamp": f"2026-01-01T00:00:{number:02}Z", "properties": {"note": "canary-note", "email": "canary@example.com"},
        "context": {"ip": "203.0.113.77", "traits": {"email": "canary@example.com", "phone": "canary-phone"}}, **more,
    }  # fmt: skip
    return json.dumps(said).encode()


def ask(worker, path, token=None, body=None):
    """Status and body of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{worker.port}{path}", data=body)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  http, as built above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def bench(secured, tmp_path):
    made = Bench(secured.cluster.bootstrap, tmp_path, "saas", known=secured.known("admin"))
    grant(rights(made.topology), "User:worker", made.settings)
    yield made
    made.stop()


def test_no_canary_is_in_what_a_worker_says(secured, bench, tmp_path):
    """At the finest level, through decisions, poison, wrong and right tokens, a crash, a recovery, and a mistake while a customer is read."""
    tokens = tmp_path / "web.tokens"
    tokens.write_text(f"read {TOKEN}\n")
    tokens.chmod(0o600)
    environment = secured.environment("worker") | {"RUMBO__LOG_LEVEL": "debug", "RUMBO__WEB_TOKEN_FILE": str(tokens)}
    key = CUSTOMER.encode()
    poison = (b"{canary-poison", b'["canary-list"]')
    bench.produce([(HERE, key, event(0, "Demo Requested")), *((HERE, key, each) for each in poison)])
    untimed = event(2, "Demo Requested", UNTIMED, timestamp="canary-time")  # the record has a time of its own
    bench.produce([(place_of(UNTIMED.encode(), PARTITIONS), UNTIMED.encode(), untimed)])
    victim = bench.worker("one", RUMBO__FAILPOINT="before_ack:2", **environment)
    assert victim.wait() == -9
    bench.produce([(HERE, key, event(1, "Account Created")), (HERE, key, event(1, "Account Created"))])
    worker = bench.worker("one", **environment)

    def read(topic):
        return [record for record in bench.read(topic) if record.partition == HERE]

    worker.until(
        lambda: len(read(bench.topology.outputs.actions)) > 0 and len(read(f"{bench.source}.dlq")) == len(poison)
    )
    path = f"/v1/customers/{CUSTOMER}"
    shown = [ask(worker, path, token) for token in (None, GUESS, TOKEN)]
    assert [status for status, _ in shown] == [401, 401, 200]
    assert CUSTOMER in shown[-1][1]
    assert ask(worker, f"/v1/customers/{quote('canary/../' * 20 + chr(27), safe='')}", TOKEN)[0] in {400, 404}
    assert ask(worker, f"{path}/why-not", TOKEN, b'{"trigger": "canary-trigger"}')[0] in {400, 403, 404, 422}
    everybodys = [ask(worker, page)[1] for page in ("/livez", "/readyz")] + [ask(worker, "/metrics", TOKEN)[1]]
    refusals = [body for status, body in shown if status == 401]
    assert worker.end() == 0
    bench.source = changelog_of(
        bench.topology
    )  # what no worker wrote: the next one meets a mistake while it reads a customer
    lost = BROKEN.encode()
    number = place_of(lost, PARTITIONS)
    bench.produce([(number, b"p" + lost, b"\0" * 8 + BROKEN.encode())])
    bench.source = bench.topology.sources[0].topic
    bench.produce([(number, lost, event(2, "Account Created", BROKEN))])
    broken = bench.worker("one", **environment)
    assert broken.wait() == 70
    logs = [each.log.read_text() for each in bench.workers]
    assert "assigned" in logs[1]
    assert "unexpected" in logs[2]
    secrets = [*PASSWORDS.values(), TOKEN, GUESS, "203.0.113.77"]
    for said in (*logs, *everybodys, *refusals):
        assert [word for word in said.split() if "canary" in word] == []
        assert [each for each in secrets if each in said] == []

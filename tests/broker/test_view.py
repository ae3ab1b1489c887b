"""The customer view of two workers on a real Kafka: either answers for everybody, and nobody hangs when one dies."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest

from tests.broker.bench import PARTITIONS
from tests.broker.test_engine import partition_of

pytestmark = pytest.mark.broker
NAMES = [f"c-{n}" for n in range(40)]
EVENT = '{"type":"track","event":"Order Completed","messageId":"%s","userId":"%s","timestamp":"2026-01-01T00:00:00Z","properties":{"total":20}}'


def ask(worker, path):
    """Status and JSON; (0, None) where nobody serves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=8) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, None


def test_either_of_two_workers_shows_every_customer_and_the_one_left_soon_does_too(world):
    """By forwarding; after a kill each answer is the customer or a 503 at once, and then all are here, as they were."""
    bench = world("grocery")
    bench.produce((partition_of(name.encode()), name.encode(), (EVENT % (name, name)).encode()) for name in NAMES)
    one, two = bench.worker("one"), bench.worker("two")
    one.until(
        lambda: all(each.metric("rumbo_partitions_assigned", stage="profiles") == PARTITIONS / 2 for each in (one, two))
    )

    def whole(worker):
        status, said = ask(worker, "/v1/journeys/grocery/funnel")
        return status == 200 and said["complete"] and said["customers"] == len(NAMES)

    one.until(lambda: whole(one) and whole(two))
    shown = {}
    for name in NAMES:
        answers = [ask(worker, f"/v1/customers/{name}") for worker in (one, two)]
        assert [status for status, _ in answers] == [200, 200]
        assert answers[0] == answers[1]
        shown[name] = answers[0][1]
        assert ask(two, f"/v1/customers/{name}/timeline")[1]["entries"][0]["id"] == name
    assert ask(one, "/v1/customers/nobody")[0] == 404
    assert len(ask(one, "/v1/status")[1]["workers"]) == 2
    two.kill()
    for name in NAMES:  # its partitions are nobody's until the group has missed it
        started = time.monotonic()
        status, said = ask(one, f"/v1/customers/{name}")
        assert time.monotonic() - started < 6
        assert status in {200, 503}
        assert status == 200 or said["retry_after"] == 1
    one.until(lambda: one.metric("rumbo_partitions_assigned", stage="profiles") == PARTITIONS and whole(one))
    assert {name: ask(one, f"/v1/customers/{name}")[1] for name in NAMES} == shown
    assert one.end() == 0

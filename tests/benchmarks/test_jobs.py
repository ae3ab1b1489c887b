"""The job as the peers do it, held against the reference before any broker is asked."""

from __future__ import annotations

import json

import msgspec
import pytest

from benchmarks import job_dicts, job_structs
from benchmarks.compare import compare
from benchmarks.generate import generate
from benchmarks.reference import Output, Reference

KINDS = {"scores": "score", "transitions": "stage", "actions": "action"}


def dicts(values):
    state = {}
    for value in values:
        try:
            event = json.loads(value)
        except ValueError:
            yield None
            continue
        customer = state.setdefault(event["userId"], job_dicts.new())
        for topic, said in job_dicts.step(customer, event) or ():
            yield Output(KINDS[topic], said["customer"], said["message"], said["what"], said.get("score"))
        state[event["userId"]] = json.loads(json.dumps(customer))  # what a store would keep


def structs(values):
    state = {}
    for value in values:
        try:
            event = job_structs.decode_event(value)
        except msgspec.DecodeError:
            yield None
            continue
        kept = state.get(event.userId)
        customer = job_structs.decode_customer(kept) if kept else job_structs.Customer()
        for topic, said in job_structs.step(customer, event) or ():
            yield Output(KINDS[topic], said.customer, said.message, said.what, said.score)
        state[event.userId] = job_structs.encode_customer(customer)


@pytest.mark.parametrize("job", [dicts, structs])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_job_of_the_peers_is_the_reference(job, skewed):
    """Skewed, a few customers have thousands of events: windows, cool-downs and the last 64 ids matter."""
    reference, values = Reference(), [each.value for each in generate(8_000, customers=200, skewed=skewed)]
    for value in values:
        reference.feed(value)
    made = list(job(values))
    counts = compare(reference, [each for each in made if each is not None], made.count(None))
    assert counts.pop("expected") > 1_000
    assert not any(counts.values()), counts

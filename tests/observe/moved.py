"""Metrics as a worker would have moved them: a life in the saas topology, and a bit of everything else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from rumbo.core.account import Account, ContactChange
from rumbo.core.instant import DAY, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.mistyped import Mistyped
from rumbo.observe.catalogue import CATALOGUE
from rumbo.observe.metrics import Metrics, Reading
from rumbo.topology import load

SAAS = Path(__file__).parents[2] / "topologies/saas"
START = parse_instant("2026-01-01T00:00:00Z")
LIFE = (
    (0, "Demo Requested"),
    (1, "Trial Started"),
    (2, "Account Created"),
    (3, "Subscription Cancelled"),
)


def life() -> list:
    """The decisions of one customer's few days."""
    program = load(SAAS).program()
    profile = program.load("c", None)
    found = []
    for day, name in LIFE:
        event = Interaction("c", name, folded(name), name, START + day * DAY, "t", 0, 0, msgspec.json.encode({}))
        found += program.advance(profile, event)
    return found


def account():
    """What the contacts of an account make of it."""
    machine = load(SAAS).account_machine()
    change = ContactChange("acme", "c", 1, START, False, "champion", "decision", {"engagement": 70.0}, "due")
    return machine.step(Account("acme"), change)


def moved_metrics() -> Metrics:
    """Every metric of the list, moved at least once."""
    metrics = Metrics()
    metrics.runs("saas", "0123456789abcdef")
    for each in [*life(), *account()]:
        metrics.decided(each)
    counts = Counter(duplicate=1, duplicate_conflict=1, late=1, trait_too_large=1)
    metrics.processed("raw", 10, 9, counts)
    metrics.mistyped(Counter({Mistyped("saas", "trigger welcome", "event.properties.seats", "number", "string"): 2}))
    metrics.batch("raw", 10, 0.004, 1_767_225_600_000)
    metrics.rejected("raw", "not_json")
    metrics.ignored("control", "not_a_control_record")
    metrics.coerced(("no_id",))
    metrics.rekeyed("raw", 3, 3)
    metrics.heard("contacts", 3, 2, Counter(contacts_full=1))
    metrics.misplaced()
    metrics.replayed(2)
    metrics.timers(3, 1.5)
    metrics.committed()
    metrics.assigned("profiles", 4)
    metrics.read_from(
        lambda: [
            Reading(each.name, tuple("0" if label == "partition" else label for label in each.labels), 1.0)
            for each in CATALOGUE
            if each.scraped
        ]
    )
    return metrics

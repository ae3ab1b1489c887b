"""The list of metrics is the truth: what is shown, what is documented, and what Prometheus' own checker says of it."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from rumbo.observe.catalogue import CATALOGUE, NAMES, page
from rumbo.observe.metrics import Metrics, Reading
from tests.observe.moved import moved_metrics

ROOT = Path(__file__).parents[2]
UNITS = {"seconds": "_seconds", "bytes": "_bytes"}


def test_the_page_is_the_list():
    assert (ROOT / "docs/metrics.md").read_text() == page(), "run: make schemas"


@pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)
def test_names_follow_prometheus(family):
    """One word of the application first, base units, `_total` for counters and nothing else; no label that grows without end."""
    assert re.fullmatch(r"rumbo_[a-z_]+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert bool(family.buckets) == (family.kind == "histogram")
    suffix = UNITS.get(family.unit)
    assert suffix is None or family.name.endswith(suffix)
    assert not {"customer", "id", "event", "user"} & set(family.labels)
    assert family.help.endswith(".")
    assert not family.scraped or family.kind == "gauge"


def test_every_metric_of_the_list_is_shown_and_no_other():
    shown = {
        line.split()[2]
        for line in generate_latest(moved_metrics().registry).decode().splitlines()
        if line.startswith("# TYPE")
    }
    assert shown == NAMES


def test_promtool_finds_nothing_to_say(tool):
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=generate_latest(moved_metrics().registry),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_reading_that_is_not_in_the_list_is_a_mistake():
    metrics = Metrics()
    metrics.read_from(lambda: [Reading("rumbo_unheard_of", (), 1.0)])
    with pytest.raises(KeyError):
        generate_latest(metrics.registry)


def test_what_a_profile_is_told_of_is_counted_once():
    """Counts come from the program once a batch, and are taken over."""
    metrics, stats = Metrics(), Counter(duplicate=2, late=1)
    for _ in range(2):
        metrics.processed("raw", 3, 1, stats)
    value = metrics.registry.get_sample_value
    assert value("rumbo_events_received_total", {"topic": "raw"}) == 6
    assert value("rumbo_events_duplicate_total", {"body": "same"}) == 2
    assert value("rumbo_events_late_total", {"policy": "process"}) == 1


def test_a_move_and_a_score_are_counted_with_their_length_and_value():
    metrics = moved_metrics()
    value = metrics.registry.get_sample_value
    moves = {"journey": "saas", "from_stage": "decision", "to_stage": "onboarding"}
    assert value("rumbo_stage_transitions_total", moves) == 1
    assert value("rumbo_stage_dwell_seconds_count", {"journey": "saas", "stage": "decision"}) == 1
    assert value("rumbo_score_bucket", {"journey": "saas", "score": "engagement", "le": "100.0"}) >= 1
    assert value("rumbo_actions_total", {"action": "welcome", "outcome": "emitted"}) == 1

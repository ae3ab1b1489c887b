"""The dashboard is one that Grafana reads whole, asks what Prometheus understands, of metrics that there are, and is linted."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from rumbo.observe.catalogue import CATALOGUE
from tests.deploy.test_alerts import SERIES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana"
DASHBOARD = json.loads((FOLDER / "dashboards/rumbo.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
BY_TITLE = {panel["title"]: panel for panel in PANELS}
TARGETS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
COUNTERS = {family.name for family in CATALOGUE if family.kind == "counter"}
VARIABLES = {"$__rate_interval": "1m", "$job": "rumbo", "$instance": ".*", "$journey": ".*"}


def lost(given, kept, path=""):
    """Every place of *given* that is not in *kept* as it was."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept[key], f"{path}/{key}") if key in kept else [f"{path}/{key}"]
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}/{number}")
    elif given != kept:
        yield f"{path}: {given!r} became {kept!r}"


def round_trip(dashboard):
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def test_grafanas_types_keep_all_of_it():
    """A key that Grafana does not know would be dropped without a word."""
    assert list(lost(DASHBOARD, round_trip(DASHBOARD))) == []
    planted = json.loads(json.dumps(DASHBOARD))
    planted["panels"][1]["fieldConfig"]["defaults"]["oops"] = 1
    assert list(lost(planted, round_trip(planted))) == ["/panels/1/fieldConfig/defaults/oops"]


def asked(expr):
    """An expression with its variables filled in."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def rules(tmp_path, exprs):
    """A file of recording rules, one an expression."""
    path = tmp_path / "rules.yml"
    found = [{"record": f"panel:number:{number}", "expr": asked(expr)} for number, expr in enumerate(exprs)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": found}]}))
    return path


def test_prometheus_parses_every_question(tool, tmp_path):
    promtool = tool("promtool")
    good, bad = [expr for _, expr in TARGETS], ["sum by (topic (rate(x[1m]))"]
    for exprs, code in ((good, 0), (bad, 1)):
        done = subprocess.run(
            [promtool, "check", "rules", rules(tmp_path, exprs)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert not any("$" in asked(expr) for expr in good)


@pytest.mark.parametrize(("title", "expr"), TARGETS)
def test_a_question_is_of_metrics_that_there_are(title, expr):
    """Of chosen workers only; counters by their rate over the interval that Grafana knows; none of them bare."""
    named = set(re.findall(r"rumbo_[a-z_]+", expr))
    assert named <= SERIES
    selectors = re.findall(r"(?:rumbo_[a-z_]+|\bup)\{([^}]*)\}", expr)
    assert selectors
    assert all('job=~"$job", instance=~"$instance"' in each for each in selectors)
    assert len(selectors) == len(re.findall(r"rumbo_[a-z_]+|\bup\b", expr))
    for name in named:
        if name in COUNTERS or name.endswith("_bucket"):
            assert re.search(rf"(rate|increase)\({name}\{{[^}}]*\}}\[\$__rate_interval\]\)", expr), title


def test_a_journeys_question_is_of_the_chosen_journeys():
    labelled = {family.name for family in CATALOGUE if "journey" in family.labels}
    for title, expr in TARGETS:
        if any(re.search(rf"\b{name}(_bucket)?\{{", expr) for name in labelled):
            assert 'journey=~"$journey"' in expr, title


@pytest.mark.parametrize("title", BY_TITLE)
def test_a_panel_says_what_it_shows_and_in_which_unit(title):
    panel = BY_TITLE[title]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for each in (panel, *panel["targets"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_lie_side_by_side():
    """Within the 24 columns, none over another; ids are unique."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len(BY_TITLE) == len(PANELS)
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert max(column for column, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_it_is_a_file_and_stays_one():
    """A fixed uid, not editable, its variables its own; provisioned from where the compose file mounts it."""
    assert DASHBOARD["uid"] == "rumbo"
    assert DASHBOARD["editable"] is False
    assert DASHBOARD["title"]
    assert DASHBOARD["description"]
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "job", "instance", "journey"}
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/rumbo.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    source = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    assert source["type"] == "prometheus"

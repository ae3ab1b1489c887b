"""Every alert fires when it should and not otherwise, names metrics that there are, and has its page in the runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from rumbo.observe.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
CASES = [ROOT / "deploy/prometheus" / name for name in ("alerts_test.yml", "alerts_day_test.yml")]
PARSED_CASES = [case for path in CASES for case in yaml.safe_load(path.read_text())["tests"]]
PARSED = yaml.safe_load(RULES.read_text())
ALERTS = [rule for group in PARSED["groups"] for rule in group["rules"]]
BY_NAME = {rule["alert"]: rule for rule in ALERTS}


def series_of(family):
    """The series that one metric is shown as."""
    if family.kind != "histogram":
        return {family.name}
    return {family.name + suffix for suffix in ("_bucket", "_count", "_sum")}


SERIES = {name for family in CATALOGUE for name in series_of(family)}


def test_the_rules_are_rules_and_every_case_holds(tool):
    promtool = tool("promtool")
    for arguments in (["check", "rules", RULES], *(["test", "rules", cases] for cases in CASES)):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, cwd=RULES.parent)
        assert done.returncode == 0, done.stdout + done.stderr


def fires_in(case, name):
    """Whether an alert is expected in this case."""
    samples = [sample["labels"] for each in case.get("promql_expr_test", ()) for sample in each["exp_samples"]]
    whole = [each["alertname"] for each in case.get("alert_rule_test", ()) if each["exp_alerts"]]
    return any(f'alertname="{name}"' in labels for labels in samples) or name in whole


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_has_a_case_in_which_it_fires(name):
    assert any(fires_in(case, name) for case in PARSED_CASES)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name):
    rule = BY_NAME[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_reads_metrics_that_a_worker_shows(name):
    named = set(re.findall(r"rumbo_[a-z_]+", BY_NAME[name]["expr"]))
    assert named <= SERIES
    assert named or "up{" in BY_NAME[name]["expr"]


def sections(page):
    """Headings of a page, as anchors, with what stands under each."""
    parts = re.split(r"^## (.*)$", page.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip((each.lower() for each in parts[::2]), parts[1::2], strict=True))


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_has_its_page_in_the_runbook(name):
    """Where its runbook_url leads: what it means, what to look at, what to do."""
    page, _, anchor = BY_NAME[name]["annotations"]["runbook_url"].partition("#")
    section = sections(ROOT / page)[anchor]
    for part in ("Means.", "Look at.", "Do."):
        assert re.search(rf"^\*\*{re.escape(part)}\*\* \S", section, re.MULTILINE), part


def test_the_runbook_has_no_page_for_an_alert_that_is_gone():
    assert set(sections(ROOT / "docs/runbook.md")) == {name.lower() for name in BY_NAME}


@pytest.mark.parametrize(
    ("alert", "before", "after"),
    [
        ("JourneyDown", "== 0", "== 1"),
        ("JourneyNoProgress", "unless", "and"),
        ("JourneyCommitStale", "> 300", "> 30000"),
        ("JourneyRejectRatio", "> 0.01", "> 0.001"),
        ("JourneyActionFlood", "> 10 *", "> 1.1 *"),
        ("JourneyRecoveryStuck", "== 0", ">= 0"),
    ],
)
def test_a_wrong_rule_fails_its_case(tool, tmp_path, alert, before, after):
    """The cases are worth something: a rule that is bent is found, and as it stands it passes."""
    rule = BY_NAME[alert]
    assert before in rule["expr"]
    command = [tool("promtool"), "test", "rules", tmp_path / "cases.yml"]
    cases = [case for case in PARSED_CASES if fires_in(case, alert)]
    (tmp_path / "cases.yml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases})
    )
    for expr, passes in ((rule["expr"], True), (rule["expr"].replace(before, after), False)):
        rules = [rule | {"expr": expr}]
        (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": rules}]}))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == passes, done.stdout + done.stderr

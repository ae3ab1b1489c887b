"""A real Prometheus with the deployed configuration scrapes a real worker over TLS: an alert fires and clears, the dashboard has data."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml

from benchmarks.generate import generate
from tests.broker.bench import ROOT
from tests.broker.cluster import free_port
from tests.deploy.test_dashboard import TARGETS, asked

pytestmark = pytest.mark.broker
EVENTS = 500
SHOWN = ("Workers", "Ready", "Behind", "Records read", "Customers by stage", "Actions", "State", "What runs")
"""Panels that must have data; of the others some need what the job does not do."""
DEPLOYED = ROOT / "deploy/prometheus"


class Prometheus:
    """The deployed configuration with this worker as its target, looked at every second; alerts do not wait before they fire."""

    def __init__(self, programme: str, folder: Path, web: Path, target: str) -> None:
        config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": [target]}]
        job["authorization"] = {"credentials_file": str(web / Path(job["authorization"]["credentials_file"]).name)}
        job["tls_config"] = {"ca_file": str(web / Path(job["tls_config"]["ca_file"]).name)}
        rules = yaml.safe_load((DEPLOYED / "alerts.yml").read_text())
        for rule in rules["groups"][0]["rules"]:
            rule.pop("for", None)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        self.port, self.log = free_port(), folder / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [programme, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def ask(self, path: str, **query: str):
        """What an API call answers; None while nothing answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:  # it has only begun
                return None
            raise AssertionError(error.read().decode()) from None
        except OSError:
            return None

    def value(self, expr: str) -> list[float]:
        found = self.ask("query", query=expr)
        return [float(each["value"][1]) for each in found["result"]] if found else []

    def firing(self) -> set[str]:
        found = self.ask("alerts") or {"alerts": []}
        return {each["labels"]["alertname"] for each in found["alerts"] if each["state"] == "firing"}

    def until(self, condition, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, f"firing: {self.firing()}; targets: {self.ask('targets')}"
            time.sleep(0.1)  # polling another process, not waiting for a guess

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def web(tmp_path, tool):
    """Certificate and tokens, made as the compose file makes them."""
    tool("openssl")
    folder = tmp_path / "web"
    subprocess.run([ROOT / "deploy/compose/secrets.sh", folder, "localhost"], check=True)
    return folder


def test_prometheus_scrapes_a_worker_and_an_alert_fires_and_clears(world, tool, tmp_path, web):
    """A worker that stands still is down; one that goes on is not. While it works, every question of the dashboard is answered."""
    bench = world("benchmark")
    bench.produce((each.partition, each.key, each.value) for each in generate(EVENTS, seed=7))
    bench.produce([(0, b"k", b"{broken")])
    worker = bench.worker(
        RUMBO__WEB_TOKEN_FILE=str(web / "web.tokens"), RUMBO__WEB_CERT_FILE=str(web / "tls.crt"),
        RUMBO__WEB_KEY_FILE=str(web / "tls.key"),
    )  # fmt: skip
    prometheus = Prometheus(tool("prometheus"), tmp_path, web, f"localhost:{worker.port}")
    try:
        worker.until(lambda: prometheus.value("sum(rumbo_events_received_total)") == [EVENTS + 1])
        worker.until(lambda: prometheus.value('sum(up{job="rumbo"})') == [1])
        prometheus.until(
            lambda: all(
                any(prometheus.value(asked(expr)) for each, expr in TARGETS if each == title) for title in SHOWN
            )
        )
        for _, expr in TARGETS:
            prometheus.value(asked(expr))
        metadata = prometheus.ask("targets/metadata", match_target='{job="rumbo"}')
        worker.process.send_signal(signal.SIGSTOP)
        prometheus.until(lambda: "JourneyDown" in prometheus.firing())
        worker.process.send_signal(signal.SIGCONT)
        prometheus.until(lambda: "JourneyDown" not in prometheus.firing())
    finally:
        prometheus.end()
    shown = {each["metric"] for each in metadata}
    for title, expr in TARGETS:
        for name in re.findall(r"rumbo_[a-z_]+", expr):
            assert {name, name.removesuffix("_bucket"), name.removesuffix("_total")} & shown, title
    assert worker.end() == 0

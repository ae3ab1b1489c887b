"""What a worker says: one JSON line each off a terminal, and never a secret, a customer, or a character that forges a line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.errors import BrokerError
from rumbo.observe.logs import HIDDEN, Hide, describe, escape, trace

SAY = """
import logging
import structlog
from rumbo.config import settings
from rumbo.observe.logs import configure
configure(settings())
log = structlog.get_logger("rumbo")
log.info("assigned", partitions=[0, 1], name="a\\nb")
log.debug("not shown")
logging.getLogger("aiokafka").warning("the password is %s", "pass-canary-0123456789")
try:
    {}["canary-customer"]
except KeyError:
    log.exception("a mistake")
    logging.getLogger("asyncio").exception("another")
"""


def _said(tmp_path, **environment):
    secret = tmp_path / "password"
    secret.write_text("pass-canary-0123456789")
    secret.chmod(0o600)
    given = {"RUMBO__SECURITY": "sasl_ssl", "RUMBO__USERNAME": "u", "RUMBO__PASSWORD_FILE": str(secret), **environment}
    done = subprocess.run(
        [sys.executable, "-c", SAY], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin", **given}
    )
    assert not done.stdout
    return done.stderr


def test_off_a_terminal_every_line_is_json_with_level_and_time(tmp_path):
    lines = [json.loads(line) for line in _said(tmp_path).splitlines()]
    assert [line["event"] for line in lines] == ["assigned", f"the password is {HIDDEN}", "a mistake", "another"]
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    assert lines[0]["partitions"] == [0, 1]
    assert lines[1]["logger"] == "aiokafka"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_no_key_of_an_error_and_no_forged_line(tmp_path, form):
    """A KeyError quotes its key, which may be a customer: the kind and the frames are enough to find it."""
    said = _said(tmp_path, RUMBO__LOG_FORMAT=form)
    assert "canary" not in said
    assert "KeyError" in said
    assert "<string>:12" in said
    assert "a\nb" not in said


def test_an_error_of_ours_keeps_its_words():
    assert describe(BrokerError("no Kafka at b:1")) == "BrokerError: no Kafka at b:1"
    assert describe(ValueError("c1@example.com")) == "ValueError"


def test_causes_are_told_once_each_even_in_a_ring():
    one, other = BrokerError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    line = trace(None, "error", {"event": "x", "exc_info": one})
    assert line["error"][:2] == ["BrokerError: one", "ValueError"]
    assert len(line["error"]) == 10


@given(st.text(), st.lists(st.text()))
def test_no_control_character_comes_through(text, more):
    line = escape(None, "info", {"event": text, "more": more, "deep": {"x": text}, "number": 1.5})
    for each in (line["event"], *line["more"], line["deep"]["x"]):
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in each)
    assert line["number"] == 1.5


@given(st.text(min_size=8, max_size=20), st.text(), st.text())
def test_a_secret_is_hidden_wherever_it_stands(secret, before, after):
    line = Hide([secret])(None, "info", {"event": before + secret + after, "list": [{"x": secret}]})
    assert line["list"] == [{"x": HIDDEN}]
    assert HIDDEN in line["event"]

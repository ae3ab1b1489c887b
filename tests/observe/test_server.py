"""What is hardly HTTP, or breaks off: a problem document with the safe headers, in time, and nothing of it in the log."""

from __future__ import annotations

import json
import logging
import socket

import pytest

from rumbo.observe import guard
from rumbo.observe.server import LINE_BYTES
from tests.page.browser import Served
from tests.serve.worker import Worker

CANARY = b"canary-7f3a"
HOST = b"\r\nHost: 127.0.0.1"
ASKS = b"POST /v1/customers/a/why-not HTTP/1.1" + HOST


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("server"))
    with Served(worker) as made:
        yield made
    worker.close()


def say(served, said):
    """The answer to raw bytes: status, headers and body."""
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1])), timeout=20) as line:
        line.sendall(said)
        got = line.makefile("rb")
        status = int(got.readline().split()[1])
        headers = {}
        while (field := got.readline().strip()) != b"":
            name, _, value = field.decode().partition(": ")
            headers[name] = value
        return status, headers, got.read(int(headers["Content-Length"]))


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (CANARY + b"\r\n\r\n", 400),
        (b"GET /v1/customers/\x00" + CANARY + b" HTTP/1.1" + HOST, 400),
        (b"GET http://[" + CANARY + b"/ HTTP/1.1" + HOST, 400),
        (b"GET /v1/customers/" + CANARY + b" HTTP/1.1", 400),  # no host
        (b"GET /v1/customers/" + CANARY + b"x" * LINE_BYTES + b" HTTP/1.1" + HOST, 431),
        (b"GET /v1/status HTTP/1.1" + HOST + b"\r\nX-Name: " + CANARY + b"y" * 9_000, 431),
        (b"GET /v1/status HTTP/1.1" + HOST + b"\r\n" + CANARY + b" name", 400),
        (ASKS + b"\r\nContent-Length: " + CANARY, 400),
        (ASKS + b"\r\nContent-Encoding: gzip\r\nContent-Length: 11\r\n\r\n" + CANARY, 400),
        (ASKS + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n", 400),
        (b"GET /v1/customers/%zz HTTP/1.1" + HOST, 404),
    ],
    ids=[
        "no-http",
        "nul",
        "url",
        "no-host",
        "long-line",
        "long-field",
        "field",
        "length",
        "encoding",
        "chunk",
        "percent",
    ],
)
def test_what_cannot_be_read_is_a_problem_document(served, caplog, capsys, said, status):
    """Never the library's own words, which quote the request, and never a trace."""
    with caplog.at_level(logging.DEBUG):
        found, headers, body = say(served, said + b"\r\n\r\n")
    answer = json.loads(body)
    assert (found, answer["status"], headers["Content-Type"]) == (status, status, guard.PROBLEM)
    assert {name: headers[name] for name in guard.HEADERS} == guard.HEADERS
    assert CANARY not in body
    assert CANARY.decode() not in caplog.text + "".join(capsys.readouterr())


def test_a_body_that_never_comes_is_not_waited_for(served, monkeypatch):
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.3)
    status, _, body = say(served, ASKS + b"\r\nContent-Length: 100\r\n\r\n{")
    assert status == 504
    assert json.loads(body)["status"] == 504

"""Who may ask the HTTP port, how much and how often, and what is said when the answer is no."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from rumbo.config import is_loopback, settings
from rumbo.errors import DefinitionError
from rumbo.observe import guard
from rumbo.observe.guard import ProblemError, Rates, application, asks, open_to_all, outgoing, streams, tls
from rumbo.observe.server import Runner
from tests.broker.cluster import free_port

READ, WRITE = "r" * 32, "w" * 32


async def _ok(_request):
    return web.json_response({"ok": True})


@asks
async def _question(request):
    return web.json_response(await request.json())


@open_to_all
async def _health(_request):
    return web.json_response({"status": "alive"})


async def _mistake(_request):
    raise RuntimeError("canary: what only the log may hold")


async def _refuses(_request):
    raise ProblemError(404, "No such customer", "no profile of that id", customer="c1")


async def _hangs(_request):
    await asyncio.Event().wait()


@streams
async def _endless(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    await asyncio.sleep(0.2)
    await answer.write(b"data: 1\n\n")
    return answer


class _Whole(aiohttp.ClientResponse):
    """An answer that is read at once: one that is dropped half read, on a busy machine, is a connection that nobody closes."""

    async def start(self, connection):
        await super().start(connection)
        await self.read()
        return self


@asynccontextmanager
async def _served(**given):
    known = settings({}, web_port=free_port(), **given)
    app = application(known)
    app.add_routes(
        [
            web.get("/data", _ok),
            web.get("/data/{id:.+}", _refuses),
            web.post("/data", _ok),
            web.post("/question", _question),
            web.get("/livez", _health),
            web.get("/mistake", _mistake),
            web.get("/hangs", _hangs),
            web.get("/stream", _endless),
        ]
    )
    runner = Runner(app)
    await runner.setup()
    context = tls(known)
    await web.TCPSite(runner, known.web_host, known.web_port, ssl_context=context).start()
    try:
        place = f"http{'s' if context else ''}://localhost:{known.web_port}"
        async with aiohttp.ClientSession(place, response_class=_Whole) as client:
            yield client
    finally:
        await runner.cleanup()


def _token_file(folder, text=f"read {READ} # the dashboard\nwrite {WRITE}\n", mode=0o600):
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(mode)
    return path


async def _problem(answer):
    body = json.loads(await answer.read())
    assert answer.content_type == "application/problem+json"
    assert body["status"] == answer.status
    assert body["title"]
    return body


def test_without_a_token_in_force_this_machine_may_ask():
    async def scenario():
        async with _served() as client:
            assert (await client.get("/data")).status == 200
            assert (await client.post("/data")).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("header", [{"Host": "rumbo.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_without_a_token_no_page_of_another_site_may_ask(header):
    """DNS rebinding brings a foreign Host, a form of another page its Origin."""

    async def scenario():
        async with _served() as client:
            answer = await client.post("/data", headers=header)
            assert answer.status == 403
            await _problem(answer)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/data", "", 401),
        ("GET", "/data", "x" * 32, 401),
        ("GET", "/data", READ[:-1], 401),
        ("GET", "/data", READ, 200),
        ("GET", "/data", WRITE, 200),
        ("POST", "/data", READ, 403),
        ("POST", "/data", WRITE, 200),
        ("POST", "/question", READ, 200),
        ("GET", "/livez", "", 200),
        ("GET", "/nowhere", "", 401),
        ("GET", "/nowhere", READ, 404),
        ("DELETE", "/data", WRITE, 405),
    ],
)
def test_a_token_has_a_scope(tmp_path, method, path, token, status):
    """What asks needs `read`, what changes needs `write`, health needs none; without a token not even a 404 is told."""

    async def scenario():
        async with _served(web_token_file=_token_file(tmp_path)) as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await client.request(method, path, headers=headers, json={})
            assert answer.status == status
            if status >= 400:
                said = await _problem(answer)
                assert not token or token not in json.dumps(said)
            if status == 405:
                assert "GET" in answer.headers["Allow"]

    asyncio.run(scenario())


def test_a_mistake_of_ours_shows_a_reference_and_no_trace(capsys):
    async def scenario():
        async with _served() as client:
            answer = await client.get("/mistake")
            assert answer.status == 500
            said = await _problem(answer)
            assert "canary" not in json.dumps(said)
            assert "Traceback" not in json.dumps(said)
            return said["reference"]

    assert asyncio.run(scenario()) in "".join(capsys.readouterr())


def test_a_route_refuses_with_fields_of_its_own():
    async def scenario():
        async with _served() as client:
            answer = await client.get("/data/" + "x" * 10_000)
            assert answer.status == 404
            said = await _problem(answer)
            assert (said["title"], said["customer"]) == ("No such customer", "c1")

    asyncio.run(scenario())


def test_a_body_has_a_limit():
    async def scenario():
        async with _served() as client:
            answer = await client.post("/question", data=b'"' + b"x" * guard.BODY_BYTES + b'"')
            assert answer.status == 413
            await _problem(answer)

    asyncio.run(scenario())


def test_nothing_hangs_but_a_stream(monkeypatch):
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.05)

    async def scenario():
        async with _served() as client:
            answer = await client.get("/hangs")
            assert answer.status == 504
            await _problem(answer)
            assert await (await client.get("/stream")).read() == b"data: 1\n\n"

    asyncio.run(scenario())


def test_who_asks_too_often_waits():
    async def scenario():
        async with _served(web_rate=2) as client:
            statuses = [(await client.get("/data")).status for _ in range(5)]
            assert statuses == [200, 200, 200, 200, 429]
            answer = await client.get("/data")
            assert (await _problem(answer))["retry_after"] >= 1
            assert answer.headers["Retry-After"]
            assert (await client.get("/livez")).status == 200

    asyncio.run(scenario())


def test_a_wrong_token_costs_as_much_as_twenty_requests(tmp_path):
    async def scenario():
        async with _served(web_rate=10, web_token_file=_token_file(tmp_path)) as client:
            statuses = [(await client.get("/data", headers={"Authorization": "Bearer x"})).status for _ in range(2)]
            assert statuses == [401, 429]

    asyncio.run(scenario())


def test_a_bucket_fills_at_its_rate_and_callers_are_bounded():
    now = [0.0]
    rates = Rates(10, lambda: now[0])
    assert [rates.take("a") for _ in range(21)] == [0] * 20 + [1]
    now[0] += 0.5
    assert [rates.take("a") for _ in range(6)] == [0] * 5 + [1]
    for number in range(3 * guard.CLIENTS):
        rates.take(str(number))
    assert len(rates._buckets) == guard.CLIENTS


def test_every_answer_carries_the_safe_headers():
    async def scenario():
        async with _served() as client:
            for path in ("/data", "/livez", "/nowhere", "/stream"):
                answer = await client.get(path)
                assert guard.HEADERS.items() <= dict(answer.headers).items(), path
                assert "aiohttp" not in answer.headers["Server"]

    asyncio.run(scenario())


def certificate(folder):
    """A self-signed certificate for localhost."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def test_beyond_this_machine_with_token_and_tls_another_worker_can_ask(tmp_path):
    """`outgoing` is how workers ask each other: the CA that is named, the host name checked, the token that may read."""
    cert, key = certificate(tmp_path)
    files = {"web_cert_file": cert, "web_key_file": key, "web_ca_file": cert, "web_token_file": _token_file(tmp_path)}

    async def scenario():
        async with _served(web_host="0.0.0.0", **files) as client:  # noqa: S104  that is what is tested
            context, headers = outgoing(settings({}, **files))
            answer = await client.get("/data", ssl=context, headers=headers)
            assert answer.status == 200
            port = str(client._base_url.port)
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get(f"https://127.0.0.1:{port}/data", ssl=context, headers=headers)
            again = await client.get("/data", ssl=context, headers=headers)
            assert again.status == 200  # who turned away does not disturb the next

    asyncio.run(scenario())


def test_beyond_this_machine_without_token_and_tls_is_refused(tmp_path):
    token = _token_file(tmp_path)
    for given in ({}, {"web_token_file": token}):
        with pytest.raises(DefinitionError, match=r"needs a token .* and TLS"):
            settings({}, web_host="0.0.0.0", **given)  # noqa: S104  that is what is tested
    settings({}, web_host="0.0.0.0", web_port=0)  # noqa: S104  nothing is served


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path, mode):
    with pytest.raises(DefinitionError, match=r"chmod 600"):
        settings({}, web_token_file=_token_file(tmp_path, mode=mode))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# none\n", "holds no token"),
        (READ, "must begin with"),
        (f"admin {READ}", "must begin with"),
        ("read short", "fewer than 32"),
    ],
)
def test_a_file_of_tokens_is_read_strictly(tmp_path, text, said):
    """The message says what is wrong and never what the file holds."""
    with pytest.raises(DefinitionError, match=said) as caught:
        settings({}, web_token_file=_token_file(tmp_path, text))
    assert READ not in str(caught.value)
    assert "short" not in str(caught.value)


def test_every_missing_file_is_named_at_once(tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(DefinitionError) as caught:
        settings(
            {}, security="sasl_ssl", username="u", password_file=missing, ca_file=missing, web_token_file=missing,
            web_cert_file=missing, web_key_file=missing,
        )  # fmt: skip
    said = str(caught.value)
    for name in ("PASSWORD_FILE", "CA_FILE", "WEB_TOKEN_FILE", "WEB_CERT_FILE", "WEB_KEY_FILE"):
        assert f"RUMBO__{name}: " in said
    assert not stat.S_IMODE(tmp_path.stat().st_mode) & 0o077


@pytest.mark.parametrize(
    ("place", "here"),
    [
        ("localhost", True),
        ("localhost:9092", True),
        ("127.0.0.1:1", True),
        ("::1", True),
        ("[::1]:9092", True),
        ("localhost.evil.example:1", False),
        ("127.evil.example", False),
        ("10.0.0.1", False),
        ("[2001:db8::1]:1", False),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104  that is what is tested
    ],
)
def test_only_this_machine_is_this_machine(place, here):
    assert is_loopback(place) is here

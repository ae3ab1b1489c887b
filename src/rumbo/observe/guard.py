"""The guard before every HTTP route of a worker: who may ask, how much and how often, and what is said when the answer is no.

A route says what it needs with `open_to_all`, `asks` or `streams`; one that says nothing needs the scope of its method (GET and HEAD
`read`, all others `write`). Every refusal is a problem document (RFC 9457). It knows no route, no customer and no store, and never
shows a stack trace or repeats a token.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, Literal, TypeVar
from uuid import uuid4

import orjson
import structlog
from aiohttp import web

from rumbo.config import Settings, is_loopback
from rumbo.secret import Tokens

BODY_BYTES: Final = 64 * 1024
REQUEST_SECONDS: Final = 10.0
FAILED_COSTS: Final = 20
"""A wrong token costs as much as so many good requests: guessing is slow."""
CLIENTS: Final = 1_024
"""Addresses whose rate is remembered, the last ones seen."""
PROBLEM: Final = "application/problem+json"
HEADERS: Final = {
    "Server": "rumbo",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""On every answer, where the route has not set its own."""
_CALLERS: Final = {401: {"WWW-Authenticate": 'Bearer realm="rumbo"'}}

Scope = Literal["open", "read", "write"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Route = TypeVar("_Route", bound=Callable[..., Any])
_SCOPE: Final = "_rumbo_scope"
_STREAMS: Final = "_rumbo_streams"

log = structlog.get_logger("rumbo.web")


class ProblemError(Exception):
    """A route's refusal: status, a short title, what was wrong with *this* request, and whatever fields help the caller."""

    def __init__(self, status: int, title: str = "", detail: str = "", **fields: Any) -> None:
        self.status, self.title, self.detail, self.fields = status, title or HTTPStatus(status).phrase, detail, fields
        super().__init__(self.title)


def problem(status: int, title: str = "", detail: str = "", **fields: Any) -> web.Response:
    """A problem document."""
    said: dict[str, Any] = {"type": "about:blank", "title": title or HTTPStatus(status).phrase, "status": status}
    if detail:
        said["detail"] = detail
    return web.Response(body=orjson.dumps(said | fields), status=status, content_type=PROBLEM)


def mistake(error: BaseException | None) -> web.Response:
    """Our mistake: the log has it under a reference, the caller the reference."""
    reference = uuid4().hex
    log.error("a request failed: this is a mistake of ours", reference=reference, exc_info=error)
    return problem(500, detail=f"see the worker's log for {reference}", reference=reference)


def open_to_all(route: _Route) -> _Route:
    """This route needs no token and has no rate: health, and the page's own files (never data)."""
    return _marked(route, _SCOPE, "open")


def asks(route: _Route) -> _Route:
    """This route only asks, whatever its method: scope `read`."""
    return _marked(route, _SCOPE, "read")


def streams(route: _Route) -> _Route:
    """This route goes on for as long as the caller listens: no time limit."""
    return _marked(route, _STREAMS, True)


def _marked(route: _Route, name: str, value: object) -> _Route:
    setattr(route, name, value)
    return route


def application(settings: Settings) -> web.Application:
    """An application behind the guard: add routes to it. Serve it with `observe.server.Runner` and `tls(settings)`."""
    app = web.Application(middlewares=[_Guard(settings).check], client_max_size=BODY_BYTES)
    app.on_response_prepare.append(_headers)
    return app


def tls(settings: Settings) -> ssl.SSLContext | None:
    """How to serve; None on this machine without a certificate."""
    if settings.web_cert_file is None or settings.web_key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.web_cert_file, settings.web_key_file)
    return context


def outgoing(settings: Settings) -> tuple[ssl.SSLContext | None, Mapping[str, str]]:
    """How one worker asks another of the same application: TLS (None: plain) and headers. The host name is checked."""
    tokens = settings.tokens()
    token = next(iter((*tokens.read, *tokens.write)), None)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if settings.web_cert_file is None:
        return None, headers
    return ssl.create_default_context(cafile=str(settings.web_ca_file) if settings.web_ca_file else None), headers


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


class _Guard:
    """What is remembered between requests: the tokens and the rates."""

    def __init__(self, settings: Settings) -> None:
        self._tokens: Tokens = settings.tokens()
        self._rates = Rates(settings.web_rate)

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await self._admitted(request, handler)
        except ProblemError as error:
            answer = problem(error.status, error.title, error.detail, **error.fields)
            answer.headers.update(_CALLERS.get(error.status, {}))
            if "retry_after" in error.fields:
                answer.headers["Retry-After"] = str(error.fields["retry_after"])
            return answer
        except web.HTTPRequestEntityTooLarge:
            return problem(413, detail=f"a body has at most {BODY_BYTES} bytes")
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            answer = problem(error.status)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except TimeoutError:
            return problem(504, detail=f"no answer within {REQUEST_SECONDS:.0f} s")
        except web.RequestPayloadError:
            return problem(400, detail="the body is not what its headers say")
        except ConnectionResetError:
            raise
        except Exception as error:  # noqa: BLE001  told with its frames; the caller hears nothing of it
            return mistake(error)

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route: Any = request.match_info.handler
        scope: Scope = getattr(route, _SCOPE, "read" if request.method in {"GET", "HEAD"} else "write")
        if scope != "open":
            self._may(request, scope)
        if getattr(route, _STREAMS, False):
            return await handler(request)
        async with asyncio.timeout(REQUEST_SECONDS):
            return await handler(request)

    def _may(self, request: web.Request, scope: Scope) -> None:
        """Raises ProblemError where the caller asks too often, has no token or not the scope, or comes from another site."""
        caller = request.remote or "?"
        wait = self._rates.take(caller)
        if wait:
            raise ProblemError(429, detail=f"try again in {wait:.0f} s", retry_after=wait)
        if self._tokens == Tokens():
            _is_of_this_machine(request)
            return
        held = self._tokens.scope(_bearer(request))
        if held is None:
            self._rates.take(caller, FAILED_COSTS)
            raise ProblemError(401, detail="a token is needed: Authorization: Bearer TOKEN")
        if scope == "write" and held != "write":
            raise ProblemError(403, detail="this token may only read")


def _bearer(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _is_of_this_machine(request: web.Request) -> None:
    """Without a token only this machine may ask, and no page of another site through this machine's browser."""
    if not is_loopback(request.host):
        raise ProblemError(403, detail="without a token this worker answers to its loopback name only")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise ProblemError(403, detail="a page of another site may not ask")


class Rates:
    """A bucket of tokens for each caller, filled at a rate and twice as deep; the callers least seen are forgotten."""

    def __init__(self, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate, self._depth, self._clock = per_second, per_second * 2, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, cost: float = 1) -> int:
        """0 where the caller may go on, else whole seconds to wait."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._depth, now))
        left = min(self._depth, left + (now - since) * self._rate)
        wait = 0 if left >= 1 else max(1, round((1 - left) / self._rate))
        self._buckets[caller] = (left if wait else left - cost, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return wait

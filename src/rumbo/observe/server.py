"""How the HTTP port is served: what is not even HTTP gets a problem document too, and nothing of a request stands in the log.

Bodies are taken as they come (no encoding is undone, so nothing swells). It decides nothing about who may ask: that is the guard.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from rumbo.observe.guard import HEADERS, mistake, problem

LINE_BYTES: Final = 64 * 1024
"""A request line may be so long: an id of 10,000 bytes is answered by its route, not by the parser."""
FIELD_BYTES: Final = 8 * 1024


class _Handler(web.RequestHandler):
    """One connection. aiohttp's own refusals quote the request, in the answer and in the log."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it quotes the request
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            answer = mistake(exc)
        elif isinstance(exc, LineTooLong):
            limits = f"a request line has at most {LINE_BYTES} bytes, a header field {FIELD_BYTES}"
            answer = problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail=limits)
        else:
            answer = problem(status, detail="this is not a request of HTTP/1.1")
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer


class _Server(web.Server):
    """Makes the connections."""

    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application behind the guard."""

    def __init__(self, app: web.Application) -> None:
        super().__init__(
            app, access_log=None, max_line_size=LINE_BYTES, max_field_size=FIELD_BYTES, auto_decompress=False
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server  # aiohttp has no setting for it; a test of what is not HTTP holds it to this
        return made

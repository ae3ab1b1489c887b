"""The page for people: files of this folder, read once and served as they are. It holds no data; what it shows it asks of `/v1`.

No build step and nothing from another host. No token is needed for the files, only for what the page asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Final, NamedTuple

from aiohttp import web

from rumbo.observe.guard import Handler, open_to_all

START: Final = "index.html"
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class File(NamedTuple):
    """One file as it is served."""

    name: str
    body: bytes
    content_type: str
    tag: str


def page() -> Iterator[File]:
    """Every file of the page."""
    for each in files(__name__).iterdir():
        kind = _TYPES.get(each.name.rpartition(".")[2])
        if kind is not None:
            body = each.read_bytes()
            yield File(each.name, body, kind, f'"{sha256(body).hexdigest()[:32]}"')


def routes() -> Iterable[web.RouteDef]:
    """`/` and `/page/...`: each file a route, so no path is ever made from a request."""
    for each in page():
        yield web.get("/" if each.name == START else f"/page/{each.name}", _served(each))


def _served(file: File) -> Handler:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}

    @open_to_all
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)

    return serve

"""One worker asks another: with a time limit, one hop, its own token, and a bound on what it takes. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from rumbo.config import Settings
from rumbo.observe.guard import outgoing

HOPS: Final = "Rumbo-Hops"
"""How many workers have passed a request on; one is the limit."""
SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 1.0
BYTES: Final = 8 * 1024 * 1024
CONNECTIONS: Final = 256
"""At once, of all peers together: a listener holds one to each."""
SILENT_SECONDS: Final = 30.0
EVENT_BYTES: Final = 256 * 1024


class Answer(NamedTuple):
    """What a peer said."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


class Peers:
    """The other workers, as this one asks them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: ClientSession | None = None

    async def ask(self, url: str, method: str, path: str, body: bytes | None = None) -> Answer | None:
        """The peer's answer; None where it gave none in time."""
        session = self._open()
        headers = {HOPS: "1"} | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            async with session.request(
                method, f"{url.rstrip('/')}{path}", data=body, headers=headers, allow_redirects=False
            ) as answer:
                said = bytearray()
                async for part in answer.content.iter_any():
                    said += part
                    if len(said) > BYTES:
                        return None
                return Answer(answer.status, answer.content_type, bytes(said), answer.headers.get("Retry-After"))
        except (ClientError, TimeoutError, OSError):
            return None

    async def all(self, urls: Mapping[str, object], path: str) -> list[Answer]:
        """What each of them said, where it said something in time."""
        answers = await asyncio.gather(*(self.ask(url, "GET", path) for url in urls))
        return [each for each in answers if each is not None and each.status == 200]  # noqa: PLR2004  OK

    async def listen(self, url: str, path: str) -> AsyncGenerator[bytes, None]:
        """Server-sent events of a peer, whole, until it or the listener leaves."""
        forever = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        try:
            async with self._open().get(f"{url.rstrip('/')}{path}", headers={HOPS: "1"}, timeout=forever) as answer:
                if answer.status != 200:  # noqa: PLR2004  OK
                    return
                left = b""
                async for part in answer.content.iter_any():
                    *whole, left = (left + part).split(b"\n\n")
                    for event in whole:
                        yield event + b"\n\n"
                    if len(left) > EVENT_BYTES:
                        return
        except (ClientError, TimeoutError, OSError):
            return

    def _open(self) -> ClientSession:
        if self._session is None:
            tls, headers = outgoing(self._settings)
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS, ssl=tls if tls is not None else True),
                timeout=ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS),
                headers=headers,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

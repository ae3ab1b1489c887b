"""Metrics and health over HTTP, on this machine only: `/metrics`, `/livez`, `/readyz`. It serves no data of customers."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rumbo.config import Settings
from rumbo.errors import BrokerError

Ready = Callable[[], bool]
Stalled = Callable[[], str | None]


class Web:
    """The worker's small HTTP server."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings, self._registry = settings, registry
        self._runner: web.AppRunner | None = None

    async def start(self, ready: Ready, stalled: Stalled) -> None:
        """Serve. Port 0 switches it off. Raises BrokerError where the port is taken."""
        if not self._settings.web_port:
            return
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", lambda _: _health(stalled() is None, stalled() or "alive"))
        app.router.add_get(
            "/readyz", lambda _: _health(ready(), "ready" if ready() else "no assignment, or recovering")
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._settings.web_host, self._settings.web_port).start()
        except OSError:
            await self.stop()
            place = f"{self._settings.web_host}:{self._settings.web_port}"
            raise BrokerError(f"{place} is in use; set RUMBO__WEB_PORT to another port, or to 0 for none") from None

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _health(well: bool, said: str) -> web.Response:  # noqa: FBT001  the answer is the value
    return web.json_response({"status": said}, status=200 if well else 503)

"""Metrics and health over HTTP: `/metrics`, `/livez`, `/readyz`, behind the guard. It serves no data of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rumbo.config import Settings
from rumbo.errors import BrokerError
from rumbo.observe.guard import application, open_to_all, tls
from rumbo.observe.health import Health
from rumbo.observe.server import Runner

Asked = Callable[[], Health]


class Web:
    """The worker's small HTTP server."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings, self._registry = settings, registry
        self._runner: Runner | None = None

    async def start(self, health: Asked, routes: Iterable[web.RouteDef] = ()) -> None:
        """Serve, and what others bring. Port 0 switches it off. Raises BrokerError where the port is taken."""
        if not self._settings.web_port:
            return
        app = application(self._settings)
        app.router.add_get("/metrics", self._metrics)

        @open_to_all
        async def livez(_request: web.Request) -> web.Response:
            found = health()
            return _answer(found.status != "stalled", found)

        @open_to_all
        async def readyz(_request: web.Request) -> web.Response:
            found = health()
            return _answer(found.ready, found)

        app.router.add_get("/livez", livez)
        app.router.add_get("/readyz", readyz)
        app.add_routes(routes)
        self._runner = Runner(app)
        await self._runner.setup()
        host, port = self._settings.web_host, self._settings.web_port
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls(self._settings)).start()
        except OSError:
            await self.stop()
            raise BrokerError(
                f"{host}:{port} is in use; set RUMBO__WEB_PORT to another port, or to 0 for none"
            ) from None

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _answer(well: bool, found: Health) -> web.Response:  # noqa: FBT001  the answer is the value
    return web.json_response(found.said(), status=200 if well else 503)

"""The HTTP listeners: signed links to recordings, upgrades; errors are JSON, `{"error": "…"}`.

A further route is one `add` before `start`.  An upgrade to WebSocket on a path that no route has is handed
to `upgrades`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from cordboard.server.calling_api_errors import no_operation
from cordboard.server.http_listener import FIRST_REQUEST, HttpListeners
from cordboard.server.recording_files import RecordingFiles
from cordboard.server.recording_links import Judgement, RecordingLinks, is_name
from cordboard.server.tls import TlsContexts
from cordboard.sip.endpoint import bracketed

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "mp4": "audio/mp4"}
_LAST_ANSWERS = 1.0
"""Seconds for downloads that are under way when the server stops."""
_KEEP_ALIVE = 75.0
"""Seconds for which a connection waits for its next request."""
_MOST_OF_A_REQUEST = 1 << 20
_NOT_FOUND = 404
_NO_OPERATION = (404, 405)
_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""With every answer: a link is a secret."""


class HttpServer:
    """`port` 0 takes a free one; `spare`: so does one that is taken."""

    def __init__(
        self, address: str, port: int, *, spare: bool = False, first_request: float = FIRST_REQUEST
    ) -> None:
        """`first_request`: seconds that a connection has for it."""
        self.port = port
        self.tls_port = 0
        """Known after `start_tls`."""
        self.upgrades: Handler | None = None
        self._address = address
        self._spare = spare
        self._first_request = first_request
        middlewares = [self._note, _answer_in_json, self._upgrade]
        self._app = web.Application(middlewares=middlewares, client_max_size=_MOST_OF_A_REQUEST)
        self._runner: web.AppRunner | None = None
        self._listeners: HttpListeners

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Before `start`."""
        self._app.router.add_route(method, path, handler)

    @property
    def base_url(self) -> str:
        """Where it listens, known after the start; a proxy before it may be known by another URL."""
        return f"http://{bracketed(self._address)}:{self.port}"

    @property
    def tls_base_url(self) -> str:
        """The same over TLS; empty where it is not spoken."""
        return f"https://{bracketed(self._address)}:{self.tls_port}" if self.tls_port else ""

    async def start(self) -> None:
        """Listen.  Raises OSError."""
        runner = web.AppRunner(
            self._app, access_log=None, shutdown_timeout=_LAST_ANSWERS, keepalive_timeout=_KEEP_ALIVE
        )
        await runner.setup()
        self._runner = runner
        assert runner.server is not None
        self._listeners = HttpListeners(runner.server, patience=self._first_request)
        try:
            self.port = await self._listeners.open(self._address, self.port)
        except OSError:
            if not self._spare or not self.port:
                await self.stop()
                raise
            _log.info("HTTP: port %d is taken; another one is used", self.port)
            self.port = await self._listeners.open(self._address, 0)

    async def start_tls(self, port: int, contexts: TlsContexts) -> None:
        """Listen for the same over TLS too, after `start`.  Raises OSError."""
        self.tls_port = await self._listeners.open(self._address, port, _renewed(contexts))

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._listeners.heard(request)
        return await handler(request)

    @web.middleware
    async def _upgrade(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        error = request.match_info.http_exception
        if error is None or error.status != _NOT_FOUND or self.upgrades is None:
            return await handler(request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.upgrades(request)
        if request.method == "GET" and request.path == "/":
            return refusal(426, "RELAY is spoken over WebSocket here.", Upgrade="websocket")
        return await handler(request)

    async def stop(self) -> None:
        """A second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._listeners.close()
            await runner.cleanup()


class RecordingDownloads:
    """`GET /recordings/{name}?expires=…&signature=…`, with ranges."""

    def __init__(self, files: RecordingFiles, links: RecordingLinks) -> None:
        self._files = files
        self._links = links

    def add_to(self, server: HttpServer) -> None:
        """Serve them there."""
        for method in ("GET", "HEAD"):
            server.add(method, "/recordings/{name}", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name, query = request.match_info["name"], request.query
        expires, signature = query.get("expires", ""), query.get("signature", "")
        judgement = self._links.judge(name, expires, signature, time.time())
        if judgement is Judgement.FORGED or not is_name(name):
            return refusal(403, "The link is not one that this server has signed.")
        if judgement is Judgement.EXPIRED:
            return refusal(410, "The link has expired.")
        path = await asyncio.to_thread(self._files.find, name)
        if path is None:
            return await self._missing(name)
        kind = _TYPES[name.rpartition(".")[2]]
        disposition = f'inline; filename="{name}"'
        return web.FileResponse(path, headers={"Content-Type": kind, "Content-Disposition": disposition})

    async def _missing(self, name: str) -> web.StreamResponse:
        if await asyncio.to_thread(self._files.is_unfinished, name):
            return refusal(404, "The recording is not finished yet.")
        return refusal(410, "The recording is not kept any more.")


def refusal(status: int, sentence: str, **headers: str) -> web.Response:
    """An error as this server tells it."""
    return web.json_response({"error": sentence}, status=status, headers=headers)


def _renewed(contexts: TlsContexts) -> ssl.SSLContext:
    """A context that hands each handshake to the newest one: certificates change without a restart."""
    first = contexts.listening()
    outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    outer.minimum_version = first.minimum_version
    outer.options = first.options

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = contexts.listening()

    outer.sni_callback = choose
    return outer


def _refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """What no handler has answered; below `/api/` in the shape that all its errors have."""
    allowed = error.headers.get("Allow", "")
    if request.path.startswith("/api/") and error.status in _NO_OPERATION:
        return no_operation(request.method, request.path, error.status, allowed)
    return refusal(error.status, f"{error.reason}.", **({"Allow": allowed} if allowed else {}))


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _refused(request, error)
    except (OSError, asyncio.CancelledError):
        raise
    except Exception:
        _log.exception("internal error in an HTTP request for %s", request.path)
        response = refusal(500, "Internal error.")
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response

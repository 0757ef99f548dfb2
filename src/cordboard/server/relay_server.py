"""RELAY over WebSocket, on the paths of the HTTP port that nothing else has (usually `/`).

Origins: server programs send none.  A browser's page may only come from this host itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from cordboard.jsonrpc import MAX_SIZE
from cordboard.relay.frames import Pong, Text
from cordboard.server.http_server import refusal
from cordboard.server.projects import network_of
from cordboard.server.relay_hub import Hub
from cordboard.server.relay_socket import RelaySocket

_log = logging.getLogger(__name__)

_UNSUPPORTED = 1003
_LOOK_AGAIN = 0.005
_RETRY_AFTER = "5"
"""Seconds."""


class RelayServer:
    """Answers upgrades; `HttpServer.upgrades`."""

    def __init__(
        self, hub: Hub, *, most: int, most_of_a_source: int, is_stopping: Callable[[], bool]
    ) -> None:
        """`most`: sockets at once."""
        self._hub = hub
        self._most = most
        self._most_of_a_source = most_of_a_source
        self._is_stopping = is_stopping
        self._sources: Counter[str] = Counter()
        self._sockets: set[RelaySocket] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()

    def __len__(self) -> int:
        return len(self._sockets)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Upgrade, and stay until the socket is gone."""
        refused = self._refusal(request)
        if refused is not None:
            refused.force_close()  # it would be one more connection that nobody counts
            return refused
        source = network_of(request.remote or "")
        self._sources[source] += 1
        try:
            return await self._serve(request)
        finally:
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]

    async def stop(self, seconds: float) -> None:
        """Wait so long until all is told, close all, and wait as long for the far ends.

        Some clients answer an event before they take it, and lose those that they cannot answer any more.
        """
        await self._all_told(seconds)
        self._hub.stop()
        try:
            async with asyncio.timeout(seconds):
                await self._none_left.wait()
        except TimeoutError:
            for socket in list(self._sockets):
                socket.cut()

    # ------------------------------------------------------------ inside

    async def _all_told(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._hub.unproven() and loop.time() < deadline:  # noqa: ASYNC110 - once, at the very end
            await asyncio.sleep(_LOOK_AGAIN)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self._is_stopping():
            return refusal(503, "The server is stopping.")
        if not _is_own(request):
            return refusal(403, "Pages of other origins are not served.")
        if len(self._sockets) >= self._most:
            return refusal(503, "The server has all the connections that it may have.")
        if self._sources[network_of(request.remote or "")] >= self._most_of_a_source:
            sentence = "This address has all the connections that it may have."
            return refusal(429, sentence, **{"Retry-After": _RETRY_AFTER})
        return None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(
            autoping=False, autoclose=False, max_msg_size=MAX_SIZE, compress=False, timeout=0.1
        )
        await websocket.prepare(request)
        transport = request.transport
        if transport is None:
            return websocket
        socket = RelaySocket(transport, request.remote or "", self._hub.journal.flush)
        self._sockets.add(socket)
        self._none_left.clear()
        number = self._hub.opened(socket)
        try:
            await self._read(websocket, socket, number)
        finally:
            self._hub.closed(number)
            socket.finished()
            self._sockets.discard(socket)
            if not self._sockets:
                self._none_left.set()
        return websocket

    async def _read(self, websocket: web.WebSocketResponse, socket: RelaySocket, number: int) -> None:
        hub = self._hub
        while True:
            message = await websocket.receive()
            kind = message.type
            if kind is WSMsgType.TEXT:
                hub.heard(number, Text(message.data))
            elif kind is WSMsgType.PONG:
                hub.heard(number, Pong(bytes(message.data)))
            elif kind is WSMsgType.PING:
                socket.pong(bytes(message.data))
            elif kind is WSMsgType.BINARY:
                socket.close(_UNSUPPORTED, "text messages are expected")
            else:
                if kind is WSMsgType.CLOSE:
                    socket.close(1000, "")
                return


def _is_own(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == request.host.lower()
    except ValueError:
        return False

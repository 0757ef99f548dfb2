"""The ports of the HTTP server, which wait for the first request of a connection only so long.

The HTTP library waits for ever: connections that say nothing, or a header each hour, would add up.
"""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

FIRST_REQUEST = 15.0
"""Seconds for it to be there, the TLS handshake not counted."""
_BACKLOG = 1024


class HttpListeners:
    """Opens ports for one application; `heard` tells that a connection has sent a request."""

    def __init__(self, server: web.Server, *, patience: float = FIRST_REQUEST) -> None:
        self._server = server
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._silent: set[RequestHandler] = set()
        self._ports: list[asyncio.Server] = []

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port.  Raises OSError."""
        listener = await self._loop.create_server(
            self._connected, address, port, ssl=tls, backlog=_BACKLOG, reuse_address=True
        )
        self._ports.append(listener)
        number: int = listener.sockets[0].getsockname()[1]
        return number

    def heard(self, request: web.Request) -> None:
        """Its connection may stay."""
        self._silent.discard(request.protocol)

    def close(self) -> None:
        """Nobody can connect any more."""
        for listener in self._ports:
            listener.close()
        self._ports.clear()

    def _connected(self) -> RequestHandler:
        handler = self._server()
        self._silent.add(handler)
        self._loop.call_later(self._patience, self._check, handler)
        return handler

    def _check(self, handler: RequestHandler) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            handler.force_close()

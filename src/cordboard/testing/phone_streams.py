"""TCP and TLS connections of simulated phones: one for each far end, used in both directions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.framer import FramingError, KeepAlive, StreamFramer

OnMessage = Callable[[bytes, Endpoint], None]
OnFailure = Callable[[Endpoint], None]

_CONNECT_WITHIN = 5.0
Peer = tuple[str, str, int]


class TlsContexts:
    """Certificates of a phone: `server` for those that call it over TLS, `client` for its own calls."""

    def __init__(self, *, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.client = client


class _Connection(asyncio.Protocol):
    """Cuts what arrives into messages; what is sent before it is open waits."""

    def __init__(self, streams: PhoneStreams, transport: str) -> None:
        self._streams = streams
        self._name = transport
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.peer = Endpoint(transport, "", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are no asyncio.Transport by their class.
        self._transport = opened = cast(asyncio.Transport, transport)
        address, port = opened.get_extra_info("peername")[:2]
        self.peer = Endpoint(self._name, address, port)
        self._streams.opened(self)
        for data in self.waiting:
            opened.write(data)
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        try:
            for item in self._framer.feed(data):
                if not isinstance(item, KeepAlive):
                    self._streams.on_message(item, self.peer)
                elif item is KeepAlive.PING and self._transport is not None:
                    self._transport.write(b"\r\n")
        except FramingError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.lost(self)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self.waiting.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class PhoneStreams:
    """`on_message(data, source)` for each message, `on_failure(destination)` where nobody can be reached."""

    def __init__(self, on_message: OnMessage, on_failure: OnFailure, tls: TlsContexts | None = None) -> None:
        self.on_message = on_message
        self._on_failure = on_failure
        self._tls = tls or TlsContexts()
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Peer, _Connection] = {}
        self._connecting: set[asyncio.Task[None]] = set()

    async def listen(self, transport: str, address: str, port: int) -> Endpoint:
        """Take calls over `TCP` or `TLS`; OSError if the port is taken."""
        context = self._tls.server if transport == "TLS" else None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self, transport), address, port, ssl=context)
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return Endpoint(transport, name[0], name[1])

    def send(self, data: bytes, destination: Endpoint) -> None:
        """Over the connection that there is, or a new one."""
        key = destination[:3]
        connection = self._connections.get(key)
        if connection is None:
            connection = self._connections[key] = _Connection(self, destination.transport)
            task = asyncio.get_running_loop().create_task(self._connect(connection, destination))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        connection.send(data)

    def close(self) -> None:
        """Harmless a second time."""
        for task in self._connecting:
            task.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()

    async def _connect(self, connection: _Connection, destination: Endpoint) -> None:
        context = self._tls.client if destination.transport == "TLS" else None
        name = (destination.server_name or destination.address) if context is not None else None
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    destination.address,
                    destination.port,
                    ssl=context,
                    server_hostname=name,
                )
        except (OSError, TimeoutError):
            self._connections.pop(destination[:3], None)
            self._on_failure(destination)

    def opened(self, connection: _Connection) -> None:
        self._connections[connection.peer[:3]] = connection

    def lost(self, connection: _Connection) -> None:
        for key, known in list(self._connections.items()):
            if known is connection:
                del self._connections[key]

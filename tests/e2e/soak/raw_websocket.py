"""A WebSocket (RFC 6455) by hand: a client that does what no library would, above all not read."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Self

_TEXT = 0x81
_HELLO = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_MASK = b"\0\0\0\0"
"""A mask that changes nothing: allowed, and cheap."""


class RawWebSocket:
    """An async context manager.  `receive_buffer`: bytes that the kernel takes while it does not read."""

    def __init__(self, port: int, *, receive_buffer: int = 4096) -> None:
        self._port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._unread = b""

    async def __aenter__(self) -> Self:
        await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._socket.close()

    async def upgrade(self) -> int:
        """The status of the answer."""
        await self.write(_HELLO.format(host=f"127.0.0.1:{self._port}").encode())
        while b"\r\n\r\n" not in self._unread:
            await self._more(4096)
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return int(head.split()[1])

    async def write(self, data: bytes) -> None:
        """Raises OSError when the server has cut the connection; waits while it reads nothing."""
        await self._loop.sock_sendall(self._socket, data)

    async def ask(self, request_id: str, method: str, params: Any) -> None:
        """A request; its answer is not waited for."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        await self.write(frame(json.dumps(message).encode()))

    async def message(self, *, at_once: int = 65_536) -> dict[str, Any]:
        """The next text message, read in pieces of `at_once` bytes; others are skipped."""
        while True:
            first, payload = await self._frame(at_once)
            if first == _TEXT:
                found: dict[str, Any] = json.loads(payload)
                return found
            if first == 0x88:
                raise ConnectionError(f"closed: {payload[2:].decode()}")

    async def closed(self) -> None:
        """Read, and throw away, until the server has closed or cut the connection."""
        while True:
            try:
                if not await self._loop.sock_recv(self._socket, 1 << 20):
                    return
            except OSError:
                return

    async def _frame(self, at_once: int) -> tuple[int, bytes]:
        first, short = await self._take(2, at_once)
        size = short
        if short == 126:
            size = int.from_bytes(await self._take(2, at_once), "big")
        elif short == 127:
            size = int.from_bytes(await self._take(8, at_once), "big")
        return first, await self._take(size, at_once)

    async def _take(self, size: int, at_once: int) -> bytes:
        while len(self._unread) < size:
            await self._more(at_once)
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    async def _more(self, at_once: int) -> None:
        data = await self._loop.sock_recv(self._socket, at_once)
        if not data:
            raise ConnectionError("the server has closed the connection")
        self._unread += data


def frame(payload: bytes) -> bytes:
    """A text message in one frame."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, 0x80 | size)) + _MASK + payload
    if size < 1 << 16:
        return bytes((_TEXT, 0x80 | 126)) + size.to_bytes(2, "big") + _MASK + payload
    return bytes((_TEXT, 0x80 | 127)) + size.to_bytes(8, "big") + _MASK + payload

"""The cheapest RELAY client that is still honest: own WebSocket frames, every event read and answered.

A load of a thousand clients must cost its core less than the server costs the other one, so nothing here is
general: messages of the server come unfragmented and uncompressed, as it writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

from bench.machine import LOOPBACK

PROJECT, TOKEN = "bench", "token-of-the-bench"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Event(msgspec.Struct):
    """What counts of a `signalwire.event`."""

    event_type: str
    timestamp: float
    params: dict[str, Any]


class Frame(msgspec.Struct):
    """A message of the server."""

    id: str | int | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


_read = msgspec.json.Decoder(Frame).decode
read_event = msgspec.json.Decoder(Event).decode
_write = msgspec.json.Encoder().encode


class Link(asyncio.Protocol):
    """One client.  `on_event(link, event)` for each event, before it is answered."""

    def __init__(
        self, on_event: Callable[[Link, Event], None], *, acks: bool = True, contexts: tuple[str, ...] = ()
    ) -> None:
        self.protocol = ""
        """Of its session, once it is in."""
        self.closed: int | None = None
        """The code with which the server closed; 0: without one."""
        self._on_event = on_event
        self._acks = acks
        self._contexts = contexts
        self._buffer = b""
        self._is_open = False
        self._ids = 0
        self._waiting: dict[str | int | None, Callable[[Frame], None]] = {}
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    async def connect(self, port: int) -> None:
        """Raises OSError, RuntimeError (refused)."""
        await asyncio.get_running_loop().create_connection(lambda: self, LOOPBACK, port)
        async with asyncio.timeout(20):
            await self._connected

    def ask(self, method: str, params: dict[str, Any], then: Callable[[Frame], None]) -> None:
        """`then` gets the answer."""
        self._ids += 1
        name = str(self._ids)
        self._waiting[name] = then
        self._send(_TEXT, _write({"jsonrpc": "2.0", "id": name, "method": method, "params": params}))

    def cut(self) -> None:
        """Without a goodbye."""
        self._transport.abort()

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.write(
            b"GET / HTTP/1.1\r\nHost: " + LOOPBACK.encode() + b"\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = self.closed or 0
        self._refused("the connection was lost")

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:20]:
                self._refused(head[:40].decode("latin-1"))
                return
            self._is_open = True
            self._introduce()
        self._buffer = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """What is left."""
        at, end = 0, len(data)
        while at + 2 <= end:
            size, start = data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > end:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > end:
                break
            self._frame(data[at] & 15, data[start : start + size])
            at = start + size
        return data[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self._message(_read(payload))
        elif opcode == _PING:
            self._send(_PONG, payload)
        elif opcode == _CLOSE:
            self.closed = int.from_bytes(payload[:2], "big")
            self._transport.close()

    def _send(self, opcode: int, payload: bytes) -> None:
        """Masked, as it must be, with a mask that changes nothing."""
        size = len(payload)
        head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else b""
        head = head or bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
        self._transport.write(head + bytes(4) + payload)

    # ------------------------------------------------------------ messages

    def _introduce(self) -> None:
        self.ask(
            "signalwire.connect",
            {
                "version": {"major": 3, "minor": 0, "revision": 0},
                "authentication": {"project": PROJECT, "token": TOKEN},
                "contexts": self._contexts,
                "event_acks": self._acks,
            },
            self._let_in,
        )

    def _let_in(self, answer: Frame) -> None:
        if answer.result is None:
            self._refused(str(answer.error))
        elif not self._connected.done():
            self.protocol = answer.result["protocol"]
            self._connected.set_result(None)

    def _refused(self, why: str) -> None:
        if not self._connected.done():
            self._connected.set_exception(RuntimeError(f"a client is not let in: {why}"))

    def _message(self, frame: Frame) -> None:
        if not frame.method:
            then = self._waiting.pop(frame.id, None)
            if then is not None:
                then(frame)
        elif frame.method == "signalwire.event":
            self._on_event(self, read_event(frame.params))
            if self._acks:
                self._send(_TEXT, b'{"jsonrpc":"2.0","id":"%b","result":{}}' % str(frame.id).encode())

"""The client's side of a WebSocket (RFC 6455), without a socket: bytes in, bytes and events out.

It sends binary messages and is not interested in what it is sent: data is skipped as it comes, whatever its
length, so that nothing of it is ever held.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import NamedTuple

NORMAL, PROTOCOL_ERROR = 1000, 1002
_CONTINUATION, _TEXT, _BINARY = 0x0, 0x1, 0x2
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA
_KNOWN = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MOST_CONTROL = 125
MOST_ANSWER = 16_384
"""Bytes of the answer to the handshake."""


class WebSocketError(Exception):
    """The server does not speak WebSocket, or does not want to; `str()` is the end of a sentence."""


class Closed(NamedTuple):
    """The server closes the connection."""

    code: int
    """0 = it gave none."""
    reason: str


def handshake(*, host: str, path: str, key: bytes, authorization: str = "") -> bytes:
    """The request.  `key`: 16 random bytes; `host`: with the port where it is not the usual one.

    Raises ValueError where a value would end its line.
    """
    fields = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(key).decode()}",
        "Sec-WebSocket-Version: 13",
        "User-Agent: Cordboard",
    ]
    if authorization:
        fields.append(f"Authorization: {authorization}")
    if any(not field.isascii() or not field.isprintable() for field in fields) or " " in path + host:
        raise ValueError("not a URL that can be requested")
    return "\r\n".join([*fields, "", ""]).encode("ascii")


def read_answer(data: bytes, key: bytes) -> int | None:
    """Bytes of the answer's head once it is whole and right, None while it is not whole.

    Raises `WebSocketError`.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MOST_ANSWER:
            raise WebSocketError("answered with something that is not HTTP")
        return None
    status, *lines = data[:end].decode("latin-1").split("\r\n")
    _check_status(status)
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if fields.get("upgrade", "").lower() != "websocket" or fields.get("sec-websocket-accept") != accept(key):
        raise WebSocketError("answered 101, but not as a WebSocket server does")
    if fields.get("sec-websocket-extensions") or fields.get("sec-websocket-protocol"):
        raise WebSocketError("chose an extension or a protocol that was not offered")
    return end + 4


def _check_status(line: str) -> None:
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise WebSocketError("answered with something that is not HTTP")
    if code != "101":
        raise WebSocketError(f"answered {code}, not 101: it does not accept the WebSocket")


def accept(key: bytes) -> str:
    """What a server answers to a key (RFC 6455 4.2.2)."""
    digest = hashlib.sha1(base64.b64encode(key) + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def binary(payload: bytes, mask: int) -> bytes:
    """One message.  `mask`: 32 random bits."""
    return _frame(_BINARY, payload, mask)


def ping(mask: int) -> bytes:
    """Are you there?"""
    return _frame(_PING, b"", mask)


def close(code: int, mask: int) -> bytes:
    """The last frame."""
    return _frame(_CLOSE, code.to_bytes(2, "big"), mask)


def _frame(opcode: int, payload: bytes, mask: int) -> bytes:
    size = len(payload)
    if size <= _MOST_CONTROL:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    key = mask.to_bytes(4, "big")
    return head + key + _masked(payload, key)


def _masked(payload: bytes, key: bytes) -> bytes:
    """As one large number: a loop over the bytes would take twenty times as long."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


class Receiver:
    """What the server sends: its pings, and its end.  Raises `WebSocketError` when it breaks the rules."""

    __slots__ = ("_control", "_head", "_inside", "_opcode", "_skip")

    def __init__(self) -> None:
        self._head = b""
        """Of a frame that is not whole yet."""
        self._skip = 0
        """Bytes of data still to come of this frame."""
        self._inside = False
        """A message goes on in the next frame."""

    def feed(self, data: bytes) -> list[bytes | Closed]:
        """Payloads of pings that want a pong, and `Closed`, after which nothing counts any more."""
        events: list[bytes | Closed] = []
        data = self._head + data
        at = 0
        while True:
            skipped = min(self._skip, len(data) - at)
            self._skip -= skipped
            at += skipped
            taken = self._take(data, at, events)
            if taken == 0 or (events and isinstance(events[-1], Closed)):
                self._head = data[at:]
                return events
            at += taken

    def _take(self, data: bytes, at: int, events: list[bytes | Closed]) -> int:
        """Bytes of the next frame that are taken; 0 if its head is not there yet."""
        if self._skip or len(data) - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        if second & 0x80 or first & 0x70 or first & 0x0F not in _KNOWN:
            raise WebSocketError("sent a frame that no WebSocket server may send")
        if first & 0x08:
            return self._take_control(data, at, events)
        return self._take_data(data, at)

    def _take_control(self, data: bytes, at: int, events: list[bytes | Closed]) -> int:
        first, size = data[at], data[at + 1]
        if size > _MOST_CONTROL or not first & 0x80:
            raise WebSocketError("sent a control frame that is too long or in pieces")
        payload = data[at + 2 : at + 2 + size]
        if len(payload) < size:
            return 0
        if first & 0x0F == _PING:
            events.append(payload)
        elif first & 0x0F == _CLOSE:
            events.append(_closed(payload))
        return 2 + size

    def _take_data(self, data: bytes, at: int) -> int:
        first, size = data[at], data[at + 1]
        more = {126: 2, 127: 8}.get(size, 0)
        if len(data) - at < 2 + more:
            return 0
        if (first & 0x0F == _CONTINUATION) is not self._inside:
            raise WebSocketError("sent the pieces of a message in a wrong order")
        self._inside = not first & 0x80
        self._skip = int.from_bytes(data[at + 2 : at + 2 + more], "big") if more else size
        if self._skip >> 63:
            raise WebSocketError("sent a frame of an impossible length")
        return 2 + more


def pong(payload: bytes, mask: int) -> bytes:
    """The answer to a ping."""
    return _frame(_PONG, payload, mask)


def _closed(payload: bytes) -> Closed:
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 0
    return Closed(code, payload[2:].decode("utf-8", "replace"))

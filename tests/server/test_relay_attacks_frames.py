"""Frames that no WebSocket library would send: each costs its own connection at most, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct

import pytest

from cordboard.relay.connection import Patience

from .relay_bench import PROJECT, TOKEN, Bench, bench

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CONNECT = (
    b'{"jsonrpc":"2.0","id":"c","method":"signalwire.connect","params":{"authentication":'
    b'{"project":"' + PROJECT.encode() + b'","token":"' + TOKEN.encode() + b'"}}}'
)
PING = b'{"jsonrpc":"2.0","id":"p","method":"signalwire.ping","params":{}}'


def frame(first: int, payload: bytes = b"", *, masked: bool = True, length: int | None = None) -> bytes:
    """`first`: the octet with FIN, the reserved bits and the opcode; `length`: what it claims."""
    size = len(payload) if length is None else length
    mask = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, mask | size))
    elif size < 1 << 16:
        head = bytes((first, mask | 126)) + struct.pack(">H", size)
    else:
        head = bytes((first, mask | 127)) + struct.pack(">Q", size)
    key = b"\x12\x34\x56\x78"
    body = bytes(octet ^ key[at % 4] for at, octet in enumerate(payload)) if masked else payload
    return head + (key if masked else b"") + body


BREAKING = {
    "reserved bits": frame(0xF1, PING),
    "compressed, which nobody agreed to": frame(0xC1, PING),
    "an opcode that is none": frame(0x83, PING),
    "a continuation of nothing": frame(0x80, PING),
    "a second beginning": frame(0x01, PING[:9]) + frame(0x01, PING),
    "a ping of 126 octets": frame(0x89, b"x" * 126),
    "half a ping": frame(0x09, b"x"),
    "more than a message may have": frame(0x81, b"{", length=1 << 30),
    "a length of 64 bits": frame(0x81, b"{", length=(1 << 63) + 5),
    "no UTF-8": frame(0x81, b'{"jsonrpc":"\xff\xfe"}'),
    "half a close code": frame(0x88, b"\x03"),
    "a close code that is none": frame(0x88, b"\x00\x01"),
    "a close with a reason that is no UTF-8": frame(0x88, b"\x03\xe8\xff"),
    "endless fragments": frame(0x01, b"[") + frame(0x00, b"1," * 30_000) * 20,
}
BEARABLE = {
    "fragments": frame(0x01, PING[:9]) + frame(0x00, PING[9:20]) + frame(0x80, PING[20:]),
    "a ping among fragments": frame(0x01, PING[:9]) + frame(0x89, b"x") + frame(0x80, PING[9:]),
    "empty fragments": frame(0x01) + frame(0x00) * 500 + frame(0x80, PING),
    "pongs that nobody asked for": frame(0x8A, b"9" * 18) * 50 + frame(0x8A, b"-1") + frame(0x81, PING),
    "two messages in one packet": frame(0x81, b'{"x":1}') + frame(0x81, PING),
    "an empty message": frame(0x81) + frame(0x81, PING),
    "five hundred pings": frame(0x89, b"x" * 125) * 500 + frame(0x81, PING),
}


class Raw:
    """A connection that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, server: Bench, *, connected: bool = True) -> Raw:
        raw = cls(*await asyncio.open_connection("127.0.0.1", server.http.port))
        raw.send(HANDSHAKE)
        await raw.until(b"\r\n\r\n")
        if connected:
            raw.send(frame(0x81, CONNECT))
            await raw.until(b"authorization.state")
        return raw

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def until(self, wanted: bytes) -> bytes:
        """All that comes up to there."""
        async with asyncio.timeout(5.0):
            return await self._reader.readuntil(wanted)

    async def closed(self) -> None:
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(5.0):
                while await self._reader.read(65_536):
                    pass
        self.leave()

    def leave(self) -> None:
        self._writer.close()


@pytest.mark.parametrize("connected", [True, False], ids=["let in", "not let in"])
@pytest.mark.parametrize("data", BREAKING.values(), ids=BREAKING)
async def test_a_broken_frame_ends_its_connection_and_no_other(
    data: bytes, connected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """RELAY 50."""
    async with bench() as server:
        neighbour = await server.connected()
        raw = await Raw.open(server, connected=connected)
        raw.send(data)
        await raw.closed()
        await server.until(lambda: len(server.sockets) == 1)
        assert (await neighbour.ask("signalwire.ping"))["result"] == {}
        assert server.hub.counts() == {"clients": 1 + connected, "sockets": 1}
    assert [entry.message for entry in caplog.records if entry.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("data", BEARABLE.values(), ids=BEARABLE)
async def test_an_odd_frame_is_borne(data: bytes) -> None:
    """RELAY 50."""
    async with bench() as server:
        raw = await Raw.open(server)
        raw.send(data)
        assert b'"result"' in await raw.until(b'"id":"p"') + await raw.until(b"}}")
        raw.leave()


async def test_a_frame_that_comes_octet_by_octet_is_a_frame() -> None:
    """RELAY 50."""
    async with bench() as server:
        raw = await Raw.open(server)
        for octet in frame(0x81, PING):
            raw.send(bytes((octet,)))
            await asyncio.sleep(0)
        await raw.until(b'"id":"p"')
        raw.leave()


async def test_a_handshake_that_never_ends_and_a_client_that_never_speaks_are_not_waited_for() -> None:
    """RELAY 51."""
    async with bench(patience=Patience(handshake=0.1)) as server:
        silent = await Raw.open(server, connected=False)
        half = await Raw.open(server, connected=False)
        half.send(frame(0x81, CONNECT)[:20])
        for raw in (silent, half):
            await raw.until(b"no signalwire.connect in time")
            raw.leave()
        await server.until(lambda: len(server.sockets) == 0)
        assert server.hub.counts() == {"clients": 0, "sockets": 0}

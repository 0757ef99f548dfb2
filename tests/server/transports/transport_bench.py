"""What the tests of the SIP transports share: a bench with everything that it was told, raw far ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cordboard.server.config import SipSection
from cordboard.server.sip_streams import StreamLimits
from cordboard.server.sip_transports import SipTransports
from cordboard.sip.endpoint import Endpoint

WAIT = 20.0


def options(call_id: str = "1", *, body: bytes = b"") -> bytes:
    head = (
        "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5;branch=z9hG4bK1\r\n"
        "From: <sip:b@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Bench:
    """Transports, and all that they have told."""

    def __init__(
        self, *, directory: Path | None = None, limits: StreamLimits | None = None, **settings: Any
    ) -> None:
        self.received: list[tuple[bytes, Endpoint]] = []
        self.failed: list[tuple[Endpoint, str]] = []
        self.answer: bytes | None = None
        """Sent back to the source of every message."""
        self.transports = SipTransports(
            SipSection.model_validate({"port": 0, **settings}),
            on_message=self._message,
            on_failure=lambda endpoint, sentence: self.failed.append((endpoint, sentence)),
            directory=directory,
            limits=limits,
        )
        self.transports.listen()

    def _message(self, data: bytes, source: Endpoint) -> None:
        self.received.append((data, source))
        if self.answer is not None:
            self.transports.send(self.answer, source)

    def at(self, transport: str, *, v6: bool = False, server_name: str = "") -> Endpoint:
        """Where it listens."""
        found = [e for e in self.transports.local if e.transport == transport and (":" in e.address) is v6]
        return found[0]._replace(server_name=server_name)

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def failure(self) -> str:
        """The sentence of the first failure."""
        await self.until(lambda: self.failed)
        return self.failed[0][1]

    async def close(self) -> None:
        await self.transports.close()


Make = Callable[..., Bench]


class FarEnd:
    """A plain TCP (or TLS) server that keeps what it reads."""

    def __init__(self) -> None:
        self.read = b""
        self.connections: list[asyncio.StreamWriter] = []
        self.server: asyncio.Server
        self.port = 0

    async def start(self, *, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> FarEnd:
        self.server = await asyncio.start_server(self._serve, host, 0, ssl=context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while data := await reader.read(65_536):
                self.read += data
        except OSError:
            pass

    async def stop(self) -> None:
        self.server.close()
        for writer in self.connections:
            writer.close()
        await asyncio.sleep(0)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read until the far end closes, in whatever way."""
    async with asyncio.timeout(WAIT):
        return await _all(reader.read(-1))


async def _all(reading: Awaitable[bytes]) -> bytes:
    try:
        return await reading
    except (ConnectionError, ssl.SSLError):
        return b""

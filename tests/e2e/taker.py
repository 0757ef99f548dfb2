"""A WebSocket service for taps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web

from cordboard.media.codecs import g711

from .conftest import serving


class Taker:
    """A WebSocket service that keeps what it is sent."""

    def __init__(self) -> None:
        self.uri = ""
        self.messages: list[bytes] = []
        self.kinds: set[WSMsgType] = set()
        self.close_code: int | None = None
        self.hang_up_after: int | None = None
        """Messages."""

    async def take(self, request: web.Request) -> web.WebSocketResponse:
        sock = web.WebSocketResponse()
        await sock.prepare(request)
        async for message in sock:
            self.kinds.add(message.type)
            self.messages.append(message.data)
            if len(self.messages) == self.hang_up_after:
                await sock.close(code=1001)
        self.close_code = sock.close_code
        return sock

    def pcm(self, codec: str, count: int) -> bytes:
        """Of the last so many messages but one."""
        return g711.decode(codec, b"".join(self.messages[-count - 1 : -1]))


@asynccontextmanager
async def taking() -> AsyncIterator[Taker]:
    taker = Taker()
    app = web.Application()
    app.router.add_get("/audio", taker.take)
    async with serving(app) as url:
        taker.uri = url.replace("http://", "ws://") + "/audio"
        yield taker

"""A RELAY server of another make: it says what the test tells it to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

Json = dict[str, Any]
Answer = Callable[[Json], Json]

PROTOCOL = "signalwire_abc_1_p"


class ScriptedServer:
    """Accepts project `p` with token `t`; every other method is answered with 200 unless told otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets: list[web.WebSocketResponse] = []
        self.requests: list[Json] = []
        self.acknowledged: list[str] = []
        self.answers: dict[str, Answer | None] = {}
        """By method; None: no answer at all."""
        self.is_down = False
        self._news = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.is_down:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(socket, json.loads(message.data))
        return socket

    async def _take(self, socket: web.WebSocketResponse, frame: Json) -> None:
        if "method" not in frame:
            self.acknowledged.append(frame["id"])
            self._news.set()
            return
        self.requests.append(frame)
        answer = self.answers.get(frame["method"], self._usual)
        if answer is not None:
            await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], **answer(frame)})
        self._news.set()

    def _usual(self, frame: Json) -> Json:
        if frame["method"] != "signalwire.connect":
            return {"result": {"code": "200", "message": "OK"}}
        if frame["params"]["authentication"] != {"project": "p", "token": "t"}:
            return {"error": {"code": -32002, "message": "Authentication failed"}}
        return {"result": {"protocol": PROTOCOL, "session_restored": "protocol" in frame["params"]}}

    def params(self, method: str) -> list[Json]:
        return [frame["params"] for frame in self.requests if frame["method"] == method]

    async def event(self, event_type: str, body: Json, event_id: str = "e1") -> None:
        """On the newest socket."""
        params = {"event_type": event_type, "params": body}
        frame = {"jsonrpc": "2.0", "id": event_id, "method": "signalwire.event", "params": params}
        await self.sockets[-1].send_json(frame)

    async def asked(self, method: str, count: int = 1) -> Json:
        """Wait for the params of a request."""
        await self.until(lambda: len(self.params(method)) >= count)
        return self.params(method)[count - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    app = web.Application()
    app.router.add_get("/", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for socket in server.sockets:
            await socket.close()
        await runner.cleanup()

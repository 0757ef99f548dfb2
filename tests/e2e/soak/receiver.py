"""A web service that fails three answers in ten, and drops what it has had already."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter, defaultdict
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_FAILING = 0.30
_KINDS = {"500": 12, "503": 5, "reset": 10, "hang": 1}
_HANG = 7.0
"""Longer than the sender waits."""
_KEEPALIVE = 2.0
"""Idle connections are closed soon, sometimes in the moment in which the next request comes."""


class FlakyReceiver:
    """Several origins, one book.  What it takes it may take and then fail, so that it gets it again."""

    def __init__(self, seed: int, *, most_failures: int, origins: int = 6) -> None:
        """`most_failures` of one event: the pauses before new tries double, and a test has an end."""
        self._random = random.Random(seed)
        self._origins = origins
        self._most_failures = most_failures
        self._failures: Counter[str] = Counter()
        self._runners: list[web.AppRunner] = []
        self._hanging: set[asyncio.Task[Any] | None] = set()
        self.urls: list[str] = []
        self.events: dict[str, dict[str, Any]] = {}
        """Event id → body: what a receiver that drops repeated ids has seen."""
        self.lanes: dict[tuple[str, str], list[str]] = defaultdict(list)
        """(session, URL) → event ids in the order in which they were first taken."""
        self.requests = 0
        self.repeats = 0
        self.failed: Counter[str] = Counter()
        self.faults: list[str] = []
        """What must never happen, as sentences."""

    async def __aenter__(self) -> Self:
        for _ in range(self._origins):
            app = web.Application()
            app.router.add_post("/{path:.*}", self._take)
            runner = web.AppRunner(app, access_log=None, keepalive_timeout=_KEEPALIVE)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.urls.append("http://{}:{}".format(*runner.addresses[0][:2]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._hanging:
            if task is not None:
                task.cancel()
        for runner in self._runners:
            await runner.cleanup()

    @property
    def figures(self) -> str:
        failed = sum(self.failed.values())
        return (
            f"{self.requests} requests, {failed} failed ({failed / max(self.requests, 1):.0%}: "
            f"{dict(self.failed)}), {self.repeats} repeated ids, {len(self.events)} events"
        )

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        event_id = request.headers["X-Cordboard-Event-Id"]
        self.requests += 1
        fails = self._failures[event_id] < self._most_failures and self._random.random() < _FAILING
        if not fails or self._random.random() < 0.5:
            self._note(event_id, str(request.url), body)
        return await self._fail(event_id, request) if fails else web.Response()

    def _note(self, event_id: str, url: str, body: dict[str, Any]) -> None:
        if event_id in self.events:
            self.repeats += 1
            if self.events[event_id] != body:
                self.faults.append(f"event {event_id} came again with another body")
            return
        self.events[event_id] = body
        self.lanes[body["event_channel"].removeprefix("swml:"), url].append(event_id)

    async def _fail(self, event_id: str, request: web.Request) -> web.StreamResponse:
        kind = self._random.choices(list(_KINDS), list(_KINDS.values()))[0]
        self._failures[event_id] += 1
        self.failed[kind] += 1
        if kind == "hang":
            await self._hang()
        elif kind == "reset":
            _reset(request)
        return web.Response(status=int(kind) if kind.isdigit() else 500)

    async def _hang(self) -> None:
        task = asyncio.current_task()
        self._hanging.add(task)
        try:
            await asyncio.sleep(_HANG)
        finally:
            self._hanging.discard(task)


def _reset(request: web.Request) -> None:
    """RST in place of an answer."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

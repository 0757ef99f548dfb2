"""A receiver of callbacks: a process that answers every POST with 200 and counts."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import cast

import uvloop

from bench.machine import LOOPBACK, settle_on

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Receiver:
    """A context manager; `url` is where callbacks go, `count()` how many came."""

    def __init__(self, *, core: int, priority: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._count: Synchronized[int] = context.Value("q", 0)
        self._port: Synchronized[int] = context.Value("i", 0)
        self._ready = context.Event()
        arguments = (self._count, self._port, self._ready, core, priority)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)

    def __enter__(self) -> Receiver:
        self._process.start()
        if not self._ready.wait(20):
            raise RuntimeError("the receiver of callbacks does not start")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.join(5)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port.value}/callbacks"

    def count(self) -> int:
        return self._count.value


class _Connection(asyncio.Protocol):
    """Just enough HTTP to take what a client of ours posts: Content-Length, keep-alive."""

    def __init__(self, count: Synchronized[int]) -> None:
        self._count = count
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._count.value += 1
            self._transport.write(_ANSWER)


def _serve(count: Synchronized[int], port: Synchronized[int], ready: Event, core: int, priority: int) -> None:
    os.setsid()
    settle_on(core, priority)
    parent = multiprocessing.parent_process()
    assert parent is not None

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(count), LOOPBACK, 0)
        port.value = server.sockets[0].getsockname()[1]
        ready.set()
        await asyncio.to_thread(parent.join)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())

"""The load of RELAY: a process with many clients, each with its session, that checks what it is told.

Events that count carry their number in `control_id`, from 0 on for each client.  The process that measures
tells it what to do and asks for nothing in between:

    connect → names     so many clients; the protocol strings of their sessions
    expect  → Delivered wait for so many events, or until nothing comes any more
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple

import uvloop

from bench.machine import settle_on
from bench.relay_link import Event, Link
from bench.sipp_load import quantile

_AT_ONCE = 20
"""Connections on their way at one moment."""
_MORE = 0.5
_SILENCE = 3.0
"""Seconds without an event, after which what is missing will not come."""


class Delivered(NamedTuple):
    """How the events came."""

    events: int
    out_of_order: int
    """Lost, doubled or overtaken: events whose number was not the next one of their client."""
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    cut: int
    """Clients that lost their connection."""
    cpu_seconds: float
    """Of this load."""


class RelayLoad:
    """The measuring side; a context manager."""

    def __init__(self, *, core: int, priority: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, core, priority), daemon=True)

    def __enter__(self) -> RelayLoad:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
        self._pipe.close()

    def connect(self, port: int, clients: int, *, acks: bool = True) -> list[str]:
        """More clients; the names of their sessions.  Raises RuntimeError."""
        self._pipe.send(("connect", (port, clients, acks)))
        return list(self._answer(120))

    def begin_counting(self, events: int) -> None:
        """From nothing on, until so many have come."""
        self._pipe.send(("expect", (events,)))

    def counted(self, patience: float) -> Delivered:
        """Wait for the end of `begin_counting`."""
        return Delivered(*self._answer(patience))

    def _answer(self, patience: float) -> Any:
        if not self._pipe.poll(patience):
            raise RuntimeError("the load does not answer")
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the load has died") from None
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer


# ------------------------------------------------------------------ the process


class _Load:
    """All clients of this process."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._numbers: dict[Link, int] = {}
        self._delays: list[float] = []
        self._wrong = 0
        self._last = 0.0

    async def connect(self, port: int, clients: int, acks: bool) -> list[str]:
        links = [Link(self._take, acks=acks) for _ in range(clients)]
        for start in range(0, clients, _AT_ONCE):
            await asyncio.gather(*[link.connect(port) for link in links[start : start + _AT_ONCE]])
        self._links += links
        return [link.protocol for link in links]

    async def expect(self, events: int) -> tuple[float, ...]:
        self._numbers = dict.fromkeys(self._links, 0)
        self._delays, self._wrong = [], 0
        self._last, cpu = time.monotonic(), time.process_time()
        while len(self._delays) < events and time.monotonic() - self._last < _SILENCE:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(_MORE)  # what comes now came twice
        delays = sorted(self._delays)
        cut = sum(link.closed is not None for link in self._links)
        slowest = delays[-1] if delays else 0.0
        return (
            len(delays), self._wrong, quantile(delays, 0.5), quantile(delays, 0.99), slowest, cut,
            time.process_time() - cpu,
        )  # fmt: skip

    def close(self) -> None:
        for link in self._links:
            link.cut()

    def _take(self, link: Link, event: Event) -> None:
        control_id = event.params.get("control_id")
        if control_id is None:
            return
        self._delays.append((time.time() - event.timestamp) * 1000)
        self._last = time.monotonic()
        number, wanted = int(control_id), self._numbers.get(link, 0)
        self._wrong += number != wanted
        self._numbers[link] = number + 1


def _run(pipe: Connection, core: int, priority: int) -> None:
    os.setsid()
    settle_on(core, priority)
    gc.disable()

    async def run() -> None:
        load = _Load()
        orders: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
            "connect": load.connect,
            "expect": load.expect,
        }
        while (order := await asyncio.to_thread(_next, pipe)) is not None:
            try:
                pipe.send(await orders[order[0]](*order[1]))
            except (OSError, RuntimeError, TimeoutError) as error:
                pipe.send(f"the load failed: {error}")
        load.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _next(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return None

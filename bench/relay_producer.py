"""A whole server whose calls are made up: what happens to them comes at any rate, in its own process.

Everything behind `Recorder.report` is the server's own (store, projection, sessions, sockets); only the calls
are not there, because one core cannot make 5,000 things a second happen to real ones.  The process that
measures says how many of what:

    produce → Produced  so many events a second, in turn to the calls of all clients
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, NamedTuple, cast

from bench.machine import CpuTime, cpu_time, settle_on
from bench.pipes import answer
from bench.relay_link import PROJECT, TOKEN
from bench.subject import write_config
from cordboard.call.call import Call
from cordboard.call.effects import CallStateChanged, PlayStateChanged, Report
from cordboard.call.info import CallInfo
from cordboard.cli.setting import run_loop
from cordboard.events.bodies import envelope
from cordboard.server import config as configuration
from cordboard.server.recorder import Recorder
from cordboard.server.server import Server

SECTIONS = f"""\
[relay]
max_connections_per_source = 10000

[projects.{PROJECT}]
tokens = ["{TOKEN}"]

[routes]
"*" = {{ context = "office", project = "{PROJECT}" }}
"""
_TICK = 0.004
"""Seconds between two handfuls of events."""


class Produced(NamedTuple):
    """How it went."""

    events: int
    seconds: float


class Producer:
    """The measuring side; a context manager."""

    def __init__(self, *, core: int, priority: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._directory = tempfile.TemporaryDirectory(prefix="cordboard-bench-")
        arguments = (theirs, self._directory.name, core, priority)
        # Not a daemon: it has a media worker.
        self._process = context.Process(target=_run, args=arguments)
        self.http_port = 0

    def __enter__(self) -> Producer:
        self._process.start()
        self.http_port = int(self._answer(30))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join(15)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._directory.cleanup()

    def cpu(self) -> CpuTime:
        """What the control process has used."""
        assert self._process.pid is not None
        return cpu_time(self._process.pid)

    def produce(self, owners: list[str], rate: int, seconds: float, *, stored: bool) -> Produced:
        """`owners`: the sessions whose calls they are; each has one call."""
        self._pipe.send((owners, rate, seconds, stored))
        return Produced(*self._answer(seconds * 5 + 30))

    def _answer(self, patience: float) -> Any:
        return answer(self._pipe, patience, "the server")


# ------------------------------------------------------------------ the process


class _MadeUp:
    """A call as the recorder sees one."""

    numbers = itertools.count()

    def __init__(self, owner: str) -> None:
        name = f"made-up-{next(self.numbers)}"
        self.told = itertools.count()
        self.info = CallInfo(
            call_id=name,
            node_id="node",
            segment_id=name,
            project_id=PROJECT,
            space_id="space",
            session_id=name,
            call_state="answered",
            direction="outbound",
            type="sip",
            from_="sip:alice@example.com",
            to="sip:bob@example.com",
            owner=owner,
        )
        self.call = cast(Call, SimpleNamespace(info=self.info, destination=None, variables=dict))


async def _produce(
    recorder: Recorder, owners: list[str], rate: int, seconds: float, stored: bool
) -> Produced:
    calls = [_MadeUp(owner) for owner in owners]
    for one in calls:
        recorder.begin(one.call)
        recorder.report(one.call, Report(happening=CallStateChanged(state="created")))
        await asyncio.sleep(0)
    in_turn = itertools.cycle(calls)
    tell = _stored if stored else _told
    began, count, whole = time.monotonic(), 0, int(rate * seconds)
    while count < whole:
        for _ in range(min(whole, int((time.monotonic() - began) * rate)) - count):
            tell(recorder, next(in_turn))
            count += 1
        await asyncio.sleep(_TICK)
    return Produced(count, time.monotonic() - began)


def _stored(recorder: Recorder, one: _MadeUp) -> None:
    """As for a real call."""
    happening = PlayStateChanged(state="playing", control_id=str(next(one.told)))
    recorder.report(one.call, Report(happening=happening))


def _told(recorder: Recorder, one: _MadeUp) -> None:
    """Without its row in the store."""
    happening = PlayStateChanged(state="playing", control_id=str(next(one.told)))
    body = envelope(happening, one.info, timestamp=time.time())
    for listener in recorder.owned_listeners:
        listener(one.info, happening, body)


def _run(pipe: Connection, directory: str, core: int, priority: int) -> None:
    os.setsid()
    settle_on(core, priority)

    async def run() -> int:
        path = write_config(Path(directory), sections=SECTIONS)
        async with Server(configuration.load(path), path=path) as server:
            pipe.send(server.http.port)
            while (order := await asyncio.to_thread(_next, pipe)) is not None:
                pipe.send(await _produce(server.recorder, *order))
        return 0

    run_loop(run())


def _next(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return None

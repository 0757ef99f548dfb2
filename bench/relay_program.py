"""A program that drives calls over RELAY, in a process of its own: answer, play, connect, hang up the peer.

One client, as cheap as `relay_link` is, for all calls of its context.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
from collections import Counter
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import uvloop

from bench.machine import LOOPBACK, settle_on
from bench.relay_link import Event, Frame, Link

CONTEXT = "office"
PLAY = [{"type": "silence", "params": {"duration": 0.1}}]


class Program:
    """The measuring side; a context manager.

    `callee_port`: where its calls are connected to; `acks`: it answers events, as most SDKs do.
    """

    def __init__(
        self, http_port: int, callee_port: int, *, acks: bool = True, core: int, priority: int = 0
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, http_port, callee_port, acks, core, priority)
        self._process = context.Process(target=_run, args=arguments, daemon=True)

    def __enter__(self) -> Program:
        self._process.start()
        if not self._pipe.poll(20):
            raise RuntimeError("the program is not let in")
        self._pipe.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join(5)
        self._pipe.close()

    def seen(self) -> Counter[str]:
        """What it has seen since it was last asked: `receive`, `connected`, `ended`, refusals."""
        self._pipe.send(None)
        if not self._pipe.poll(10):
            raise RuntimeError("the program does not answer")
        return Counter(self._pipe.recv())


# ------------------------------------------------------------------ the process


class _Calls:
    """All of them; what to do next is told by each event."""

    def __init__(self, callee_port: int) -> None:
        to = f"sip:callee@{LOOPBACK}:{callee_port}"
        params = {"from": f"sip:caller@{LOOPBACK}", "to": to, "timeout": 20}
        self._devices = [[{"type": "sip", "params": params}]]
        self._callers: set[str] = set()
        self.seen: Counter[str] = Counter()

    def take(self, link: Link, event: Event) -> None:
        """Any event."""
        self.seen["events"] += 1
        known = _TAKE.get(event.event_type)
        if known is not None:
            known(self, link, event.params)

    def _receive(self, link: Link, params: dict[str, Any]) -> None:
        self.seen["receive"] += 1
        self._callers.add(params["call_id"])
        self._ask(link, "calling.answer", params)

    def _state(self, link: Link, params: dict[str, Any]) -> None:
        call_id, state = params["call_id"], params["call_state"]
        if state == "answered" and call_id in self._callers:
            self._ask(link, "calling.play", params, control_id="p", play=PLAY)
        elif state == "ended":
            self.seen["ended"] += 1
            self._callers.discard(call_id)

    def _play(self, link: Link, params: dict[str, Any]) -> None:
        if params["state"] == "finished":
            self._ask(link, "calling.connect", params, devices=self._devices)

    def _connect(self, link: Link, params: dict[str, Any]) -> None:
        state = params["connect_state"]
        self.seen[state] += 1
        if state == "disconnected":
            self._ask(link, "calling.end", params["peer"], reason="hangup")

    def _ask(self, link: Link, method: str, call: dict[str, Any], **more: Any) -> None:
        params = {"node_id": call["node_id"], "call_id": call["call_id"], **more}
        link.ask(method, params, self._answered)

    def _answered(self, frame: Frame) -> None:
        code = (frame.result or {}).get("code", "no result")
        if code != "200":
            self.seen[f"refused: {(frame.result or {}).get('message', frame.error)}"] += 1


_TAKE = {
    "calling.call.receive": _Calls._receive,
    "calling.call.state": _Calls._state,
    "calling.call.play": _Calls._play,
    "calling.call.connect": _Calls._connect,
}


def _run(pipe: Connection, http_port: int, callee_port: int, acks: bool, core: int, priority: int) -> None:
    os.setsid()
    settle_on(core, priority)
    gc.disable()

    async def run() -> None:
        calls = _Calls(callee_port)
        link = Link(calls.take, acks=acks, contexts=(CONTEXT,))
        await link.connect(http_port)
        pipe.send("ready")
        while True:
            await asyncio.to_thread(pipe.recv)
            told, calls.seen = calls.seen, Counter()
            pipe.send(dict(told))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(EOFError):
        runner.run(run())

"""What a server says of its calls, kept for a test to look at; and nothing left at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening
from cordboard.events.bodies import Body
from cordboard.server.server import Server


class Book:
    """What the server says of its calls: every event, in order."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.events: list[tuple[CallInfo, Happening]] = []
        self._came = asyncio.Event()
        server.recorder.listeners.append(self._note)

    def _note(self, info: CallInfo, happening: Happening, body: Body) -> None:
        self.events.append((info, happening))
        self._came.set()

    def connects(self) -> list[str]:
        """The states of all connects, in order; a failed one with its reason: `failed busy`."""
        return [
            _with_reason(happening)
            for _, happening in self.events
            if isinstance(happening, ConnectStateChanged)
        ]

    def peers(self) -> list[str]:
        """Whom a connect was connected with, in order."""
        return [
            happening.peer_to
            for _, happening in self.events
            if isinstance(happening, ConnectStateChanged) and happening.state == "connected"
        ]

    def states(self, to: str) -> list[str]:
        """The states of the calls to a far end, in order."""
        return [
            happening.state
            for info, happening in self.events
            if isinstance(happening, CallStateChanged) and info.to == to
        ]

    def ends(self) -> dict[str, str]:
        """Called far end → cause of its end (a key of the reasons table)."""
        return {info.to: cause for info, cause in self._causes() if info.direction == "outbound"}

    def caller_ends(self) -> list[str]:
        """The causes of the ends of the calls that came in, in order."""
        return [cause for info, cause in self._causes() if info.direction == "inbound"]

    def _causes(self) -> list[tuple[CallInfo, str]]:
        return [
            (info, happening.ending.cause)
            for info, happening in self.events
            if isinstance(happening, CallStateChanged) and happening.state == "ended" and happening.ending
        ]

    def calls(self) -> list[CallInfo]:
        """All calls that ended, each as often as it did."""
        return [
            info
            for info, happening in self.events
            if isinstance(happening, CallStateChanged) and happening.state == "ended"
        ]

    async def until(self, done: Callable[[Book], bool], within: float = 30.0) -> None:
        """Wait until `done(self)`; TimeoutError if that does not happen."""
        async with asyncio.timeout(within):
            while not done(self):
                self._came.clear()
                await self._came.wait()

    async def rest(self, within: float = 60.0) -> None:
        """Wait for the end of all calls; then nothing may be left, and nothing may have gone wrong."""
        exchange = self.server.exchange
        stack = exchange.legs.stack
        async with asyncio.timeout(within):
            await exchange.quiet()
            while stack.unacknowledged():  # noqa: ASYNC110 - a table, which tells nobody
                await asyncio.sleep(0.005)
        # What still lingers are transactions that wait for repetitions (RFC 3261 timers D, I, J, K; RFC 6026
        # L, M).  A minute later they are gone, without having sent anything.
        outputs = exchange.legs.handle_timeout(asyncio.get_running_loop().time() + 65.0)
        assert not outputs
        await self.server.store.flush()
        assert exchange.counts() == dict.fromkeys(exchange.counts(), 0)
        assert exchange.switchboard.defects == 0
        ended = [info.call_id for info in self.calls()]
        assert len(ended) == len(set(ended)), "a call ended twice"

    async def sentence(self, to: str) -> str:
        """Why the only call to a far end is over, as its record says it."""
        (info,) = (info for info in self.calls() if info.to == to)
        record = await self.server.store.call(info.call_id)
        assert record is not None
        assert record.end is not None
        return record.end.sentence

    async def variables(self) -> dict[str, Any]:
        """What the script of the only inbound call had in its variables at the end."""
        (info,) = (info for info in self.calls() if info.direction == "inbound")
        record = await self.server.store.call(info.call_id)
        assert record is not None
        assert record.variables is not None
        variables: dict[str, Any] = msgspec.json.decode(record.variables)
        return variables


def _with_reason(happening: ConnectStateChanged) -> str:
    end = happening.ending
    return happening.state if end is None else f"{happening.state} {end.reason.value}"

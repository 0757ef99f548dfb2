"""One 20 ms tick for all phones of a process, on absolute deadlines."""

from __future__ import annotations

import asyncio
from typing import Protocol

TICK = 0.020


class Paced(Protocol):
    """Whoever wants to be called each tick."""

    def tick(self, now: float) -> None:
        """20 ms have passed since the last time."""


class Pacer:
    """Calls its members every 20 ms while there are any; late ticks are caught up, at most a second's worth.

    Deadlines are `begin + n * 20 ms`: a pause after each frame would add up every delay of the loop.
    """

    def __init__(self) -> None:
        self._members: dict[Paced, None] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0.0

    def add(self, member: Paced) -> None:
        """Begin to call a member; harmless if it is one already."""
        self._members[member] = None
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._next = loop.time() + TICK
            self._handle = loop.call_at(self._next, self._tick, loop)

    def remove(self, member: Paced) -> None:
        """Stop calling a member; harmless if it is none."""
        self._members.pop(member, None)
        if not self._members and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._next = max(self._next, now - 1.0)
        while self._next <= now and self._members:
            self._next += TICK
            for member in tuple(self._members):
                member.tick(now)
        if self._members:
            self._handle = loop.call_at(self._next, self._tick, loop)

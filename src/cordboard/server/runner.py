"""Runs one call: facts in, effects out, one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cordboard.call.call import Call
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.outgoing_dial import OutgoingDial


class Runner:
    """Feeds one call (or dial) and keeps its single timer.  `wake` is called when the timer is due."""

    __slots__ = ("_due", "_loop", "_timer", "_wake", "call")

    def __init__(
        self, call: Call | OutgoingDial, loop: asyncio.AbstractEventLoop, wake: Callable[[str], None]
    ) -> None:
        self.call = call
        self._loop = loop
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def start(self) -> list[Effect]:
        effects = self.call.start(self._loop.time())
        self._arm()
        return effects

    def feed(self, fact: Fact) -> list[Effect]:
        effects = self.call.handle(fact, self._loop.time())
        self._arm()
        return effects

    def time_out(self) -> list[Effect]:
        self._timer = self._due = None
        effects = self.call.handle_timeout(self._loop.time())
        self._arm()
        return effects

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None

    def _arm(self) -> None:
        due = self.call.next_timeout()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(due, self._wake, self.call.info.call_id)

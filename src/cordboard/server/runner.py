"""One call and its timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cordboard.call.call import Call
from cordboard.call.effects import Effect
from cordboard.call.outgoing_dial import OutgoingDial


class Runner:
    """Keeps the single timer of one call (or dial).  `wake` is called when the timer is due.

    A timer that is due too early is left alone: it is set anew when it goes off, which is rarer than the
    times at which a call changes its mind.
    """

    __slots__ = ("_loop", "_timer", "_wake", "_wakes_at", "call", "due")

    def __init__(
        self, call: Call | OutgoingDial, loop: asyncio.AbstractEventLoop, wake: Callable[[str], None]
    ) -> None:
        self.call = call
        self._loop = loop
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self.due: float | None = None
        """When the call wants to be woken."""
        self._wakes_at = 0.0
        """When the timer goes off, while there is one."""

    def start(self) -> list[Effect]:
        effects = self.call.start(self._loop.time())
        self.arm(self.call.next_timeout())
        return effects

    def time_out(self) -> list[Effect]:
        self._timer = None
        now = self._loop.time()
        is_due = self.due is not None and self.due <= now
        effects = self.call.handle_timeout(now) if is_due else []
        self.arm(self.call.next_timeout())
        return effects

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.due = None

    def arm(self, due: float | None) -> None:
        """Wake the call then; None: not at all."""
        self.due = due
        if due is None or (self._timer is not None and self._wakes_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = due
        self._timer = self._loop.call_at(due, self._wake, self.call.info.call_id)

"""Where a recorder or a tap hears one direction of a leg: a frame each tick, however it came."""

from __future__ import annotations

from cordboard.media.tones import FRAME_BYTES, SAMPLE_RATE

_MOST_WAITING = 3 * FRAME_BYTES
"""Beyond this the oldest is left out: one side must not fall behind the other."""


class Ear:
    """A listener (it is attached to an `Incoming` or an `Outgoing`) that is emptied on every tick."""

    __slots__ = ("_waiting", "rate")

    def __init__(self) -> None:
        self.rate = SAMPLE_RATE
        self._waiting = b""

    def hear(self, frame: bytes | None) -> None:
        """20 ms, or any other length; None = nothing was said."""
        if frame:
            self._waiting = (self._waiting + frame)[-_MOST_WAITING:] if self._waiting else frame

    def take(self) -> bytes | None:
        """The next 20 ms, filled up with silence; None if nothing is there."""
        waiting = self._waiting
        if not waiting:
            return None
        if len(waiting) == FRAME_BYTES:
            self._waiting = b""
            return waiting
        frame, self._waiting = waiting[:FRAME_BYTES], waiting[FRAME_BYTES:]
        return frame.ljust(FRAME_BYTES, b"\0")

"""The worker's time: read once a turn of the loop, shared by all that happens in that turn."""

from __future__ import annotations


class Clock:
    """`now` is in monotonic seconds; the loop sets it."""

    __slots__ = ("now",)

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

"""A clock that stands still until it is told to run, and then jumps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class VirtualTime:
    """Jumps from alarm to alarm; the same clock for all that takes part in a test."""

    def __init__(self, tie_break: Callable[[], float] = lambda: 0.0) -> None:
        """`tie_break` orders the alarms of one instant; by default they go off in the order of setting."""
        self.now = 0.0
        self._tie_break = tie_break
        self._count = itertools.count()
        self._alarms: list[tuple[float, float, int, Callable[[], None]]] = []

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a time; at once if that is past."""
        heapq.heappush(self._alarms, (max(when, self.now), self._tie_break(), next(self._count), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after a time."""
        self.at(self.now + seconds, do)

    def run(self, until: float | None = None) -> None:
        """Jump on until `until`, or until nothing is left to do."""
        while self._alarms and (until is None or self._alarms[0][0] <= until):
            self.now, _, _, do = heapq.heappop(self._alarms)
            do()
        if until is not None:
            self.now = max(self.now, until)

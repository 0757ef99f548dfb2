"""The action `Sleep`."""

from __future__ import annotations

from cordboard.call.actions import Done, Result, Sleep
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.reasons import Ending


class Sleeping:
    """Waits for a time, or until the call ends."""

    __slots__ = ("_seconds", "_until", "is_over", "result")

    def __init__(self, action: Sleep) -> None:
        self._seconds = action.seconds
        self._until: float | None = None
        self.result: Result | None = None
        self.is_over = False

    def start(self, now: float) -> list[Effect]:
        """Set the alarm, if there is one."""
        self._until = None if self._seconds is None else now + self._seconds
        return []

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Nothing that happens wakes a sleeper."""
        return []

    def next_timeout(self) -> float | None:
        """The alarm."""
        return self._until

    def handle_timeout(self, now: float) -> list[Effect]:
        """Wake when it is due."""
        if self._until is not None and now >= self._until:
            self._until = None
            self.result = Done()
            self.is_over = True
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Forget the alarm."""
        self._until = None
        self.is_over = True
        return []

"""An action whose result is there before it has begun."""

from __future__ import annotations

from cordboard.call.actions import Result
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.reasons import Ending


class AtOnce:
    """Does nothing, and is done."""

    __slots__ = ("is_over", "result")

    def __init__(self, result: Result) -> None:
        self.result: Result | None = result
        self.is_over = True

    def start(self, now: float) -> list[Effect]:
        """Nothing to begin."""
        return []

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Nothing to hear."""
        return []

    def next_timeout(self) -> float | None:
        """Nothing to wait for."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Nothing to undo."""
        return []

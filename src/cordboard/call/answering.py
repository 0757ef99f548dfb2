"""The action `Answer`: done when the caller has our 200."""

from __future__ import annotations

from cordboard.call.actions import Done, Result
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact, LegAnswered
from cordboard.call.leg import Leg
from cordboard.call.reasons import Ending


class Answering:
    """Answers the call's own leg; done at once where it is answered."""

    __slots__ = ("_leg", "is_over", "result")

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self.result: Result | None = None
        self.is_over = False

    def start(self, now: float) -> list[Effect]:
        """Ask for the 200."""
        if self._leg.is_answered:
            self._finish()
        return self._leg.answer()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Wait for the 200 to be out."""
        if isinstance(fact, LegAnswered) and not self.is_over:
            self._finish()
        return []

    def next_timeout(self) -> float | None:
        """No timer: the leg answers or ends."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Nothing to undo."""
        self.is_over = True
        return []

    def _finish(self) -> None:
        self.result = Done()
        self.is_over = True

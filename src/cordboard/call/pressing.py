"""The action `SendDigits`: done when the last key has been sent."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import DigitsDone, Result, SendDigits
from cordboard.call.effects import Effect, SendDigitsTo
from cordboard.call.facts import DigitsSent, Fact
from cordboard.call.reasons import Ending


class Pressing:
    """Sends keys to the call's own far end."""

    __slots__ = ("_control_id", "_digits", "is_over", "result")

    def __init__(self, action: SendDigits, new_id: Callable[[], str]) -> None:
        self._digits = action.digits
        self._control_id = new_id()
        self.result: Result | None = None
        self.is_over = False

    def start(self, now: float) -> list[Effect]:
        """Send."""
        return [SendDigitsTo(control_id=self._control_id, digits=self._digits)]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Wait for the last key to be out."""
        if isinstance(fact, DigitsSent) and fact.control_id == self._control_id and not self.is_over:
            self.result = DigitsDone(ok=True)
            self.is_over = True
        return []

    def next_timeout(self) -> float | None:
        """No timer: the media say when it is done."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        self.is_over = True
        return []

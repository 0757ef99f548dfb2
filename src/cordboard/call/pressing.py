"""The action `SendDigits`: done when the last key has been sent.

A client that gave it a control id is told so.  One whose call ends before is told `error`: the keys were not
all sent.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import DigitsDone, Result, SendDigits
from cordboard.call.effects import Effect, Report, SendDigitsStateChanged, SendDigitsTo
from cordboard.call.facts import DigitsSent, Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered


class Pressing(Steered):
    """Sends keys to the call's own far end."""

    __slots__ = ("_action", "control_id", "is_over", "result")

    kind = "send_digits"
    outcome = Outcome(message="Sending digits")

    def __init__(self, action: SendDigits, new_id: Callable[[], str]) -> None:
        self._action = action
        self.control_id = action.control_id or new_id()
        self.result: Result | None = None
        self.is_over = False

    def start(self, now: float) -> list[Effect]:
        """Send."""
        return [SendDigitsTo(control_id=self.control_id, digits=self._action.digits)]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Wait for the last key to be out."""
        if not isinstance(fact, DigitsSent) or fact.control_id != self.control_id or self.is_over:
            return []
        self.result = DigitsDone(ok=True)
        return self._over("finished")

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        return [] if self.is_over else self._over("error")

    def _over(self, state: str) -> list[Effect]:
        self.is_over = True
        if self._action.control_id is None:
            return []
        return [Report(happening=SendDigitsStateChanged(control_id=self.control_id, state=state))]

"""Actions whose result is there before they have begun, and operations that are refused."""

from __future__ import annotations

from cordboard.call.actions import Result
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered


class AtOnce:
    """Does nothing, and is done."""

    __slots__ = ("is_over", "result")

    def __init__(self, result: Result | None) -> None:
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


class Refused(AtOnce, Steered):
    """An operation that does not begin; its outcome says why."""

    __slots__ = ("control_id", "kind", "outcome")

    def __init__(self, kind: str, control_id: str, code: str, sentence: str) -> None:
        super().__init__(None)
        self.kind = kind
        self.control_id = control_id
        self.outcome: Outcome | None = Outcome(code=code, message=sentence)

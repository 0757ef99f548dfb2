"""The action `Prompt`: play, and collect keys (swml.md 6.4).

The first key ends the playing.  The timers start when nothing is played any more: `initial_timeout` until the
first key, `digit_timeout` from each key to the next.  A terminator, the last key that is wanted or a
`digit_timeout` after a key ends it with what was collected.

There is no engine for speech here: a prompt that has only that fails with a sentence, one that has keys too
collects the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import DigitInput, Prompt, PromptDone, Result
from cordboard.call.effects import CollectStateChanged, Effect, PlayTo, Report, StopPlay
from cordboard.call.facts import DigitReceived, Fact, PlayFinished
from cordboard.call.reasons import Ending

NO_ENGINE = (
    "This server has no speech recognition: use digits, or remove the speech properties of the prompt."
)


class Prompting:
    """States: fresh, playing, collecting, over."""

    __slots__ = (
        "_action",
        "_control_id",
        "_deadline",
        "_digits",
        "_errors",
        "_play_id",
        "_pressed",
        "_state",
        "_warnings",
        "result",
    )

    def __init__(self, action: Prompt, new_id: Callable[[], str]) -> None:
        self._action = action
        self._control_id = action.control_id or new_id()
        self._play_id = new_id()
        self._digits = action.digits or DigitInput()
        self._pressed = ""
        self._errors: tuple[str, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._deadline: float | None = None
        self._state = "fresh"
        self.result: Result | None = None

    @property
    def is_over(self) -> bool:
        """It has a result, or the call ends."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Play."""
        action = self._action
        if action.speech is not None:
            self._errors = (NO_ENGINE,)
            if action.digits is None:
                return self._finish("failed", "error")
        if not action.items:
            return self._collect(now)
        self._state = "playing"
        return [PlayTo(control_id=self._play_id, items=action.items, volume=action.volume)]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take keys, and the end of the playing."""
        if isinstance(fact, DigitReceived) and self._state in ("playing", "collecting"):
            return [*self._barge_in(), *self._press(fact.digit, now)]
        if isinstance(fact, PlayFinished) and fact.control_id == self._play_id and self._state == "playing":
            self._errors += fact.errors
            self._warnings = fact.warnings
            return self._collect(now)
        return []

    def next_timeout(self) -> float | None:
        """When a key is late."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """No key, or no further one."""
        if self._deadline is None or now < self._deadline:
            return []
        return self._matched() if self._pressed else self._finish("no_input", "no_input")

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        if self._state in ("fresh", "over"):
            self._state = "over"
            return []
        stop = self._barge_in()
        self._state, self._deadline = "over", None
        return [*stop, self._report("finished", {})]

    # -------------------------------------------------- inside

    def _collect(self, now: float) -> list[Effect]:
        self._state = "collecting"
        self._deadline = now + self._digits.initial_timeout
        return []

    def _barge_in(self) -> list[Effect]:
        was, self._state = self._state, "collecting"
        return [StopPlay(control_id=self._play_id)] if was == "playing" else []

    def _press(self, digit: str, now: float) -> list[Effect]:
        if digit in self._digits.terminators:
            return self._matched(terminator=digit)
        self._pressed += digit
        if len(self._pressed) >= self._digits.max_digits:
            return self._matched()
        self._deadline = now + self._digits.digit_timeout
        return []

    def _matched(self, terminator: str = "") -> list[Effect]:
        params = {"digits": self._pressed, "terminator": terminator}
        return self._finish("match_digits", "digit", params, terminator)

    def _finish(
        self, result: str, event: str, params: dict[str, Any] | None = None, terminator: str = ""
    ) -> list[Effect]:
        self._state, self._deadline = "over", None
        self.result = PromptDone(
            result=result,
            value=self._pressed,
            terminator=terminator,
            errors=self._errors,
            warnings=self._warnings,
        )
        return [self._report(event, params or {})]

    def _report(self, event: str, params: dict[str, Any]) -> Effect:
        happening = CollectStateChanged(control_id=self._control_id, type=event, params=params)
        return Report(happening=happening, callback_url=self._action.status_url)

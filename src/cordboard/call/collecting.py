"""The action `Collect`: keys of the call's own far end, beside whatever else goes on (relay-protocol.md 8.5).

`initial_timeout` runs until the first key, `digit_timeout` from each key to the next.  A terminator, the
last key that is wanted or a `digit_timeout` after a key completes the input: `digit`, without the
terminator.  No key in time is `no_input`.  A stop gives what there is: `digit` with the keys so far, or
`no_input`.  At the end of the call an input that is not complete is `no_match`: nobody shall take it for
one.

A `continuous` collect begins again after each input, initial time included.  Silence is reported once, then
it listens without an end.  Its results say that it goes on; the last one, when it is stopped, does not.
"""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import Collect, DigitInput, PromptDone, Result
from cordboard.call.effects import CollectStateChanged, Effect, Report
from cordboard.call.facts import DigitReceived, Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered


class Collecting(Steered):
    """States: fresh, collecting, over."""

    __slots__ = ("_action", "_deadline", "_digits", "_input_begun", "_pressed", "_state", "_timed", "result")

    kind = "collect"
    outcome = Outcome(message="Collecting")

    def __init__(self, action: Collect) -> None:
        self._action = action
        self._digits = action.digits or DigitInput()
        self._pressed = ""
        self._input_begun = False
        """A key of this input has come, be it a terminator."""
        self._timed = action.start_input_timers
        """The initial time runs, or has run."""
        self._deadline: float | None = None
        self._state = "fresh"
        self.result: Result | None = None

    @property
    def control_id(self) -> str:
        """Given by the client."""
        return self._action.control_id

    @property
    def is_over(self) -> bool:
        """Its last result is out."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Listen."""
        self._state = "collecting"
        self._listen(now)
        return []

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take keys."""
        if not isinstance(fact, DigitReceived) or self._state != "collecting":
            return []
        return [*self._begin_input(), *self._press(fact.digit, now)]

    def next_timeout(self) -> float | None:
        """When a key is late."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """No key, or no further one."""
        if self._deadline is None or now < self._deadline:
            return []
        return self._matched(now) if self._pressed else self._silent()

    def start_input_timers(self, now: float) -> list[Effect] | None:
        """Let the initial time run; a key has made it pointless.  Twice is once."""
        if self._state != "collecting":
            return None
        if not self._timed:
            self._timed = True
            if not self._input_begun:
                self._listen(now)
        return []

    def stop(self, now: float) -> list[Effect] | None:
        """Over at once, with what there is."""
        if self._state != "collecting":
            return None
        if self._pressed:
            return self._finish("match_digits", "digit", self._params())
        return self._finish("no_input", "no_input")

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        was, self._state = self._state, "over"
        self._deadline = None
        if was != "collecting":
            return []
        return [self._report("no_match" if self._pressed else "no_input", {})]

    # -------------------------------------------------- inside

    def _listen(self, now: float) -> None:
        self._deadline = now + self._digits.initial_timeout if self._timed else None

    def _begin_input(self) -> list[Effect]:
        begun, self._input_begun = self._input_begun, True
        if begun or not self._action.send_start_of_input:
            return []
        return [self._report("start_of_input", {}, final=False)]

    def _press(self, digit: str, now: float) -> list[Effect]:
        if digit in self._digits.terminators:
            return self._matched(now, terminator=digit)
        self._pressed += digit
        if len(self._pressed) >= self._digits.max_digits:
            return self._matched(now)
        self._deadline = now + self._digits.digit_timeout
        return [self._report("digit", self._params(), final=False)] if self._action.partial_results else []

    def _matched(self, now: float, terminator: str = "") -> list[Effect]:
        params = self._params(terminator)
        if not self._action.continuous:
            return self._finish("match_digits", "digit", params)
        self._pressed, self._input_begun = "", False
        self._listen(now)
        return [self._report("digit", params, goes_on=True)]

    def _silent(self) -> list[Effect]:
        if not self._action.continuous:
            return self._finish("no_input", "no_input")
        self._deadline = None
        return [self._report("no_input", {}, goes_on=True)]

    def _params(self, terminator: str = "") -> dict[str, Any]:
        return {"digits": self._pressed, "terminator": terminator}

    def _finish(self, result: str, event: str, params: dict[str, Any] | None = None) -> list[Effect]:
        self._state, self._deadline = "over", None
        given = params or {}
        self.result = PromptDone(
            result=result, value=given.get("digits", ""), terminator=given.get("terminator", "")
        )
        return [self._report(event, given)]

    def _report(
        self, event: str, params: dict[str, Any], *, final: bool = True, goes_on: bool = False
    ) -> Effect:
        happening = CollectStateChanged(
            control_id=self.control_id,
            type=event,
            params=params,
            final=final,
            goes_on=goes_on or not final,
        )
        return Report(happening=happening, callback_url=self._action.status_url)

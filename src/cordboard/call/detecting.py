"""The action `Detect`: who or what is at the far end, in the background (relay-protocol.md 8.6, 9.6).

Machines and faxes are heard by the media; keys are those of the call's own far end, not what crosses a
bridge.  It always closes with one `finished`: when it is stopped, when its time is up, when it has decided;
or with `error` where the media failed.  It has decided when a person, a fax or nobody (`UNKNOWN`) was
heard; a machine is decided when the message can be left (`READY`), unless interruptions are wanted too or
READY is not.  A detector of keys reports each of them and goes on until its time is up, as programs expect
that wait for its end; who needs one key stops it.
"""

from __future__ import annotations

from cordboard.call.actions import Detect, Done, Result
from cordboard.call.effects import DetectStateChanged, Effect, Report, StartDetector, StopDetector
from cordboard.call.facts import DetectorEnded, DetectorHeard, DigitReceived, Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered

CLOSING = 2.0
"""Seconds that the media have to say that they have stopped."""

DECIDED = ("HUMAN", "UNKNOWN", "CED", "CNG")


class Detecting(Steered):
    """States: fresh, listening, closing, over."""

    __slots__ = ("_action", "_deadline", "_state", "result")

    kind = "detect"
    survives = True
    outcome = Outcome(message="Detecting")

    def __init__(self, action: Detect) -> None:
        self._action = action
        self._deadline: float | None = None
        self._state = "fresh"
        self.result: Result | None = None

    @property
    def control_id(self) -> str:
        """Given by the client."""
        return self._action.control_id

    @property
    def is_over(self) -> bool:
        """Its last report is out."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Listen."""
        self._state = "listening"
        self._deadline = now + self._action.timeout
        return [StartDetector(control_id=self.control_id, detect=self._action)] if self._uses_media else []

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what is heard."""
        if isinstance(fact, DetectorEnded):
            return self._ended(fact) if fact.control_id == self.control_id else []
        if self._state != "listening":
            return []
        if isinstance(fact, DetectorHeard) and fact.control_id == self.control_id:
            return self._heard(fact, now)
        if isinstance(fact, DigitReceived) and not self._uses_media and fact.digit in self._action.digits:
            return [self._report(fact.digit)]
        return []

    def next_timeout(self) -> float | None:
        """When its time is up."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """Close; or wait for the media no longer."""
        if self._deadline is None or now < self._deadline:
            return []
        return self._close(now) if self._state == "listening" else self._finish("finished")

    def stop(self, now: float) -> list[Effect] | None:
        """`finished` follows when the media have stopped.  Twice is once."""
        if self._state == "closing":
            return []
        return self._close(now) if self._state == "listening" else None

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        was = self._state
        if was not in ("listening", "closing"):
            self._state = "over"
            return []
        stop = [StopDetector(control_id=self.control_id)] if self._uses_media and was == "listening" else []
        return [*stop, *self._finish("finished")]

    # -------------------------------------------------- inside

    @property
    def _uses_media(self) -> bool:
        return self._action.kind != "digit"

    def _heard(self, fact: DetectorHeard, now: float) -> list[Effect]:
        heard = self._report(fact.event, beep=fact.beep)
        return [heard, *(self._close(now) if self._has_decided(fact.event) else [])]

    def _has_decided(self, event: str) -> bool:
        how = self._action.machine
        if event == "MACHINE":
            return not how.detect_message_end
        return event in DECIDED or (event == "READY" and not how.detect_interruptions)

    def _close(self, now: float) -> list[Effect]:
        """The media answer with `DetectorEnded`; nobody else has to be waited for."""
        if not self._uses_media:
            return self._finish("finished")
        self._state, self._deadline = "closing", now + CLOSING
        return [StopDetector(control_id=self.control_id)]

    def _ended(self, fact: DetectorEnded) -> list[Effect]:
        if self._state not in ("listening", "closing"):
            return []
        failed = fact.sentence and self._state == "listening"
        return self._finish("error" if failed else "finished")

    def _finish(self, event: str) -> list[Effect]:
        self._state, self._deadline = "over", None
        self.result = Done()
        return [self._report(event)]

    def _report(self, event: str, *, beep: bool = False) -> Effect:
        happening = DetectStateChanged(
            control_id=self.control_id, kind=self._action.kind, event=event, beep=beep
        )
        return Report(happening=happening, callback_url=self._action.status_url)

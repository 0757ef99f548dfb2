"""Recordings and taps that a client began: the items of the background, each as an operation of its own.

The client is answered when the media say that it began, or why it could not; one that could not begin has
no report.  At the end of the call a tap is over at once.  A recording waits for its file, because its last
report says how long and how large that is; but the call's own last report waits for it in turn, so not for
ever.
"""

from __future__ import annotations

from cordboard.call.actions import RecordStarted, Result, TapStarted
from cordboard.call.background import Recorded, Tapped
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact, RecordingEnded, RecordingStarted
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered

LAST_MOMENT = 5.0
"""Seconds after the end of the call that a recording has to close its file.

Enough for a wav of any length, and for an mp3 of a quarter of an hour.  A longer one is reported without its
size; its file is there later.
"""

TOO_LATE = Outcome(code="409", message="The call ended before this began.")


class RecordingOperation(Steered):
    """One recording of a client."""

    __slots__ = ("_began", "_deadline", "_gone", "_item", "_left_out", "_paused_at", "_stopped_at", "outcome")

    kind = "record"
    survives = True

    def __init__(self, item: Recorded) -> None:
        self._item = item
        self._began = 0.0
        self._paused_at: float | None = None
        """When the pause began that is left out of the file."""
        self._stopped_at: float | None = None
        self._left_out = 0.0
        """Seconds of such pauses that are over."""
        self._deadline: float | None = None
        self._gone = False
        self.outcome: Outcome | None = None

    @property
    def control_id(self) -> str:
        """Given by the client."""
        return self._item.control_id

    @property
    def result(self) -> Result | None:
        """How it ended."""
        return self._item.done()

    @property
    def is_over(self) -> bool:
        """Its last report is out, or it never began."""
        return self._gone or self._item.is_over

    def start(self, now: float) -> list[Effect]:
        """Ask the media to record."""
        return self._item.start()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what the writer says."""
        if self._gone:
            return []
        effects = [*self._never_told_to_begin(fact), *self._item.handle(fact)]
        if self.outcome is not None:
            return effects
        self._began = now
        self.outcome = self._known()
        refused = self.outcome is not None and self.outcome.code != "200"
        return [] if refused else effects

    def next_timeout(self) -> float | None:
        """When its file is late."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """Report what is known without the file."""
        if self._deadline is None or now < self._deadline or self.is_over:
            return []
        self._deadline = None
        ended = RecordingEnded(control_id=self.control_id, outcome="finished", duration=self._length(now))
        return self._item.handle(ended)

    def stop(self, now: float) -> list[Effect] | None:
        """Ask for the end; the last report follows with the file.  Twice is once."""
        return None if self.is_over else self._stop(now)

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        """Leave silence in the file, or nothing."""
        effects = self._item.pause(skip=skip)
        if effects is not None and skip:
            self._paused_at = now
        return effects

    def resume(self, now: float) -> list[Effect] | None:
        """Record again."""
        effects = self._item.resume()
        if effects is not None and self._paused_at is not None:
            self._left_out += now - self._paused_at
            self._paused_at = None
        return effects

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Close the file, and wait a little for it; one that has not begun never was."""
        if self.is_over:
            return []
        if self.outcome is None:
            self.outcome, self._gone = TOO_LATE, True
        elif self._deadline is None:
            self._deadline = now + LAST_MOMENT
        return self._stop(now)

    # -------------------------------------------------- inside

    def _stop(self, now: float) -> list[Effect]:
        if self._stopped_at is None:
            self._stopped_at = now
        return self._item.stop()

    def _known(self) -> Outcome | None:
        started = self._item.started()
        if not isinstance(started, RecordStarted):
            return None
        if not started.ok:
            return Outcome(code="500", message=started.sentence or "The recording could not be begun.")
        return Outcome(message="Recording", url=started.url)

    def _never_told_to_begin(self, fact: Fact) -> list[Effect]:
        """One that was over before it was told to have begun has both reports all the same."""
        if not isinstance(fact, RecordingEnded) or fact.control_id != self.control_id:
            return []
        if self.outcome is not None or fact.outcome == "error":
            return []
        return self._item.handle(RecordingStarted(control_id=self.control_id, url=fact.url))

    def _length(self, now: float) -> float:
        """Seconds that should be in the file."""
        ends = (self._paused_at, self._stopped_at, now)
        return min(end for end in ends if end is not None) - self._began - self._left_out


class TapOperation(Steered):
    """One tap of a client."""

    __slots__ = ("_gone", "_item", "outcome")

    kind = "tap"
    survives = True

    def __init__(self, item: Tapped) -> None:
        self._item = item
        self._gone = False
        self.outcome: Outcome | None = None

    @property
    def control_id(self) -> str:
        """Given by the client."""
        return self._item.control_id

    @property
    def result(self) -> Result | None:
        """How it ended."""
        return self._item.stopped()

    @property
    def is_over(self) -> bool:
        """Its last report is out, or it never began."""
        return self._gone or self._item.is_over

    def start(self, now: float) -> list[Effect]:
        """Ask the media to copy."""
        return self._item.start()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what the media say."""
        if self._gone:
            return []
        effects = self._item.handle(fact)
        if self.outcome is None:
            self.outcome = self._known()
        return effects

    def stop(self, now: float) -> list[Effect] | None:
        """Ask for the end.  Twice is once."""
        return None if self.is_over else self._item.stop()

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Over: there is nothing to wait for."""
        if self.is_over:
            return []
        if self.outcome is None:
            self.outcome, self._gone = TOO_LATE, True
            return self._item.stop()
        return [*self._item.stop(), *self._item.give_up()]

    def _known(self) -> Outcome | None:
        started = self._item.started()
        if not isinstance(started, TapStarted):
            return None
        if not started.ok:
            return Outcome(code="400", message=started.sentence)
        return Outcome(
            message="Tapping", source_address=started.source_address, source_port=started.source_port
        )

"""Recordings and taps that a client began: the items of the background, each as an operation of its own.

The client is answered when the media say that it began, or why it could not; one that could not begin has
no report.  At the end of the call a tap is over at once.  A recording waits for its file, because its last
report says how long and how large that is; but the call's own last report waits for it in turn, so not for
ever.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import RecordStarted, Result, TapStarted
from cordboard.call.background import Item, Recorded
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact, RecordingEnded, RecordingStarted
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered

BEGINNING = 8.0
"""Seconds that the media have to begin: a client waits ten for its answer."""

LAST_MOMENT = 5.0
"""Seconds after the end of the call that a recording has to close its file.

Enough for a wav of any length, and for an mp3 of a quarter of an hour.  A longer one is reported without its
size; its file is there later.
"""

TOO_LATE = Outcome(code="409", message="The call ended before this began.")
TOO_SLOW = Outcome(code="500", message=f"The media did not begin within {BEGINNING:.0f} s.")


class _Listener(Steered):
    """What both have in common: the wait for the beginning.

    States: fresh, beginning, begun, closing, gone (it never began); over is what the item says.
    """

    __slots__ = ("_deadline", "_item", "_lend", "_state", "outcome")

    survives = True

    def __init__(self, item: Item, lend: Callable[[Item], None]) -> None:
        """`lend`: told of the item when it is started."""
        self._item = item
        self._lend = lend
        self._state = "fresh"
        self._deadline: float | None = None
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
        return self._state == "gone" or self._item.is_over

    def start(self, now: float) -> list[Effect]:
        """Ask the media."""
        self._state, self._deadline = "beginning", now + BEGINNING
        self._lend(self._item)
        return self._item.start()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what the media say."""
        if self._state == "gone":
            return []
        effects = self._item.handle(fact)
        if self._state != "beginning":
            return effects
        self.outcome = self._known()
        if self.outcome is None:
            return effects
        self._state, self._deadline = "begun", None
        return effects if self.outcome.code == "200" else []

    def next_timeout(self) -> float | None:
        """When the beginning is late, or the file."""
        return None if self.is_over else self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """Wait no longer."""
        if self._deadline is None or now < self._deadline or self.is_over:
            return []
        self._deadline = None
        return self._never(TOO_SLOW) if self._state == "beginning" else self._item.give_up()

    def stop(self, now: float) -> list[Effect] | None:
        """Ask for the end; the last report follows.  Twice is once."""
        return None if self.is_over else self._item.stop()

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Over; what has not begun never was."""
        if self.is_over:
            return []
        if self._state in ("fresh", "beginning"):
            return self._never(TOO_LATE)
        return [*self._item.stop(), *self._item.give_up()]

    def _never(self, why: Outcome) -> list[Effect]:
        stop = self._item.stop() if self._state == "beginning" else []
        self._item.give_up()  # Nobody is told: it never was.
        self.outcome, self._state, self._deadline = why, "gone", None
        return stop

    def _known(self) -> Outcome | None:
        """The answer, once the item knows."""
        raise NotImplementedError


class TapOperation(_Listener):
    """One tap of a client."""

    __slots__ = ()

    kind = "tap"

    def _known(self) -> Outcome | None:
        started = self._item.started()
        if not isinstance(started, TapStarted):
            return None
        if not started.ok:
            return Outcome(code="400", message=started.sentence)
        return Outcome(
            message="Tapping", source_address=started.source_address, source_port=started.source_port
        )


class RecordingOperation(_Listener):
    """One recording of a client."""

    __slots__ = ("_began", "_left_out", "_paused_at", "_recorded", "_stopped_at")

    kind = "record"

    def __init__(self, item: Recorded, lend: Callable[[Item], None]) -> None:
        super().__init__(item, lend)
        self._recorded = item
        self._began = 0.0
        self._left_out = 0.0
        """Seconds of the pauses that are not in the file, and are over."""
        self._paused_at: float | None = None
        """When the present one began."""
        self._stopped_at: float | None = None

    @property
    def result(self) -> Result | None:
        """How it ended."""
        return self._recorded.done()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what the writer says.  One that is over when it is told to have begun has both reports."""
        if self._state != "beginning":
            return super().handle(fact, now)
        self._began = now
        missed = self._missed_beginning(fact)
        begun = [] if missed is None else super().handle(missed, now)
        return [*begun, *super().handle(fact, now)]

    def handle_timeout(self, now: float) -> list[Effect]:
        """Report what is known without the file."""
        if self._state != "closing" or self._deadline is None or now < self._deadline or self.is_over:
            return super().handle_timeout(now)
        self._deadline = None
        length = self._length(now)
        return self._item.handle(
            RecordingEnded(control_id=self.control_id, outcome="finished", duration=length)
        )

    def stop(self, now: float) -> list[Effect] | None:
        """Ask for the end; the last report follows with the file.  Twice is once."""
        self._note_stop(now)
        return super().stop(now)

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        """Leave silence in the file, or nothing."""
        effects = self._recorded.pause(skip=skip)
        if effects is not None and skip:
            self._paused_at = now
        return effects

    def resume(self, now: float) -> list[Effect] | None:
        """Record again."""
        effects = self._recorded.resume()
        if effects is not None and self._paused_at is not None:
            self._left_out += now - self._paused_at
            self._paused_at = None
        return effects

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Close the file, and wait a little for it."""
        if self._state != "begun" or self.is_over:
            return [] if self._state == "closing" else super().abandon(ending, now)
        self._note_stop(now)
        self._state, self._deadline = "closing", now + LAST_MOMENT
        return self._item.stop()

    # -------------------------------------------------- inside

    def _known(self) -> Outcome | None:
        started = self._item.started()
        if not isinstance(started, RecordStarted):
            return None
        if not started.ok:
            return Outcome(code="500", message=started.sentence or "The recording could not be begun.")
        return Outcome(message="Recording", url=started.url)

    def _missed_beginning(self, fact: Fact) -> RecordingStarted | None:
        if not isinstance(fact, RecordingEnded) or fact.control_id != self.control_id:
            return None
        return None if fact.outcome == "error" else RecordingStarted(control_id=self.control_id, url=fact.url)

    def _note_stop(self, now: float) -> None:
        if self._stopped_at is None:
            self._stopped_at = now

    def _length(self, now: float) -> float:
        """Seconds that should be in the file."""
        ends = (self._paused_at, self._stopped_at, now)
        return min(end for end in ends if end is not None) - self._began - self._left_out

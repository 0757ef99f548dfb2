"""The action `Hold`: put the far end on hold, with music, or take it back.

`Holding` goes on until the far end is taken back: the music is its own.  `Unholding` only asks for that.
Both hear the leg's answer, and only the one that asked reports it: the state in which the far end is then,
also where it did not change.  Answers do not say to what, so only one may be outstanding (`is_asking`).
Where the server has no music it plays nothing, as to the peer of one that holds.

They have no control id: a call has one of each at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import Done, Result
from cordboard.call.effects import Effect, HoldLeg, HoldStateChanged, PlayTo, Report, StopPlay
from cordboard.call.facts import Fact, HoldAnswered, PlayFinished
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.side import MUSIC
from cordboard.call.steered import Steered


class Holding(Steered):
    """States: fresh, asked, held, over.  A call that nobody controls does not stay up for it."""

    __slots__ = ("_music", "_new_id", "_state", "result")

    kind = "hold"
    control_id = ""
    survives = True
    keeps_up = False
    outcome = Outcome(message="Holding")

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._music: str | None = None
        """Control id of what is played."""
        self._state = "fresh"
        self.result: Result | None = None

    @property
    def is_over(self) -> bool:
        """The far end is not held, or not by this."""
        return self._state == "over"

    @property
    def is_asking(self) -> bool:
        """The far end has not answered yet."""
        return self._state == "asked"

    def start(self, now: float) -> list[Effect]:
        """Ask the far end."""
        self._state = "asked"
        return [HoldLeg(on=True)]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take the far end's answers, and the end of the music."""
        if isinstance(fact, HoldAnswered) and self._state == "asked":
            return self._held() if fact.held else [*self._finish(), _report(held=False)]
        if isinstance(fact, HoldAnswered) and self._state == "held":
            return [] if fact.held else self._finish()
        if isinstance(fact, PlayFinished) and fact.control_id == self._music:
            self._music = None
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        return self._finish()

    def _held(self) -> list[Effect]:
        self._state, self._music = "held", self._new_id()
        return [_report(held=True), PlayTo(control_id=self._music, items=MUSIC, loop=0)]

    def _finish(self) -> list[Effect]:
        self._state, self.result = "over", Done()
        stopped, self._music = self._music, None
        return [] if stopped is None else [StopPlay(control_id=stopped)]


class Unholding(Steered):
    """Takes the far end back."""

    __slots__ = ("is_asking", "is_over", "result")

    kind = "unhold"
    control_id = ""
    outcome = Outcome(message="Unholding")

    def __init__(self) -> None:
        self.is_asking = False
        """The far end has not answered yet."""
        self.is_over = False
        self.result: Result | None = None

    def start(self, now: float) -> list[Effect]:
        """Ask the far end."""
        self.is_asking = True
        return [HoldLeg(on=False)]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Wait for the far end's answer."""
        if not isinstance(fact, HoldAnswered) or self.is_over:
            return []
        self.is_asking, self.is_over, self.result = False, True, Done()
        return [_report(held=fact.held)]

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        self.is_asking, self.is_over = False, True
        return []


def _report(*, held: bool) -> Effect:
    return Report(happening=HoldStateChanged(state="hold" if held else "unhold"))

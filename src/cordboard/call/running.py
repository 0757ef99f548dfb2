"""The shape of an action that takes time: started once, fed facts and time, done when it has a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from cordboard.call.actions import Result
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.reasons import Ending


class Running(Protocol):
    """One action of a call, under way.  All times are monotonic seconds."""

    @property
    def result(self) -> Result | None:
        """What the driver is resumed with; None while the action goes on, and after `abandon`."""

    @property
    def is_over(self) -> bool:
        """Nothing more will come from it."""

    def start(self, now: float) -> list[Effect]:
        """Begin.  May be done at once."""

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take one fact; those that are not its own have no effect."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due."""

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do what is due at `now`."""

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The call's own leg is ending or gone: stop, undo, and tell who must know.  Idempotent."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the client is told that began an operation."""

    code: str = "200"
    message: str = ""
    url: str = ""
    """Of a recording."""
    source_address: str = ""
    source_port: int = 0
    """Where the RTP of a tap comes from."""


class Operation(Running, Protocol):
    """An action that a client began: it has a control id, and can be steered while it runs.

    `outcome` is what the command is answered with, None while that is not known.  The answer goes out before
    the effects of the same moment, so an operation that is refused has no other effects.
    The five that steer return None where this kind cannot do that, or not now.
    `abandon` makes the last report, or asks for it: a recording is not over until its file is closed, for
    `listeners.LAST_MOMENT` at most.  The call feeds it until then, and reports `ended` after it.
    """

    @property
    def kind(self) -> str:
        """`play`, `record`, `play_and_collect`, `collect`, `detect`, `tap`, `send_digits`, …"""

    @property
    def control_id(self) -> str:
        """Given by the client; empty for a kind of which a call has one at a time (refer, hold, unhold)."""

    @property
    def outcome(self) -> Outcome | None:
        """The answer to the command."""

    @property
    def survives(self) -> bool:
        """It goes on when a script takes the call over: recordings, taps, detectors."""

    @property
    def keeps_up(self) -> bool:
        """A call that nobody controls any more stays up for it; not so for music that waits for a command."""

    def stop(self, now: float) -> list[Effect] | None:
        """End it; the last report follows, at once or when the media have stopped."""

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        """Hold it where it is."""

    def resume(self, now: float) -> list[Effect] | None:
        """Go on."""

    def set_volume(self, volume: float) -> list[Effect] | None:
        """Gain in dB."""

    def start_input_timers(self, now: float) -> list[Effect] | None:
        """Of a collect."""


def earliest(times: Iterable[float | None]) -> float | None:
    """The first of some deadlines, where None means none."""
    first: float | None = None
    for time in times:
        if time is not None and (first is None or time < first):
            first = time
    return first

"""The shape of an action that takes time: started once, fed facts and time, done when it has a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

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


def earliest(times: Iterable[float | None]) -> float | None:
    """The first of some deadlines, where None means none."""
    return min((time for time in times if time is not None), default=None)

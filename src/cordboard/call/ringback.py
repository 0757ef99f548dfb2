"""What the caller hears while the far ends ring (swml.md 7.11 has the cases).

A lone far end that sends early media is heard through.  Otherwise an unanswered caller's own phone makes
the ringing (it got 180), and one that can hear gets a generated tone, which goes on from one group to the
next: silence in between would sound like a dead line.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import PlayItem
from cordboard.call.effects import Effect, Join, PlayTo, StopPlay, Unjoin
from cordboard.call.leg import Leg

RING = (PlayItem(kind="ring", country="us"),)


class Ringback:
    """Either a tone plays, or one far end is heard, or neither."""

    __slots__ = ("_call_id", "_control_id", "_leg", "_new_id", "heard")

    def __init__(self, call_id: str, leg: Leg, new_id: Callable[[], str]) -> None:
        self._call_id = call_id
        self._leg = leg
        self._new_id = new_id
        self._control_id: str | None = None
        self.heard: str | None = None
        """The call whose early media passes through."""

    def far_end_rings(self, call_id: str, *, early_media: bool, alone: bool) -> list[Effect]:
        """A far end rings; `alone` when its group has no other."""
        if self.heard is not None:
            return []
        if early_media and alone:
            return self._pass_through(call_id)
        return self._play() if self._leg.can_hear else self._leg.ring()

    def far_end_gone(self, call_id: str) -> list[Effect]:
        """A far end that may have been heard is out."""
        if call_id != self.heard:
            return []
        self.heard = None
        return [Unjoin(a=self._call_id, b=call_id)]

    def stop(self) -> list[Effect]:
        """The tone stops: somebody answered, or nobody will."""
        if self._control_id is None:
            return []
        stopped, self._control_id = self._control_id, None
        return [StopPlay(control_id=stopped)]

    def _pass_through(self, call_id: str) -> list[Effect]:
        self.heard = call_id
        return [*self.stop(), *self._leg.ring(early_media=True), Join(a=self._call_id, b=call_id)]

    def _play(self) -> list[Effect]:
        if self._control_id is not None:
            return []
        self._control_id = self._new_id()
        return [PlayTo(control_id=self._control_id, items=RING, loop=0)]

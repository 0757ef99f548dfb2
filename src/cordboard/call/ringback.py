"""What the caller hears while the far ends ring (swml.md 7.11 has the cases).

What the plan gives is played from the first ring on, over all groups, in place of the far ends' own early
media; an unanswered caller gets 183 to hear it.  Without that, a lone far end that sends early media is heard
through; otherwise an unanswered caller's own phone makes the ringing (it got 180), and one that can hear gets
a generated tone, which goes on from one group to the next: silence in between would sound like a dead line.

A far end that has answered and confirms is not heard: what it says is for the confirm script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cordboard.call.effects import Effect, Join, PlayTo, StopPlay, Unjoin
from cordboard.call.facts import PlayFinished
from cordboard.call.leg import Leg
from cordboard.call.plan import PlayItem
from cordboard.call.plan import Ringback as Wanted

RING = Wanted(items=(PlayItem(kind="ring", country="us"),))


class Listening(Protocol):
    """Who hears the far ends while they are dialled."""

    def far_end_rings(self, call_id: str, *, early_media: bool, alone: bool) -> list[Effect]:
        """A far end rings; `alone` when its group has no other."""

    def far_end_confirms(self, call_id: str) -> list[Effect]:
        """A far end has answered and runs its confirm script."""

    def far_end_gone(self, call_id: str) -> list[Effect]:
        """A far end that may have been heard is out."""


class Nobody:
    """Dialling without a caller: a dial that a client asks for."""

    def far_end_rings(self, call_id: str, *, early_media: bool, alone: bool) -> list[Effect]:
        """Nobody hears it."""
        return []

    def far_end_confirms(self, call_id: str) -> list[Effect]:
        """Nobody waits for it."""
        return []

    def far_end_gone(self, call_id: str) -> list[Effect]:
        """Nobody misses it."""
        return []


class Ringback:
    """Either a tone or list plays, or one far end is heard, or neither."""

    __slots__ = ("_call_id", "_control_id", "_leg", "_new_id", "_tone", "_wanted", "heard", "muted")

    def __init__(
        self, call_id: str, leg: Leg, new_id: Callable[[], str], wanted: Wanted | None = None
    ) -> None:
        self._call_id = call_id
        self._leg = leg
        self._new_id = new_id
        self._wanted = wanted if wanted is not None and wanted.items else None
        self._tone = self._wanted or RING
        self._control_id: str | None = None
        self.heard: str | None = None
        """The call whose early media passes through."""
        self.muted = False
        """The leg has somebody to talk to while others ring for it."""

    def far_end_rings(self, call_id: str, *, early_media: bool, alone: bool) -> list[Effect]:
        """A far end rings; `alone` when its group has no other."""
        if self.heard is not None or self.muted:
            return []
        if self._wanted is not None:
            return [*self._leg.ring(early_media=True), *self.play()]
        if early_media and alone:
            return self._pass_through(call_id)
        return self.play() if self._leg.can_hear else self._leg.ring()

    def far_end_confirms(self, call_id: str) -> list[Effect]:
        """A far end has answered and is not for the caller's ears yet."""
        return [*self.far_end_gone(call_id), *self.far_end_rings(call_id, early_media=False, alone=False)]

    def far_end_gone(self, call_id: str) -> list[Effect]:
        """A far end that may have been heard is out."""
        if call_id != self.heard:
            return []
        self.heard = None
        return [Unjoin(a=self._call_id, b=call_id)]

    def play_finished(self, fact: PlayFinished) -> list[Effect]:
        """What loops for ever has ended: nothing of it could be played.  A generated ring takes its place."""
        if fact.control_id != self._control_id:
            return []
        self._control_id = None
        if self._tone is RING:
            return []
        self._tone = RING
        return self.play()

    def play(self) -> list[Effect]:
        """Start the tone, once."""
        if self._control_id is not None:
            return []
        self._control_id = self._new_id()
        tone = self._tone
        return [PlayTo(control_id=self._control_id, items=tone.items, volume=tone.volume, loop=0)]

    def stop(self) -> list[Effect]:
        """The tone stops: somebody answered, or nobody will."""
        if self._control_id is None:
            return []
        stopped, self._control_id = self._control_id, None
        return [StopPlay(control_id=stopped)]

    def _pass_through(self, call_id: str) -> list[Effect]:
        self.heard = call_id
        return [*self.stop(), *self._leg.ring(early_media=True), Join(a=self._call_id, b=call_id)]

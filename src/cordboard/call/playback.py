"""The action `Play`: make the leg able to hear, play the items in order, report the start and the end.

A client may pause it, go on, change its volume and stop it.  It is `playing` when the media are told to; its
last report, `finished` or `error`, waits for the media, except where the call ends.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import Play, PlayDone, Result
from cordboard.call.effects import (
    Effect,
    PausePlay,
    PlayStateChanged,
    PlayTo,
    Report,
    ResumePlay,
    SetPlayVolume,
    StopPlay,
)
from cordboard.call.facts import Fact, LegAnswered, PlayFinished
from cordboard.call.leg import Leg
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered


class Playback(Steered):
    """Plays to the call's own far end.  An item that cannot be played is an error, not the end.

    States: fresh, playing, paused, stopping, over.
    """

    __slots__ = ("_action", "_leg", "_state", "control_id", "result")

    kind = "play"
    outcome = Outcome(message="Playing")

    def __init__(self, action: Play, leg: Leg, new_id: Callable[[], str]) -> None:
        self._action = action
        self._leg = leg
        self._state = "fresh"
        self.control_id = action.control_id or new_id()
        self.result: Result | None = None

    @property
    def is_over(self) -> bool:
        """Its last report is out."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Play; an unanswered caller is answered first, or hears it as early media."""
        if not self._action.items:
            return self._finish((), ())
        if self._leg.is_answered:
            return self._play()
        if self._action.auto_answer:
            return self._leg.answer()
        return [*self._leg.ring(early_media=True), *self._play()]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Begin when the caller is answered, end when the media says so."""
        if isinstance(fact, LegAnswered) and self._state == "fresh":
            return self._play()
        if isinstance(fact, PlayFinished) and fact.control_id == self.control_id and self._has_begun:
            return self._finish(fact.errors, fact.warnings)
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Stop: the far end is leaving."""
        was, had_begun = self._state, self._has_begun
        self._state = "over"
        if not had_begun:
            return []
        stop = [] if was == "stopping" else [StopPlay(control_id=self.control_id)]
        return [*stop, self._report("finished")]

    # -------------------------------------------------- steering

    def stop(self, now: float) -> list[Effect] | None:
        """End it, paused or not; `finished` follows when the media say so.  Twice is once."""
        if not self._has_begun:
            return None
        was, self._state = self._state, "stopping"
        return [] if was == "stopping" else [StopPlay(control_id=self.control_id)]

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        """Hold it where it is."""
        return self._move("playing", "paused", PausePlay(control_id=self.control_id))

    def resume(self, now: float) -> list[Effect] | None:
        """Go on."""
        return self._move("paused", "playing", ResumePlay(control_id=self.control_id))

    def set_volume(self, volume: float) -> list[Effect] | None:
        """Louder or softer, paused or not."""
        if self._state not in ("playing", "paused"):
            return None
        return [SetPlayVolume(control_id=self.control_id, volume=volume)]

    # -------------------------------------------------- inside

    @property
    def _has_begun(self) -> bool:
        return self._state in ("playing", "paused", "stopping")

    def _move(self, before: str, after: str, command: Effect) -> list[Effect] | None:
        if self._state != before:
            return None
        self._state = after
        return [command, self._report(after)]

    def _play(self) -> list[Effect]:
        self._state = "playing"
        action = self._action
        start = PlayTo(control_id=self.control_id, items=action.items, volume=action.volume, loop=action.loop)
        return [self._report("playing"), start]

    def _finish(self, errors: tuple[str, ...], warnings: tuple[str, ...]) -> list[Effect]:
        had_begun, self._state = self._has_begun, "over"
        self.result = PlayDone(errors=errors, warnings=warnings)
        nothing_heard = len(errors) >= len(self._action.items)
        return [self._report("error" if nothing_heard else "finished")] if had_begun else []

    def _report(self, state: str) -> Effect:
        happening = PlayStateChanged(control_id=self.control_id, state=state)
        return Report(happening=happening, callback_url=self._action.status_url)

"""The action `Play`: make the leg able to hear, play the items in order, report the start and the end."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import Play, PlayDone, Result
from cordboard.call.effects import Effect, PlayStateChanged, PlayTo, Report, StopPlay
from cordboard.call.facts import Fact, LegAnswered, PlayFinished
from cordboard.call.leg import Leg
from cordboard.call.reasons import Ending


class Playback:
    """Plays to the call's own far end.  An item that cannot be played is an error, not the end."""

    __slots__ = ("_action", "_control_id", "_is_playing", "_leg", "is_over", "result")

    def __init__(self, action: Play, leg: Leg, new_id: Callable[[], str]) -> None:
        self._action = action
        self._leg = leg
        self._control_id = new_id()
        self._is_playing = False
        self.result: Result | None = None
        self.is_over = False

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
        if isinstance(fact, LegAnswered) and not self._is_playing and not self.is_over:
            return self._play()
        if isinstance(fact, PlayFinished) and fact.control_id == self._control_id and self._is_playing:
            return self._finish(fact.errors, fact.warnings)
        return []

    def next_timeout(self) -> float | None:
        """No timer: the media says when it has ended."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Stop: the far end is leaving."""
        self.is_over = True
        if not self._is_playing:
            return []
        self._is_playing = False
        return [StopPlay(control_id=self._control_id), self._report("finished")]

    def _play(self) -> list[Effect]:
        self._is_playing = True
        action = self._action
        start = PlayTo(
            control_id=self._control_id, items=action.items, volume=action.volume, loop=action.loop
        )
        return [self._report("playing"), start]

    def _finish(self, errors: tuple[str, ...], warnings: tuple[str, ...]) -> list[Effect]:
        was_playing, self._is_playing = self._is_playing, False
        self.result = PlayDone(errors=errors, warnings=warnings)
        self.is_over = True
        nothing_heard = len(errors) >= len(self._action.items)
        return [self._report("error" if nothing_heard else "finished")] if was_playing else []

    def _report(self, state: str) -> Effect:
        happening = PlayStateChanged(control_id=self._control_id, state=state)
        return Report(happening=happening, callback_url=self._action.status_url)

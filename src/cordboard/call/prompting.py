"""The action `Prompt`: play, and collect keys (swml.md 6.4, relay-protocol.md 8.4).

The first key ends the playing.  The timers start when nothing is played any more: `initial_timeout` until
the first key, `digit_timeout` from each key to the next.  How keys become a result is told in `collecting`.

There is no engine for speech here: a prompt that has only that fails with a sentence, one that has keys too
collects the keys.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cordboard.call.actions import Collect, Prompt, PromptDone, Result
from cordboard.call.collecting import Collecting
from cordboard.call.effects import (
    CollectStateChanged,
    Effect,
    PlayStateChanged,
    PlayTo,
    Report,
    SetPlayVolume,
    StopPlay,
)
from cordboard.call.facts import DigitReceived, Fact, PlayFinished
from cordboard.call.leg import Leg
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered

NO_ENGINE = (
    "This server has no speech recognition: use digits, or remove the speech properties of the prompt."
)


class Prompting(Steered):
    """States: fresh, playing, collecting, over.

    `ears`: the leg, where a client prompts: an unanswered caller hears it as early media, and the last event
    of one that the call cut short is a result, as those of a `Collect`.
    """

    __slots__ = (
        "_action",
        "_collecting",
        "_ears",
        "_errors",
        "_failed",
        "_play_id",
        "_state",
        "_warnings",
        "control_id",
    )

    kind = "play_and_collect"
    outcome = Outcome(message="Playing and collecting")

    def __init__(self, action: Prompt, new_id: Callable[[], str], ears: Leg | None = None) -> None:
        self._action = action
        self._ears = ears
        self.control_id = action.control_id or new_id()
        self._play_id = new_id()
        self._collecting = Collecting(
            Collect(
                control_id=self.control_id,
                digits=action.digits,
                partial_results=action.partial_results,
                start_input_timers=False,
                status_url=action.status_url,
            )
        )
        self._errors: tuple[str, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._failed = False
        self._state = "fresh"

    @property
    def result(self) -> Result | None:
        """What was collected, and what went wrong."""
        done = self._collecting.result
        if self._failed:
            return PromptDone(result="failed", errors=self._errors)
        if not isinstance(done, PromptDone):
            return None
        return msgspec.structs.replace(done, errors=self._errors, warnings=self._warnings)

    @property
    def is_over(self) -> bool:
        """It has a result, or the call ends."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Play."""
        action = self._action
        if action.speech is not None:
            self._errors = (NO_ENGINE,)
            if action.digits is None:
                return self._fail()
        self._collecting.start(now)
        early = [] if self._ears is None else self._ears.ring(early_media=True)
        if not action.items:
            return [*early, *self._collect(now)]
        self._state = "playing"
        play = PlayTo(control_id=self._play_id, items=action.items, volume=action.volume)
        return [*early, *self._told("playing"), play]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take keys, and the end of the playing."""
        if isinstance(fact, DigitReceived) and self._state in ("playing", "collecting"):
            return [*self._barge_in(), *self._after(self._collecting.handle(fact, now))]
        if isinstance(fact, PlayFinished) and fact.control_id == self._play_id and self._state == "playing":
            return self._played(fact, now)
        return []

    def next_timeout(self) -> float | None:
        """When a key is late."""
        return self._collecting.next_timeout()

    def handle_timeout(self, now: float) -> list[Effect]:
        """No key, or no further one."""
        return self._after(self._collecting.handle_timeout(now))

    def stop(self, now: float) -> list[Effect] | None:
        """Over at once, with the keys so far."""
        if self._state not in ("playing", "collecting"):
            return None
        return [*self._barge_in(), *self._after(self._collecting.stop(now) or [])]

    def set_volume(self, volume: float) -> list[Effect] | None:
        """Of what is played, while it is."""
        if self._state != "playing":
            return None
        return [SetPlayVolume(control_id=self._play_id, volume=volume)]

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        if self._state in ("fresh", "over"):
            self._state = "over"
            return []
        stopped = self._barge_in()
        last = self._collecting.abandon(ending, now)
        self._state = "over"
        return [*stopped, *(last if self._ears is not None else [self._report("finished")])]

    # -------------------------------------------------- inside

    def _played(self, fact: PlayFinished, now: float) -> list[Effect]:
        self._errors += fact.errors
        self._warnings = fact.warnings
        nothing_heard = len(fact.errors) >= len(self._action.items)
        return [*self._told("error" if nothing_heard else "finished"), *self._collect(now)]

    def _collect(self, now: float) -> list[Effect]:
        self._state = "collecting"
        return self._collecting.start_input_timers(now) or []

    def _barge_in(self) -> list[Effect]:
        was, self._state = self._state, "collecting"
        return [StopPlay(control_id=self._play_id), *self._told("finished")] if was == "playing" else []

    def _after(self, effects: list[Effect]) -> list[Effect]:
        if self._collecting.is_over:
            self._state = "over"
        return effects

    def _fail(self) -> list[Effect]:
        self._state, self._failed = "over", True
        return [self._report("error")]

    def _told(self, state: str) -> list[Effect]:
        """What is said of the playing, where it is wanted."""
        if not self._action.play_events:
            return []
        happening = PlayStateChanged(control_id=self.control_id, state=state)
        return [Report(happening=happening, callback_url=self._action.status_url)]

    def _report(self, event: str) -> Effect:
        happening = CollectStateChanged(control_id=self.control_id, type=event)
        return Report(happening=happening, callback_url=self._action.status_url)

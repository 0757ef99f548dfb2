"""A call's own leg as the heart sees it: a state, four commands, and the state reports.

The table is the whole life of a leg.  What is not in it does not happen: a second 180 reports nothing, an
answer that crosses our CANCEL does not make the leg answered again.
"""

from __future__ import annotations

from collections.abc import Set

from cordboard.call.codec_wish import CodecWish
from cordboard.call.effects import AnswerLeg, CallStateChanged, Effect, EndLeg, Report, RingLeg
from cordboard.call.info import CallInfo
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS
from cordboard.call.reasons import Ending

NEXT_STATE: dict[tuple[str, str], str] = {
    ("created", "rings"): "ringing",
    ("created", "answers"): "answered",
    ("created", "is ended"): "ending",
    ("created", "ends"): "ended",
    ("ringing", "answers"): "answered",
    ("ringing", "is ended"): "ending",
    ("ringing", "ends"): "ended",
    ("answered", "is ended"): "ending",
    ("answered", "ends"): "ended",
    ("ending", "ends"): "ended",
}

UNANSWERED = ("created", "ringing")
GONE = ("ending", "ended")


class Leg:
    """State and reports of one leg; the methods return what the shell must do."""

    __slots__ = ("_answering", "_early_media", "_end_leg", "_info", "_state_events", "_state_url")

    def __init__(
        self, info: CallInfo, state_url: str | None = None, state_events: Set[str] = DEFAULT_CALL_STATE_EVENTS
    ) -> None:
        self._info = info
        self._state_url = state_url
        self._state_events = state_events
        self._answering = False
        self._early_media = False
        self._end_leg: EndLeg | None = None

    # -------------------------------------------------- what is known

    @property
    def is_unanswered(self) -> bool:
        """Neither answered nor on its way to the end."""
        return self._info.call_state in UNANSWERED

    @property
    def is_answered(self) -> bool:
        """Answered and not on its way to the end."""
        return self._info.call_state == "answered"

    @property
    def is_up(self) -> bool:
        """Not ended, and nobody has asked for its end."""
        return self._info.call_state not in GONE

    @property
    def is_ended(self) -> bool:
        """Over."""
        return self._info.call_state == "ended"

    @property
    def can_hear(self) -> bool:
        """Audio that is sent now reaches the far end: answered, being answered, or early media is on."""
        return self.is_up and (self.is_answered or self._answering or self._early_media)

    # -------------------------------------------------- commands

    def ring(self, *, early_media: bool = False) -> list[Effect]:
        """Let an unanswered caller ring, once; or hear early media, once."""
        if not self._awaits_us or self._answering or self._early_media:
            return []
        if not early_media and self._info.call_state == "ringing":
            return []
        self._early_media = early_media
        return [RingLeg(early_media=early_media), *self._move("rings")]

    def answer(self, codecs: tuple[CodecWish, ...] = ()) -> list[Effect]:
        """Answer an unanswered caller, once; `LegAnswered` follows.  `codecs`: what may be spoken."""
        if not self._awaits_us or self._answering:
            return []
        self._answering = True
        return [AnswerLeg(codecs=codecs)]

    def end(self, command: EndLeg) -> list[Effect]:
        """Ask for the end, once: the first ending is the true one."""
        if self._info.call_state in GONE:
            return []
        self._end_leg = command
        return [*self._move("is ended"), command]

    # -------------------------------------------------- what happened

    def created(self) -> list[Effect]:
        """The first report."""
        wanted = self._state_url if "created" in self._state_events else None
        return [Report(happening=CallStateChanged(state="created"), callback_url=wanted)]

    def ringing(self) -> list[Effect]:
        """The far end rings; reported once."""
        return self._move("rings")

    def answered(self) -> list[Effect]:
        """The far end answered.  If that crossed our request to end, the request is made again."""
        if self._end_leg is not None and self._info.call_state != "ended":
            return [self._end_leg]
        return self._move("answers")

    def ending(self) -> None:
        """The far end is gone; the last report waits."""
        self._move("is ended")

    def ended(self, ending: Ending) -> list[Effect]:
        """Over; the last report."""
        return self._move("ends", ending)

    # -------------------------------------------------- inside

    @property
    def _awaits_us(self) -> bool:
        return self._info.direction == "inbound" and self._info.call_state in UNANSWERED

    def _move(self, event: str, ending: Ending | None = None) -> list[Effect]:
        state = NEXT_STATE.get((self._info.call_state, event))
        if state is None:
            return []
        self._info.call_state = state
        if state == "ending":
            return []
        wanted = self._state_url if state in self._state_events else None
        return [Report(happening=CallStateChanged(state=state, ending=ending), callback_url=wanted)]

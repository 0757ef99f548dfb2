"""One SIP leg: what an INVITE dialog means for a call, and what a call's effects mean for the dialog.

The stack below has already dealt with retransmissions, ACKs, forks, and the 200 that crosses a CANCEL.  So a
leg is over for its call as soon as the call has asked for its end; the stack still sees the far end off.
"""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.call import facts
from cordboard.call.effects import EndLeg
from cordboard.call.reasons import Ending, ending, q850_cause
from cordboard.legs.leg_media import FORBIDDEN, LegMedia, Wishes
from cordboard.legs.outputs import CloseMedia, DialogSaved, FromLeg, Happened
from cordboard.legs.surroundings import Surroundings
from cordboard.sdp import NoCommonCodec, NoCommonSecurity, SdpError
from cordboard.sip.events import SessionEnded

_ENDED_BY = {
    "bye_received": "hangup_far_end",
    "cancelled": "caller_cancelled",
    "no_ack": "no_ack",
    "timeout": "dialog_timeout",
    "timer_expired": "session_expired",
    "transport": "transport_failed",
}
"""Causes of sessions that end without our having asked; what is not here is a lost dialog."""

MAX_HOPS = 70


class SipLeg:
    """What every state of a leg has in common: a session, its media, and one end."""

    _insecure = "encryption_refused"
    """Cause where the far end does not have the encryption that is demanded."""

    __slots__ = (
        "answered",
        "around",
        "call_id",
        "held",
        "hops",
        "media",
        "over",
        "session",
        "stack",
        "who",
    )

    def __init__(
        self, call_id: str, around: Surroundings, dialog_id: int, who: str, hops: int, wishes: Wishes
    ) -> None:
        self.call_id = call_id
        self.around = around
        self.stack = around.stack
        self.hops = hops
        """Max-Forwards of the INVITE: what a call that this leg makes dial has one less of."""
        self.session: str | None = None
        self.media = LegMedia(call_id, dialog_id, around.rules, wishes)
        self.who = who
        """How sentences name the far end."""
        self.answered = False
        self.held = False
        """The call has been told that the far end holds it."""
        self.over = False

    # ------------------------------------------------------------ the end

    def end(self, effect: EndLeg, now: float) -> list[FromLeg]:
        """End the leg, whatever its state."""
        if self.over:
            return []
        return [*self._leave_dialog(effect, now), *self.finish(effect.ending)]

    def _leave_dialog(self, effect: EndLeg, now: float) -> list[FromLeg]:
        raise NotImplementedError

    def _hang_up(self, q850: int | None, now: float) -> list[FromLeg]:
        assert self.session is not None
        headers = [("Reason", f"Q.850;cause={q850}")] if q850 is not None else []
        return list(self.stack.bye(self.session, headers=headers, now=now))

    def finish(self, end: Ending) -> list[FromLeg]:
        """The last outputs of the leg: its endpoint goes, its call learns why."""
        if self.over:
            return []
        self.over = True
        return [CloseMedia(call_id=self.call_id), self.tell(facts.LegEnded(ending=end))]

    def fail(self, why: Ending, now: float) -> list[FromLeg]:
        """Hang up because of what the far end said."""
        return self.end(EndLeg(ending=why, sip_code=488, q850=q850_cause(why)), now)

    def session_ended(self, event: SessionEnded) -> list[FromLeg]:
        return self.finish(self.ending(_ENDED_BY.get(event.cause, "dialog_timeout")))

    def silent(self, seconds: float, now: float) -> list[FromLeg]:
        """Neither RTP nor RTCP has come for so long."""
        if not self.answered or self.held or self.media.holding:
            return []
        return self.fail(self.ending("media_timeout", f"for {seconds:g} s"), now)

    def ending(self, cause: str, detail: str = "") -> Ending:
        return ending(cause, who=self.who, detail=detail)

    # ------------------------------------------------------------ what it tells

    def set_remote(self) -> list[FromLeg]:
        """Tell the worker what was negotiated, and the call whether the far end listens."""
        if self.over or self.media.settled is None:
            return []
        return [*self.media.remote(), *self.media.watch(self.answered), *self._tell_of_hold()]

    def established(self) -> list[FromLeg]:
        """The leg is answered: the first of what it tells then."""
        return [self.tell(facts.LegAnswered()), *self.media.watch(self.answered), *self._tell_of_hold()]

    def _tell_of_hold(self) -> list[FromLeg]:
        if not self.answered or self.held is self.media.held:
            return []
        self.held = self.media.held
        return [self.tell(facts.LegHeld() if self.held else facts.LegResumed())]

    def save_dialog(self) -> list[FromLeg]:
        saved = self.stack.save_dialog(self.session) if self.session else None
        return [DialogSaved(call_id=self.call_id, saved=saved)] if saved else []

    def tell(self, fact: facts.Fact) -> Happened:
        return Happened(call_id=self.call_id, fact=fact)

    # ------------------------------------------------------------ used by all

    def _read_answer(self, offer: bytes, body: bytes) -> Ending | None:
        """Take the far end's answer; the ending of the leg if it cannot be used."""
        if not body:
            return self.ending("no_sdp")
        try:
            self.media.read(offer, body)
        except SdpError as error:
            return self._unusable(error)
        return None

    def _unusable(self, error: SdpError) -> Ending:
        """The ending of a leg whose far end has described media that cannot be had."""
        if isinstance(error, NoCommonSecurity):
            forbidden = self.media.wishes.encryption == FORBIDDEN
            return self.ending("encryption_forbidden" if forbidden else self._insecure, str(error))
        return self.ending("codec_mismatch" if isinstance(error, NoCommonCodec) else "bad_sdp", str(error))

    def _respond(
        self,
        transaction: str,
        status: int,
        now: float,
        body: bytes = b"",
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> list[FromLeg]:
        return list(self.stack.respond(transaction, status, reason, body=body, headers=headers, now=now))

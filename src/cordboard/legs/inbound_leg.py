"""A far end that called us: the server side of an INVITE."""

from __future__ import annotations

from cordboard.call import facts
from cordboard.call.effects import EndLeg
from cordboard.legs.outputs import FromLeg
from cordboard.legs.sip_leg import OUR_CODECS, SipLeg
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import SdpError, SessionDescription
from cordboard.sip.events import SessionEnded
from cordboard.sip.stack import SipStack


class InboundLeg(SipLeg):
    """Rings, answers or refuses a received INVITE, once its media endpoint is open.

    What the call asks for before the endpoint has opened is kept as a wish, the strongest wins.
    """

    __slots__ = ("_early_sent", "_offer", "_our_sdp", "_wants_answer", "_wants_early")

    def __init__(
        self,
        call_id: str,
        stack: SipStack,
        dialog_id: int,
        who: str,
        session: str,
        offer: SessionDescription | None,
        hops: int,
    ) -> None:
        super().__init__(call_id, stack, dialog_id, who, hops)
        self.session = session
        self._offer = offer
        self._our_sdp: bytes | None = None
        """The answer to their offer, or our offer when the INVITE had none."""
        self._wants_answer = False
        self._wants_early = False
        self._early_sent = False

    def media_opened(self, event: EndpointOpened, now: float) -> list[FromLeg]:
        """The endpoint is there: answer the offer, and do what the call has asked for meanwhile."""
        self.local = event
        try:
            self._our_sdp = self._accept_offer(self._offer) if self._offer else self.offer(OUR_CODECS)
        except SdpError as error:
            return self.fail(self.ending("codec_mismatch", str(error)), now)
        outputs = self.set_remote()
        if self._wants_answer:
            return [*outputs, *self.answer(now)]
        if self._wants_early:
            return [*outputs, *self.ring(True, now)]
        return outputs

    def ring(self, early_media: bool, now: float) -> list[FromLeg]:
        """180, or 183 with our SDP so that early media can be heard.

        Without an offer of theirs there is nobody to send early media to: ours goes with the 200, because
        nothing acknowledges a 183 (RFC 3261 section 13.2.1).
        """
        if self.answered or self._early_sent or self.over:
            return []
        assert self.session is not None
        if not early_media or self._offer is None:
            return list(self.stack.ring(self.session, status=180, now=now))
        if self._our_sdp is None:
            self._wants_early = True
            return []
        self._early_sent = True
        return list(self.stack.ring(self.session, status=183, body=self._our_sdp, now=now))

    def answer(self, now: float) -> list[FromLeg]:
        """200 with the answer, or with our offer when the INVITE had none."""
        if self.answered or self.over:
            return []
        if self._our_sdp is None:
            self._wants_answer = True
            return []
        assert self.session is not None
        self.answered = True
        if self._offer is None:
            self.awaited = self._our_sdp
        outputs = list(self.stack.accept(self.session, body=self._our_sdp, now=now))
        return [*outputs, self.tell(facts.LegAnswered())]

    def session_ended(self, event: SessionEnded) -> list[FromLeg]:
        """A caller may also take back an unanswered call with BYE (RFC 3261 section 15)."""
        if event.cause == "bye_received" and not self.answered:
            return self.finish(self.ending("caller_cancelled"))
        return super().session_ended(event)

    def _leave_dialog(self, effect: EndLeg, now: float) -> list[FromLeg]:
        if self.answered:
            return self._hang_up(effect.q850, now)
        assert self.session is not None
        return list(self.stack.reject(self.session, status=effect.sip_code, now=now))

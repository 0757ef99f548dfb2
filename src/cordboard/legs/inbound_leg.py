"""A far end that called us: the server side of an INVITE."""

from __future__ import annotations

from cordboard.call import facts
from cordboard.call.effects import EndLeg
from cordboard.legs.outputs import FromLeg
from cordboard.legs.sip_leg import OUR_CODECS, SipLeg
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import SdpError, SessionDescription, parse, read_answer
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
    ) -> None:
        super().__init__(call_id, stack, dialog_id, who)
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
            mismatch = self.ending("codec_mismatch", str(error))
            return self.end(EndLeg(ending=mismatch, sip_code=488), now)
        outputs = self.set_remote()
        if self._wants_answer:
            return [*outputs, *self.answer(now)]
        if self._wants_early:
            return [*outputs, *self.ring(True, now)]
        return outputs

    def ring(self, early_media: bool, now: float) -> list[FromLeg]:
        """180, or 183 with our SDP so that early media can be heard."""
        if self.answered or self._early_sent or self.over:
            return []
        assert self.session is not None
        if not early_media:
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
        outputs = list(self.stack.accept(self.session, body=self._our_sdp, now=now))
        return [*outputs, self.tell(facts.LegAnswered())]

    def acknowledged(self, body: bytes, now: float) -> list[FromLeg]:
        """The ACK; it carries the answer when our 200 carried the offer."""
        saved = self.save_dialog()
        if self.media is not None or self._our_sdp is None:
            return saved
        try:
            self.media = read_answer(self._our_sdp, parse(body))
        except SdpError as error:
            return self.end(EndLeg(ending=self.ending("bad_sdp", str(error))), now)
        return [*saved, *self.set_remote()]

    def _leave_dialog(self, effect: EndLeg, now: float) -> list[FromLeg]:
        if self.answered:
            return self._hang_up(effect.q850, now)
        assert self.session is not None
        return list(self.stack.reject(self.session, status=effect.sip_code, now=now))

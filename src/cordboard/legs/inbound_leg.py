"""A far end that called us: the server side of an INVITE."""

from __future__ import annotations

import msgspec

from cordboard.call.effects import AnswerLeg, EndLeg
from cordboard.legs.dialog_leg import DialogLeg
from cordboard.legs.leg_media import Wishes
from cordboard.legs.outputs import FromLeg
from cordboard.legs.surroundings import Surroundings
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import MediaDescription, SdpError, SessionDescription
from cordboard.sdp.address import same_family
from cordboard.sip.events import ReinviteReceived, RequestReceived, SessionEnded

Parsed = tuple[SessionDescription, MediaDescription]
"""An offer, and its section that can be answered."""


class InboundLeg(DialogLeg):
    """Rings, answers or refuses a received INVITE, once its media endpoint is open.

    What the call asks for before the endpoint has opened is kept as a wish, the strongest wins.
    """

    _insecure = "encryption_not_offered"

    __slots__ = ("_early_sent", "_offer", "_parsed", "_wants_answer", "_wants_early", "withheld")

    def __init__(
        self,
        call_id: str,
        around: Surroundings,
        dialog_id: int,
        who: str,
        session: str,
        offer: bytes,
        parsed: Parsed | None,
        hops: int,
    ) -> None:
        """`offer`: empty where ours goes with the 200."""
        super().__init__(call_id, around, dialog_id, who, hops, Wishes(encryption=around.rules.encryption))
        self.session = session
        self.media.may_show_video = b"m=video " in offer
        self.withheld = ""
        """The identity that shall not be told to others; empty if the caller does not mind."""
        self._offer = offer
        self._parsed = parsed
        self._wants_answer: AnswerLeg | None = None
        self._wants_early = False
        self._early_sent = False

    @property
    def may_show_video(self) -> bool:
        """Whether ports for video are needed: what the answer will say is not known yet."""
        return self.media.may_show_video

    def media_opened(self, event: EndpointOpened, now: float) -> list[FromLeg]:
        """The endpoint is there: settle the offer, and do what the call has asked for meanwhile.

        At once, because a call that is dialled for this one is offered the codec of this one.
        """
        if self.media.local is not None:
            return []
        self.media.local = event
        if self._wants_answer is not None:
            return self.answer(self._wants_answer, now)
        return self._describe(now) or (self.ring(True, now) if self._wants_early else [])

    def ring(self, early_media: bool, now: float) -> list[FromLeg]:
        """180, or 183 with our SDP so that early media can be heard.

        Without an offer of theirs there is nobody to send early media to: ours goes with the 200.
        """
        if self.answered or self._early_sent or self.over:
            return []
        assert self.session is not None
        if not early_media or not self._offer:
            return list(self.stack.ring(self.session, status=180, now=now))
        if self.media.local is None:
            self._wants_early = True
            return []
        return self._send_early(now)

    def _send_early(self, now: float) -> list[FromLeg]:
        assert self.session is not None
        self._early_sent = True
        outputs = self.stack.ring(self.session, status=183, body=self.media.described, now=now)
        return [*self.set_remote(), *outputs]

    def answer(self, effect: AnswerLeg, now: float) -> list[FromLeg]:
        """200 with the answer, or with our offer when the INVITE had none."""
        if self.answered or self.over:
            return []
        if self.media.local is None:
            self._wants_answer = effect
            return []
        if effect.codecs and not self._early_sent:
            self.media.wishes = msgspec.structs.replace(self.media.wishes, codecs=effect.codecs)
            self.media.forget()
        return self._describe(now) or self._accept(now)

    def _describe(self, now: float) -> list[FromLeg]:
        """Answer the offer, once; what must be done if that is impossible."""
        if self.media.described:
            return []
        try:
            if self._offer:
                self._answer_offer()
            else:
                self.media.offer(self.media.choose(None))
        except SdpError as error:
            return self.fail(self._unusable(error), now)
        return []

    def _answer_offer(self) -> None:
        assert self.media.local is not None
        offer, chosen = self._parsed or (None, None)
        if offer is not None and chosen is not None:
            # It was chosen before the IP version of our media was known: then it may not do.
            theirs = offer.address_of(chosen) or ""
            chosen = chosen if same_family(theirs, self.media.local.address) else None
        self.media.answer(self._offer, offer, chosen)

    def _accept(self, now: float) -> list[FromLeg]:
        assert self.session is not None
        self.answered = True
        if not self._offer:
            self._awaited = self.media.described
        body = self.media.described
        expires = self.around.rules.session_timeout or None
        outputs = self.stack.accept(self.session, body=body, session_expires=expires, now=now)
        told = [] if self._early_sent else self.media.remote()
        return [*told, *outputs, *self.established()]

    def _settled_with(self, event: ReinviteReceived | RequestReceived) -> bool:
        """Before the answer, an UPDATE can follow a 183 that has answered the offer."""
        return self.answered or self._early_sent

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

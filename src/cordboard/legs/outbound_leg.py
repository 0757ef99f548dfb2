"""A far end that we call: the client side of an INVITE."""

from __future__ import annotations

from cordboard.call import facts
from cordboard.call.effects import Dial, EndLeg
from cordboard.call.reasons import Ending, ending_of_status
from cordboard.legs.identity import from_header, safe_headers
from cordboard.legs.outputs import FromLeg, Target
from cordboard.legs.sip_leg import SipLeg, preferred_first
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import Codec, NoCommonCodec, SdpError, parse, read_answer
from cordboard.sip.events import Answered, Provisional, Refused
from cordboard.sip.headers import HeaderError
from cordboard.sip.stack import SipStack

_ELSEWHERE = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


class OutboundLeg(SipLeg):
    """Sends the INVITE as soon as both the target is known and the endpoint is open."""

    __slots__ = ("_dial", "_domain", "_offer_body", "_parent_codec", "_target")

    def __init__(
        self, dial: Dial, stack: SipStack, dialog_id: int, *, domain: str, parent_codec: Codec | None
    ) -> None:
        super().__init__(dial.call_id, stack, dialog_id, dial.destination.to)
        self._dial = dial
        self._domain = domain
        self._parent_codec = parent_codec
        self._target: Target | None = None
        self._offer_body = b""

    def media_opened(self, event: EndpointOpened, now: float) -> list[FromLeg]:
        self.local = event
        return self._invite(now)

    def resolved(self, target: Target, now: float) -> list[FromLeg]:
        self._target = target
        return self._invite(now)

    def _invite(self, now: float) -> list[FromLeg]:
        target = self._target
        if target is None or self.local is None or self.over:
            return []
        self._offer_body = self.offer(preferred_first(self._parent_codec))
        name = "" if target.is_phone else self._dial.from_name
        try:
            self.session, outputs = self.stack.invite(
                uri=target.request_uri,
                to=f"<{target.request_uri}>",
                from_=from_header(self._dial.from_, name, self._domain),
                destination=target.endpoint,
                body=self._offer_body,
                headers=[] if target.is_phone else safe_headers(self._dial.destination.headers),
                now=now,
            )
        except HeaderError as error:
            return self.finish(self.ending("bad_destination", str(error)))
        return list(outputs)

    # ------------------------------------------------------------ responses

    def progressed(self, event: Provisional) -> list[FromLeg]:
        """180 rings; 183 rings too, and with SDP brings early media (RFC 3261 section 13.2.2.1)."""
        if self.over or event.status not in (180, 183):
            return []
        early = bool(event.body) and self._negotiate(event.body) is None
        outputs = self.set_remote() if early else []
        return [*outputs, self.tell(facts.LegRinging(early_media=early))]

    def answered_by(self, event: Answered, now: float) -> list[FromLeg]:
        """The call is up, unless the answer cannot be spoken: then it is hung up with the reason why."""
        if self.over:
            return []
        self.answered = True
        problem = self._negotiate(event.body) if event.body or self.media is None else None
        if problem is not None:
            return self.end(EndLeg(ending=problem), now)
        return [*self.set_remote(), *self.save_dialog(), self.tell(facts.LegAnswered())]

    def _negotiate(self, body: bytes) -> Ending | None:
        """Read the far end's SDP; the ending of the leg if it cannot be used."""
        if not body:
            return self.ending("no_sdp")
        try:
            self.media = read_answer(self._offer_body, parse(body))
        except NoCommonCodec as error:
            return self.ending("codec_mismatch", str(error))
        except SdpError as error:
            return self.ending("bad_sdp", str(error))
        return None

    def refused(self, event: Refused) -> list[FromLeg]:
        if event.cause == "timeout":
            return self.finish(self.ending("invite_timeout"))
        if event.cause == "transport":
            return self.finish(self.ending("transport_failed"))
        return self.finish(ending_of_status(event.status, event.reason, who=self.who))

    # ------------------------------------------------------------ the end

    def _leave_dialog(self, effect: EndLeg, now: float) -> list[FromLeg]:
        if self.session is None:
            return []
        if self.answered:
            return self._hang_up(effect.q850, now)
        headers = [_ELSEWHERE] if effect.answered_elsewhere else []
        return list(self.stack.cancel(self.session, headers=headers, now=now))

"""One SIP leg: what an INVITE dialog means for a call, and what a call's effects mean for the dialog.

The stack below has already dealt with retransmissions, ACKs, forks, and the 200 that crosses a CANCEL.  So a
leg is over for its call as soon as the call has asked for its end; the stack still sees the far end off.
"""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.call import facts
from cordboard.call.effects import EndLeg
from cordboard.call.reasons import Ending, ending, q850_cause
from cordboard.legs.outputs import CloseMedia, DialogSaved, FromLeg, Happened, MediaOrder
from cordboard.media.protocol import EndpointOpened, Format, SetRemote
from cordboard.sdp import (
    PCMA,
    PCMU,
    Codec,
    MediaParameters,
    NoCommonCodec,
    SdpError,
    SessionDescription,
    answer_offer,
    make_offer,
    parse,
    read_answer,
)
from cordboard.sip.events import ReinviteReceived, RequestReceived, SessionEnded
from cordboard.sip.stack import SipStack

OUR_CODECS = (PCMU, PCMA)

_ENDED_BY = {
    "bye_received": "hangup_far_end",
    "cancelled": "caller_cancelled",
    "no_ack": "no_ack",
    "timeout": "dialog_timeout",
    "transport": "transport_failed",
}
"""Causes of sessions that end without our having asked; what is not here is a lost dialog."""

MAX_HOPS = 70
_TRY_AGAIN = [("Retry-After", "1")]
_NO_BODY_BUT_SDP = [("Accept", "application/sdp")]


class SipLeg:
    """What inbound and outbound legs have in common: a session, an endpoint, a negotiated medium."""

    __slots__ = (
        "answered",
        "awaited",
        "call_id",
        "dialog_id",
        "hops",
        "local",
        "media",
        "over",
        "sdp_version",
        "session",
        "stack",
        "who",
    )

    def __init__(self, call_id: str, stack: SipStack, dialog_id: int, who: str, hops: int = MAX_HOPS) -> None:
        self.call_id = call_id
        self.stack = stack
        self.hops = hops
        """Max-Forwards of the INVITE: what a call that this leg makes dial has one less of."""
        self.dialog_id = dialog_id
        """The `sess-id` of our SDP."""
        self.session: str | None = None
        self.local: EndpointOpened | None = None
        self.media: MediaParameters | None = None
        self.awaited: bytes | None = None
        """Our offer in a 200; its answer comes with the ACK."""
        self.sdp_version = 1
        """Of the next description (RFC 3264 section 8)."""
        self.who = who
        """How sentences name the far end."""
        self.answered = False
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

    def session_ended(self, event: SessionEnded) -> list[FromLeg]:
        return self.finish(self.ending(_ENDED_BY.get(event.cause, "dialog_timeout")))

    def ending(self, cause: str, detail: str = "") -> Ending:
        return ending(cause, who=self.who, detail=detail)

    # ------------------------------------------------------------ inside the dialog

    def reinvited(self, event: ReinviteReceived, now: float) -> list[FromLeg]:
        """Hold, resume, a moved port, a new codec order (RFC 3261 section 14, RFC 3264 section 8)."""
        if event.request.body or not self.answered:
            return self._offered(event, now)
        # A late offer: ours is what holds already; the answer is in the ACK.
        self.awaited = self.offer(preferred_first(self.media.codec if self.media else None))
        return self._respond(event.transaction, 200, now, self.awaited)

    def requested(self, event: RequestReceived, now: float) -> list[FromLeg]:
        """UPDATE may bring an offer (RFC 3311); of INFO this leg understands nothing yet."""
        if not event.request.body:
            return self._respond(event.transaction, 200, now)
        if event.request.method == "UPDATE":
            return self._offered(event, now)
        return self._respond(event.transaction, 415, now, headers=_NO_BODY_BUT_SDP)

    def _offered(self, event: ReinviteReceived | RequestReceived, now: float) -> list[FromLeg]:
        if not self.answered:
            return self._respond(event.transaction, 500, now, headers=_TRY_AGAIN)
        try:
            body = self._accept_offer(parse(event.request.body))
        except SdpError:
            return self._respond(event.transaction, 488, now)
        return [*self._respond(event.transaction, 200, now, body), *self.set_remote()]

    def acknowledged(self, body: bytes, now: float) -> list[FromLeg]:
        """The ACK; it carries the answer where our 200 carried the offer."""
        offer, self.awaited = self.awaited, None
        saved = self.save_dialog()
        if offer is None:
            return saved
        spoken = self.media is not None
        problem = self._negotiate(offer, body)
        if problem is None:
            return [*saved, *self.set_remote()]
        # A call whose media are settled goes on with them.
        return saved if spoken else self.fail(problem, now)

    def _negotiate(self, offer: bytes, body: bytes) -> Ending | None:
        """Read the far end's answer; the ending of the leg if it cannot be used."""
        if not body:
            return self.ending("no_sdp")
        try:
            self.media = read_answer(offer, parse(body))
        except NoCommonCodec as error:
            return self.ending("codec_mismatch", str(error))
        except SdpError as error:
            return self.ending("bad_sdp", str(error))
        return None

    def fail(self, why: Ending, now: float) -> list[FromLeg]:
        """Hang up because of what the far end said."""
        return self.end(EndLeg(ending=why, sip_code=488, q850=q850_cause(why)), now)

    def _respond(
        self,
        transaction: str,
        status: int,
        now: float,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> list[FromLeg]:
        return list(self.stack.respond(transaction, status, body=body, headers=headers, now=now))

    # ------------------------------------------------------------ media

    def _accept_offer(self, offer: SessionDescription) -> bytes:
        assert self.local is not None
        answer = answer_offer(
            offer,
            address=self.local.address,
            port=self.local.port,
            codecs=offered_first(offer),
            session_id=self.dialog_id,
            version=self.sdp_version,
        )
        self.sdp_version += 1
        self.media = answer.media
        return answer.body

    def offer(self, codecs: tuple[Codec, ...]) -> bytes:
        assert self.local is not None
        offer = make_offer(
            address=self.local.address,
            port=self.local.port,
            codecs=codecs,
            session_id=self.dialog_id,
            version=self.sdp_version,
        )
        self.sdp_version += 1
        return offer

    def set_remote(self) -> list[FromLeg]:
        """Tell the worker what was negotiated."""
        media = self.media
        if media is None or self.over:
            return []
        codec = media.codec
        command = SetRemote(
            endpoint_id=self.call_id,
            address=media.address,
            port=media.port,
            rtcp_port=media.rtcp_port,
            send=Format(
                name=codec.name,
                payload_type=codec.payload_type,
                clock_rate=codec.clock_rate,
                ptime_ms=media.ptime_ms,
            ),
            accepted=media.accepted,
            dtmf_send_type=media.dtmf_send_type,
            dtmf_receive_type=media.dtmf_receive_type,
            sending=media.sending,
            receiving=media.receiving,
        )
        return [MediaOrder(command=command)]

    def save_dialog(self) -> list[FromLeg]:
        saved = self.stack.save_dialog(self.session) if self.session else None
        return [DialogSaved(call_id=self.call_id, saved=saved)] if saved else []

    def tell(self, fact: facts.Fact) -> Happened:
        return Happened(call_id=self.call_id, fact=fact)


def preferred_first(codec: Codec | None) -> tuple[Codec, ...]:
    """Our codecs, with the one the other leg already speaks in front: no transcoding where avoidable."""
    if codec is None:
        return OUR_CODECS
    return tuple(sorted(OUR_CODECS, key=lambda ours: ours.name != codec.name))


def offered_first(offer: SessionDescription) -> tuple[Codec, ...]:
    """Our codecs in the caller's order of preference."""
    rank = {codec.name: n for section in offer.media for n, codec in enumerate(section.codecs())}
    return tuple(sorted(OUR_CODECS, key=lambda ours: rank.get(ours.name, len(rank))))

"""All SIP legs of a server: the stack's events go to the leg they belong to, effects go to the stack.

Pure: bytes, effects and time in; bytes, facts and orders for the media out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cordboard.call.actions import CallInfo
from cordboard.call.effects import AnswerLeg, Dial, EndLeg, RingLeg
from cordboard.call.reasons import Ending, ending
from cordboard.legs import identity
from cordboard.legs.inbound_leg import InboundLeg
from cordboard.legs.outbound_leg import OutboundLeg
from cordboard.legs.outputs import (
    CallOffered,
    CallRefused,
    FromLeg,
    OpenMedia,
    Output,
    ResolveTarget,
    Route,
)
from cordboard.legs.sip_leg import MAX_HOPS, OUR_CODECS, SipLeg
from cordboard.media.protocol import EndpointOpened, EndpointRefused
from cordboard.sdp import NoCommonCodec, SdpError, SessionDescription, check_offer, parse
from cordboard.sip import events
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.headers import HeaderError
from cordboard.sip.message import Request
from cordboard.sip.stack import SipStack
from cordboard.sip.uri import Uri, UriError

_RETRY_LATER = (("Retry-After", "5"),)


class Identity:
    """What every call of this server has in common."""

    __slots__ = ("domain", "new_id", "node_id", "project_id", "space_id")

    def __init__(
        self, *, new_id: Callable[[], str], node_id: str, project_id: str, space_id: str, domain: str
    ) -> None:
        self.new_id = new_id
        self.node_id = node_id
        self.project_id = project_id
        self.space_id = space_id
        self.domain = domain


class SipLegs:
    """Every leg by call id and by session."""

    def __init__(
        self, stack: SipStack, ours: Identity, *, may_call: Callable[[str], bool], max_legs: int
    ) -> None:
        self.stack = stack
        self._ours = ours
        self._may_call = may_call
        self._max_legs = max_legs
        self._legs: dict[str, SipLeg] = {}
        self._by_session: dict[str, SipLeg] = {}
        self._serial = 0

    @property
    def domain(self) -> str:
        return self._ours.domain

    def __len__(self) -> int:
        return len(self._legs)

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._legs

    # ------------------------------------------------------------ from the wire

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[Output]:
        return self._digest(self.stack.receive(data, source, now), now)

    def transport_failed(self, destination: Endpoint, now: float) -> list[Output]:
        return self._digest(self.stack.transport_failed(destination, now), now)

    def next_timeout(self) -> float | None:
        return self.stack.next_timeout()

    def handle_timeout(self, now: float) -> list[Output]:
        return self._digest(self.stack.handle_timeout(now), now)

    # ------------------------------------------------------------ from the calls

    def ring(self, call_id: str, effect: RingLeg, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        if not isinstance(leg, InboundLeg):
            return []
        return self._settle(leg, leg.ring(effect.early_media, now), now)

    def answer(self, call_id: str, effect: AnswerLeg, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        if not isinstance(leg, InboundLeg):
            return []
        return self._settle(leg, leg.answer(now), now)

    def end(self, call_id: str, effect: EndLeg, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.end(effect, now), now)

    def accept_offer(self, call_id: str) -> list[Output]:
        """The offered call has got a driver: open its media."""
        return [OpenMedia(call_id=call_id)] if call_id in self._legs else []

    def dial(self, effect: Dial, now: float) -> list[Output]:
        """Start an outbound leg: find its target and open its media, side by side."""
        parent = self._legs.get(effect.parent)
        codec = parent.media.codec if parent is not None and parent.media is not None else None
        leg = OutboundLeg(
            effect,
            self.stack,
            self._next_serial(),
            domain=self._ours.domain,
            parent_codec=codec,
            # Two servers that dial each other, or one that dials itself, come to an end.
            hops=parent.hops - 1 if parent is not None else MAX_HOPS,
        )
        self._legs[effect.call_id] = leg
        if len(self._legs) > self._max_legs:
            return self._settle(leg, leg.finish(leg.ending("overloaded")), now)
        near = effect.parent if parent is not None else None
        return [
            # First: a destination that is refused at once closes what must then be open.
            OpenMedia(call_id=effect.call_id, near=near),
            ResolveTarget(call_id=effect.call_id, destination=effect.destination),
        ]

    # ------------------------------------------------------------ from the shell

    def resolved(self, call_id: str, route: Route, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        if not isinstance(leg, OutboundLeg):
            return []
        return self._settle(leg, leg.resolved(route.targets[0], now), now)

    def unresolved(self, call_id: str, end: Ending, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.finish(end), now)

    def media_opened(self, event: EndpointOpened, now: float) -> list[Output]:
        leg = self._legs.get(event.endpoint_id)
        if not isinstance(leg, InboundLeg | OutboundLeg):
            return []
        return self._settle(leg, leg.media_opened(event, now), now)

    def media_refused(self, event: EndpointRefused, now: float) -> list[Output]:
        leg = self._legs.get(event.endpoint_id)
        if leg is None:
            return []
        effect = EndLeg(ending=leg.ending("no_port", event.sentence), sip_code=503)
        return self._settle(leg, leg.end(effect, now), now)

    def hang_up_saved(self, saved: bytes, now: float) -> list[Output]:
        """BYE in a dialog that another process has left behind."""
        return self._digest(self.stack.bye_saved_dialog(saved, now=now), now)

    # ------------------------------------------------------------ the stack's events

    def _digest(self, outputs: Iterable[events.Output], now: float) -> list[Output]:
        done: list[Output] = []
        for output in outputs:
            if isinstance(output, events.SendMessage):
                done.append(output)
            else:
                done.extend(self._happened(output, now))
        return done

    def _happened(self, event: events.Event, now: float) -> list[Output]:
        if isinstance(event, events.InviteReceived):
            return self._offered(event, now)
        leg = self._by_session.get(event.session)
        if leg is None:
            return self._without_leg(event, now)
        return self._settle(leg, _inform(leg, event, now), now)

    def _without_leg(self, event: events.Event, now: float) -> list[Output]:
        """The leg is over, but its far end still asks something."""
        if isinstance(event, events.ReinviteReceived | events.RequestReceived):
            return self._digest(self.stack.respond(event.transaction, 481, now=now), now)
        return []

    def _settle(self, leg: SipLeg, outputs: list[FromLeg], now: float) -> list[Output]:
        """Keep the tables in step with what a leg has just done."""
        if leg.session is not None and not leg.over:
            self._by_session[leg.session] = leg
        if leg.over:
            self._legs.pop(leg.call_id, None)
            if leg.session is not None:
                self._by_session.pop(leg.session, None)
        return self._unfold(outputs, now)

    def _unfold(self, outputs: list[FromLeg], now: float) -> list[Output]:
        """Legs hand on what the stack returned to them; its events come back to us."""
        done: list[Output] = []
        for output in outputs:
            if isinstance(output, events.EVENTS):
                done.extend(self._happened(output, now))
            else:
                done.append(output)
        return done

    # ------------------------------------------------------------ new calls

    def _offered(self, event: events.InviteReceived, now: float) -> list[Output]:
        refusal = self._refusal(event)
        if refusal is not None:
            return [refusal, *self._reject(event.session, refusal.status, now)]
        try:
            offer = self._read_offer(event.request.body)
            offered = self._describe(event)
            hops = event.request.max_forwards
        except NoCommonCodec as error:
            return self._mismatch(event, str(error), now)
        except (SdpError, UriError, HeaderError):
            return self._reject(event.session, 400, now)
        self._admit(offered, event.session, offer, MAX_HOPS if hops is None else min(hops, MAX_HOPS))
        return [offered]

    def _read_offer(self, body: bytes) -> SessionDescription | None:
        if not body:
            return None
        offer = parse(body)
        check_offer(offer, address=self.stack.local.address, codecs=OUR_CODECS)
        return offer

    def _mismatch(self, event: events.InviteReceived, detail: str, now: float) -> list[Output]:
        """Nobody's phone rings for a call that could not be heard."""
        end = ending("codec_mismatch", who=event.source.host_port, detail=detail)
        refused = CallRefused(source=event.source, status=488, ending=end)
        return [refused, *self._reject(event.session, 488, now)]

    def _refusal(self, event: events.InviteReceived) -> CallRefused | None:
        """Strangers and floods are turned away before anything is kept of them."""
        who = event.source.host_port
        if not self._may_call(event.source.address):
            return CallRefused(source=event.source, status=403, ending=ending("source_refused", who=who))
        if len(self._legs) >= self._max_legs:
            return CallRefused(source=event.source, status=503, ending=ending("overloaded", who=who))
        return None

    def _reject(self, session: str, status: int, now: float) -> list[Output]:
        headers = _RETRY_LATER if status == 503 else ()
        return self._digest(self.stack.reject(session, status=status, headers=headers, now=now), now)

    def _admit(self, offered: CallOffered, session: str, offer: SessionDescription | None, hops: int) -> None:
        call_id, caller = offered.call_id, offered.info.from_
        leg = InboundLeg(call_id, self.stack, self._next_serial(), caller, session, offer, hops)
        self._legs[call_id] = leg
        self._by_session[session] = leg

    def _describe(self, event: events.InviteReceived) -> CallOffered:
        request = event.request
        dialled = Uri.parse(request.uri)
        call_id = self._ours.new_id()
        return CallOffered(
            call_id=call_id,
            info=self._info(call_id, request, dialled),
            dialled=identity.name_in(dialled),
            source=event.source,
            sip_call_id=request.call_id,
        )

    def _info(self, call_id: str, request: Request, dialled: Uri) -> CallInfo:
        caller = request.from_
        phone = identity.is_phone_call(dialled, caller.uri)
        return CallInfo(
            call_id=call_id,
            node_id=self._ours.node_id,
            segment_id=self._ours.new_id(),
            project_id=self._ours.project_id,
            space_id=self._ours.space_id,
            session_id=self._ours.new_id(),
            call_state="created",
            direction="inbound",
            type="phone" if phone else "sip",
            from_=identity.seen_by_scripts(caller.uri),
            to=identity.seen_by_scripts(dialled),
            from_name=caller.display_name or "",
            headers=() if phone else identity.custom_headers(request),
            sip_data=None if phone else identity.sip_data(request),
        )

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


def _inform(leg: SipLeg, event: events.Event, now: float) -> list[FromLeg]:
    """One event for one leg."""
    if isinstance(event, events.SessionEnded):
        return leg.session_ended(event)
    if isinstance(event, events.ReinviteReceived):
        return leg.reinvited(event, now)
    if isinstance(event, events.RequestReceived):
        return leg.requested(event, now)
    if isinstance(event, events.AckReceived):
        return leg.acknowledged(event.body, now)
    return _inform_outbound(leg, event, now) if isinstance(leg, OutboundLeg) else []


def _inform_outbound(leg: OutboundLeg, event: events.Event, now: float) -> list[FromLeg]:
    if isinstance(event, events.Provisional):
        return leg.progressed(event)
    if isinstance(event, events.Answered):
        return leg.answered_by(event, now)
    if isinstance(event, events.Refused):
        return leg.refused(event)
    return []

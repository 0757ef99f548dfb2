"""All SIP legs of a server: the stack's events go to the leg they belong to, effects go to the stack.

Pure: bytes, effects and time in; bytes, facts and orders for the media out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cordboard.call.effects import (
    AnswerLeg,
    Dial,
    EndLeg,
    HoldLeg,
    PassDigit,
    ReferLeg,
    ReportTransfer,
    RingLeg,
    SendDigitsTo,
)
from cordboard.call.reasons import Ending, ending
from cordboard.legs import codec_choice
from cordboard.legs.arrivals import Identity, describe, wants_privacy
from cordboard.legs.dialog_leg import DialogLeg
from cordboard.legs.inbound_leg import InboundLeg, Parsed
from cordboard.legs.leg_media import FORBIDDEN
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
from cordboard.legs.refer import read_replaces
from cordboard.legs.rules import LegRules
from cordboard.legs.sip_leg import MAX_HOPS
from cordboard.legs.surroundings import Surroundings
from cordboard.media.protocol import EndpointOpened, EndpointRefused, MediaSilent
from cordboard.sdp import NoCommonCodec, NoCommonSecurity, SdpError, check_offer, parse
from cordboard.sip import events
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.headers import HeaderError
from cordboard.sip.stack import SipStack
from cordboard.sip.uri import UriError

__all__ = ["Identity", "SipLegs"]

_EVENTS = frozenset(events.EVENTS)
_RETRY_LATER = (("Retry-After", "5"),)


class SipLegs:
    """Every leg by call id and by session."""

    def __init__(
        self,
        stack: SipStack,
        ours: Identity,
        *,
        may_call: Callable[[str], bool],
        max_legs: int,
        rules: LegRules = LegRules(),  # noqa: B008 - immutable
    ) -> None:
        self.stack = stack
        self._ours = ours
        self._may_call = may_call
        self._max_legs = max_legs
        self._rules = rules
        self._legs: dict[str, DialogLeg] = {}
        self._by_session: dict[str, DialogLeg] = {}
        self.timed: dict[str, float] = {}
        """When those have something to do that wait for a time of their own."""
        self._around = Surroundings(stack, rules, domain=ours.domain, call_of_session=self._call_of_session)
        self._serial = 0

    @property
    def identity(self) -> Identity:
        """What calls are told of this server."""
        return self._ours

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

    def transport_failed(self, destination: Endpoint, now: float, why: str = "") -> list[Output]:
        """`why`: a sentence with what to change, where the transport knows."""
        outputs = self.stack.transport_failed(destination, now)
        return self._digest([_explained(output, why) for output in outputs], now)

    def next_timeout(self) -> float | None:
        due = self.stack.next_timeout()
        if not self.timed:
            return due
        first = min(self.timed.values())
        return first if due is None else min(due, first)

    def handle_timeout(self, now: float) -> list[Output]:
        outputs = self._digest(self.stack.handle_timeout(now), now)
        for call_id in [name for name, due in self.timed.items() if due <= now]:
            leg = self._legs.get(call_id)
            if leg is not None:
                outputs += self._settle(leg, leg.handle_timeout(now), now)
        return outputs

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
        return self._settle(leg, leg.answer(effect, now), now)

    def end(self, call_id: str, effect: EndLeg, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.end(effect, now), now)

    def accept_offer(self, call_id: str) -> list[Output]:
        """The offered call has got a driver: open its media."""
        leg = self._legs.get(call_id)
        if not isinstance(leg, InboundLeg):
            return []
        return [OpenMedia(call_id=call_id, video=leg.may_show_video)]

    def dial(self, effect: Dial, now: float) -> list[Output]:
        """Start an outbound leg: find its target and open its media, side by side."""
        parent = self._legs.get(effect.parent)
        leg = OutboundLeg(
            effect,
            self._around,
            self._next_serial(),
            parent=parent.media if parent is not None else None,
            withheld=isinstance(parent, InboundLeg) and parent.withheld == effect.from_,
            # Two servers that dial each other, or one that dials itself, come to an end.
            hops=parent.hops - 1 if parent is not None else MAX_HOPS,
        )
        self._legs[effect.call_id] = leg
        if len(self._legs) > self._max_legs:
            return self._settle(leg, leg.finish(leg.ending("overloaded")), now)
        near = effect.parent if parent is not None else None
        return [
            # First: a destination that is refused at once closes what must then be open.
            OpenMedia(call_id=effect.call_id, near=near, video=leg.may_show_video),
            ResolveTarget(call_id=effect.call_id, destination=effect.destination),
        ]

    def pass_digit(self, call_id: str, effect: PassDigit, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.pass_digit(effect, now), now)

    def refer(self, call_id: str, effect: ReferLeg, now: float) -> list[Output]:
        """Send REFER (RFC 3515)."""
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.refer(effect, now), now)

    def hold(self, call_id: str, effect: HoldLeg, now: float) -> list[Output]:
        """Put the far end on hold, or take it back."""
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.hold(effect, now), now)

    def report_transfer(self, call_id: str, effect: ReportTransfer, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.report_transfer(effect, now), now)

    def dtmf_mode(self, call_id: str) -> str:
        """How keys go to this far end: rfc4733, info or inband."""
        leg = self._legs.get(call_id)
        return "rfc4733" if leg is None else leg.media.dtmf_mode

    def send_digits(self, call_id: str, effect: SendDigitsTo, now: float) -> list[Output]:
        """Press keys: the media do, or the leg itself where the far end wants INFO."""
        leg = self._legs.get(call_id)
        return [] if leg is None else self._settle(leg, leg.send_digits(effect, now), now)

    # ------------------------------------------------------------ from the shell

    def resolved(self, call_id: str, route: Route, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        if not isinstance(leg, OutboundLeg):
            return []
        return self._settle(leg, leg.resolved(route, now), now)

    def unresolved(self, call_id: str, end: Ending, now: float) -> list[Output]:
        leg = self._legs.get(call_id)
        if not isinstance(leg, OutboundLeg):
            return []
        return self._settle(leg, leg.unresolved(end, now), now)

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

    def media_silent(self, event: MediaSilent, now: float) -> list[Output]:
        """The far end has sent nothing for as long as the rules allow."""
        leg = self._legs.get(event.endpoint_id)
        return [] if leg is None else self._settle(leg, leg.silent(event.seconds, now), now)

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
                done += self._happened(output, now)
        return done

    def _happened(self, event: events.Event, now: float) -> list[Output]:
        if isinstance(event, events.InviteReceived):
            return self._offered(event, now)
        if isinstance(event, events.ResponseReceived):
            return [event]
        leg = self._by_session.get(event.session)
        if leg is None:
            return self._without_leg(event, now)
        inform = _INFORM.get(type(event))
        if inform is not None:
            return self._settle(leg, inform(leg, event, now), now)
        if isinstance(event, events.Refused):
            # This session is over, but the leg may have further ones.
            del self._by_session[event.session]
        inform_outbound = _INFORM_OUTBOUND.get(type(event))
        if inform_outbound is None or not isinstance(leg, OutboundLeg):
            return self._settle(leg, [], now)
        return self._settle(leg, inform_outbound(leg, event, now), now)

    def _without_leg(self, event: events.Event, now: float) -> list[Output]:
        """The leg is over, but its far end still asks something."""
        if isinstance(event, events.ReinviteReceived | events.RequestReceived):
            return self._digest(self.stack.respond(event.transaction, 481, now=now), now)
        return []

    def _settle(self, leg: DialogLeg, outputs: list[FromLeg], now: float) -> list[Output]:
        """Keep the tables in step with what a leg has just done."""
        session = leg.session
        if leg.over:
            self._legs.pop(leg.call_id, None)
            if session is not None:
                self._by_session.pop(session, None)
        elif session is not None:
            self._by_session[session] = leg
        # Legs hand on what the stack returned to them; its events come back to us.
        done: list[Output] = []
        output: Any
        for output in outputs:
            if type(output) in _EVENTS:
                done += self._happened(output, now)
            else:
                done.append(output)
        if leg.waits:
            self._watch(leg)
        return done

    def _watch(self, leg: DialogLeg) -> None:
        """Keep whoever waits for a time of its own."""
        due = None if leg.over else leg.next_timeout()
        if due is None:
            self.timed.pop(leg.call_id, None)
        else:
            self.timed[leg.call_id] = due

    def _call_of_session(self, session: str) -> str | None:
        leg = self._by_session.get(session)
        return None if leg is None else leg.call_id

    # ------------------------------------------------------------ new calls

    def _offered(self, event: events.InviteReceived, now: float) -> list[Output]:
        refusal = self._refusal(event)
        if refusal is not None:
            return [refusal, *self._reject(event.session, refusal.status, now)]
        if "Replaces" in event.request.headers:
            return self._reject(event.session, self._status_of_replaces(event), now)
        try:
            offer = self._read_offer(event.request.body)
            trusted = self._rules.trusts(event.source.address)
            offered = describe(event, self._ours, trusted=trusted)
            hops = event.request.max_forwards
        except NoCommonCodec as error:
            return self._mismatch(event, error, now)
        except (SdpError, UriError, HeaderError):
            return self._reject(event.session, 400, now)
        self._admit(offered, event, offer, MAX_HOPS if hops is None else min(hops, MAX_HOPS))
        return [offered]

    def _read_offer(self, body: bytes) -> Parsed | None:
        if not body:
            return None
        offer = parse(body)
        rules = self._rules
        codecs = codec_choice.answerable((), rules.codecs)
        check = partial(check_offer, offer, codecs=codecs, encryption=rules.encryption)
        address = self.stack.local.address
        try:
            return offer, check(address=address)
        except NoCommonCodec:
            # Media need not be of the IP version of SIP: what version they are of, their endpoint tells.
            other = "0.0.0.0" if ":" in address else "::"
            with contextlib.suppress(NoCommonCodec):
                return offer, check(address=other)
            raise

    def _status_of_replaces(self, event: events.InviteReceived) -> int:
        """Nobody can take over a call of ours this way: 486 as for a phone that will not give up its call,
        481 where there is none (RFC 3891 section 3)."""
        named = event.request.headers.get_all("Replaces")
        found = read_replaces(named[0]) if len(named) == 1 else None
        if found is None:
            return 400
        known = self.stack.find_dialog(found.call_id, found.to_tag, found.from_tag)
        return 481 if known is None else 486

    def _mismatch(self, event: events.InviteReceived, error: NoCommonCodec, now: float) -> list[Output]:
        """Nobody's phone rings for a call that could not be heard."""
        cause = "codec_mismatch"
        if isinstance(error, NoCommonSecurity):
            forbidden = self._rules.encryption == FORBIDDEN
            cause = "encryption_forbidden" if forbidden else "encryption_not_offered"
        end = ending(cause, who=event.source.host_port, detail=str(error))
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

    def _admit(
        self,
        offered: CallOffered,
        event: events.InviteReceived,
        offer: Parsed | None,
        hops: int,
    ) -> None:
        call_id, caller, body = offered.call_id, offered.info.from_, event.request.body
        serial = self._next_serial()
        leg = InboundLeg(call_id, self._around, serial, caller, event.session, body, offer, hops)
        if "Privacy" in event.request.headers and wants_privacy(event.request):
            leg.withheld = caller
        self._legs[call_id] = leg
        self._by_session[event.session] = leg

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


_INFORM: dict[type, Callable[[DialogLeg, Any, float], list[FromLeg]]] = {
    events.SessionEnded: lambda leg, event, now: leg.session_ended(event),
    events.ReinviteReceived: lambda leg, event, now: leg.reinvited(event, now),
    events.RequestReceived: lambda leg, event, now: leg.requested(event, now),
    events.AckReceived: lambda leg, event, now: leg.acknowledged(event.body, now),
    events.RequestDone: lambda leg, event, now: leg.request_done(event, now),
    events.RefreshDue: lambda leg, event, now: leg.refresh_due(now),
}
"""What each leg does at an event of the stack."""

_INFORM_OUTBOUND: dict[type, Callable[[OutboundLeg, Any, float], list[FromLeg]]] = {
    events.Provisional: OutboundLeg.progressed,
    events.Answered: OutboundLeg.answered_by,
    events.Refused: OutboundLeg.refused,
}


def _explained(output: events.Output, why: str) -> events.Output:
    if why and isinstance(output, events.Refused) and output.cause == "transport":
        output.reason = why
    return output

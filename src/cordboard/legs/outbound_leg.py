"""A far end that we call: the client side of an INVITE."""

from __future__ import annotations

from cordboard.call import facts
from cordboard.call.effects import Dial, EndLeg
from cordboard.call.reasons import ending_of_status
from cordboard.legs.identity import from_header, safe_headers
from cordboard.legs.outputs import FromLeg, Target
from cordboard.legs.sip_leg import MAX_HOPS, SipLeg, preferred_first
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import Codec
from cordboard.sip.events import Answered, Provisional, Refused
from cordboard.sip.headers import HeaderError
from cordboard.sip.stack import SipStack
from cordboard.sip.uri import Uri, UriError

_ELSEWHERE = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


class OutboundLeg(SipLeg):
    """Sends the INVITE as soon as both the target is known and the endpoint is open."""

    __slots__ = ("_dial", "_domain", "_early_tag", "_offer_body", "_parent_codec", "_target")

    def __init__(
        self,
        dial: Dial,
        stack: SipStack,
        dialog_id: int,
        *,
        domain: str,
        parent_codec: Codec | None,
        hops: int = MAX_HOPS,
    ) -> None:
        super().__init__(dial.call_id, stack, dialog_id, dial.destination.to, hops)
        self._dial = dial
        self._domain = domain
        self._parent_codec = parent_codec
        self._target: Target | None = None
        self._offer_body = b""
        self._early_tag: str | None = None
        """The fork whose early media is heard."""

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
                call_id=self.call_id,
                body=self._offer_body,
                headers=self._headers(target),
                now=now,
            )
        except (HeaderError, UriError) as error:
            return self.finish(self.ending("bad_destination", str(error)))
        return [*outputs, self.tell(facts.LegDialled())]

    def _headers(self, target: Target) -> list[tuple[str, str]]:
        hops = [("Max-Forwards", str(self.hops))] if self.hops < MAX_HOPS else []
        if target.is_phone:
            return hops
        destination = self._dial.destination
        return [*hops, *safe_headers((*destination.headers, *Uri.parse(destination.to).headers.items()))]

    # ------------------------------------------------------------ responses

    def progressed(self, event: Provisional) -> list[FromLeg]:
        """180 rings; 183 rings too, and either brings early media with SDP (RFC 3261 section 13.2.2.1).

        Of several forks the first with early media is heard, until one of them answers.
        """
        if self.over or event.status not in (180, 183):
            return []
        early = self._early_tag in (None, event.dialog_tag) and self._early_media(event)
        outputs = self.set_remote() if early else []
        return [*outputs, self.tell(facts.LegRinging(early_media=early))]

    def _early_media(self, event: Provisional) -> bool:
        if not event.body or self._negotiate(self._offer_body, event.body) is not None:
            return False
        self._early_tag = event.dialog_tag
        return True

    def answered_by(self, event: Answered, now: float) -> list[FromLeg]:
        """The call is up, unless the answer cannot be spoken: then it is hung up with the reason why."""
        if self.over:
            return []
        self.answered = True
        # A 200 that repeats nothing stands by what its own 183 said.
        settled = not event.body and self._early_tag == (event.response.to.tag or "")
        problem = None if settled else self._negotiate(self._offer_body, event.body)
        if problem is not None:
            return self.fail(problem, now)
        return [*self.set_remote(), *self.save_dialog(), self.tell(facts.LegAnswered())]

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

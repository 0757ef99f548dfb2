"""A far end that we call: the client side of one INVITE after another, until one of them decides."""

from __future__ import annotations

import msgspec

from cordboard.call import facts
from cordboard.call.codec_wish import CodecWish, read_codecs
from cordboard.call.effects import Dial, EndLeg
from cordboard.call.reasons import Ending
from cordboard.legs.attempts import AskRoute, Attempts, GiveUp, Step
from cordboard.legs.dialog_leg import DialogLeg
from cordboard.legs.identity import safe_headers
from cordboard.legs.leg_media import COMMONEST, FORBIDDEN, OPTIONAL, LegMedia, Wishes
from cordboard.legs.outputs import FromLeg, ResolveTarget, Route, Target
from cordboard.legs.presented import Caller, Presented, present
from cordboard.legs.refer import is_replaces
from cordboard.legs.rules import PCMU_PCMA
from cordboard.legs.sip_leg import MAX_HOPS
from cordboard.legs.surroundings import Surroundings
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import MediaParameters, Ours
from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import (
    Answered,
    Provisional,
    Refused,
    ReinviteReceived,
    RequestReceived,
)
from cordboard.sip.headers import HeaderError
from cordboard.sip.uri import Uri, UriError

_ELSEWHERE = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')

LARGEST_DATAGRAM = 1300
"""Bytes of a request that may go by UDP (RFC 3261 section 18.1.1)."""
_FIXED_FIELDS = 480
"""What an INVITE has beside its URI, From, body and the fields that we add; rather more than less."""
_AUTHORIZATION = 350


class _Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What an INVITE says of us."""

    from_: str
    headers: tuple[tuple[str, str], ...]
    credentials: Credentials | None


class OutboundLeg(DialogLeg):
    """Sends the INVITE as soon as both the target is known and the endpoint is open."""

    __slots__ = ("_attempts", "_caller", "_dial", "_dialled", "_early_tag", "_offer_body", "_parent")

    def __init__(
        self,
        dial: Dial,
        around: Surroundings,
        dialog_id: int,
        *,
        parent: LegMedia | None,
        withheld: bool = False,
        hops: int = MAX_HOPS,
    ) -> None:
        destination = dial.destination
        super().__init__(dial.call_id, around, dialog_id, destination.to, hops, Wishes())
        self._dial = dial
        name = dial.from_name if destination.from_name is None else destination.from_name
        self._caller = Caller(identity=dial.from_, name=name, withheld=withheld)
        self._parent = parent
        self._attempts = Attempts(destination.to, is_phone=destination.kind == "phone")
        self._offer_body = b""
        self._dialled = False
        self._early_tag: str | None = None
        """The fork whose early media is heard."""

    @property
    def may_show_video(self) -> bool:
        """Whether ports for video are needed; a caller's own endpoint may still be on its way."""
        parent = self._parent
        if parent is None or parent.settled is None:
            return parent is not None and parent.may_show_video
        return parent.settled.video is not None

    # ------------------------------------------------------------ the INVITEs

    def media_opened(self, event: EndpointOpened, now: float) -> list[FromLeg]:
        if self.media.local is not None:
            return []
        self.media.local = event
        return self._invite(now)

    def resolved(self, route: Route, now: float) -> list[FromLeg]:
        if self.session is not None:
            return []  # nobody has asked
        return self._take(self._attempts.found(route), now)

    def unresolved(self, end: Ending, now: float) -> list[FromLeg]:
        return self._take(self._attempts.not_found(end), now)

    def _take(self, step: Step, now: float) -> list[FromLeg]:
        if isinstance(step, GiveUp):
            return self.finish(step.ending)
        if isinstance(step, AskRoute):
            return [self._asking(step)]
        return self._invite(now)

    def _asking(self, step: AskRoute) -> ResolveTarget:
        return ResolveTarget(
            call_id=self.call_id,
            destination=self._dial.destination,
            redirects=step.redirects,
            failed_trunks=step.failed_trunks,
        )

    def _invite(self, now: float) -> list[FromLeg]:
        target = self._attempts.target
        if target is None or self.media.local is None or self.over:
            return []
        self._early_tag = None
        try:
            outputs = self._attempt(target, now)
        except (HeaderError, UriError) as error:
            return self.finish(self.ending("bad_destination", str(error)))
        if self._dialled or self.over:
            return outputs
        # Ring time counts from the first.
        self._dialled = True
        return [*outputs, self.tell(facts.LegDialled())]

    def _attempt(self, target: Target, now: float) -> list[FromLeg]:
        self.media.wishes = self._wishes(now)
        other = self._parent.settled if self._parent is not None else None
        ours = self.media.choose(other)
        if not ours.codecs:
            return self.finish(self.ending("codec_mismatch", _nothing_to_offer(ours, other)))
        self._offer_body = self.media.offer(ours, other)
        fields = self._fields(target)
        size = self._size_without_body(target, fields)
        if self._is_too_large(target, size) and self.media.wishes.encryption == OPTIONAL:
            # Better fewer suites than another transport than the one that everybody has open.
            self._offer_body = self.media.offer(ours, other, suites=COMMONEST)
        large = self._attempts.large
        place = large if large is not None and self._is_too_large(target, size) else target.endpoint
        return self._send(target, fields, place, now)

    def _fields(self, target: Target) -> _Fields:
        presented = self._presented(target)
        return _Fields(
            from_=presented.from_,
            headers=(*self._headers(target), *presented.headers),
            credentials=self._credentials(target),
        )

    def _size_without_body(self, target: Target, fields: _Fields) -> int:
        """Of the INVITE, rather more than less; with the credentials that a challenge may ask for."""
        size = _FIXED_FIELDS + 2 * len(target.request_uri) + len(fields.from_)
        size += sum(len(name) + len(value) + 4 for name, value in fields.headers)
        return size + (_AUTHORIZATION if fields.credentials is not None else 0)

    def _is_too_large(self, target: Target, size: int) -> bool:
        return target.endpoint.transport == "UDP" and size + len(self._offer_body) > LARGEST_DATAGRAM

    def _send(self, target: Target, fields: _Fields, place: Endpoint, now: float) -> list[FromLeg]:
        self.session, outputs = self.stack.invite(
            uri=target.request_uri,
            to=f"<{target.request_uri}>",
            from_=fields.from_,
            destination=place,
            call_id=self.call_id,
            body=self._offer_body,
            headers=fields.headers,
            credentials=fields.credentials,
            session_expires=self._session_expires(),
            now=now,
        )
        return list(outputs)

    def _wishes(self, now: float) -> Wishes:
        """What the script says, else the trunk; of calls to phones the trunk alone (swml.md 7.3)."""
        destination, terms = self._dial.destination, self._attempts.terms
        codecs = terms.codecs if terms else ()
        if self._attempts.is_phone:
            codecs = codecs or PCMU_PCMA
        else:
            codecs = _codecs_in(destination.to) or destination.codecs or codecs
        encryption = self._encryption()
        return Wishes(
            codecs=codecs,
            encryption=FORBIDDEN if self._goes_plain(encryption, now) else encryption,
            two_media_lines=terms is not None and terms.two_media_lines,
            dtmf=terms.dtmf if terms else "auto",
        )

    def _encryption(self) -> str:
        terms = self._attempts.terms
        of_trunk = terms.encryption if terms else None
        if self._attempts.is_phone:
            return of_trunk or FORBIDDEN
        return self._dial.destination.encryption or of_trunk or self.around.rules.encryption

    def _goes_plain(self, encryption: str, now: float) -> bool:
        """The far end has refused keys that it need not take, now or within the last hour."""
        if encryption != OPTIONAL:
            return False
        return self._attempts.crypto_refused or self.around.plain_hosts.has(self._attempts.host, now)

    def _presented(self, target: Target) -> Presented:
        caller = self._caller
        if target.is_phone and caller.name:
            caller = Caller(identity=caller.identity, withheld=caller.withheld)
        around = self.around
        asserts = around.rules.asserted_identity
        return present(caller, domain=around.domain, terms=self._attempts.terms, asserts=asserts)

    def _headers(self, target: Target) -> list[tuple[str, str]]:
        hops = [("Max-Forwards", str(self.hops))] if self.hops < MAX_HOPS else []
        if target.is_phone:
            return hops
        destination = self._dial.destination
        of_uri = Uri.parse(destination.to).headers
        replaced = [("Replaces", value) for name, value in of_uri.items() if is_replaces(name, value)]
        return [*hops, *replaced, *safe_headers((*destination.headers, *of_uri.items()))]

    def _credentials(self, target: Target) -> Credentials | None:
        """Those of the target's host, or the script's for the host that it named; nobody else sees them."""
        if target.credentials is not None:
            return target.credentials
        destination = self._dial.destination
        if target.is_phone or destination.username is None or not self._attempts.at_home:
            return None
        return Credentials(username=destination.username, password=destination.password or "")

    def _session_expires(self) -> int | None:
        terms = self._attempts.terms
        wish = None if self._attempts.is_phone else self._dial.destination.session_timeout
        if wish is None and terms is not None:
            wish = terms.session_timeout
        return (self.around.rules.session_timeout if wish is None else wish) or None

    # ------------------------------------------------------------ responses

    def progressed(self, event: Provisional, now: float) -> list[FromLeg]:
        """180 rings; 183 rings too, and either brings early media with SDP (RFC 3261 section 13.2.2.1).

        Of several forks the first with early media is heard, until one of them answers.
        """
        if self.over or event.status not in (180, 183):
            return []
        self._reached(now)
        early = self._early_tag in (None, event.dialog_tag) and self._early_media(event)
        outputs = self.set_remote() if early else []
        return [*outputs, self.tell(facts.LegRinging(early_media=early))]

    def _reached(self, now: float) -> None:
        """The callee has the call: what made that possible is worth to be remembered."""
        self._attempts.rang()
        if self._attempts.crypto_refused:
            self.around.plain_hosts.note(self._attempts.host, now)

    def _early_media(self, event: Provisional) -> bool:
        if not event.body or self._read_answer(self._offer_body, event.body) is not None:
            return False
        self._early_tag = event.dialog_tag
        return True

    def answered_by(self, event: Answered, now: float) -> list[FromLeg]:
        """The call is up, unless the answer cannot be spoken: then it is hung up with the reason why."""
        if self.over:
            return []
        self.answered = True
        self._reached(now)
        # A 200 that repeats nothing stands by what its own 183 said.
        settled = not event.body and self._early_tag == (event.response.to.tag or "")
        problem = None if settled else self._read_answer(self._offer_body, event.body)
        if problem is not None:
            return self.fail(problem, now)
        # A far end that wanted no keys in the INVITE may still offer some of its own.
        self.media.wishes = msgspec.structs.replace(self.media.wishes, encryption=self._encryption())
        return [*self.media.remote(), *self.save_dialog(), *self.established()]

    def refused(self, event: Refused, now: float) -> list[FromLeg]:
        """The next attempt, or the end."""
        self.session = None
        return self._take(self._attempts.refused(event, encryption=self.media.wishes.encryption), now)

    def _settled_with(self, event: ReinviteReceived | RequestReceived) -> bool:
        """Before the answer, an UPDATE of the fork whose early media is heard can be taken."""
        return self.answered or (self._early_tag is not None and event.request.from_.tag == self._early_tag)

    # ------------------------------------------------------------ the end

    def _leave_dialog(self, effect: EndLeg, now: float) -> list[FromLeg]:
        if self.session is None:
            return []
        if self.answered:
            return self._hang_up(effect.q850, now)
        headers = [_ELSEWHERE] if effect.answered_elsewhere else []
        return list(self.stack.cancel(self.session, headers=headers, now=now))


def _nothing_to_offer(ours: Ours, other: MediaParameters | None) -> str:
    if ours.unsupported:
        return f"{', '.join(ours.unsupported)} cannot be offered to it"
    spoken = other.codec.name if other is not None else "nothing"
    return f"the other side speaks {spoken}, which can only be passed on"


def _codecs_in(uri: str) -> tuple[CodecWish, ...]:
    """A `codecs` parameter of a SIP URI."""
    if ";codecs=" not in uri.lower():
        return ()
    return read_codecs(Uri.parse(uri).params.get("codecs") or "").wishes

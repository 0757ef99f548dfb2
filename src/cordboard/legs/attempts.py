"""What one outbound leg tries next when an INVITE of its has failed.

One leg is several INVITEs and one end: the next address of a host (RFC 3263 section 4.3), the next trunk, the
contacts of a redirection (RFC 3261 section 8.1.3.4), the same address without SRTP keys (RFC 8643), or over
UDP where its TCP is closed.  All of it happens within the ring time, which somebody else measures.
"""

from __future__ import annotations

from collections import deque

import msgspec

from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.legs.outputs import Route, Target, Terms
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Refused
from cordboard.sip.message import Response
from cordboard.sip.uri import Uri, UriError

MAX_REDIRECTS = 5
"""Contacts that are dialled, of all redirections of one leg together."""
MAX_TRUNKS = 16

_FOLLOWED = (300, 301, 302)
"""305 wants another way to the same place and 380 another service: neither is an address of the callee."""
_WITHOUT_CRYPTO = (415, 488, 606)


class SendInvite(msgspec.Struct, frozen=True):
    """Send the INVITE to the current target."""


class AskRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing known is left: the shell must find more."""

    redirects: tuple[str, ...] = ()
    failed_trunks: tuple[str, ...] = ()


class GiveUp(msgspec.Struct, frozen=True):
    """The end of the leg."""

    ending: Ending


Step = SendInvite | AskRoute | GiveUp


class Attempts:
    """The way of one leg through its targets.  `target` and `endpoint` are where the next INVITE goes."""

    __slots__ = (
        "_contacts",
        "_failed_trunks",
        "_failure",
        "_followed",
        "_large_refused",
        "_rang",
        "_targets",
        "_tried",
        "_who",
        "crypto_refused",
        "first_host",
        "is_phone",
        "target",
        "terms",
    )

    def __init__(self, who: str, *, is_phone: bool = False) -> None:
        self._who = who
        self._targets: deque[Target] = deque()
        self._contacts: deque[str] = deque()
        self._tried: list[Uri] = []
        self._followed = 0
        self._failed_trunks: tuple[str, ...] = ()
        self._failure: Ending | None = None
        """Of the last INVITE."""
        self._rang = False
        self._large_refused = False
        self.is_phone = is_phone
        self.target: Target | None = None
        self.terms: Terms | None = None
        self.first_host = ""
        """Where the caller's credentials belong."""
        self.crypto_refused = False
        """The target is offered no SRTP keys any more."""

    # ------------------------------------------------------------ what the shell found

    def found(self, route: Route) -> Step:
        """Targets for the destination, for a contact, or of the next trunk."""
        if self.target is None or route.terms is not None:
            # A redirection by a carrier goes on under its terms.
            self.terms = route.terms
        self._targets = deque(route.targets)
        return self._next_target()

    def not_found(self, end: Ending) -> Step:
        """There is no way to the destination, to a contact, or no further trunk."""
        if self._contacts:
            return self._next_contact()
        # What a trunk said tells more than that there is no other.
        return GiveUp(self._failure if self._failed_trunks and self._failure else end)

    # ------------------------------------------------------------ what the far end said

    def rang(self) -> None:
        """The current target has reached the callee."""
        self._rang = True

    def refused(self, event: Refused, *, encryption: str = "forbidden") -> Step:
        """What to try after this.  `encryption`: what was offered."""
        self._failure = self._ending(event)
        if event.cause == "response" and event.status in _WITHOUT_CRYPTO and encryption != "forbidden":
            return self._keys_refused(event, encryption)
        if event.cause == "transport" and self.large is not None:
            self._large_refused = True
            return SendInvite()
        if event.cause == "response" and event.status in _FOLLOWED:
            return self._redirected(event.response)
        if self._is_about_the_host(event) and self._targets:
            return self._next_target()
        if self._contacts and event.status < 600:
            return self._next_contact()
        if self._is_about_the_trunk(event):
            return self._next_trunk()
        return GiveUp(self._failure)

    @property
    def large(self) -> Endpoint | None:
        """Where a request goes that is too large for a datagram, if there is such a place."""
        target = self.target
        return None if target is None or self._large_refused else target.large

    @property
    def host(self) -> str:
        """Of the target."""
        return "" if self.target is None else host_of(self.target.request_uri)

    @property
    def at_home(self) -> bool:
        """The target is on the host that was dialled, not one that a redirection named."""
        return self.host == self.first_host

    # ------------------------------------------------------------ inside

    def _ending(self, event: Refused) -> Ending:
        if event.cause == "timeout":
            return ending("invite_timeout", who=self._who)
        if event.cause == "transport":
            cause = "connection_failed" if event.reason else "transport_failed"
            return ending(cause, who=self._who, detail=event.reason)
        return ending_of_status(event.status, event.reason, who=self._who)

    def _keys_refused(self, event: Refused, encryption: str) -> Step:
        if encryption == "optional":
            self.crypto_refused = True
            return SendInvite()
        code, text = event.status, event.reason
        cause = "encryption_refused"
        return GiveUp(ending(cause, who=self._who, detail=f"{code} {text}", sip_code=code, sip_reason=text))

    def _is_about_the_host(self, event: Refused) -> bool:
        return event.cause != "response" or event.status == 503

    def _is_about_the_trunk(self, event: Refused) -> bool:
        """It could not carry the call; a callee who is busy or declines stays so by any other."""
        if self.terms is None or len(self._failed_trunks) >= MAX_TRUNKS:
            return False
        if event.cause != "response" or 500 <= event.status < 600:
            return True
        # From a proxy whose gateway is dead; after ringing it is a phone that nobody takes up.
        return event.status == 408 and not self._rang

    def _next_target(self) -> Step:
        if not self._targets:
            return GiveUp(self._failure or ending("transport_failed", who=self._who))
        self.target = self._targets.popleft()
        self.crypto_refused = self._large_refused = self._rang = False
        if not self.first_host:
            self.first_host = host_of(self.target.request_uri)
        self._remember(self.target.request_uri)
        return SendInvite()

    def _next_trunk(self) -> Step:
        assert self.terms is not None
        self._failed_trunks = (*self._failed_trunks, self.terms.trunk)
        self.first_host = ""
        self._tried.clear()
        return AskRoute(failed_trunks=self._failed_trunks)

    def _next_contact(self) -> Step:
        if self._followed >= MAX_REDIRECTS:
            self._contacts.clear()
            return GiveUp(self._failure or ending("redirected", who=self._who))
        self._followed += 1
        contact = self._contacts.popleft()
        self._remember(contact)
        self._targets.clear()
        return AskRoute(redirects=(contact,), failed_trunks=self._failed_trunks)

    def _redirected(self, response: Response | None) -> Step:
        fresh = [contact for contact in contacts_of(response) if self._may_follow(contact)]
        # What the nearer host names comes before what an earlier one had left.
        self._contacts = deque([*fresh, *self._contacts][:MAX_REDIRECTS])
        if not self._contacts:
            return GiveUp(self._failure or ending("redirected", who=self._who))
        return self._next_contact()

    def _may_follow(self, contact: str) -> bool:
        """Not twice to the same place, and not from a secure URI to one that is not (section 26.4.4)."""
        uri = Uri.parse(contact)
        if any(known.scheme == "sips" for known in self._tried) and uri.scheme != "sips":
            return False
        return contact not in self._contacts and not any(uri.equivalent(known) for known in self._tried)

    def _remember(self, uri: str) -> None:
        read = _read(uri)
        if read is not None:
            self._tried.append(read)


def contacts_of(response: Response | None) -> list[str]:
    """The addresses of a redirection, the most wanted first (`q`, RFC 3261 section 20.10)."""
    if response is None:
        return []
    found = [(contact.uri, _q(contact.params.get("q"))) for contact in response.contacts]
    usable = [(uri, q) for uri, q in found if uri.is_sip or uri.scheme == "tel"]
    # Contacts may carry header fields for the new request; ours are the caller's affair (section 19.1.5).
    return [
        str(msgspec.structs.replace(uri, headers={})) for uri, _ in sorted(usable, key=lambda pair: -pair[1])
    ]


def _q(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        q = float(text)
    except ValueError:
        return 0.0
    return q if 0.0 <= q <= 1.0 else 0.0


def host_of(uri: str) -> str:
    """Who gets a request for this URI; `maddr` says that it is not who the URI names."""
    read = _read(uri)
    return "" if read is None else (read.params.get("maddr") or read.host).lower()


def _read(uri: str) -> Uri | None:
    try:
        return Uri.parse(uri)
    except UriError:
        return None

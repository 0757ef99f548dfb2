"""Who a far end is told is calling: From, P-Asserted-Identity (RFC 3325), Privacy (RFC 3323)."""

from __future__ import annotations

import msgspec

from cordboard.legs.identity import E164, from_header, is_sip_uri
from cordboard.legs.outputs import Terms
from cordboard.sip.headers import NameAddr
from cordboard.sip.uri import Uri

Header = tuple[str, str]

_ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
_PRIVACY = ("Privacy", "id")


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """The From of an INVITE, and the header fields that go with it."""

    from_: str
    headers: tuple[Header, ...] = ()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, as the script has it."""

    identity: str
    """Number, token or SIP URI."""
    name: str = ""
    withheld: bool = False
    """The caller has asked that nobody be told (RFC 3323)."""


def present(caller: Caller, *, domain: str, terms: Terms | None, asserts: bool) -> Presented:
    """Raises UriError for an identity that is no URI.

    `asserts`: SIP destinations are told the caller's identity in P-Asserted-Identity; for a trunk its terms
    say so.  A carrier is trusted with the identity of a caller who withholds it; others are not.
    """
    host = (terms.from_domain if terms else None) or domain
    asserted = _asserted(caller, host, terms, asserts)
    if caller.withheld:
        told = asserted if terms is not None else ()
        return Presented(from_=_ANONYMOUS, headers=(_PRIVACY, *told))
    return Presented(from_=_from(caller, host, terms), headers=asserted)


def _from(caller: Caller, host: str, terms: Terms | None) -> str:
    if terms is None:
        return from_header(caller.identity, caller.name, host)
    identity = terms.from_ or caller.identity
    if terms.from_domain and is_sip_uri(identity):
        identity = Uri.parse(identity).user or ""
    return from_header(identity, caller.name, host)


def _asserted(caller: Caller, host: str, terms: Terms | None, asserts: bool) -> tuple[Header, ...]:
    if not (asserts if terms is None else terms.asserted_identity):
        return ()
    identity = caller.identity
    if terms is not None and terms.from_ and E164.fullmatch(terms.from_):
        identity = terms.from_  # the number as the carrier writes it
    field = from_header(identity, "", host)
    user = NameAddr.parse(field).uri.user
    return () if user is None or user.lower() == "anonymous" else (("P-Asserted-Identity", field),)

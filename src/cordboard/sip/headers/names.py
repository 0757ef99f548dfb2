"""Header field names: case folded, compact forms read as long ones (RFC 3261 section 7.3.3)."""

from __future__ import annotations

from cordboard.sip.headers.grammar import is_token

_KNOWN = """
Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events
Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From
History-Info Identity In-Reply-To Max-Forwards Min-Expires Min-SE MIME-Version Organization
P-Access-Network-Info P-Asserted-Identity P-Called-Party-ID P-Charging-Vector P-Early-Media
P-Preferred-Identity Path Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck
Reason Record-Route Recv-Info Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To
Request-Disposition Require Retry-After Route RSeq Server Service-Route Session-Expires SIP-ETag
SIP-If-Match Subject Subscription-State Supported Timestamp To Unsupported User-Agent User-to-User Via
Warning WWW-Authenticate
"""

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_BY_LOWER = {name.lower(): name for name in _KNOWN.split()} | _COMPACT

SPELLINGS: dict[str, str] = {
    spelling: name for lower, name in _BY_LOWER.items() for spelling in (name, lower, lower.upper())
}
"""The usual spellings of the known names, each with its canonical one: the parser's fast path."""

CANONICAL = frozenset(SPELLINGS.values())

MAX_NAME_LENGTH = 256


def canonical_name(name: str) -> str | None:
    """The long, canonically spelled name; an unknown name as it is; None if it cannot be a name.

    White space before the colon (SP and HTAB only) may still be there.
    """
    trimmed = name.rstrip(" \t")
    if not trimmed.isascii():
        return None  # lower() would make a `k` of the Kelvin sign
    known = _BY_LOWER.get(trimmed.lower())
    if known is not None:
        return known
    return trimmed if len(trimmed) <= MAX_NAME_LENGTH and is_token(trimmed) else None

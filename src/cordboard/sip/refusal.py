"""Which requests are refused before anybody above hears of them (RFC 3261 section 8.2)."""

from __future__ import annotations

from typing import NamedTuple

from cordboard.sip.core import ACCEPT, ALLOW, ALLOWED_METHODS, EXTENSIONS
from cordboard.sip.dialog import contact_uri
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.message import Request
from cordboard.sip.session_timer import TOO_SMALL, is_too_small

SDP = "application/sdp"
_CONDITIONS = ("Require", "Session-Expires")
_OPTIONAL_BODY = "handling=optional"


class Refusal(NamedTuple):
    """A final response that says no."""

    status: int
    reason: str | None = None
    extra: str = ""


NOT_ALLOWED = Refusal(405, None, ALLOW)
NO_DIALOG = Refusal(481)
MERGED = Refusal(482)
TOO_MANY_HOPS = Refusal(483)
OVERLOADED = Refusal(503, None, "Retry-After: 5\r\n")


def refuse_method(request: Request) -> Refusal | None:
    """405, for methods that we know as for those that we do not (section 8.2.1)."""
    return None if request.method in ALLOWED_METHODS else NOT_ALLOWED


def refuse_invite(request: Request) -> Refusal | None:
    """What an INVITE that would begin a session must satisfy, in the order of section 8.2."""
    if not request.uri[:4].lower().startswith(("sip:", "sips", "tel:")):
        return Refusal(416)
    if request.max_forwards == 0:
        # A proxy's check (section 16.3), made here because this end may call on: two that call each other
        # would do so for ever.
        return TOO_MANY_HOPS
    if contact_uri(request) is None:
        return Refusal(400, "Missing Contact")
    require, interval = request.headers.first_of(_CONDITIONS)
    if require is None and interval is None:
        return refuse_body(request) if request.body else None
    return refuse_extensions(request) or refuse_interval(request) or refuse_body(request)


def refuse_interval(request: Request) -> Refusal | None:
    """422 for a session timer that is too short (RFC 4028 section 9)."""
    if request.headers.get("Session-Expires") is None or not is_too_small(request):
        return None
    return Refusal(422, None, TOO_SMALL)


def refuse_extensions(request: Request) -> Refusal | None:
    """420 with the option tags that we do not know (section 8.2.2.3)."""
    if request.headers.get("Require") is None:
        return None
    try:
        unknown = [tag for tag in request.elements("Require") if tag.lower() not in EXTENSIONS]
    except HeaderError:
        return Refusal(400, "Malformed Require")
    return Refusal(420, None, f"Unsupported: {', '.join(unknown)}\r\n") if unknown else None


def refuse_body(request: Request) -> Refusal | None:
    """415 for a body that is no SDP (section 8.2.3).

    One that may be skipped is taken away: the request is as one without (section 20.11).
    """
    if not request.body:
        return None
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None and encoding.lower() != "identity":
        return Refusal(415, None, "Accept-Encoding: identity\r\n")
    if request.content_type == SDP:
        return None
    disposition = request.headers.get("Content-Disposition") or ""
    if _OPTIONAL_BODY in disposition.replace(" ", "").lower():
        request.body = b""
        return None
    return Refusal(415, None, ACCEPT)

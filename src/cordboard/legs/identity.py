"""Who calls whom, between SIP header fields and what scripts see (swml.md 2.2, 7.6)."""

from __future__ import annotations

import re
from typing import Any

from cordboard.sip.headers import NameAddr
from cordboard.sip.message import Request
from cordboard.sip.uri import Uri, UriError

E164 = re.compile(r"\+\d{1,15}")
_X_HEADER = re.compile(r"[Xx]-[A-Za-z0-9!%*_+`'~.-]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
MAX_CUSTOM_HEADERS = 64


def from_header(identity: str, name: str, domain: str) -> str:
    """The From of an INVITE for a number, a token or a SIP URI.

    >>> from_header("+15550001", "", "pbx.example.com")
    '<sip:+15550001@pbx.example.com>'
    """
    uri = identity if is_sip_uri(identity) else f"sip:{_escape_user(identity)}@{domain}"
    return f"{_quoted(name)}<{_CONTROLS.sub('', uri)}>"


def _quoted(name: str) -> str:
    clean = _CONTROLS.sub("", name)
    if not clean:
        return ""
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" '


def _escape_user(user: str) -> str:
    return re.sub(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]", lambda m: f"%{ord(m[0]) & 0xFF:02X}", user)


def is_sip_uri(text: str) -> bool:
    return text[:4].lower() == "sip:" or text[:5].lower() == "sips:"


def seen_by_scripts(uri: Uri) -> str:
    """`+15551230000` when the user is a number, else `sip:user@host`."""
    user = uri.user or ""
    if E164.fullmatch(user):
        return user
    return f"sip:{bare(uri)}"


def bare(uri: Uri) -> str:
    """`user@host`, without scheme, port and parameters."""
    return f"{uri.user}@{uri.host}" if uri.user else uri.host


def is_phone_call(request: Request, from_: NameAddr) -> bool:
    """A call between two numbers is a phone call for scripts; everything else is a SIP call."""
    try:
        dialled = Uri.parse(request.uri).user or ""
    except UriError:
        return False
    return bool(E164.fullmatch(dialled) and E164.fullmatch(from_.uri.user or ""))


def custom_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """The X- header fields of an INVITE."""
    found = ((name, value) for name, value in request.headers.items() if _X_HEADER.fullmatch(name))
    return tuple(found)[:MAX_CUSTOM_HEADERS]


def safe_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Only X- names and values without controls reach the wire, whoever asked for them."""
    return [(n, v) for n, v in headers if _X_HEADER.fullmatch(n) and not _CONTROLS.search(v)]


def sip_data(request: Request) -> dict[str, Any]:
    """`call.sip_data` of a document request."""
    data: dict[str, Any] = {}
    _describe(data, "req", Uri.parse(request.uri))
    _describe(data, "from", request.from_.uri)
    _describe(data, "to", request.to.uri)
    contact = request.contact
    if contact is not None:
        uri = contact.uri
        data["sip_contact_user"] = uri.user or ""
        data["sip_contact_port"] = str(uri.port or 5060)
        data["sip_contact_uri"] = f"{bare(uri)}:{uri.port or 5060}"
        data["sip_contact_host"] = uri.host
        data["sip_contact_params"] = {key: value or "" for key, value in uri.params.items()}
    return data


def _describe(data: dict[str, Any], name: str, uri: Uri) -> None:
    data[f"sip_{name}_host"] = uri.host
    data[f"sip_{name}_uri"] = bare(uri)
    data[f"sip_{name}_user"] = uri.user or ""

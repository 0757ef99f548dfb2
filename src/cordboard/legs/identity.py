"""Who calls whom, between SIP header fields and what scripts see (swml.md 2.2, 7.6)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cordboard.sip.headers import NameAddr
from cordboard.sip.message import Request
from cordboard.sip.uri import Uri

E164 = re.compile(r"\+[0-9]{1,15}")
_X_HEADER = re.compile(r"[Xx]-[A-Za-z0-9!%*_+`'~.-]+")
_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSENDABLE_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
"""A tab may stand in a value."""
_VISUAL_SEPARATORS = re.compile(r"[-.()]")
MAX_CUSTOM_HEADERS = 64
MAX_NAME = 70
"""Characters of a display name; the rest is cut off."""


# ---------------------------------------------------------------- towards the wire


def from_header(identity: str, name: str, domain: str) -> str:
    """The From of an INVITE for a number, a token or a SIP URI.  Raises UriError for a URI that is none.

    >>> from_header("+15550001", "", "pbx.example.com")
    '<sip:+15550001@pbx.example.com>'
    """
    if is_sip_uri(identity):
        # Neither a password nor the header fields of some other request belong there (RFC 3261, 19.1.1).
        uri = msgspec.structs.replace(Uri.parse(identity), password=None, headers={})
    else:
        uri = Uri(user=identity or None, host=domain)
    return str(NameAddr(display_name=_UNSENDABLE.sub("", name)[:MAX_NAME], uri=uri))


def is_sip_uri(text: str) -> bool:
    return text[:4].lower() == "sip:" or text[:5].lower() == "sips:"


def safe_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Only X- names and values of one line reach the wire, whoever asked for them."""
    return [(n, v) for n, v in headers if _X_HEADER.fullmatch(n) and not _UNSENDABLE_VALUE.search(v)]


# ---------------------------------------------------------------- towards scripts


def name_in(uri: Uri) -> str:
    """The user part; a number without its visual separators: `+1-555-000` is `+1555000` (RFC 3966, 5.1.1)."""
    user = uri.user or ""
    if user[:1] == "+":
        number = _VISUAL_SEPARATORS.sub("", user)
        return number if E164.fullmatch(number) else user
    return user


def seen_by_scripts(uri: Uri) -> str:
    """`+15551230000` when the user is a number, else `sip:user@host`."""
    name = name_in(uri)
    if E164.fullmatch(name):
        return name
    return f"sip:{uri.bare}" if uri.is_sip else str(uri)


def is_phone_call(dialled: Uri, caller: Uri) -> bool:
    """A call between two numbers is a phone call for scripts; everything else is a SIP call."""
    return bool(E164.fullmatch(name_in(dialled)) and E164.fullmatch(name_in(caller)))


def custom_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """The X- header fields of an INVITE."""
    ours = [item for item in request.headers.items() if item[0][:2] in ("X-", "x-")]
    return tuple([item for item in ours if _X_HEADER.fullmatch(item[0])])[:MAX_CUSTOM_HEADERS]


def sip_data(request: Request) -> dict[str, Any]:
    """`call.sip_data` of a document request.  Raises UriError and HeaderError for an unreadable request."""
    data: dict[str, Any] = {}
    _describe(data, "req", Uri.parse(request.uri))
    _describe(data, "from", request.from_.uri)
    _describe(data, "to", request.to.uri)
    contact = request.contact
    if contact is not None:
        _describe_contact(data, contact.uri)
    return data


def _describe(data: dict[str, Any], name: str, uri: Uri) -> None:
    data[f"sip_{name}_host"] = uri.host
    data[f"sip_{name}_uri"] = uri.bare
    data[f"sip_{name}_user"] = uri.user or ""


def _describe_contact(data: dict[str, Any], uri: Uri) -> None:
    port = uri.port or 5060
    data["sip_contact_user"] = uri.user or ""
    data["sip_contact_port"] = str(port)
    data["sip_contact_uri"] = f"{uri.bare}:{port}"
    data["sip_contact_host"] = uri.host
    data["sip_contact_params"] = {key: value or "" for key, value in uri.params.items()}

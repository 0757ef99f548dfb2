"""What the `to` and `from` of a destination are, and which URLs can be called (swml.md 7.2, 7.6)."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from cordboard.call.limits import MAX_HEADERS
from cordboard.call.plan import Header

_SIP = re.compile(r"sips?:(?=[^@;?]*[^@;?:])[^\s<>\"\x00-\x1f\x7f]+\Z", re.IGNORECASE)
_PHONE = re.compile(r"\+[0-9]{1,15}\Z")
_DIGITS = re.compile(r"[0-9]{3,15}\Z")
_USER_AT_HOST = re.compile(r"[^\s<>\"@:/\x00-\x1f\x7f]+@[^\s<>\"@/\x00-\x1f\x7f]+\Z")
_TOKEN = re.compile(r"[A-Za-z0-9+\-_.,]{1,128}\Z")
_MAX = 2_048
_URL = re.compile(r"https?://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*\Z", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/?#]*")


class Target(msgspec.Struct, frozen=True):
    """A kind (`sip`, `phone`, `stream`, `queue`, `address`) and what to dial."""

    kind: str
    to: str
    remark: str = ""
    """Something worth a warning."""


def classify(to: str) -> Target | None:
    """The target of a `to`, None if it is none of the known forms."""
    to = to.strip()
    lower = to[:8].lower()
    if not to or len(to) > _MAX or not to.isprintable():
        return None
    for kind in ("stream", "queue"):
        if lower.startswith(kind + ":"):
            return Target(kind, to)
    if to.startswith("/"):
        return Target("address", to)
    if lower.startswith(("sip:", "sips:")):
        return Target("sip", to) if _SIP.match(to) else None
    if _PHONE.match(to):
        return Target("phone", to)
    if _DIGITS.match(to):
        return Target(
            "phone", to, f"`{to}` is dialled as a phone number, which should be E.164 (as +15551234567)"
        )
    return Target("sip", f"sip:{to}") if _USER_AT_HOST.match(to) else None


def is_caller(value: str) -> bool:
    """Whether `from` is a number, a token or a SIP URI."""
    return len(value) <= _MAX and (_TOKEN.match(value) is not None or _SIP.match(value) is not None)


def is_number(value: str) -> bool:
    """Whether `from` can be shown to a phone network."""
    return _PHONE.match(value) is not None or _DIGITS.match(value) is not None


def without_userinfo(url: str) -> str:
    """As events and logs may show it: user and password are left out, all else is as it was."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority = _AUTHORITY.match(rest)
    end = authority.end() if authority is not None else 0
    return scheme + separator + rest[rest.rfind("@", 0, end) + 1 :]


def is_url(value: str) -> bool:
    """Whether a text is an absolute http(s) URL without spaces or control characters."""
    return len(value) <= 4096 and _URL.match(value) is not None


class Address(msgspec.Struct, frozen=True):
    """A `to` taken apart: what is dialled, and what its URI asks for besides."""

    uri: str
    headers: tuple[Header, ...] = ()
    codecs: str | None = None
    transport: str = ""


def parse_address(uri: str) -> Address:
    """Takes `?Name=value` headers and the `codecs` parameter out of a SIP URI."""
    user, at, rest = uri.partition("@")
    if not at:
        user, at, rest = "", "", uri
    hostport, _, query = rest.partition("?")
    host, *parameters = hostport.split(";")
    kept = [part for part in parameters if part.partition("=")[0].lower() != "codecs"]
    return Address(
        uri=f"{user}{at}{';'.join([host, *kept])}",
        headers=tuple(_query_header(part) for part in query.split("&")[: MAX_HEADERS + 1] if part),
        codecs=_parameter(parameters, "codecs"),
        transport=(_parameter(parameters, "transport") or "").lower(),
    )


def _parameter(parameters: list[str], name: str) -> str | None:
    for part in parameters:
        key, _, value = part.partition("=")
        if key.lower() == name:
            return unquote(value)
    return None


def _query_header(part: str) -> Header:
    name, _, value = part.partition("=")
    return unquote(name), unquote(value)

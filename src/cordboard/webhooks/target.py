"""The URL of a callback or a document, taken apart: what is requested, what is signed, what logs may show."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import msgspec

from cordboard.call.addresses import without_userinfo

MAX_URL = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9_.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


class UrlError(ValueError):
    """The URL cannot be requested.  `str()` is a sentence."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One URL, ready to be requested."""

    url: str
    """What is requested and signed: without fragment, user and password; escaped; path at least `/`."""
    origin: str
    """`scheme://host:port`"""
    host: str
    """Without brackets."""
    port: int
    authorization: str | None = None
    """Value of the Authorization header, when the URL had a user and password."""


@lru_cache(maxsize=2048)
def parse_target(text: str) -> Target:
    """Raises `UrlError`.  Only http and https."""
    if len(text) > MAX_URL:
        raise UrlError(f"The URL is longer than {MAX_URL} characters.")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise UrlError(f"{shown(text)!r} is not a URL: {error}.") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise UrlError(f"{shown(text)!r} is not an http or https URL.")
    userinfo, at, netloc = parts.netloc.rpartition("@")
    host = _host(netloc, text)
    authority = host if port is None else f"{host}:{port}"
    query = f"?{_escaped(parts.query)}" if parts.query else ""
    port = port or _DEFAULT_PORTS[scheme]
    return Target(
        url=f"{scheme}://{authority}{_escaped(parts.path) or '/'}{query}",
        origin=f"{scheme}://{host}:{port}",
        host=host.strip("[]"),
        port=port,
        authorization=_basic(userinfo) if at else None,
    )


def _host(netloc: str, text: str) -> str:
    host = netloc if netloc.endswith("]") else _without_port(netloc)
    if not host.isascii():
        host = _in_ascii(host, text)
    if not _HOST.fullmatch(host):
        raise UrlError(f"{shown(text)!r} has no valid host.")
    return host.lower()


def _without_port(netloc: str) -> str:
    head, colon, tail = netloc.rpartition(":")
    return head if colon and (tail.isdigit() or not tail) else netloc


def _in_ascii(host: str, text: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise UrlError(f"{shown(text)!r} has no valid host.") from None


def _escaped(text: str) -> str:
    """Percent-encode what may not stand in a URL; what is already encoded stays."""
    if _UNSAFE.search(text) is None and "%" not in text:
        return text
    text = _BARE_PERCENT.sub("%25", text)
    return _UNSAFE.sub(lambda match: _percent(match[0]), text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))


def _basic(userinfo: str) -> str:
    user, _, password = userinfo.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode("ascii")


def shown(url: str) -> str:
    """The URL as logs and sentences may show it: without user and password, and not endless."""
    text = without_userinfo(url)
    return text if len(text) <= 200 else text[:200] + "…"


def redirected(target: Target, location: str) -> Target:
    """Where a redirect leads.  Credentials go along within one origin only.  Raises `UrlError`."""
    try:
        absolute = urljoin(target.url, location.strip())
    except ValueError as error:
        raise UrlError(f"The redirect leads to {shown(location)!r}, which is not a URL: {error}.") from None
    found = parse_target(absolute)
    if found.authorization is None and found.origin == target.origin:
        return msgspec.structs.replace(found, authorization=target.authorization)
    return found

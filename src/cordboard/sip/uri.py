"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), and any other scheme as opaque text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote as _percent_decoded

import msgspec

MAX_URI_LENGTH = 4096


class UriError(ValueError):
    """Text that is no URI; the message says what is wrong."""


# `#` must be escaped by the RFC, but phones send it bare in service codes and technical prefixes; bytes
# over 127 are not allowed either, and come from phones that skip the escaping.  `@` splits, so it cannot
# be in any part.  Possessive, so that no text makes the search go back.
_SIP = re.compile(
    r"""(?P<scheme>[sS][iI][pP][sS]?):
        (?:(?P<user>[A-Za-z0-9\-_.!~*'()&=+$,;?/\#%\x80-\U0010ffff]++)
           (?::(?P<password>[A-Za-z0-9\-_.!~*'()&=+$,%]*+))?@)?
        (?P<host>[A-Za-z0-9._\-]++|\[[0-9A-Fa-f:.]{2,45}\])
        (?::(?P<port>[0-9]{1,5}))?
        (?P<params>(?:;[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]++(?:=[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]*+)?)*+)
        (?:\?(?P<headers>[A-Za-z0-9\-_.!~*'()\[\]/?:+$%=&]*+))?""",
    re.VERBOSE,
)
_TEL = re.compile(
    r"tel:(?P<user>\+?[0-9A-Fa-f*#\-.()]++)(?P<params>(?:;[A-Za-z0-9\-]++(?:=[^\s;?<>\"]*+)?)*+)", re.I
)
_OTHER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+\-.]*+):(?P<rest>[^\s<>\"]++)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_MARK = "-_.!~*'()"
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_USER_SAFE = frozenset(_ALPHANUMERIC + _MARK + "&=+$,;?/#")
_PASSWORD_SAFE = frozenset(_ALPHANUMERIC + _MARK + "&=+$,")
_PARAM_SAFE = frozenset(_ALPHANUMERIC + _MARK + "[]/:&+$")
_HEADER_SAFE = frozenset(_ALPHANUMERIC + _MARK + "[]/?:+$")

# A parameter of these must be on both sides to be equal, whatever the other side's default is.
_DECISIVE = ("user", "ttl", "method", "maddr", "transport")


class Uri(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A URI with its escapes resolved.  `str()` writes it, escaped again as each part demands.

    Of a tel URI, `user` is the number and `host` is empty; of a scheme other than sip, sips and tel, `user`
    is all that follows the colon, as it was written.  Treat the dicts as read-only: values are shared.
    """

    scheme: str = "sip"
    user: str | None = None
    password: str | None = None
    host: str = ""
    """A name, an IPv4 address, or an IPv6 address without brackets."""
    port: int | None = None
    params: Mapping[str, str | None] = {}
    """Values by lower-case name; None for a name without `=`."""
    headers: Mapping[str, str] = {}

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Reads a URI without angle brackets; raises UriError."""
        if len(text) <= 256:
            return _remembered(text)
        if len(text) > MAX_URI_LENGTH:
            raise UriError("the URI is too long")
        return _parse(text)

    @property
    def is_sip(self) -> bool:
        return self.scheme == "sip" or self.scheme == "sips"

    @property
    def host_port(self) -> str:
        """`host` or `host:port` as a URI and a Via write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def bare(self) -> str:
        """`user@host`, escaped; without scheme, password, port and parameters."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.user is None else f"{_escaped(self.user, _USER_SAFE)}@{host}"

    def __str__(self) -> str:
        if not self.is_sip:
            return f"{self.scheme}:{self.user or ''}{self._params()}"
        plain = f"{self.scheme}:{self._user_part()}{self.host_port}"
        return f"{plain}{self._params()}{self._headers()}" if self.params or self.headers else plain

    def equivalent(self, other: Uri) -> bool:
        """RFC 3261 section 19.1.4; of other schemes, the same text without regard to case of the scheme."""
        if not self.is_sip:
            return str(self) == str(other)
        return (
            self.scheme == other.scheme
            and (self.user, self.password, self.port) == (other.user, other.password, other.port)
            and self.host.lower() == other.host.lower()
            and _params_equivalent(self.params, other.params)
            and _headers_equivalent(self.headers, other.headers)
        )

    def _user_part(self) -> str:
        if self.user is None:
            return ""
        user = _escaped(self.user, _USER_SAFE)
        if self.password is None:
            return f"{user}@"
        return f"{user}:{_escaped(self.password, _PASSWORD_SAFE)}@"

    def _params(self) -> str:
        if not self.params:
            return ""
        return "".join([_pair(";", name, value, _PARAM_SAFE) for name, value in self.params.items()])

    def _headers(self) -> str:
        if not self.headers:
            return ""
        pairs = [_pair("&", name, value, _HEADER_SAFE) for name, value in self.headers.items()]
        return "?" + "".join(pairs)[1:]


def _parse(text: str) -> Uri:
    found = _SIP.fullmatch(text)
    if found is not None:
        return _sip_uri(text, found)
    scheme = text[:5].lower()
    if scheme.startswith(("sip:", "sips:")):
        raise UriError("malformed SIP URI")
    if scheme.startswith("tel:"):
        return _tel_uri(text)
    other = _OTHER.fullmatch(text)
    if other is None:
        raise UriError("no URI: it needs a scheme and has no spaces or angle brackets")
    return Uri(scheme=other["scheme"].lower(), user=other["rest"])


# One call says the same few URIs in each of its messages.  A Uri is immutable, so it can be shared.
_remembered = lru_cache(maxsize=4096)(_parse)


def _sip_uri(text: str, found: re.Match[str]) -> Uri:
    scheme, user, password, host, port, params, headers = found.groups()
    if "%" in text:
        if _BAD_ESCAPE.search(text) is not None:
            raise UriError("a percent sign without two hexadecimal digits")
        user = None if user is None else _unescaped(user)
        password = None if password is None else _unescaped(password)
    number = None if port is None else int(port)
    if number is not None and number > 65535:
        raise UriError("the port is over 65535")
    return Uri(
        scheme=scheme.lower(),
        user=user,
        password=password,
        host=host[1:-1] if host[0] == "[" else host,
        port=number,
        params=_read_params(params) if params else {},
        headers=_read_headers(headers) if headers else {},
    )


def _tel_uri(text: str) -> Uri:
    found = _TEL.fullmatch(text)
    if found is None or _BAD_ESCAPE.search(text) is not None:
        raise UriError("malformed tel URI")
    return Uri(scheme="tel", user=found["user"], params=_read_params(found["params"]))


def _read_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for piece in text[1:].split(";") if text else ():
        name, equals, value = piece.partition("=")
        params.setdefault(_unescaped(name).lower(), _unescaped(value) if equals else None)
    return params


def _read_headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        if name:
            headers.setdefault(_unescaped(name), _unescaped(value))
    return headers


def _unescaped(text: str) -> str:
    return _percent_decoded(text, errors="surrogateescape") if "%" in text else text


def _escaped(text: str, safe: frozenset[str]) -> str:
    if (text.isascii() and text.isalnum()) or safe.issuperset(text):
        return text
    return "".join([char if char in safe else _percent_encoded(char) for char in text])


def _percent_encoded(char: str) -> str:
    try:
        octets = char.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        octets = b"?"
    return "".join([f"%{octet:02X}" for octet in octets])


def _pair(before: str, name: str, value: str | None, safe: frozenset[str]) -> str:
    written = before + _escaped(name, safe)
    return written if value is None else f"{written}={_escaped(value, safe)}"


def _params_equivalent(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    if any(name in one or name in other for name in _DECISIVE) and any(
        _folded(one, name) != _folded(other, name) for name in _DECISIVE
    ):
        return False
    return all(_folded(one, name) == _folded(other, name) for name in one if name in other)


def _folded(params: Mapping[str, str | None], name: str) -> str | None:
    if name not in params:
        return None
    return (params[name] or "").lower()


def _headers_equivalent(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return {name.lower(): value for name, value in one.items()} == {
        name.lower(): value for name, value in other.items()
    }

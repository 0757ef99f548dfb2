"""The pieces of RFC 3261 section 25 that every header shares: tokens, hosts, quoted strings."""

from __future__ import annotations

import re


class HeaderError(ValueError):
    """A header value that does not follow its grammar; the text says what is wrong with it."""


class HeaderTooLargeError(HeaderError):
    """A header value that may well be right, and is more than anybody should send."""


TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
# `_` is not in RFC 3261's hostname, but names of container networks have it.
HOST = r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]{2,45}\])"
# Possessive, so that a quote that never closes costs one pass and no backtracking.
QUOTED = r'"(?:[^"\\]|\\.)*+"'

_TOKEN = re.compile(TOKEN)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE = re.compile(r'(["\\])')
_PARAMETER_VALUE = re.compile(rf"(?:{TOKEN}|{HOST})")


def is_token(text: str) -> bool:
    return (text.isascii() and text.isalnum()) or _TOKEN.fullmatch(text) is not None


def unquote(text: str) -> str:
    """The content of a quoted string, without its quotes and with `\\x` read as `x`."""
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """`text` as a quoted string; control characters are dropped, since no header may carry CR or LF."""
    clean = text if text.isprintable() else "".join([c for c in text if c >= " " and c != "\x7f"])
    if '"' in clean or "\\" in clean:
        clean = _NEEDS_ESCAPE.sub(r"\\\1", clean)
    return f'"{clean}"'


def is_bare_value(text: str) -> bool:
    """Whether a parameter value can stand unquoted: a token or a host."""
    return _PARAMETER_VALUE.fullmatch(text) is not None


def read_number(text: str, largest: int, name: str) -> int:
    """A decimal number of 0 to `largest`; raises HeaderError with `name` in its text otherwise."""
    digits = text.strip(" \t")
    # The length is checked first: int() of thousands of digits is slow, and then refused.
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise HeaderError(f"{name} is not a number")
    number = int(digits)
    if number > largest:
        raise HeaderError(f"{name} is over {largest}")
    return number

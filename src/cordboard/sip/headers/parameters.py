"""Parameter lists: `;name=value;flag;quoted="a;b"` (RFC 3261 section 7.3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cordboard.sip.headers.grammar import (
    QUOTED,
    TOKEN,
    HeaderError,
    is_bare_value,
    quote,
    unquote,
)

Parameters = dict[str, str | None]
"""Parameter values by lower-case name; None for a name without `=`."""

_ONE = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+({QUOTED}|[^\x00-\x20\x7f;,\"<>]++))?[ \t]*+", re.DOTALL
)


# Nearly every list there is: no quotes, no white space.  One look at the whole, then plain splitting.
_PLAIN = re.compile(rf"(?:;{TOKEN}(?:=[^\x00-\x20\x7f;,\"<>]++)?)*+")


def parse_parameters(text: str) -> Parameters:
    """Reads `text`, blank or beginning with `;`.  A name given twice keeps its first value.

    Raises HeaderError on anything that is not a parameter list.
    """
    if _PLAIN.fullmatch(text) is None:
        return _parse_loosely(text)
    parameters: Parameters = {}
    for piece in text[1:].split(";") if text else ():
        name, _, value = piece.partition("=")
        parameters.setdefault(name.lower(), value or None)
    return parameters


def _parse_loosely(text: str) -> Parameters:
    parameters: Parameters = {}
    text = text.strip(" \t")
    position, end = 0, len(text)
    while position < end:
        found = _ONE.match(text, position)
        if found is None:
            raise HeaderError("malformed parameter")
        name, value = found.groups()
        if value is not None and value[0] == '"':
            value = unquote(value)
        parameters.setdefault(name.lower(), value)
        position = found.end()
    return parameters


def write_parameters(parameters: Mapping[str, str | None]) -> str:
    """The inverse of `parse_parameters`; a value that is no token and no host is quoted."""
    written = "".join(
        [f";{name}" if value is None else f";{name}={value}" for name, value in parameters.items()]
    )
    if _PLAIN.fullmatch(written) is not None and written.count(";") == len(parameters):
        return written
    return "".join([_write_one(name, value) for name, value in parameters.items()])


def _write_one(name: str, value: str | None) -> str:
    if value is None:
        return f";{name}"
    return f";{name}={value if is_bare_value(value) else quote(value)}"

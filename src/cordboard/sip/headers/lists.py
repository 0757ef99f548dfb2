"""Comma lists: `a, "b, c" <sip:d,e@f>` (RFC 3261 section 7.3.1)."""

from __future__ import annotations

import re

from cordboard.sip.headers.grammar import QUOTED, HeaderError

_ELEMENT = re.compile(rf'(?:[^",<]++|{QUOTED}|<[^>]*+>)*+', re.DOTALL)


def split_list(text: str) -> list[str]:
    """The elements of a comma list, trimmed; commas in quotes and in `<>` do not split.

    Empty elements are left out (RFC 9110 section 5.6.1 asks readers to bear them).  Raises HeaderError on
    a quote or an angle bracket that is never closed.
    """
    if "," not in text:
        pieces = [text]
    elif '"' not in text and "<" not in text:
        pieces = text.split(",")
    else:
        pieces = _split_quoted(text)
    return [trimmed for piece in pieces if (trimmed := piece.strip(" \t"))]


def _split_quoted(text: str) -> list[str]:
    pieces = []
    position, end = 0, len(text)
    while position <= end:
        found = _ELEMENT.match(text, position)
        assert found is not None  # the pattern matches the empty string
        pieces.append(found[0])
        position = found.end()
        if position < end and text[position] != ",":
            raise HeaderError("a quote or an angle bracket is never closed")
        position += 1
    return pieces

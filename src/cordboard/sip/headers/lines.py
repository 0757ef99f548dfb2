"""Header lines that have been read before, with what they mean.

Of the lines of a message nearly all were in an earlier one: a peer says the same Contact, Allow and
User-Agent each time, a dialog the same From, To and Call-ID, a transaction the same Via.  So a line is
looked up as a whole, and only read if it is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.names import SPELLINGS, canonical_name
from cordboard.sip.headers.typed import READERS

Line = tuple[str, str, Any]
"""Name, raw value, and typed value (None if the name has no type)."""

Field = tuple[str, Callable[[str], object] | None]
"""The canonical name of a header, and how its values are read."""

_FIELDS: dict[str, Field] = {spelling: (key, READERS.get(key)) for spelling, key in SPELLINGS.items()}

MAX_LINES = 4096
MAX_REMEMBERED_LENGTH = 256
"""Longer lines are read each time: strangers decide what is remembered, so it must be little."""


class RememberedLines(dict[str, Line]):
    """Lines by their text.  One that is missing is read; `HeaderError`: it is not of the usual kind."""

    __slots__ = ()

    def __missing__(self, text: str) -> Line:
        name, colon, value = text.partition(":")
        key, read = _FIELDS.get(name) or _unknown_field(name)
        if not colon or "\r" in text or "\n" in text:
            raise HeaderError("no header line, or a folded one")
        value = value.strip(" \t")
        line = key, value, None if read is None else read(value)
        if len(text) <= MAX_REMEMBERED_LENGTH:
            if len(self) >= MAX_LINES:
                self.clear()  # what is still in use comes back with the next messages
            self[text] = line
        return line


def _unknown_field(name: str) -> Field:
    key = canonical_name(name)
    if key is None:
        raise HeaderError("a header name must be a token")
    return key, READERS.get(key)


read_line: Callable[[str], Line] = RememberedLines().__getitem__
"""The line with this text; raises HeaderError if it is malformed, or not of the usual kind."""

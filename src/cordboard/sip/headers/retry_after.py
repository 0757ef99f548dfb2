"""The Retry-After header (RFC 3261 section 20.33)."""

from __future__ import annotations

import re

import msgspec

from cordboard.sip.headers.grammar import HeaderError, read_number
from cordboard.sip.headers.parameters import parse_parameters

LONGEST_WAIT = 2**32 - 1

# The comment in parentheses may hold anything, `;` too; it is for people and is not kept.
_RETRY_AFTER = re.compile(r"([0-9]++)[ \t]*+(?:\((?:[^()\\]|\\.)*+\)[ \t]*+)?(;.*+)?", re.DOTALL)


class RetryAfter(msgspec.Struct, frozen=True, kw_only=True):
    seconds: int
    """How long to wait before the next try."""
    duration: int | None = None
    """How long the far end can then be reached, in seconds, if it says so."""

    @classmethod
    def parse(cls, text: str) -> RetryAfter:
        """Raises HeaderError."""
        found = _RETRY_AFTER.fullmatch(text)
        if found is None:
            raise HeaderError("malformed Retry-After")
        duration = parse_parameters(found[2] or "").get("duration")
        return cls(
            seconds=read_number(found[1], LONGEST_WAIT, "Retry-After"),
            duration=None if duration is None else read_number(duration, LONGEST_WAIT, "duration"),
        )

    def __str__(self) -> str:
        return str(self.seconds) if self.duration is None else f"{self.seconds};duration={self.duration}"

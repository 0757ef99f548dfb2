"""The CSeq header (RFC 3261 section 20.16)."""

from __future__ import annotations

import re

import msgspec

from cordboard.sip.headers.grammar import TOKEN, HeaderError, read_number

# RFC 3261 8.1.1.5 wants it below 2^31; phones that start anywhere in 32 bits are let through.
LARGEST_CSEQ = 2**32 - 1

_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TOKEN})")
_USUAL = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO"})


class CSeq(msgspec.Struct, frozen=True, gc=False):
    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Raises HeaderError."""
        number, _, method = text.partition(" ")
        if method in _USUAL and len(number) < 10 and number.isascii() and number.isdigit():
            return cls(int(number), method)
        return cls._parse_loosely(text)

    @classmethod
    def _parse_loosely(cls, text: str) -> CSeq:
        found = _CSEQ.fullmatch(text)
        if found is None:
            raise HeaderError("CSeq is not a number and a method")
        return cls(read_number(found[1], LARGEST_CSEQ, "CSeq"), found[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"

"""RSeq and RAck (RFC 3262 section 7)."""

from __future__ import annotations

import msgspec

from cordboard.sip.headers.cseq import LARGEST_CSEQ
from cordboard.sip.headers.grammar import HeaderError, is_token, read_number

LARGEST_RSEQ = 2**32 - 1


class RAck(msgspec.Struct, frozen=True):
    """Which reliable provisional response a PRACK is for."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> RAck:
        """Raises HeaderError."""
        parts = text.split()
        if len(parts) != 3 or not is_token(parts[2]):
            raise HeaderError("RAck is not two numbers and a method")
        return cls(parse_rseq(parts[0]), read_number(parts[1], LARGEST_CSEQ, "RAck"), parts[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_rseq(text: str) -> int:
    """Raises HeaderError."""
    return read_number(text, LARGEST_RSEQ, "RSeq")

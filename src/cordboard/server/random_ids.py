"""Random identifiers and keys, cheap: the kernel is asked for many at a time.

A system call for each of the twenty identifiers of a call costs more than its whole script.  What hands them
out is no function of Python, for the same reason.  Not for use after a fork, nor in other threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain

_BLOCK = 4096


def hex_digits(count: int, block: int = _BLOCK) -> Iterator[list[str]]:
    """Lists of pieces of `count` hex digits (4 bits each), none of which comes twice; without end."""
    whole = block * 2 // count * count
    while True:
        digits = os.urandom(block).hex()
        yield [digits[at : at + count] for at in range(0, whole, count)]


def _uuids() -> Iterator[list[str]]:
    for pieces in hex_digits(32):
        # Version 4, and the variant of RFC 9562: the digits at 12 and 16 say so.
        yield [
            f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{'89ab'[int(d[16], 16) & 3]}{d[17:20]}-{d[20:]}" for d in pieces
        ]


new_id: Callable[[], str] = chain.from_iterable(_uuids()).__next__
"""A version 4 UUID (RFC 9562)."""

new_token: Callable[[], str] = chain.from_iterable(hex_digits(16)).__next__
"""64 bits: for tags, branches and Call-IDs."""


class RandomBytes:
    """From the kernel's generator, handed out piece by piece."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, length: int) -> bytes:
        """So many bytes, never handed out before."""
        start, end = self._at, self._at + length
        if end > len(self._bytes):
            self._bytes = os.urandom(max(_BLOCK, length))
            start, end = 0, length
        self._at = end
        return self._bytes[start:end]


new_key = RandomBytes().take
"""So many bytes: for the keys of SRTP, of which an offer has five."""

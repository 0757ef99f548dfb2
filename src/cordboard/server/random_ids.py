"""Random identifiers and keys, cheap: the kernel is asked for many at a time.

A system call for each of the twenty identifiers of a call costs more than its whole script.
"""

from __future__ import annotations

import os

_BLOCK = 4096


class RandomHex:
    """Hex digits from the kernel's generator, handed out piece by piece.  Not for use after a fork."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def take(self, count: int) -> str:
        """`count` hex digits (4 bits each), never handed out before."""
        end = self._at + count
        if end > len(self._digits):
            self._digits = os.urandom(max(_BLOCK, count)).hex()
            end = count
        digits = self._digits[end - count : end]
        self._at = end
        return digits


_source = RandomHex()


def new_token() -> str:
    """64 bits: for tags, branches and Call-IDs."""
    return _source.take(16)


def new_key(length: int) -> bytes:
    """So many bytes: for the keys of SRTP, of which an offer has five."""
    return bytes.fromhex(_source.take(2 * length))


_ids: list[str] = []
"""Made and not handed out yet."""


def new_id() -> str:
    """A version 4 UUID (RFC 9562)."""
    if not _ids:
        digits = os.urandom(_BLOCK).hex()
        _ids.extend([_uuid(digits[at : at + 32]) for at in range(0, len(digits), 32)])
    return _ids.pop()


def _uuid(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

"""Keys in the bodies of SIP INFO: `application/dtmf-relay` and `application/dtmf`.

No RFC has them; Cisco's `Signal=5`, `Duration=160` is what everybody speaks.  Others write the number of the
event of RFC 4733 (10 for the star), put a blank behind the equals sign, or send the bare key.
"""

from __future__ import annotations

import re

import msgspec

RELAY = "application/dtmf-relay"
BARE = "application/dtmf"
ACCEPTED = f"{RELAY}, {BARE}"

DEFAULT_DURATION_MS = 160
SHORTEST_MS, LONGEST_MS = 40, 5_000

_SIGNAL = re.compile(r"signal\s*=\s*(\S+)", re.IGNORECASE)
_DURATION = re.compile(r"duration\s*=\s*(\d{1,6})", re.IGNORECASE | re.ASCII)
_EVENTS = {str(number): key for number, key in enumerate("0123456789*#ABCD")}
_KEYS = frozenset("0123456789*#ABCD")


class KeyPressed(msgspec.Struct, frozen=True):
    """One key."""

    digit: str
    duration_ms: int


def is_digits(content_type: str) -> bool:
    """Whether an INFO with this Content-Type is about keys."""
    return content_type.partition(";")[0].strip().lower() in (RELAY, BARE)


def read_info(body: bytes) -> KeyPressed | None:
    """The key that the body names; None for a hook flash and for what is no key."""
    text = body[:256].decode("ascii", "replace")
    named = _SIGNAL.search(text)
    digit = _key(named[1] if named else text.strip())
    if digit is None:
        return None
    lasted = _DURATION.search(text)
    return KeyPressed(digit, _within(int(lasted[1])) if lasted else DEFAULT_DURATION_MS)


def write_info(digit: str, duration_ms: int) -> bytes:
    """An `application/dtmf-relay` body."""
    return f"Signal={digit}\r\nDuration={_within(duration_ms)}\r\n".encode("ascii")


def _key(text: str) -> str | None:
    upper = text.strip("\"'").upper()
    return upper if upper in _KEYS else _EVENTS.get(upper)


def _within(duration_ms: int) -> int:
    return min(max(duration_ms, SHORTEST_MS), LONGEST_MS) if duration_ms else DEFAULT_DURATION_MS

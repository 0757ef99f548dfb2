"""Telephone events (RFC 4733): the keys of a phone as RTP packets.

An event is known by its code and the RTP timestamp of its start, which all its packets share.  Everything
about loss follows from that: a packet of an event that was already reported changes nothing, and an event of
which only one packet arrives is still a key that was pressed.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import NamedTuple

DIGITS = "0123456789*#ABCD"
"""By event code."""

PAUSES_MS = {"w": 500, "W": 1000, ",": 500}
"""Characters among the digits to send that are pauses."""

_EVENT = struct.Struct("!BBH")
_END = 0x80
_CODES = {digit: code for code, digit in enumerate(DIGITS)} | {"a": 12, "b": 13, "c": 14, "d": 15}

# ------------------------------------------------------------------ receiving


class Digit(NamedTuple):
    """A key that was pressed and released."""

    digit: str
    """0 to 9, *, #, A to D"""
    duration_ms: int


class DigitReceiver:
    """Packets of telephone events in, each key once out, when it is released.

    All three end packets may be lost: then the next event, or `silence` seconds without a packet of the
    event, end it.  Late packets of an ended event are recognised by its timestamp.
    """

    __slots__ = ("_clock_rate", "_code", "_duration", "_ended", "_last_heard", "_silence", "_timestamp")

    def __init__(self, *, clock_rate: int = 8000, silence: float = 0.2) -> None:
        self._clock_rate = clock_rate
        self._silence = silence
        self._code: int | None = None
        self._timestamp = 0
        self._duration = 0
        self._last_heard = 0.0
        self._ended: deque[tuple[int, int]] = deque(maxlen=32)
        """(timestamp, code) of the latest events that were reported."""

    def tick_at(self, clock_rate: int) -> None:
        """The clock of the events from now on."""
        self._clock_rate = clock_rate

    @property
    def is_down(self) -> bool:
        """A key is being pressed."""
        return self._code is not None

    def handle(self, payload: bytes, timestamp: int, now: float) -> list[Digit]:
        """Take one packet of the telephone-event payload type; nonsense is ignored."""
        if len(payload) < 4:
            return []
        code, flags, duration = _EVENT.unpack_from(payload)
        if code >= len(DIGITS) or (timestamp, code) in self._ended:
            return []
        if self._is_overtaken(timestamp):
            self._ended.append((timestamp, code))
            return [Digit(DIGITS[code], duration * 1000 // self._clock_rate)]
        digits = [] if self._belongs(code, timestamp) else self._begin(code, timestamp)
        self._duration = max(self._duration, duration)
        self._last_heard = now
        if flags & _END:
            digits += self._end()
        return digits

    def _is_overtaken(self, timestamp: int) -> bool:
        """An earlier key that is first heard of while a later one is down: it was released already."""
        behind = (self._timestamp - timestamp) & 0xFFFFFFFF
        return self._code is not None and 0 < behind < self._clock_rate

    def _belongs(self, code: int, timestamp: int) -> bool:
        if code != self._code:
            return False
        if timestamp == self._timestamp:
            return True
        # A key held for longer than 65535 units goes on as a new segment (section 2.5.1.3).
        if self._duration == 0xFFFF and timestamp == (self._timestamp + 0xFFFF) & 0xFFFFFFFF:
            self._ended.append((self._timestamp, code))
            self._timestamp = timestamp
            return True
        return False

    def _begin(self, code: int, timestamp: int) -> list[Digit]:
        digits = self._end()
        self._code, self._timestamp, self._duration = code, timestamp, 0
        return digits

    def _end(self) -> list[Digit]:
        if self._code is None:
            return []
        digit = Digit(DIGITS[self._code], self._duration * 1000 // self._clock_rate)
        self._ended.append((self._timestamp, self._code))
        self._code = None
        return [digit]

    def next_timeout(self) -> float | None:
        """When a key counts as released although no end was heard; None if none is down."""
        return None if self._code is None else self._last_heard + self._silence

    def handle_timeout(self, now: float) -> list[Digit]:
        """The key that was released, if `next_timeout` is due."""
        due = self.next_timeout()
        return [] if due is None or now < due else self._end()


def duration_of(payload: bytes, clock_rate: int) -> float:
    """Seconds that the event of a packet has lasted; 0.0 for what is no event."""
    return int.from_bytes(payload[2:4], "big") / clock_rate if len(payload) >= 4 else 0.0


def rescale(payload: bytes, from_rate: int, to_rate: int) -> bytes:
    """The same event for a stream of another clock; a duration beyond the 16 bits stays at their end."""
    if from_rate == to_rate or len(payload) < 4:
        return payload
    duration = min(int.from_bytes(payload[2:4], "big") * to_rate // from_rate, 0xFFFF)
    return payload[:2] + duration.to_bytes(2, "big") + payload[4:]


# ------------------------------------------------------------------ sending


class EventFrame(NamedTuple):
    """What to send in one tick of 20 ms in place of audio (see `RtpSender.event`)."""

    payload: bytes
    start: bool
    """First packet of the event: it has the marker and sets the event's timestamp."""


class DigitSender:
    """Digits as one packet a tick of 20 ms: updates while the key is down, and the end three times.

    `gap_ms` runs from the release of one key to the next; it is at least the 60 ms of the end packets.
    Characters that are no digit and no pause are left out.
    """

    __slots__ = ("_clock_per_tick", "_script", "_volume")

    def __init__(
        self,
        digits: str,
        *,
        duration_ms: int = 160,
        gap_ms: int = 70,
        clock_rate: int = 8000,
        volume: int = 10,
    ) -> None:
        self._clock_per_tick = clock_rate * 20 // 1000
        self._volume = volume & 0x3F
        longest = 0xFFFF // self._clock_per_tick
        down = max(2, min(_ticks(duration_ms), longest))
        up = max(_ENDS, _ticks(gap_ms))
        self._script: deque[tuple[int, int]] = deque()
        for character in digits:
            if character in _CODES:
                self._script.extend((_CODES[character], tick) for tick in range(down))
                self._script.extend((_CODES[character], -down) for _ in range(_ENDS))
                self._script.extend([_NOTHING] * (up - _ENDS))
            elif character in PAUSES_MS:
                self._script.extend([_NOTHING] * _ticks(PAUSES_MS[character]))

    @property
    def finished(self) -> bool:
        """All is sent."""
        return not self._script

    def next_frame(self) -> EventFrame | None:
        """For this tick; None = nothing to send (between digits, or finished): audio goes on."""
        if not self._script:
            return None
        code, tick = self._script.popleft()
        if code < 0:
            return None
        ends = tick < 0
        duration = self._clock_per_tick * (-tick if ends else tick + 1)
        flags = self._volume | (_END if ends else 0)
        return EventFrame(_EVENT.pack(code, flags, duration), start=tick == 0)


_ENDS = 3
_NOTHING = (-1, 0)


def _ticks(milliseconds: int) -> int:
    return max(0, -(-milliseconds // 20))

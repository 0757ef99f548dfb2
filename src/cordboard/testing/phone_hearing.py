"""What a simulated phone said and heard, packet by packet, and what can be measured of it.

All sound is 16-bit PCM at 8 kHz.  `Timeline` lays packets where their timestamps say, so that what was lost
or skipped is heard as silence.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from cordboard.media.codecs import audio
from cordboard.media.inband import InbandDetector
from cordboard.media.tones import SAMPLE_RATE, TONE_LEVEL, level

_MOST_KEPT = 30_000
_FARTHEST = 3.0
"""Seconds; a greater step of the timestamps is another time base."""
_STEP_MS = 5
_STEP = 2 * SAMPLE_RATE * _STEP_MS // 1000
_FINE = 2 * SAMPLE_RATE // 1000


class Piece(NamedTuple):
    """One packet of audio."""

    at: float
    """Seconds of the phone's clock: when it was sent, or came."""
    timestamp: int
    pcm: bytes


class Timeline:
    """Pieces of one direction, laid one after the other by their timestamps."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: deque[tuple[Piece, int]] = deque(maxlen=_MOST_KEPT)

    def note(self, at: float, timestamp: int, clock_rate: int, pcm: bytes) -> None:
        """One packet."""
        self._pieces.append((Piece(at, timestamp, pcm), clock_rate))

    def since(self, at: float) -> list[tuple[float, int, bytes]]:
        """(time, byte position, PCM) of the packets from that time on; the first is at position 0."""
        laid: list[tuple[float, int, bytes]] = []
        position, expected, rate = 0, None, 0
        for piece, clock_rate in self._pieces:
            if piece.at < at:
                continue
            if expected is not None and rate == clock_rate:
                position += _skipped(piece.timestamp, expected, clock_rate)
            laid.append((piece.at, max(0, position), piece.pcm))
            position = max(0, position) + len(piece.pcm)
            rate = clock_rate
            expected = piece.timestamp + len(piece.pcm) // 2 * clock_rate // SAMPLE_RATE
        return laid

    def pcm(self, since: float = 0.0) -> bytes:
        """All of it; silence where nothing was."""
        return _join((position, pcm) for _, position, pcm in self.since(since))

    def onsets(self, since: float, threshold: float = TONE_LEVEL - 8.0) -> list[float]:
        """When sound began after at least 40 ms of silence: times of the clock, as if a packet's first sample
        were said or heard when the packet was sent or came."""
        laid = self.since(since)
        return [_time_of(laid, begin) for begin in _begins(self.pcm(since), threshold)]


def _skipped(timestamp: int, expected: int, clock_rate: int) -> int:
    """Bytes of PCM from where the next packet was expected; negative = it is late."""
    ahead = ((timestamp - expected + 0x80000000) & 0xFFFFFFFF) - 0x80000000
    if abs(ahead) > _FARTHEST * clock_rate:
        return 0
    return 2 * (ahead * SAMPLE_RATE // clock_rate)


def _join(pieces: Iterable[tuple[int, bytes]]) -> bytes:
    whole = bytearray()
    for position, pcm in pieces:
        if position > len(whole):
            whole += bytes(position - len(whole))
        whole[position : position + len(pcm)] = pcm
    return bytes(whole)


def _time_of(laid: list[tuple[float, int, bytes]], position: int) -> float:
    found = laid[0]
    for one in laid:
        if one[1] > position:
            break
        found = one
    return found[0] + (position - found[1]) / (2 * SAMPLE_RATE)


def _begins(pcm: bytes, threshold: float) -> list[int]:
    """Byte positions, to a millisecond."""
    limit = _rms_of(threshold)
    begins, quiet_ms = [], 1000
    for at in range(0, len(pcm) - _STEP + 1, _STEP):
        if audio.rms(pcm[at : at + _STEP], 2) < limit:
            quiet_ms += _STEP_MS
            continue
        if quiet_ms >= 40:
            begins.append(_refine(pcm, at, limit))
        quiet_ms = 0
    return begins


def _refine(pcm: bytes, at: int, limit: float) -> int:
    first = max(0, at - _STEP)
    for fine in range(first, at + _STEP, _FINE):
        if audio.rms(pcm[fine : fine + _FINE], 2) >= limit:
            return fine
    return at


def _rms_of(dbov: float) -> float:
    return 32768.0 * math.pow(10.0, dbov / 20.0)


def longest_gap_ms(pcm: bytes, *, below: float = TONE_LEVEL - 20.0) -> int:
    """The longest silence inside, to 5 ms; what is silent at either end does not count."""
    limit = _rms_of(below)
    quiet = [audio.rms(pcm[at : at + _STEP], 2) < limit for at in range(0, len(pcm) - _STEP + 1, _STEP)]
    return _STEP_MS * max(_runs(quiet), default=0)


def _runs(quiet: list[bool]) -> list[int]:
    """Lengths of the silences between sounds."""
    text = "".join(" " if silent else "x" for silent in quiet).strip()
    return [len(part) for part in text.split("x") if part]


def envelope(pcm: bytes, step_ms: int = 20) -> list[float]:
    """dBov of each step, nothing below -70."""
    size = 2 * SAMPLE_RATE * step_ms // 1000
    return [max(-70.0, level(pcm[at : at + size])) for at in range(0, len(pcm) - size + 1, size)]


def likeness(a: list[float], b: list[float], *, reach: int = 25) -> float:
    """The correlation of two envelopes, at the shift where it is greatest: 1 = the same course."""
    return max((_correlation(a, b[shift:]) for shift in range(reach) if len(b) > shift), default=0.0)


def _correlation(a: list[float], b: list[float]) -> float:
    count = min(len(a), len(b))
    if count < 10:
        return 0.0
    mean_a, mean_b = sum(a[:count]) / count, sum(b[:count]) / count
    pairs = [(x - mean_a, y - mean_b) for x, y in zip(a, b, strict=False)]
    scale = math.sqrt(sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs))
    return sum(x * y for x, y in pairs) / scale if scale else 0.0


def keys_in(pcm: bytes) -> str:
    """The keys that are in it as tones."""
    detector = InbandDetector()
    told = detector.feed(pcm) + detector.feed(bytes(2 * SAMPLE_RATE // 5))
    return "".join(digit.digit for digit in told)

"""Sums of sine waves as 16-bit PCM at 8 kHz, and a meter that hears them.

Levels are in dBov (ITU-T G.100.1): the RMS of the samples against 32768, so that a full-scale sine is at
-3.01.  Nothing here is stored per call: what repeats is computed once and shared.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from cordboard.media.codecs import audio

SAMPLE_RATE = 8000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES
SILENT_FRAME = bytes(FRAME_BYTES)

TONE_LEVEL = -16.0
"""dBov of a tone, all its frequencies together: about -10 dBm0."""

_LONGEST_PERIOD = SAMPLE_RATE
_LONGEST_TONE_MS = 3_600_000
_MOST_FREQUENCIES = 8

# ------------------------------------------------------------------ making tones


def tone(frequencies: Sequence[float], duration_ms: int, level: float = TONE_LEVEL) -> bytes:
    """PCM of the frequencies (Hz, equally loud), at most an hour; without frequencies, silence."""
    samples = SAMPLE_RATE * max(0, min(duration_ms, _LONGEST_TONE_MS)) // 1000
    heard = audible(frequencies)
    if not heard or not samples:
        return bytes(2 * samples)
    period = _period(heard)
    if period is None:
        return _waves(heard, samples, level)
    wave = _waves(heard, min(period, samples), level)
    return (wave * (samples // period + 1))[: 2 * samples]


def tone_frames(
    frequencies: Sequence[float], duration_ms: int, level: float = TONE_LEVEL
) -> tuple[bytes, ...]:
    """The same, cut into frames of 20 ms; the last is filled up with silence."""
    return frames(tone(frequencies, duration_ms, level))


def audible(frequencies: Sequence[float]) -> tuple[float, ...]:
    """Those that 8,000 samples a second can carry, eight at most."""
    return tuple(f for f in frequencies if 0.0 < f < SAMPLE_RATE / 2)[:_MOST_FREQUENCIES]


def tone_frame(frequencies: tuple[float, ...], number: int, level: float = TONE_LEVEL) -> bytes:
    """The frame `number` of an endless tone, made when asked for: a long tone takes no time to begin."""
    if not frequencies:
        return SILENT_FRAME
    period = _period(frequencies)
    return _frame_at(
        frequencies, number * FRAME_SAMPLES % period if period else number * FRAME_SAMPLES, level
    )


def frames(pcm: bytes) -> tuple[bytes, ...]:
    """PCM cut into frames of 20 ms; the last is filled up with silence."""
    cut = tuple(pcm[i : i + FRAME_BYTES] for i in range(0, len(pcm), FRAME_BYTES))
    if cut and len(cut[-1]) < FRAME_BYTES:
        return (*cut[:-1], cut[-1].ljust(FRAME_BYTES, b"\0"))
    return cut


@lru_cache(maxsize=1024)
def _period(frequencies: tuple[float, ...]) -> int | None:
    """Samples after which the sum repeats exactly; None if that is longer than a second."""
    common = Fraction(SAMPLE_RATE)
    for frequency in frequencies:
        common = _common_divisor(common, Fraction(frequency).limit_denominator(1000))
    samples = SAMPLE_RATE / common
    return int(samples) if samples <= _LONGEST_PERIOD else None


def _common_divisor(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(
        math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator
    )


@lru_cache(maxsize=256)
def _waves(frequencies: tuple[float, ...], samples: int, level: float) -> bytes:
    return _sum(frequencies, range(samples), level)


@lru_cache(maxsize=4096)
def _frame_at(frequencies: tuple[float, ...], sample: int, level: float) -> bytes:
    return _sum(frequencies, range(sample, sample + FRAME_SAMPLES), level)


def _sum(frequencies: tuple[float, ...], samples: range, level: float) -> bytes:
    amplitude = 32768.0 * 10.0 ** (level / 20.0) * math.sqrt(2.0 / len(frequencies))
    total = [0.0] * len(samples)
    for frequency in frequencies:
        step = 2.0 * math.pi * frequency / SAMPLE_RATE
        total = [value + math.sin(step * n) for value, n in zip(total, samples, strict=True)]
    return _pcm([amplitude * value for value in total])


def _pcm(values: Sequence[float]) -> bytes:
    rounded = [round(value) for value in values]
    if rounded and (max(rounded) > 32767 or min(rounded) < -32768):
        rounded = [max(-32768, min(32767, value)) for value in rounded]
    return struct.pack(f"<{len(rounded)}h", *rounded)


# ------------------------------------------------------------------ hearing tones


class ToneReading(NamedTuple):
    """What a `ToneMeter` heard in one window."""

    frequency: float | None
    """The loudest candidate in Hz; None if it has less than 40 % of the power, or all is quiet."""
    level: float
    """Of the whole window, dBov; -inf if digitally silent."""
    share: float
    """Part of the window's power that the loudest candidate has, 0 to 1."""


class ToneMeter:
    """Which of a few frequencies is heard?

    For each candidate the window is correlated with a sine and a cosine, which is what Goertzel's recursion
    computes; `audioop.findfactor` does the sum of products in C.  A window of 100 ms tells frequencies apart
    that differ by 15 Hz or more.
    """

    def __init__(self, candidates: Sequence[float], *, window_ms: int = 100, quiet: float = -60.0) -> None:
        self._candidates = tuple(candidates)
        self._window = 2 * (SAMPLE_RATE * window_ms // 1000)
        self._quiet = quiet
        self._pending = b""
        self.last = ToneReading(None, -math.inf, 0.0)
        """The last complete window."""

    def feed(self, pcm: bytes) -> list[ToneReading]:
        """Take 16-bit PCM of any length; one reading for each window that it completes."""
        self._pending += pcm
        readings = []
        while len(self._pending) >= self._window:
            readings.append(read_tone(self._pending[: self._window], self._candidates, quiet=self._quiet))
            self._pending = self._pending[self._window :]
        if readings:
            self.last = readings[-1]
        return readings


def read_tone(pcm: bytes, candidates: Sequence[float], *, quiet: float = -60.0) -> ToneReading:
    """The reading of one window; the candidates should differ by more than 1 / its length."""
    pcm = pcm[: len(pcm) & ~1]
    total = level(pcm)
    if total < quiet or not candidates:
        return ToneReading(None, total, 0.0)
    shares = [(_share(pcm, frequency), frequency) for frequency in candidates]
    share, frequency = max(shares)
    return ToneReading(frequency if share >= 0.4 else None, total, min(1.0, share))


def heard(pcm: bytes, frequencies: Sequence[float], *, share: float = 0.7) -> bool:
    """The frequencies together make up most of what is heard, and none of them is missing."""
    shares = [_share(pcm[: len(pcm) & ~1], frequency) for frequency in frequencies]
    return bool(shares) and sum(shares) >= share and min(shares) >= 0.3 * share / len(shares)


def level(pcm: bytes) -> float:
    """dBov of 16-bit PCM; -inf if it is all zero or empty."""
    rms = audio.rms(pcm, 2) if pcm else 0
    return 20.0 * math.log10(rms / 32768.0) if rms else -math.inf


def dominant_frequency(pcm: bytes) -> float | None:
    """The strongest frequency between 40 and 3900 Hz, to about 2 Hz; None if nothing stands out.

    Looks at the first 100 ms.  Of two tones it names the louder.
    """
    pcm = pcm[: min(len(pcm) & ~1, 2 * _SCAN_SAMPLES)]
    if len(pcm) < FRAME_BYTES or level(pcm) < -60.0:
        return None
    strengths = {float(f): _share(pcm, float(f)) for f in range(30, 3911, _SCAN_STEP)}
    best = max(strengths, key=lambda frequency: strengths[frequency])
    if strengths[best] < 0.15:
        return None
    return _peak(best, strengths)


_SCAN_SAMPLES = SAMPLE_RATE // 10
_SCAN_STEP = 5


def _peak(best: float, strengths: dict[float, float]) -> float:
    """The top of the parabola through the strongest point and its two neighbours."""
    below, top, above = (strengths.get(best + step, 0.0) for step in (-_SCAN_STEP, 0, _SCAN_STEP))
    bend = below - 2.0 * top + above
    return best if bend == 0.0 else best + _SCAN_STEP * 0.5 * (below - above) / bend


def _share(pcm: bytes, frequency: float) -> float:
    """Part of the power of `pcm` that is at one frequency, 0 to about 1."""
    rms = audio.rms(pcm, 2) if pcm else 0
    if not rms:
        return 0.0
    sine, cosine = _reference(frequency, len(pcm) // 2)
    in_phase, in_quadrature = audio.findfactor(pcm, sine), audio.findfactor(pcm, cosine)
    amplitude = _REFERENCE_PEAK * math.hypot(in_phase, in_quadrature)
    return amplitude * amplitude / (2.0 * rms * rms)


_REFERENCE_PEAK = 16384.0


@lru_cache(maxsize=4096)
def _reference(frequency: float, samples: int) -> tuple[bytes, bytes]:
    step = 2.0 * math.pi * frequency / SAMPLE_RATE
    return (
        _pcm([_REFERENCE_PEAK * math.sin(step * n) for n in range(samples)]),
        _pcm([_REFERENCE_PEAK * math.cos(step * n) for n in range(samples)]),
    )

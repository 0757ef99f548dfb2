"""Digits as tones (ITU-T Q.23): made, and heard (Q.24) among speech.

A window of 26 ms every 7 ms is correlated with the eight frequencies and what is up to 1.5 % beside them.  It
sounds like a key if one of the low and one of the high ones stand out, are about equally loud (twist), and
have nearly all of the power between them: speech and music have harmonics elsewhere, which is what protects
them from being taken for keys.  A key is one that sounds the same for three windows in succession; it is told
when it ends.

A vowel of a steady voice can have two harmonics close to a key's frequencies that are far louder than the
rest.  So the middle one of three windows, which a tone of 40 ms fills, is looked at again: how far its two
frequencies really are from the key's, how much is left without them, and whether that is another line, as
the next harmonic is, or noise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cordboard.media.codecs import rates
from cordboard.media.dtmf import Digit
from cordboard.media.tones import SAMPLE_RATE, tone_frame

LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")

FREQUENCIES = {
    key: (float(low), float(high))
    for low, row in zip(LOW, KEYS, strict=True)
    for key, high in zip(row, HIGH, strict=True)
}
"""Low and high frequency of a key, in Hz."""

_LEVEL = -10.0
"""dBov of both together."""


def digit_frame(digit: str, number: int) -> bytes:
    """The frame `number` of a digit's tone: 20 ms at 8 kHz."""
    return tone_frame(FREQUENCIES[digit], number, _LEVEL)


# ------------------------------------------------------------------ hearing

_HOP = 56
_WINDOW = 208
_HOP_MS = 1000 * _HOP // SAMPLE_RATE
_HITS = 3
"""Windows in succession that make a key."""
_MISSES = 6
"""Windows without it that end it: a hole of 10 ms is a fault of the line, one of 40 ms is none."""
_TOLERANCE = 0.015
"""Of a frequency; one that is 3.5 % off is no key's."""
_QUIETEST = 10.0 ** (-45.0 / 10) * 32768.0**2
"""Mean power of a window, -45 dBov."""
_SHARE = 0.82
"""Of the window's power that the two frequencies have."""
_NEXT = 4.0
"""How much louder than the other three of its group a frequency is, in power."""
_TWIST_UP, _TWIST_DOWN = 10.0**0.6, 10.0**0.9
"""High against low: 6 dB louder, 9 dB softer."""
_LEAST_MS = 40
_FARTHEST = 0.018
"""Of a frequency, where it is measured and not only compared with what is beside it."""
_CLEAN, _NOISY = 0.045, 0.1
"""Of a window's power without the two frequencies: below, no more is asked; above, it is no key."""
_LINE = 0.3
"""Of what is left, that the loudest line may have: noise, also what G.722 and Opus add, is spread."""
_BINS = 1024
"""Of the spectrum: 7.8 Hz each."""
_LINE_BINS = 10
"""What one line fills on either side of its middle."""


class InbandDetector:
    """PCM at 8 kHz in, each key once out, when it ends."""

    __slots__ = ("_digit", "_held", "_hits", "_last", "_misses", "_numpy", "_pending", "_pure")

    def __init__(self) -> None:
        self._numpy = rates.load()
        self._pending = bytes(2 * (_WINDOW - _HOP))
        self._digit = ""
        """The key that sounds."""
        self._held = 0
        self._misses = 0
        self._last = ""
        """What the last window sounded like, and for how many windows."""
        self._hits = 0
        self._pure = False
        """What the last window sounded like is all that was in it."""

    @property
    def is_sounding(self) -> bool:
        """A key, or what may become one: two windows are enough."""
        return bool(self._digit) or self._hits >= 2

    def feed(self, pcm: bytes) -> list[Digit]:
        """Audio of any length."""
        pcm = self._pending + pcm
        hops = (len(pcm) // 2 - _WINDOW) // _HOP + 1
        if hops <= 0:
            self._pending = pcm
            return []
        self._pending = pcm[2 * _HOP * hops :]
        found = _keys_of(self._numpy, pcm, hops)
        digits: list[Digit] = []
        if not found and not self._hits and not self._digit:
            return digits
        for hop in range(hops):
            key = found.get(hop, "")
            self._step(key, digits)
            if self._hits >= _HITS - 1 and key != self._digit:
                self._pure = _is_pure(self._numpy, pcm, hop, key)
        return digits

    def _step(self, key: str, digits: list[Digit]) -> None:
        self._hits = self._hits + 1 if key and key == self._last else int(bool(key))
        self._last = key
        if self._digit:
            self._hold(key, digits)
        elif self._hits >= _HITS and self._pure:
            self._digit, self._held, self._misses = key, self._hits, 0

    def _hold(self, key: str, digits: list[Digit]) -> None:
        if key == self._digit:
            self._held += 1 + self._misses
            self._misses = 0
            return
        self._misses += 1
        if self._misses >= _MISSES or self._hits >= _HITS:
            # A window that is half full is heard already: what is held is about as long as the tone.
            digits.append(Digit(self._digit, max(_LEAST_MS, self._held * _HOP_MS)))
            self._digit = ""


def _keys_of(numpy: Any, pcm: bytes, hops: int) -> dict[int, str]:
    """What each window sounds like, by its number; those that sound like nothing are left out."""
    samples = numpy.frombuffer(pcm, numpy.int16).astype(numpy.float32)
    windows = numpy.ndarray((hops, _WINDOW), numpy.float32, samples, 0, (4 * _HOP, 4))
    power = numpy.square(windows).mean(axis=1)
    loud = numpy.flatnonzero(power > _QUIETEST)
    if not len(loud):
        return {}
    parts = numpy.square(windows[loud] @ _references())
    half = parts.shape[1] // 2
    strengths = (parts[:, :half] + parts[:, half:]).reshape(len(loud), -1, 8).max(axis=1)
    low, high = strengths[:, :4], strengths[:, 4:]
    rows, columns = low.argmax(axis=1), high.argmax(axis=1)
    lows, highs = low.max(axis=1), high.max(axis=1)
    good = (
        (lows + highs > _SHARE * power[loud])
        & (highs < _TWIST_UP * lows)
        & (lows < _TWIST_DOWN * highs)
        & (lows > _NEXT * numpy.sort(low, axis=1)[:, 2])
        & (highs > _NEXT * numpy.sort(high, axis=1)[:, 2])
    )
    return {int(loud[at]): KEYS[rows[at]][columns[at]] for at in numpy.flatnonzero(good)}


@lru_cache(maxsize=1)
def _references() -> Any:
    """Cosines and sines, scaled so that the square of a product is the mean power of that frequency."""
    numpy = rates.load()
    around = numpy.linspace(1.0 - _TOLERANCE, 1.0 + _TOLERANCE, 5)
    steps = (2.0 * numpy.pi / SAMPLE_RATE * around[:, None] * numpy.array(LOW + HIGH)[None, :]).ravel()
    angles = numpy.arange(_WINDOW)[:, None] * steps[None, :]
    both = numpy.concatenate((numpy.cos(angles), numpy.sin(angles)), axis=1)
    return (both * numpy.sqrt(2.0) / _WINDOW).astype(numpy.float32)


def _is_pure(numpy: Any, pcm: bytes, hop: int, key: str) -> bool:
    """Whether a window holds the two frequencies of a key, and but for noise nothing else."""
    window = numpy.frombuffer(pcm, numpy.int16, _WINDOW, 2 * _HOP * hop).astype(numpy.float64)
    spectrum = numpy.abs(numpy.fft.rfft(window * _hann(), _BINS))
    measured = [_peak_beside(numpy, spectrum, frequency) for frequency in FREQUENCIES[key]]
    off = [abs(one / frequency - 1.0) for one, frequency in zip(measured, FREQUENCIES[key], strict=True)]
    if max(off) > _FARTHEST:
        return False
    angles = numpy.outer(numpy.arange(_WINDOW), measured) * (2.0 * numpy.pi / SAMPLE_RATE)
    both = numpy.concatenate((numpy.cos(angles), numpy.sin(angles)), axis=1)
    rest = window - both @ numpy.linalg.solve(both.T @ both, both.T @ window)
    share = float(rest @ rest / (window @ window))
    return share <= _CLEAN or (share <= _NOISY and _loudest_line(numpy, rest) <= _LINE)


def _peak_beside(numpy: Any, spectrum: Any, frequency: float) -> float:
    """Hz; a parabola through the three loudest points, in dB."""
    first = int(frequency * (1.0 - 2.0 * _FARTHEST) * _BINS / SAMPLE_RATE)
    last = int(frequency * (1.0 + 2.0 * _FARTHEST) * _BINS / SAMPLE_RATE) + 1
    at = first + int(spectrum[first : last + 1].argmax())
    before, here, after = numpy.log(spectrum[at - 1 : at + 2] + 1e-9)
    bend = before - 2.0 * here + after
    return float((at + (0.5 * (before - after) / bend if bend < 0.0 else 0.0)) * SAMPLE_RATE / _BINS)


def _loudest_line(numpy: Any, rest: Any) -> float:
    """The share of the power that lies around the loudest frequency."""
    power = numpy.square(numpy.abs(numpy.fft.rfft(rest * _hann(), _BINS)))
    at = int(power.argmax())
    return float(power[max(0, at - _LINE_BINS) : at + _LINE_BINS + 1].sum() / power.sum())


@lru_cache(maxsize=1)
def _hann() -> Any:
    return rates.load().hanning(_WINDOW)

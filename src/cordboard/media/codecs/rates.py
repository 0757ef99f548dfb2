"""From one sampling rate to another, 20 ms at a time and without keeping any of it back.

A polyphase filter (windowed sinc): a group of M samples in makes a group of L samples out, each a product of
the samples around it with a row of coefficients, so that a whole piece is one product of matrices.  It adds
`_REACH` samples of the lower rate (2 ms at 8 kHz).  soxr, which is used for files, is better in the last half
octave and holds back up to 100 ms to be so.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

_REACH = 16
"""Samples of the lower rate that count before and after one."""
_CUTOFF = 0.94
"""Of half the lower rate: where the filter is 6 dB down."""
_SHAPE = 6.5
"""Of the Kaiser window: about 65 dB."""


_RATES = (8000, 16000, 24000, 48000)


@lru_cache(maxsize=1)
def load() -> Any:
    """Import numpy now."""
    import numpy

    return numpy


def prepare() -> None:
    """Make the filters now that anybody may need."""
    for from_rate in _RATES:
        for to_rate in _RATES:
            if from_rate != to_rate:
                RateConverter(from_rate, to_rate).convert(bytes(from_rate // 25))


class RateConverter:
    """One mono stream of 16-bit PCM; pieces whose length is a whole number of groups (any 5 ms are)."""

    __slots__ = ("_coefficients", "_history", "_in", "_numpy", "_pending", "_taps")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._numpy = load()
        self._in, self._coefficients = _filter(from_rate, to_rate)
        self._taps = len(self._coefficients)
        self._history = self._numpy.zeros(self._taps - self._in, self._numpy.float32)
        self._pending = b""

    def convert(self, pcm: bytes) -> bytes:
        """What the piece makes; what does not fill a group waits for the next piece."""
        if self._pending or len(pcm) % (2 * self._in):
            pcm = self._align(pcm)
        if not pcm:
            return b""
        numpy = self._numpy
        history = self._history
        kept = len(history)
        samples = numpy.empty(kept + len(pcm) // 2, numpy.float32)
        samples[:kept] = history
        samples[kept:] = numpy.frombuffer(pcm, numpy.int16)
        self._history = samples[len(samples) - kept :]
        groups = (len(samples) - kept) // self._in
        windows = numpy.ndarray((groups, self._taps), numpy.float32, samples, 0, (4 * self._in, 4))
        made = numpy.rint(windows @ self._coefficients).clip(-32768, 32767)
        converted: bytes = made.astype(numpy.int16).tobytes()
        return converted

    def _align(self, pcm: bytes) -> bytes:
        pcm = self._pending + pcm
        whole = len(pcm) - len(pcm) % (2 * self._in)
        self._pending = pcm[whole:]
        return pcm[:whole]


@lru_cache(maxsize=32)
def _filter(from_rate: int, to_rate: int) -> tuple[int, Any]:
    """(samples of a group in, coefficients: taps x samples of a group out)"""
    numpy = load()
    common = gcd(from_rate, to_rate)
    group_in, group_out = from_rate // common, to_rate // common
    lower = min(from_rate, to_rate)
    reach = _REACH * from_rate / lower
    taps = 2 * int(reach) + group_in
    cutoff = _CUTOFF * lower / from_rate
    at = numpy.arange(taps)[:, None] - reach - numpy.arange(group_out)[None, :] * group_in / group_out
    inside = numpy.clip(1.0 - (at / reach) ** 2, 0.0, None)
    rows = cutoff * numpy.sinc(cutoff * at) * numpy.i0(_SHAPE * numpy.sqrt(inside)) / numpy.i0(_SHAPE)
    rows[numpy.abs(at) > reach] = 0.0
    return group_in, (rows / rows.sum(axis=0)).astype(numpy.float32)

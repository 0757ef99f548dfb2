"""Steady tones among other sounds: the beep of an answering machine, ringing, a dial tone.

A window of 40 ms every 20 ms is taken apart into frequencies.  A tone has nearly all of its power in one
narrow band, a pair of tones in two, and stays where it is; a voice has harmonics, and glides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from cordboard.media.codecs import rates
from cordboard.media.tones import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE, SILENT_FRAME

LOWEST_BEEP, HIGHEST_BEEP = 380.0, 2250.0
"""Hz."""
SHORTEST_BEEP, LONGEST_BEEP = 100, 2000
"""Milliseconds."""
_POINTS = 512
_HZ = SAMPLE_RATE / _POINTS
_HALF_BAND = 4
"""Points on either side of the strongest: +-62 Hz, a little more than the window blurs a tone."""
_LOWEST = 4
"""Points below which there is only hum."""
_SHARE = 0.8
"""Of the power that a tone has in its band."""
_PAIR_SHARE = 0.9
_DRIFT = 12.0
"""Hz that a tone may be off the mean of its run."""
_QUIETEST = (10.0 ** (-48.0 / 20) * 32768.0) ** 2
"""Mean power of a window, -48 dBov."""
_STEADY = 8
"""Windows in succession after which ringing or the like is no voice: 180 ms."""
STEADY_FRAMES = _STEADY + 1


class Tone(NamedTuple):
    """What one window sounds like."""

    single: float | None = None
    """Hz of the one tone."""
    centre: float | None = None
    """Hz of the middle of one or two tones."""


class SteadyTone:
    """Frames of 20 ms in.  `hear` says how long a beep was that has just ended."""

    __slots__ = ("_beep", "_last", "_numpy", "_pair")

    def __init__(self) -> None:
        self._numpy = rates.load()
        self._last = SILENT_FRAME
        self._beep = _Run()
        self._pair = _Run()

    @property
    def is_steady(self) -> bool:
        """One or two tones have sounded for `STEADY_FRAMES` or longer."""
        return self._pair.length >= _STEADY

    @property
    def is_beeping(self) -> bool:
        """One tone sounds, long enough for a beep."""
        return self._beep.milliseconds >= SHORTEST_BEEP

    def hear(self, frame: bytes) -> int:
        """Milliseconds of the beep that has ended with the frame before this one, otherwise 0."""
        tone = self._analyse(self._last + frame)
        self._last = frame
        self._pair.extend(tone.centre)
        before = self._beep.milliseconds
        if self._beep.extend(tone.single):
            return 0
        return before if SHORTEST_BEEP <= before <= LONGEST_BEEP else 0

    def _analyse(self, pcm: bytes) -> Tone:
        numpy = self._numpy
        samples = numpy.frombuffer(pcm, numpy.int16).astype(numpy.float32)
        if float(numpy.square(samples).mean()) < _QUIETEST:
            return Tone()
        power = numpy.square(numpy.abs(numpy.fft.rfft(samples * _window(), _POINTS)))
        power[:_LOWEST] = 0.0
        total = float(power.sum())
        if not total:
            return Tone()
        first, first_sum = self._take_band(power)
        second, second_sum = self._take_band(power)
        both = first + second
        return Tone(
            first_sum / first if first >= _SHARE * total and self._is_beep(first_sum / first) else None,
            (first_sum + second_sum) / both if both >= _PAIR_SHARE * total else None,
        )

    def _is_beep(self, frequency: float) -> bool:
        return LOWEST_BEEP <= frequency <= HIGHEST_BEEP

    def _take_band(self, power: Any) -> tuple[float, float]:
        """(power, power times Hz) of the strongest band, which is taken out."""
        at = int(power.argmax())
        low = max(0, at - _HALF_BAND)
        band = power[low : at + _HALF_BAND + 1]
        total = float(band.sum())
        moment = float((band * self._numpy.arange(low, low + len(band))).sum()) * _HZ
        band[:] = 0.0
        return total, moment


class _Run:
    """Windows in succession with about the same frequency."""

    __slots__ = ("_sum", "length")

    def __init__(self) -> None:
        self.length = 0
        self._sum = 0.0

    @property
    def milliseconds(self) -> int:
        """Windows overlap by half; those that a tone fills only in part are mostly not taken for it."""
        return (self.length + 1) * FRAME_MS if self.length else 0

    def extend(self, frequency: float | None) -> bool:
        """Whether the run goes on; otherwise a new one begins, if there is a frequency."""
        if frequency is None:
            self.length, self._sum = 0, 0.0
            return False
        goes_on = not self.length or abs(frequency - self._sum / self.length) <= _DRIFT
        if not goes_on:
            self.length, self._sum = 0, 0.0
        self.length += 1
        self._sum += frequency
        return goes_on


@lru_cache(maxsize=1)
def _window() -> Any:
    numpy = rates.load()
    return numpy.hanning(2 * FRAME_SAMPLES).astype(numpy.float32)

"""Another sampling rate, by soxr, piece by piece.

soxr works on numpy arrays.  Both are imported when the first resampler is made, which takes a tenth of a
second or more: a process that must not stall calls `load` beforehand.
"""

from __future__ import annotations

from typing import Any


def load() -> tuple[Any, Any]:
    """Import what resampling needs: numpy and soxr."""
    import numpy
    import soxr  # type: ignore[import-untyped]

    return numpy, soxr


class Resampler:
    """One mono stream of 16-bit PCM from one rate to another."""

    __slots__ = ("_array", "_kind", "_stream")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        numpy, soxr = load()
        self._array = numpy.frombuffer
        self._kind = numpy.int16
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16", quality="HQ")

    def resample(self, pcm: bytes, *, last: bool = False) -> bytes:
        """As much as can be said by now; with `last`, everything that is left."""
        samples: bytes = self._stream.resample_chunk(self._array(pcm, self._kind), last=last).tobytes()
        return samples

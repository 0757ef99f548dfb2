"""G.722 (64 kbit/s, RFC 3551 4.5.2: its RTP clock is 8000).

At 8 kHz only the lower of the two bands is made or heard: that needs no resampling towards G.711, costs half,
and the filter bank keeps what is above 4 kHz out (9 dB down at 4.5 kHz, 20 dB at 5 kHz, 70 dB at 6 kHz).
"""

from __future__ import annotations

from typing import Any

from cordboard.media.codecs.codec import Wish

RATES = (8000, 16000)


def _state(rate: int) -> Any:
    import G722  # type: ignore[import-not-found, import-untyped, unused-ignore]  # no stubs

    return G722.G722(rate, 64000)


class G722Decoder:
    """Any number of bytes is a payload."""

    __slots__ = ("_decode", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._decode = _state(rate).decode

    def decode(self, payload: bytes) -> bytes:
        """PCM."""
        pcm: bytes = self._decode(payload).tobytes()
        return pcm

    def conceal(self, samples: int, following: bytes | None) -> bytes | None:
        """The codec knows nothing of loss."""
        return None


class G722Encoder:
    """One byte for each 125 microseconds."""

    __slots__ = ("_encode", "rate")

    def __init__(self, rate: int, wish: Wish) -> None:
        self.rate = rate
        self._encode = _state(rate).encode

    def encode(self, pcm: bytes) -> bytes:
        """A payload."""
        # Bytes would be taken for samples of 8 bits.
        payload: bytes = self._encode(memoryview(pcm).cast("h"))
        return payload

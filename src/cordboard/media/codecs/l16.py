"""L16 (RFC 3551 4.5.11): samples as they are, in network order; two channels are mixed into one."""

from __future__ import annotations

from cordboard.media.codecs import audio
from cordboard.media.codecs.codec import Wish

RATES = (8000, 16000, 24000, 48000)


class L16Decoder:
    """What is cut off in the middle of a sample is left out."""

    __slots__ = ("_width", "rate")

    def __init__(self, rate: int, channels: int = 1) -> None:
        self.rate = rate
        self._width = 2 * channels

    def decode(self, payload: bytes) -> bytes:
        """PCM."""
        odd = len(payload) % self._width
        pcm = audio.byteswap(payload[:-odd] if odd else payload, 2)
        return pcm if self._width == 2 else audio.tomono(pcm, 2, 0.5, 0.5)

    def conceal(self, samples: int, following: bytes | None) -> bytes | None:
        """The codec knows nothing of loss."""
        return None


class L16Encoder:
    """The same back; both channels carry the one there is."""

    __slots__ = ("_channels", "rate")

    def __init__(self, rate: int, wish: Wish) -> None:
        self.rate = rate
        self._channels = wish.channels

    def encode(self, pcm: bytes) -> bytes:
        """A payload."""
        return audio.byteswap(pcm if self._channels == 1 else audio.tostereo(pcm, 2, 1.0, 1.0), 2)

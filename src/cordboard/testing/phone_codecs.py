"""What a simulated phone speaks: its codecs, PCM at 8 kHz into payloads, and payloads into PCM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cordboard.call.codec_wish import read_codecs
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import CodecError, Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.tones import SAMPLE_RATE
from cordboard.sdp import G729, Codec, ours

_BEST_RATE = 16_000
_G729_FRAME = bytes(range(10))
"""10 ms.  No phone here can speak it: it is only looked at on its way."""


@lru_cache(maxsize=64)
def offered(names: tuple[str, ...]) -> tuple[Codec, ...]:
    """From the spellings of SWML (`OPUS@16000H`, `L16`) to what a phone offers; ValueError for others."""
    read = read_codecs(",".join(names))
    made = ours(read.wishes, other=(G729,))
    if read.unknown or made.unsupported:
        raise ValueError(f"no phone speaks {', '.join((*read.unknown, *made.unsupported))}")
    return made.codecs


def with_codec(codecs: Sequence[Codec], payload_type: int) -> Codec | None:
    """The one of that payload type."""
    return next((codec for codec in codecs if codec.payload_type == payload_type), None)


class Mouth:
    """PCM at 8 kHz into payloads of one packet each."""

    __slots__ = ("_encoder", "_pending", "_raise", "_sample_bytes", "codec", "ptime_ms", "samples")

    def __init__(self, codec: Codec, ptime_ms: int, bit_rate: int = 0) -> None:
        self.codec = codec
        self.ptime_ms = ptime_ms
        self.samples = codec.clock_rate * ptime_ms // 1000
        """Of the RTP clock that a packet lasts."""
        made = catalogue.codec(catalogue.encoding_of(codec.name, codec.clock_rate, codec.channels))
        self._pending = b""
        self._sample_bytes = 2 * SAMPLE_RATE * ptime_ms // 1000
        self._encoder = None
        self._raise = None
        if made.make_encoder is not None:
            rate = made.rate_for(_BEST_RATE)
            self._encoder = made.make_encoder(rate, Wish(bit_rate=bit_rate))
            self._raise = RateConverter(SAMPLE_RATE, rate) if rate != SAMPLE_RATE else None

    def say(self, pcm: bytes) -> list[tuple[bytes, bytes]]:
        """The packets that are full: (payload, PCM that went into it)."""
        self._pending += pcm
        full = []
        while len(self._pending) >= self._sample_bytes:
            piece, self._pending = self._pending[: self._sample_bytes], self._pending[self._sample_bytes :]
            full.append((self._encode(piece), piece))
        return full

    def drop(self) -> int:
        """Forget what has not filled a packet: so many samples of the RTP clock."""
        left = len(self._pending) // 2 * self.codec.clock_rate // SAMPLE_RATE
        self._pending = b""
        return left

    def _encode(self, pcm: bytes) -> bytes:
        if self._encoder is None:
            return _G729_FRAME * (self.ptime_ms // 10)
        return self._encoder.encode(self._raise.convert(pcm) if self._raise is not None else pcm)


class Ear:
    """Payloads in the order of their arrival into PCM at 8 kHz; b"" for what cannot be decoded."""

    __slots__ = ("_decoder", "_lower")

    def __init__(self, codec: Codec) -> None:
        made = catalogue.codec(catalogue.encoding_of(codec.name, codec.clock_rate, codec.channels))
        self._decoder = None
        self._lower = None
        if made.make_decoder is not None:
            rate = made.rate_for(SAMPLE_RATE)
            self._decoder = made.make_decoder(rate)
            self._lower = RateConverter(rate, SAMPLE_RATE) if rate != SAMPLE_RATE else None

    def hear(self, payload: bytes) -> bytes:
        """PCM as long as the packet."""
        if self._decoder is None:
            return b""
        try:
            pcm = self._decoder.decode(payload)
        except CodecError:
            return b""
        return self._lower.convert(pcm) if self._lower is not None else pcm

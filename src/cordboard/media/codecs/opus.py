"""OPUS (RFC 6716, RFC 7587) by libopus, called directly: the wrapper's own classes cost twice as much.

libopus works at 8, 16, 24 and 48 kHz itself, so that nothing is resampled towards G.711 or G.722.
"""

from __future__ import annotations

import ctypes
import weakref
from functools import lru_cache
from typing import Any

from cordboard.media.codecs.codec import CodecError, Wish

RATES = (8000, 16000, 24000, 48000)
CLOCK_RATE = 48000

_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS = 4002, 4010, 4012, 4014
_COMPLEXITY = 3
"""Of 10: the highest costs twice as much and is hardly heard in speech."""
_ASSUMED_LOSS = 5
"""Per cent: how much redundancy the encoder puts in."""
_BIT_RATES = {8000: 16_000, 16000: 24_000, 24000: 32_000, 48000: 48_000}
_LONGEST = 6
"""A packet lasts at most 120 ms."""
_MAX_PACKET = 1275 * 3

# Ticks of 48 kHz of one frame by the upper five bits of the first byte (RFC 6716 section 3.1).
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAME_TICKS = _SILK * 3 + _HYBRID * 2 + _CELT * 4


def count(payload: bytes) -> int:
    """Ticks of the RTP clock that a packet lasts; 0 for what is no packet."""
    if not payload:
        return 0
    first = payload[0]
    kind = first & 3
    if kind == 3:
        frames = payload[1] & 0x3F if len(payload) > 1 else 0
    else:
        frames = (1, 2, 2)[kind]
    ticks = frames * _FRAME_TICKS[first >> 3]
    return ticks if ticks <= _LONGEST * 960 else 0


@lru_cache(maxsize=1)
def load() -> Any:
    """The library, with the types of what is called."""
    from opuslib_next import api  # type: ignore[import-untyped]

    library = ctypes.CDLL(api.libopus._name)
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name in ("opus_encoder_create", "opus_decoder_create"):
        getattr(library, name).restype = pointer
    for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
        getattr(library, name).argtypes = [pointer]
        getattr(library, name).restype = None
    library.opus_encode.argtypes = [pointer, text, number, text, ctypes.c_int32]
    library.opus_decode.argtypes = [pointer, text, ctypes.c_int32, text, number, number]
    return library


class OpusDecoder:
    """Mono, whatever the packets are."""

    __slots__ = ("__weakref__", "_buffer", "_call", "_state", "rate")

    def __init__(self, rate: int) -> None:
        library = load()
        error = ctypes.c_int()
        self.rate = rate
        self._state = ctypes.c_void_p(library.opus_decoder_create(rate, 1, ctypes.byref(error)))
        if error.value:
            raise CodecError(f"libopus makes no decoder for {rate} Hz (error {error.value})")
        weakref.finalize(self, library.opus_decoder_destroy, self._state)
        self._call = library.opus_decode
        self._buffer = _pcm_buffer()

    def decode(self, payload: bytes) -> bytes:
        """PCM of the packet's length."""
        return self._run(payload, len(payload), self.rate * 120 // 1000, 0)

    def conceal(self, samples: int, following: bytes | None) -> bytes | None:
        """From the redundancy in the next packet where it has some, otherwise made up."""
        try:
            if following is not None:
                return self._run(following, len(following), samples, 1)
            return self._run(None, 0, samples, 0)
        except CodecError:
            return None

    def _run(self, payload: bytes | None, length: int, samples: int, redundancy: int) -> bytes:
        made = self._call(self._state, payload, length, self._buffer, samples, redundancy)
        if made < 0:
            raise CodecError(f"libopus refuses a packet (error {made})")
        return ctypes.string_at(self._buffer, 2 * made)


class OpusEncoder:
    """Mono speech, with redundancy against loss; takes 10, 20, 40 or 60 ms at a time."""

    __slots__ = ("__weakref__", "_buffer", "_call", "_state", "rate")

    def __init__(self, rate: int, wish: Wish) -> None:
        library = load()
        error = ctypes.c_int()
        self.rate = rate
        self._state = ctypes.c_void_p(library.opus_encoder_create(rate, 1, _VOIP, ctypes.byref(error)))
        if error.value:
            raise CodecError(f"libopus makes no encoder for {rate} Hz (error {error.value})")
        weakref.finalize(self, library.opus_encoder_destroy, self._state)
        bit_rate = min(max(wish.bit_rate, 6000), 510_000) if wish.bit_rate else _BIT_RATES[rate]
        for request, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_COMPLEXITY, _COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS, _ASSUMED_LOSS),
        ):
            library.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
        self._call = library.opus_encode
        self._buffer = _packet_buffer()

    def encode(self, pcm: bytes) -> bytes:
        """One packet."""
        length = self._call(self._state, pcm, len(pcm) // 2, self._buffer, _MAX_PACKET)
        if length < 0:
            raise CodecError(f"libopus refuses {len(pcm)} bytes (error {length})")
        return ctypes.string_at(self._buffer, length)


@lru_cache(maxsize=1)
def _pcm_buffer() -> Any:
    """One for all: its content is copied before the next call."""
    return ctypes.create_string_buffer(2 * CLOCK_RATE * 120 // 1000)


@lru_cache(maxsize=1)
def _packet_buffer() -> Any:
    return ctypes.create_string_buffer(_MAX_PACKET)

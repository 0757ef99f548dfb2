"""What every codec looks like from outside: payloads in, 16-bit little-endian mono PCM out, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class CodecError(Exception):
    """A payload that cannot be decoded, or audio that cannot be encoded."""


class Decoder(Protocol):
    """One stream's; packets in order."""

    @property
    def rate(self) -> int:
        """Samples a second of what it makes."""
        ...

    def decode(self, payload: bytes) -> bytes:
        """Raises `CodecError`."""
        ...

    def conceal(self, samples: int, following: bytes | None) -> bytes | None:
        """So much in place of a lost packet, if the codec can; `following`: the packet after it, if known."""
        ...


class Encoder(Protocol):
    """One stream's."""

    @property
    def rate(self) -> int:
        """Samples a second of what it takes."""
        ...

    def encode(self, pcm: bytes) -> bytes:
        """Raises `CodecError`."""
        ...


class Wish(NamedTuple):
    """What the far end would like of an encoder."""

    bit_rate: int = 0
    """0 = the encoder's choice"""
    channels: int = 1


class Codec(NamedTuple):
    """One encoding: how its packets are laid out in time, and who can read and write it."""

    encoding: str
    """As `encoding_of` spells it."""
    clock_rate: int = 8000
    """Of the RTP timestamps."""
    unit: int = 0
    """Bytes of payload for each tick of the clock; 0 = packets can only be understood as a whole."""
    filler: bytes = b""
    """`unit` bytes of silence."""
    rates: tuple[int, ...] = ()
    """At which it can be decoded and encoded, ascending; empty = it can only be passed through."""
    make_decoder: Callable[[int], Decoder] | None = None
    make_encoder: Callable[[int, Wish], Encoder] | None = None
    measure: Callable[[bytes], int] | None = None
    """Ticks of the clock that a payload lasts, where `unit` does not say."""

    @property
    def can_decode(self) -> bool:
        """Payloads can be made into audio here."""
        return self.make_decoder is not None

    @property
    def can_encode(self) -> bool:
        """Audio made here can be sent in it."""
        return self.make_encoder is not None

    def samples(self, payload: bytes) -> int:
        """Ticks of the clock that a payload lasts; 20 ms where nobody knows."""
        if self.unit:
            return len(payload) // self.unit
        return self.measure(payload) if self.measure is not None else self.clock_rate // 50

    def rate_for(self, wanted: int) -> int:
        """The rate to work at for somebody who has or wants `wanted`: that, the next above, or the best."""
        return next((rate for rate in self.rates if rate >= wanted), self.rates[-1])

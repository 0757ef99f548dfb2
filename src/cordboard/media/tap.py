"""A copy of the audio of a leg as packets of a wanted length: what a tap sends, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.codecs import audio, g711
from cordboard.media.codecs.codec import Wish
from cordboard.media.codecs.opus import OpusEncoder
from cordboard.media.ear import Ear
from cordboard.media.tones import SAMPLE_RATE, SILENT_FRAME

SHORTEST_MS, LONGEST_MS = 10, 120
OPUS = "OPUS"
_OPUS_LENGTHS = (60, 40, 20, 10)
"""Milliseconds of a packet that the encoder can make."""


def packet_ms(codec: str, ptime_ms: int) -> int:
    """How long a packet is: as wanted, as far as the codec can."""
    ptime_ms = min(max(ptime_ms, SHORTEST_MS), LONGEST_MS)
    if codec != OPUS:
        return ptime_ms
    return next(length for length in _OPUS_LENGTHS if length <= ptime_ms)


class TapSound:
    """`said`: what the far end says; `told`: what it hears.  Silence is sent too: the stream never stops."""

    __slots__ = ("_direction", "_encode", "_pending", "_samples", "said", "told")

    def __init__(self, *, direction: str, codec: str, ptime_ms: int) -> None:
        self.said = Ear()
        self.told = Ear()
        self._direction = direction
        self._encode = _encoder(codec)
        self._samples = SAMPLE_RATE // 1000 * packet_ms(codec, ptime_ms)
        self._pending = b""

    @property
    def samples(self) -> int:
        """Of a packet, at 8 kHz."""
        return self._samples

    def tick(self) -> list[bytes]:
        """20 ms have passed: the payloads that are full now."""
        size = 2 * self._samples
        pending = self._pending + self._frame()
        whole = len(pending) // size * size
        self._pending = pending[whole:]
        return [self._encode(pending[at : at + size]) for at in range(0, whole, size)]

    def _frame(self) -> bytes:
        said, told = self.said.take(), self.told.take()
        if self._direction == "speak":
            return said or SILENT_FRAME
        if self._direction == "listen":
            return told or SILENT_FRAME
        if said is not None and told is not None:
            return audio.add(said, told, 2)
        return said or told or SILENT_FRAME


def _encoder(codec: str) -> Callable[[bytes], bytes]:
    """From 16-bit PCM of one packet at 8 kHz to its payload."""
    if codec == OPUS:
        return OpusEncoder(SAMPLE_RATE, Wish()).encode
    name = g711.PCMA if codec == g711.PCMA else g711.PCMU
    return lambda pcm: g711.encode(name, pcm)

"""A copy of the audio of a leg as packets of a wanted length: what a tap sends, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.codecs import audio, g711
from cordboard.media.ear import Ear
from cordboard.media.tones import FRAME_BYTES, SILENT_FRAME

SHORTEST_MS, LONGEST_MS = 10, 120


class TapSound:
    """`said`: what the far end says; `told`: what it hears.  Silence is sent too: the stream never stops."""

    __slots__ = ("_direction", "_encode", "_pending", "_size", "said", "told")

    def __init__(self, *, direction: str, codec: str, ptime_ms: int) -> None:
        self.said = Ear()
        self.told = Ear()
        self._direction = direction
        self._encode: Callable[[bytes], bytes] = _encoder(codec)
        ptime_ms = min(max(ptime_ms, SHORTEST_MS), LONGEST_MS)
        self._size = 8 * ptime_ms
        self._pending = b""

    @property
    def samples(self) -> int:
        """Of a packet."""
        return self._size

    def tick(self) -> list[bytes]:
        """20 ms have passed: the payloads that are full now."""
        pending = self._pending + self._encode(self._frame())
        whole = len(pending) // self._size * self._size
        self._pending = pending[whole:]
        return [pending[at : at + self._size] for at in range(0, whole, self._size)]

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
    name = g711.PCMA if codec == g711.PCMA else g711.PCMU

    def encode(frame: bytes) -> bytes:
        return g711.encode(name, frame[:FRAME_BYTES])

    return encode

"""WAV files as frames of 20 ms, 16-bit PCM, mono, 8 kHz: read as they are played, never as a whole."""

from __future__ import annotations

import struct
from typing import BinaryIO

from cordboard.media.codecs import audio
from cordboard.media.codecs.resample import Resampler
from cordboard.media.tones import FRAME_BYTES, SAMPLE_RATE

_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE
_MAX_CHUNKS = 64
"""Before the audio."""
_MAX_FORMAT = 1024
_RATES = range(1000, 192_001)
_FORMAT = struct.Struct("<HHIIHH")
_TO_THE_END = 0xFFFFFFFF
"""Data size of a file that was written as a stream."""


class WavError(Exception):
    """Not a WAV file, or not one of a kind that can be played; the text is a sentence for people."""


class WavReader:
    """PCM of 8, 16, 24 or 32 bits, mu-law or A-law; any rate from 1 to 192 kHz; one or two channels.

    The file must be seekable and stays the caller's until `close`.  A file that ends early just ends.
    Raises `WavError` when made; OSError of the file comes through.
    """

    __slots__ = (
        "_block",
        "_channels",
        "_file",
        "_kind",
        "_left",
        "_pending",
        "_rate",
        "_resampler",
        "_size",
        "_start",
        "_width",
    )

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kind = self._channels = self._rate = self._width = 0
        self._size = self._find_audio()
        self._start = file.tell()
        # 20 ms at a time, so that every tick has the same work.
        self._block = max(1, self._rate // 50) * self._width * self._channels
        self.rewind()

    def rewind(self) -> None:
        """Start over."""
        self._file.seek(self._start)
        self._left = self._size
        self._pending = b""
        self._resampler = None if self._rate == SAMPLE_RATE else Resampler(self._rate, SAMPLE_RATE)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def next_frame(self) -> bytes | None:
        """320 bytes, the last filled up with silence; None at the end."""
        while len(self._pending) < FRAME_BYTES and self._left > 0:
            self._pending += self._next_piece()
        frame, self._pending = self._pending[:FRAME_BYTES], self._pending[FRAME_BYTES:]
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None

    # -------------------------------------------------------------- the audio

    def _next_piece(self) -> bytes:
        raw = self._file.read(min(self._block, self._left))
        self._left = self._left - len(raw) if len(raw) == self._block else 0
        whole = len(raw) - len(raw) % (self._width * self._channels)
        pcm = self._decode(raw[:whole])
        if self._channels == 2:
            pcm = audio.tomono(pcm, 2, 0.5, 0.5)
        if self._resampler is None:
            return pcm
        return self._resampler.resample(pcm, last=self._left <= 0)

    def _decode(self, raw: bytes) -> bytes:
        if self._kind == _ULAW:
            return audio.ulaw2lin(raw, 2)
        if self._kind == _ALAW:
            return audio.alaw2lin(raw, 2)
        if self._width == 1:
            # 8-bit samples are unsigned in this format, wider ones are signed.
            return audio.lin2lin(audio.bias(raw, 1, -128), 1, 2)
        return raw if self._width == 2 else audio.lin2lin(raw, self._width, 2)

    # -------------------------------------------------------------- the chunks before it

    def _find_audio(self) -> int:
        """Read up to the first byte of audio; returns how many bytes of it there should be."""
        head = self._file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            raise WavError("This is not a WAV file.")
        for _ in range(_MAX_CHUNKS):
            name, size = self._chunk()
            if name == b"data":
                return self._check_audio(size)
            if name == b"fmt ":
                self._read_format(size)
            else:
                self._file.seek(size + size % 2, 1)
        raise WavError("The WAV file has too many chunks before its audio.")

    def _chunk(self) -> tuple[bytes, int]:
        head = self._file.read(8)
        if len(head) < 8:
            raise WavError("The WAV file has no audio.")
        return head[:4], int.from_bytes(head[4:], "little")

    def _check_audio(self, size: int) -> int:
        if not self._kind:
            raise WavError("The WAV file has no format chunk before its audio.")
        # Some writers leave 0 where they could not seek back.
        return size if size else _TO_THE_END

    def _read_format(self, size: int) -> None:
        if not _FORMAT.size <= size <= _MAX_FORMAT:
            raise WavError("The WAV file's format chunk has a wrong length.")
        data = self._file.read(size + size % 2)
        if len(data) < size:
            raise WavError("The WAV file ends inside its format chunk.")
        kind, self._channels, self._rate, _, _, bits = _FORMAT.unpack_from(data)
        if kind == _EXTENSIBLE and size >= 26:
            kind = int.from_bytes(data[24:26], "little")
        self._kind, self._width = kind, bits // 8
        self._check_format(bits)

    def _check_format(self, bits: int) -> None:
        if self._kind not in (_PCM, _ALAW, _ULAW):
            raise WavError(f"The WAV file's format {self._kind} cannot be played; PCM, mu-law and A-law can.")
        if bits not in ((8, 16, 24, 32) if self._kind == _PCM else (8,)):
            raise WavError(f"The WAV file has samples of {bits} bits, which cannot be played.")
        if self._channels not in (1, 2):
            raise WavError(f"The WAV file has {self._channels} channels; one or two can be played.")
        if self._rate not in _RATES:
            raise WavError(f"The WAV file has {self._rate} samples a second, which cannot be played.")

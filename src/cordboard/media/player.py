"""Playing a list of things, one frame of 20 ms a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

from cordboard.media.codecs import audio
from cordboard.media.protocol import PlaySource
from cordboard.media.ringback import ring_frames
from cordboard.media.tones import FRAME_MS, SILENT_FRAME, audible, tone_frame
from cordboard.media.wav import WavError, WavReader

MAX_VOLUME_DB = 40.0
_MAX_TONE_MS = 60_000


class Source(Protocol):
    """One thing to play: frames of 320 bytes, 16-bit PCM at 8 kHz."""

    def next_frame(self) -> bytes | None:
        """None at the end."""

    def rewind(self) -> None:
        """Start over."""

    def close(self) -> None:
        """Give back what it holds."""


class Repeated:
    """A few frames over and over, `count` frames in all: silence, a tone, ringing."""

    __slots__ = ("_at", "_count", "_frames")

    def __init__(self, frames: Sequence[bytes], count: int) -> None:
        self._frames = frames
        self._count = count if frames else 0
        self._at = 0

    def next_frame(self) -> bytes | None:
        """The next 20 ms."""
        if self._at >= self._count:
            return None
        frame = self._frames[self._at % len(self._frames)]
        self._at += 1
        return frame

    def rewind(self) -> None:
        """Start over."""
        self._at = 0

    def close(self) -> None:
        """Nothing to give back."""


def silence(duration_ms: int) -> Source:
    """So long of nothing."""
    return Repeated((SILENT_FRAME,), _ticks(duration_ms))


def ring(country: str, duration_ms: int = 0) -> Source:
    """A country's ringing tone; duration 0 = one cycle."""
    cycle = ring_frames(country)
    return Repeated(cycle, _ticks(duration_ms) or len(cycle))


class Tone:
    """Sine waves together, made frame by frame."""

    __slots__ = ("_at", "_count", "_frequencies")

    def __init__(self, frequencies: Sequence[float], count: int) -> None:
        self._frequencies = audible(frequencies)
        self._count = count
        self._at = 0

    def next_frame(self) -> bytes | None:
        """The next 20 ms."""
        if self._at >= self._count:
            return None
        frame = tone_frame(self._frequencies, self._at)
        self._at += 1
        return frame

    def rewind(self) -> None:
        """Start over."""
        self._at = 0

    def close(self) -> None:
        """Nothing to give back."""


def tone(frequencies: Sequence[float], duration_ms: int) -> Source:
    """Sine waves together, at most a minute, in whole frames."""
    return Tone(frequencies, _ticks(min(duration_ms, _MAX_TONE_MS)))


def _ticks(duration_ms: int) -> int:
    return max(0, -(-duration_ms // FRAME_MS))


class Player:
    """Sources in order, `loop` times (0 = for ever), at a volume.

    A source that fails is named in `errors` once and left out from then on; when nothing that sounds is
    left, the end is reached, however often it should have been repeated.
    """

    __slots__ = ("_at", "_factor", "_rounds_left", "_silent_round", "_sources", "errors")

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        volume_db: float = 0.0,
        loop: int = 1,
        errors: Sequence[str] = (),
    ) -> None:
        self._sources = list(sources)
        self.set_volume(volume_db)
        self._rounds_left = loop if loop > 0 else -1
        self._at = 0
        self._silent_round = True
        self.errors = list(errors)
        """A sentence for each source that could not be played, or not to its end."""

    def set_volume(self, volume_db: float) -> None:
        """From the next frame on; dB, -40 to 40."""
        self._factor = 10.0 ** (max(-MAX_VOLUME_DB, min(MAX_VOLUME_DB, volume_db)) / 20.0)

    def next_frame(self) -> bytes | None:
        """The next 320 bytes; None at the end (and from then on)."""
        while self._at < len(self._sources) or self._begin_round():
            frame = self._frame_of(self._sources[self._at])
            if frame is not None:
                self._silent_round = False
                return frame if self._factor == 1.0 else audio.mul(frame, 2, self._factor)
        self.close()
        return None

    def close(self) -> None:
        """Stop: the next frame is the end.  Closes the sources' files."""
        for source in self._sources:
            source.close()
        self._sources = []
        self._rounds_left = 0

    def _begin_round(self) -> bool:
        """Every source has been played: once more?"""
        if self._rounds_left > 0:
            self._rounds_left -= 1
        if self._rounds_left == 0 or self._silent_round or not self._sources:
            return False
        self._at = 0
        self._silent_round = True
        return True

    def _frame_of(self, source: Source) -> bytes | None:
        """Its next frame; at its end, or when it fails, the turn passes to the next source."""
        try:
            frame = source.next_frame()
            if frame is None and self._rounds_left != 1:
                source.rewind()
        except (OSError, ValueError, RuntimeError) as error:
            self._leave_out(source, f"Playing stopped: {error}")
            return None
        if frame is None:
            self._at += 1
        return frame

    def _leave_out(self, source: Source, sentence: str) -> None:
        self.errors.append(sentence)
        del self._sources[self._at]
        source.close()


def make_player(
    plays: Sequence[PlaySource],
    open_file: Callable[[str], BinaryIO],
    *,
    volume_db: float = 0.0,
    loop: int = 1,
) -> Player:
    """A player for what a command names; `open_file` opens a path for reading, its OSError is a sentence."""
    sources: list[Source] = []
    errors: list[str] = []
    for play in plays:
        made = _make_source(play, open_file)
        if isinstance(made, str):
            errors.append(made)
        else:
            sources.append(made)
    return Player(sources, volume_db=volume_db, loop=loop, errors=errors)


def _make_source(play: PlaySource, open_file: Callable[[str], BinaryIO]) -> Source | str:
    """The source, or a sentence that says why there is none."""
    match play.kind:
        case "audio":
            return _open_wav(play.path, open_file)
        case "silence":
            return silence(play.duration_ms)
        case "ring":
            return ring(play.country, play.duration_ms)
        case "tone":
            return tone(play.frequencies, play.duration_ms)
    return f"{play.kind!r} is nothing that can be played."


def _open_wav(path: str, open_file: Callable[[str], BinaryIO]) -> Source | str:
    try:
        file = open_file(path)
    except OSError as error:
        return f"The audio file cannot be opened: {error.strerror or error}."
    try:
        reader = WavReader(file)
        if reader.next_frame() is None:
            raise WavError("The WAV file has no audio.")
        reader.rewind()
    except (WavError, OSError, ValueError, RuntimeError) as error:
        file.close()
        return str(error)
    return reader

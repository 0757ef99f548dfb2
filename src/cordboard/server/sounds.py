"""What a play item sounds like: a source for the worker, made ready where it has to be fetched or spoken."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from cordboard.call.plan import PlayItem
from cordboard.media.protocol import PlaySource
from cordboard.server.audio_fetcher import AudioFetcher, is_playable
from cordboard.server.audio_process import AudioProcess
from cordboard.server.speech import Speech

_log = logging.getLogger(__name__)

_PATIENCE = 60.0
_NEEDS_WORK = frozenset({"audio", "say", "hold"})
_MUSIC = "hold-music.wav"


class Sound(msgspec.Struct, frozen=True, kw_only=True):
    """A source; none with a sentence says why, none without one is nothing to hear."""

    source: PlaySource | None = None
    sentence: str = ""
    warning: str = ""


class HoldMusic:
    """`setting`: `generated`, `none`, or a file.  Made ready once; a file that cannot be had is replaced."""

    def __init__(self, setting: str, directory: Path, base: Path) -> None:
        """`directory`: where it is put; `base`: what a relative file name starts from."""
        self._setting = setting
        self._directory = directory
        self._base = base
        self._path: str | None = None
        self._lock = asyncio.Lock()

    async def find(self) -> Sound:
        """Never raises but on cancellation."""
        if self._setting == "none":
            return Sound()
        async with self._lock:
            if self._path is None:
                self._path = await self._make_ready()
        if self._path is None:
            return Sound(sentence="The music on hold cannot be had; the log says why.")
        return Sound(source=PlaySource(kind="audio", path=self._path))

    async def _make_ready(self) -> str | None:
        target = self._directory / _MUSIC
        process = AudioProcess()
        try:
            await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
            if self._setting != "generated":
                source = self._base / self._setting
                if await asyncio.to_thread(is_playable, str(source)):
                    return str(source)
                job = {"do": "decode", "source": str(source), "target": str(target), "most_seconds": 3600.0}
                outcome = await process.run(job, patience=_PATIENCE)
                if not outcome.problem:
                    return str(target)
                _log.error("media.hold_music: %s %s; generated music is played", source, outcome.problem)
            made = await process.run({"do": "hold_music", "target": str(target)}, patience=_PATIENCE)
        except OSError as error:
            _log.error("media.hold_music: %s", error)
            return None
        finally:
            await process.close()
        if made.problem:
            _log.error("media.hold_music: it %s", made.problem)
        return None if made.problem else str(target)


class Sounds:
    """Everything that can be played."""

    def __init__(self, audio: AudioFetcher, speech: Speech, hold: HoldMusic) -> None:
        self._audio = audio
        self._speech = speech
        self._hold = hold

    async def find(self, item: PlayItem) -> Sound:
        """Never raises but on cancellation."""
        match item.kind:
            case "audio":
                audio = await self._audio.fetch(item.url)
                return _file(audio.path, audio.sentence)
            case "say":
                spoken = await self._speech.synthesise(item.text, item.voice, item.language, item.gender)
                return _file(spoken.path, spoken.sentence, spoken.warning)
            case "hold":
                return await self._hold.find()
        return Sound(source=at_once(item))

    async def close(self) -> None:
        """Nothing is fetched or spoken any more."""
        await self._audio.close()
        await self._speech.close()


def at_once(item: PlayItem) -> PlaySource | None:
    """The source of what needs neither a network nor an engine; None of anything else."""
    if item.kind in _NEEDS_WORK:
        return None
    return PlaySource(kind=item.kind, duration_ms=round(item.duration * 1000), country=item.country)


def _file(path: str | None, sentence: str, warning: str = "") -> Sound:
    if path is None:
        return Sound(sentence=sentence)
    return Sound(source=PlaySource(kind="audio", path=path), warning=warning)

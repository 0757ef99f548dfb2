"""Text to speech for `say:`: a text becomes a WAV file, once; the audio process does the work."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cordboard.server.audio_process import AudioProcess, Outcome
from cordboard.server.speech_voices import INSTALL, Choice, Voice, choose

_log = logging.getLogger(__name__)

MAX_TEXT = 5_000
"""Characters: six minutes."""
MAX_CACHE = 256 << 20
KEPT_AT_LEAST = 900.0
"""Seconds after its last use for which a file is not taken away: a worker may be about to open it."""
_PATIENCE = 60.0
_LISTING_PATIENCE = 30.0
_MOST_WARNED = 256


class Spoken(msgspec.Struct, frozen=True):
    """A local WAV file, or the sentence that says why there is none."""

    path: str | None
    sentence: str = ""
    warning: str = ""
    """Where somebody else speaks than was asked for."""


class Speech:
    """`engine`: auto, hibari, espeak or none.  `cache`: a directory of its own, kept over a restart."""

    def __init__(
        self,
        cache: Path,
        *,
        engine: str = "auto",
        voice: str = "",
        language: str = "en-US",
        max_cache: int = MAX_CACHE,
        kept_at_least: float = KEPT_AT_LEAST,
    ) -> None:
        self._cache = cache
        self._engine = engine
        self._voice = voice
        self._language = language
        self._max_cache = max_cache
        self._kept_at_least = kept_at_least
        self._process = AudioProcess()
        self._voices: Sequence[Voice] | None = None
        self._files: OrderedDict[str, tuple[int, float]] | None = None
        """Name → (bytes, last use), the oldest first."""
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._warned: set[str] = set()

    async def synthesise(self, text: str, voice: str, language: str, gender: str) -> Spoken:
        """Never raises but on cancellation.  An empty voice or language is the server's own."""
        text = " ".join(text.split())
        problem = self._problem(text)
        if problem:
            return Spoken(None, problem)
        wanted = (voice or self._voice, language or self._language, gender)
        choice = await self._choose(*wanted)
        if choice is None:
            return Spoken(None, f"Nothing can be spoken: no text-to-speech engine is installed. {INSTALL}")
        self._warn(choice.warning)
        return await self._file(text, choice)

    async def close(self) -> None:
        """What is under way is given up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._process.close()

    def _problem(self, text: str) -> str:
        if self._engine == "none":
            return "Nothing can be spoken: speech.engine is 'none' in the configuration."
        if not text:
            return "There is nothing to say: the text is empty."
        if len(text) > MAX_TEXT:
            return f"The text to say has {len(text)} characters; {MAX_TEXT} can be spoken at once."
        return ""

    def _warn(self, warning: str) -> None:
        """Once in the log: a script says the same with each call."""
        if warning and warning not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(warning)
            _log.warning("speech: %s", warning)

    # ------------------------------------------------------------ who speaks

    async def _choose(self, voice: str, language: str, gender: str) -> Choice | None:
        if self._voices is None:
            listed = await self._process.run({"do": "voices"}, patience=_LISTING_PATIENCE)
            if listed.problem:
                _log.error("speech: the engines could not be listed: it %s", listed.problem)
                return None
            self._voices = _voices(listed.value, self._engine)
        return choose(
            self._voices, voice=voice, language=language, gender=gender, default_language=self._language
        )

    # ------------------------------------------------------------ the files

    async def _file(self, text: str, choice: Choice) -> Spoken:
        files = await self._known_files()
        name = _name(text, choice)
        if name in files:
            return Spoken(self._used(files, name), warning=choice.warning)
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.create_task(self._make(name, text, choice))
            task.add_done_callback(lambda _: self._running.pop(name, None))
        outcome = await asyncio.shield(task)
        if outcome.problem:
            return Spoken(None, f"The text {outcome.problem}.")
        return Spoken(self._used(files, name), warning=choice.warning)

    async def _make(self, name: str, text: str, choice: Choice) -> Outcome:
        part = self._cache / f"{name}.part"
        voice = choice.voice
        job = {
            "do": "speak",
            "engine": voice.engine,
            "text": text,
            "voice": voice.name,
            "language": choice.language,
            "gender": choice.gender,
            "target": str(part),
        }
        outcome = await self._process.run(job, patience=_PATIENCE)
        if outcome.problem:
            return outcome
        try:
            size = await asyncio.to_thread(_take, part, self._cache / name)
        except OSError as error:
            return Outcome(f"was spoken, but could not be kept: {error.strerror}")
        files = await self._known_files()
        files[name] = (size, time.time())
        await self._make_room(files)
        return outcome

    def _used(self, files: OrderedDict[str, tuple[int, float]], name: str) -> str:
        path = self._cache / name
        now = time.time()
        if name in files:
            files[name] = (files[name][0], now)
            files.move_to_end(name)
        return str(path)

    async def _known_files(self) -> OrderedDict[str, tuple[int, float]]:
        if self._files is None:
            try:
                found = await asyncio.to_thread(_look, self._cache)
            except OSError as error:
                _log.error("speech: the cache %s cannot be read: %s", self._cache, error.strerror)
                found = OrderedDict()
            self._files = self._files or found
        return self._files

    async def _make_room(self, files: OrderedDict[str, tuple[int, float]]) -> None:
        total = sum(size for size, _ in files.values())
        oldest = time.time() - self._kept_at_least
        for name, (size, used_at) in list(files.items()):
            if total <= self._max_cache or used_at > oldest:
                return
            total -= size
            files.pop(name, None)
            await asyncio.to_thread((self._cache / name).unlink, missing_ok=True)


def _voices(listed: Any, engine: str) -> list[Voice]:
    wanted = ("hibari", "espeak") if engine == "auto" else (engine,)
    return [Voice(one, *row) for one in wanted for row in listed.get(one, ())]


def _name(text: str, choice: Choice) -> str:
    said = [choice.voice.engine, choice.voice.name, choice.language, choice.gender, text]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest() + ".wav"


def _look(cache: Path) -> OrderedDict[str, tuple[int, float]]:
    """What an earlier run has spoken, the oldest first; what it did not finish is removed."""
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for path in cache.iterdir():
        if path.suffix == ".wav":
            facts = path.stat()
            found.append((facts.st_mtime, path.name, facts.st_size))
        elif path.suffix == ".part":
            path.unlink(missing_ok=True)
    return OrderedDict((name, (size, at)) for at, name, size in sorted(found))


def _take(part: Path, path: Path) -> int:
    size = part.stat().st_size
    os.replace(part, path)
    return size

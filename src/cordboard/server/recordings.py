"""From a call's `StartRecording` to a file that can be fetched: the worker writes, an encoder may follow.

A recording belongs to its call by name only: the file is completed, and its end told, also when the call's
media is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from cordboard.call.actions import Recording
from cordboard.call.effects import PauseRecording, ResumeRecording, StartRecording, StopRecording
from cordboard.call.facts import RecordingEnded, RecordingStarted
from cordboard.media.protocol import (
    BeginRecording,
    FinishRecording,
    PauseRecorder,
    RecordingBegun,
    RecordingClosed,
    ResumeRecorder,
)
from cordboard.server.audio_process import AudioProcess
from cordboard.server.media_engine import MediaEngine
from cordboard.server.recording_files import RecordingFiles
from cordboard.server.recording_links import RecordingLinks

_log = logging.getLogger(__name__)

_ENCODING_PATIENCE = 30.0
_SLOWEST_ENCODING = 10.0
"""Seconds of audio that an encoder does at least in a second."""

Post = Callable[[str, RecordingStarted | RecordingEnded], None]


class _Open(msgspec.Struct):
    """One that is not told to have ended."""

    call_id: str
    control_id: str
    name: str
    recording: Recording
    url: str
    closing: bool = False


class _Made(msgspec.Struct, frozen=True):
    """A complete file, or why there is none; both where it is another than was wanted."""

    name: str
    size: int = 0
    problem: str = ""


class Recordings:
    """All recordings of this process.  `at_work` counts those that are not complete."""

    def __init__(
        self,
        files: RecordingFiles,
        links: RecordingLinks,
        media: MediaEngine,
        post: Post,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        new_id: Callable[[], str],
    ) -> None:
        self._files = files
        self._links = links
        self._media = media
        self._post = post
        self._spawn = spawn
        self._new_id = new_id
        self._encoder = AudioProcess()
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        """The encoder ends; what it had not finished is finished after the next start."""
        await self._encoder.close()

    # ------------------------------------------------------------ what calls want

    def start(self, call_id: str, effect: StartRecording) -> None:
        recording = effect.recording
        name = f"{self._new_id()}.{recording.format}"
        entry = _Open(call_id, effect.control_id, name, recording, self._links.make(name, time.time()))
        if not self._media.is_open(call_id):
            self._ended(entry, "error", sentence="The call has no media that could be recorded.")
            return
        self._open[name] = entry
        self._media.send(_order(call_id, name, recording, self._files.part(name)))

    def stop(self, call_id: str, effect: StopRecording) -> None:
        for name in self._names(call_id, effect.control_id):
            self._media.send(FinishRecording(endpoint_id=call_id, recording_id=name))

    def pause(self, call_id: str, effect: PauseRecording) -> None:
        for name in self._names(call_id, effect.control_id):
            self._media.send(PauseRecorder(endpoint_id=call_id, recording_id=name, skip=effect.skip))

    def resume(self, call_id: str, effect: ResumeRecording) -> None:
        for name in self._names(call_id, effect.control_id):
            self._media.send(ResumeRecorder(endpoint_id=call_id, recording_id=name))

    def _names(self, call_id: str, control_id: str) -> list[str]:
        return [
            name
            for name, entry in self._open.items()
            if (entry.call_id, entry.control_id) == (call_id, control_id)
        ]

    def pressed(self, call_id: str, digit: str) -> None:
        """A key that did not come with the media (SIP INFO): the worker knows nothing of it."""
        for name, entry in self._open.items():
            if entry.call_id == call_id and digit in entry.recording.terminators:
                self._media.send(FinishRecording(endpoint_id=call_id, recording_id=name))

    # ------------------------------------------------------------ what workers say

    def begun(self, event: RecordingBegun) -> None:
        entry = self._open.get(event.recording_id)
        if entry is not None:
            self._post(entry.call_id, RecordingStarted(control_id=entry.control_id, url=entry.url))

    def closed(self, event: RecordingClosed) -> None:
        entry = self._open.get(event.recording_id)
        if entry is None or entry.closing:
            return
        entry.closing = True
        if event.outcome == "error":
            _log.warning("call %s: a recording failed: %s", entry.call_id, event.sentence)
        self._spawn(self._complete(entry, event), entry.call_id)

    def lost(self, call_ids: list[str], sentence: str) -> None:
        """Their worker died: what it had written is kept."""
        gone = set(call_ids)
        for name, entry in list(self._open.items()):
            if entry.call_id in gone:
                failed = RecordingClosed(
                    endpoint_id=entry.call_id,
                    recording_id=name,
                    outcome="error",
                    sentence=f"{sentence[:1].upper()}{sentence[1:]}.",
                )
                self.closed(failed)

    # ------------------------------------------------------------ files

    async def finish(self, left_behind: list[str]) -> None:
        """What a server that died has left, and that was found before this one recorded anything."""
        for name in left_behind:
            made = await self._make(name, LONGEST_PATIENCE)
            outcome = made.problem or f"{made.size} bytes"
            _log.info("recording %s: left behind by a server that died; %s", name, outcome)

    async def prune(self, keep_days: int) -> None:
        """Delete what is older."""
        pruned = await asyncio.to_thread(self._files.prune, keep_days, time.time())
        if pruned:
            _log.info("%d recordings were older than %d days and are deleted", pruned, keep_days)

    async def _complete(self, entry: _Open, event: RecordingClosed) -> None:
        duration = event.duration_ms / 1000
        patience = _ENCODING_PATIENCE + duration / _SLOWEST_ENCODING
        made = await self._make(entry.name, patience, mend_first=event.outcome == "error")
        self._open.pop(entry.name, None)
        if made.name != entry.name:
            entry.url = self._links.make(made.name, time.time())
            entry.name = made.name
        outcome = "error" if made.problem else event.outcome
        sentence = event.sentence or made.problem
        self._ended(entry, outcome, duration=duration, size=made.size, sentence=sentence)

    async def _make(self, name: str, patience: float, *, mend_first: bool = False) -> _Made:
        """The file under its final name.  Without audio there is none."""
        if mend_first and not await asyncio.to_thread(self._files.mend, name):
            return _Made(name, problem="Nothing of the recording could be kept.")
        if name.endswith(".wav"):
            return await self._complete_file(name, name, self._files.part(name))
        made = self._files.making(name)
        job = {
            "do": "encode",
            "source": str(self._files.part(name)),
            "target": str(made),
            "format": name.rpartition(".")[2],
        }
        outcome = await self._encoder.run(job, patience=patience)
        if outcome.problem:
            return await self._kept_as_wav(name, f"The recording {outcome.problem}.")
        complete = await self._complete_file(name, name, made)
        # Of a recording without a single sample the encoder makes no file.
        return await self._kept_as_wav(name, complete.problem) if complete.problem else complete

    async def _kept_as_wav(self, name: str, problem: str) -> _Made:
        """What could not be encoded is not lost: the link at its end names a WAV file."""
        if not await asyncio.to_thread(self._files.mend, name):
            return _Made(name, problem=problem)
        kept = f"{name.rpartition('.')[0]}.wav"
        made = await self._complete_file(name, kept, self._files.part(name))
        return msgspec.structs.replace(made, problem=made.problem or f"{problem} It is kept as WAV.")

    async def _complete_file(self, name: str, final: str, made: Path) -> _Made:
        try:
            size = await asyncio.to_thread(self._files.complete, final, made)
        except OSError as error:
            return _Made(name, problem=f"The recording could not be completed: {error.strerror}.")
        await asyncio.to_thread(self._files.discard, name)
        return _Made(final, size)

    def _ended(
        self, entry: _Open, outcome: str, *, duration: float = 0.0, size: int = 0, sentence: str = ""
    ) -> None:
        now = time.time()
        url = self._links.make(entry.name, now) if self._links.is_worn(entry.url, now) else entry.url
        fact = RecordingEnded(
            control_id=entry.control_id,
            outcome=outcome,
            url=url if size else "",
            duration=duration,
            size=size,
            sentence=sentence,
        )
        self._post(entry.call_id, fact)


LONGEST_PATIENCE = _ENCODING_PATIENCE + 86_400.0 / _SLOWEST_ENCODING
"""Seconds for a recording of unknown length: none is longer than a day."""


def _order(call_id: str, name: str, recording: Recording, path: Path) -> BeginRecording:
    return BeginRecording(
        endpoint_id=call_id,
        recording_id=name,
        path=str(path.absolute()),
        direction=recording.direction,
        stereo=recording.stereo,
        beep=recording.beep,
        terminators=recording.terminators,
        input_sensitivity=recording.input_sensitivity,
        initial_timeout_ms=round(recording.initial_timeout * 1000),
        end_silence_ms=round(recording.end_silence_timeout * 1000),
        max_length_ms=round(recording.max_length * 1000),
    )

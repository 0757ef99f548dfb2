"""From a call's `PlayTo` to the worker: it gets local files, so what is fetched or spoken comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cordboard.call.effects import PausePlay, PlayTo, ResumePlay, SetPlayVolume, StopPlay
from cordboard.call.facts import PlayFinished
from cordboard.media.protocol import (
    PausePlaying,
    PlayEnded,
    PlaySource,
    ResumePlaying,
    SetGain,
    StartPlay,
    StopPlaying,
)
from cordboard.server.media_engine import MediaEngine
from cordboard.server.sounds import Sounds, at_once


class Playback:
    """Each play has one end: after it was played, or stopped, or when nothing of it could be had."""

    def __init__(
        self,
        media: MediaEngine,
        sounds: Sounds,
        finished: Callable[[str, PlayFinished], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self._media = media
        self._sounds = sounds
        self._finished = finished
        self._spawn = spawn
        self._preparing: dict[str, asyncio.Task[None]] = {}
        self._paused: set[str] = set()
        """Of those that are prepared: paused before they have begun."""
        self._volumes: dict[str, float] = {}
        """Of those that are prepared: the volume that was asked for since."""
        self._errors: dict[str, tuple[str, ...]] = {}
        self._warnings: dict[str, tuple[str, ...]] = {}
        self._of_call: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._of_call)

    def play(self, call_id: str, effect: PlayTo) -> None:
        self._of_call.setdefault(call_id, set()).add(effect.control_id)
        sources = [source for item in effect.items if (source := at_once(item)) is not None]
        if len(sources) < len(effect.items):
            self._preparing[effect.control_id] = self._spawn(self._prepare(call_id, effect), call_id)
        else:
            self._start(call_id, effect, sources)

    def stop(self, call_id: str, effect: StopPlay) -> None:
        task = self._preparing.pop(effect.control_id, None)
        if task is None:
            self._media.stop_play(StopPlaying(endpoint_id=call_id, play_id=effect.control_id))
            return
        task.cancel()
        self.ended(PlayEnded(endpoint_id=call_id, play_id=effect.control_id))

    def pause(self, call_id: str, effect: PausePlay) -> None:
        if effect.control_id in self._preparing:
            self._paused.add(effect.control_id)
        else:
            self._media.send(PausePlaying(endpoint_id=call_id, play_id=effect.control_id))

    def resume(self, call_id: str, effect: ResumePlay) -> None:
        if effect.control_id in self._preparing:
            self._paused.discard(effect.control_id)
        else:
            self._media.send(ResumePlaying(endpoint_id=call_id, play_id=effect.control_id))

    def set_volume(self, call_id: str, effect: SetPlayVolume) -> None:
        if effect.control_id in self._preparing:
            self._volumes[effect.control_id] = effect.volume
        else:
            gain = SetGain(endpoint_id=call_id, play_id=effect.control_id, volume_db=effect.volume)
            self._media.send(gain)

    def ended(self, event: PlayEnded) -> None:
        plays = self._of_call.get(event.endpoint_id)
        if plays is None or event.play_id not in plays:
            return
        plays.discard(event.play_id)
        if not plays:
            del self._of_call[event.endpoint_id]
        errors = self._errors.pop(event.play_id, ()) + event.errors
        warnings = self._warnings.pop(event.play_id, ())
        self._forget_changes(event.play_id)
        fact = PlayFinished(control_id=event.play_id, errors=errors, warnings=warnings)
        self._finished(event.endpoint_id, fact)

    def forget(self, call_id: str) -> None:
        """The call is over: nothing is prepared or remembered for it any more."""
        for control_id in self._of_call.pop(call_id, ()):
            self._errors.pop(control_id, None)
            self._warnings.pop(control_id, None)
            self._forget_changes(control_id)
            task = self._preparing.pop(control_id, None)
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Once no call prepares anything any more."""
        await self._sounds.close()

    async def _prepare(self, call_id: str, effect: PlayTo) -> None:
        """All at the same time; each that fails is named, the others are played."""
        sounds = await asyncio.gather(*(self._sounds.find(item) for item in effect.items))
        control_id = effect.control_id
        self._preparing.pop(control_id, None)
        if errors := tuple(sound.sentence for sound in sounds if sound.sentence):
            self._errors[control_id] = errors
        if warnings := tuple(sound.warning for sound in sounds if sound.warning):
            self._warnings[control_id] = warnings
        sources = [sound.source for sound in sounds if sound.source is not None]
        if sources:
            self._start(call_id, effect, sources)
        else:
            self.ended(PlayEnded(endpoint_id=call_id, play_id=control_id))

    def _forget_changes(self, control_id: str) -> None:
        self._paused.discard(control_id)
        self._volumes.pop(control_id, None)

    def _start(self, call_id: str, effect: PlayTo, sources: list[PlaySource]) -> None:
        self._media.play(
            StartPlay(
                endpoint_id=call_id,
                play_id=effect.control_id,
                sources=tuple(sources),
                volume_db=self._volumes.get(effect.control_id, effect.volume),
                loop=effect.loop,
                paused=effect.control_id in self._paused,
                # Who is on hold hears music, and neither end hears the other through it.
                alone=any(item.kind == "hold" for item in effect.items),
            )
        )
        self._forget_changes(effect.control_id)

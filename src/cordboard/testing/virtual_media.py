"""Media in virtual time: what is played, recorded, tapped and sent takes its time and ends."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cordboard.call.effects import (
    Effect,
    PassDigit,
    PausePlay,
    PlayTo,
    ResumePlay,
    SendDigitsTo,
    StartDetector,
    StartRecording,
    StartTap,
    StopDetector,
    StopPlay,
    StopRecording,
    StopTap,
)
from cordboard.call.facts import (
    DetectorEnded,
    DigitsSent,
    Fact,
    PlayFinished,
    RecordingEnded,
    RecordingStarted,
    TapEnded,
    TapOpened,
)
from cordboard.call.plan import PlayItem
from cordboard.testing.virtual_time import VirtualTime

OPENING = 0.01
"""Seconds until a recording or tap has begun."""
CLOSING = 0.05
"""Seconds until a file is complete."""

Key = tuple[str, str]
"""(call id, control id)"""


class _Playing(msgspec.Struct):
    """One play: when it ends, or what is left of it while it is paused."""

    errors: tuple[str, ...]
    left: float | None
    """Seconds; None: it goes on for ever."""
    ends: float | None = None


class VirtualMedia:
    """What goes on for each call.

    An audio item whose URL contains `missing` cannot be played, a tap to a URI with `missing` not be opened.
    A recording ends by itself after its `max_length`.
    """

    def __init__(
        self, time: VirtualTime, deliver: Callable[[str, Fact], None], audio_seconds: float = 2.0
    ) -> None:
        self.time = time
        self.playing: dict[Key, _Playing] = {}
        self.recording: dict[Key, float] = {}
        """When each began."""
        self.tapping: set[Key] = set()
        self.detecting: set[Key] = set()
        self.passed: list[tuple[str, str]] = []
        """(call id, digit) of the keys that were passed on."""
        self._deliver = deliver
        self._audio_seconds = audio_seconds

    def carry_out(self, call_id: str, effect: Effect) -> None:
        """Do what a call asks of the media."""
        if isinstance(effect, PlayTo):
            self._play(call_id, effect)
        elif isinstance(effect, StopPlay):
            self._stop(call_id, effect.control_id)
        elif isinstance(effect, PausePlay):
            self._pause(call_id, effect.control_id)
        elif isinstance(effect, ResumePlay):
            self._go_on(call_id, effect.control_id)
        elif isinstance(effect, PassDigit):
            self.passed.append((call_id, effect.digit))
        elif isinstance(effect, SendDigitsTo):
            sent = DigitsSent(control_id=effect.control_id)
            self.time.after(0.23 * len(effect.digits), lambda: self._deliver(call_id, sent))
        elif isinstance(effect, StartRecording):
            self._record(call_id, effect)
        elif isinstance(effect, StopRecording):
            self._close(call_id, effect.control_id)
        elif isinstance(effect, StartTap):
            self._tap(call_id, effect)
        elif isinstance(effect, StopTap):
            self._untap(call_id, effect.control_id)
        elif isinstance(effect, StartDetector):
            self.detecting.add((call_id, effect.control_id))
        elif isinstance(effect, StopDetector):
            self._stop_detecting(call_id, effect.control_id)

    def running(self) -> list[Key]:
        """All that has begun and not ended."""
        return [*self.playing, *self.recording, *self.tapping, *self.detecting]

    # ---------------------------------------- playing

    def _play(self, call_id: str, play: PlayTo) -> None:
        errors = tuple(f"{item.url} is missing" for item in play.items if "missing" in item.url)
        endless = play.loop == 0 and len(errors) < len(play.items)
        seconds = max(play.loop, 1) * sum(self._seconds(item) for item in play.items)
        self.playing[(call_id, play.control_id)] = _Playing(errors, None if endless else seconds)
        self._go_on(call_id, play.control_id)

    def _go_on(self, call_id: str, control_id: str) -> None:
        playing = self.playing.get((call_id, control_id))
        if playing is None or playing.ends is not None or playing.left is None:
            return
        playing.ends = ends = self.time.now + playing.left
        self.time.at(ends, lambda: self._is_due(call_id, control_id, playing, ends))

    def _is_due(self, call_id: str, control_id: str, playing: _Playing, ends: float) -> None:
        if self.playing.get((call_id, control_id)) is playing and playing.ends == ends:
            self._played(call_id, control_id, playing.errors)

    def _pause(self, call_id: str, control_id: str) -> None:
        playing = self.playing.get((call_id, control_id))
        if playing is not None and playing.ends is not None:
            playing.left, playing.ends = playing.ends - self.time.now, None

    def _stop(self, call_id: str, control_id: str) -> None:
        self._played(call_id, control_id, ())

    def _seconds(self, item: PlayItem) -> float:
        if item.kind == "audio":
            return 0.0 if "missing" in item.url else self._audio_seconds
        return item.duration or self._audio_seconds

    def _played(self, call_id: str, control_id: str, errors: tuple[str, ...]) -> None:
        if self.playing.pop((call_id, control_id), None) is not None:
            self._deliver(call_id, PlayFinished(control_id=control_id, errors=errors))

    # ---------------------------------------- recording

    def _record(self, call_id: str, effect: StartRecording) -> None:
        key = (call_id, effect.control_id)
        self.recording[key] = self.time.now
        started = RecordingStarted(control_id=effect.control_id, url=f"http://h/{effect.control_id}.wav")
        self.time.after(OPENING, lambda: self._deliver(call_id, started))
        if effect.recording.max_length:
            self.time.after(effect.recording.max_length, lambda: self._close(*key))

    def _close(self, call_id: str, control_id: str) -> None:
        began = self.recording.pop((call_id, control_id), None)
        if began is None:
            return
        seconds = self.time.now - began
        ended = RecordingEnded(
            control_id=control_id,
            outcome="finished",
            url=f"http://h/{control_id}.wav",
            duration=seconds,
            size=44 + int(seconds * 16000),
        )
        self.time.after(CLOSING, lambda: self._deliver(call_id, ended))

    # ---------------------------------------- tapping

    def _tap(self, call_id: str, effect: StartTap) -> None:
        if "missing" in effect.target.uri:
            failed = TapEnded(control_id=effect.control_id, sentence=f"{effect.target.uri} is missing.")
            self.time.after(OPENING, lambda: self._deliver(call_id, failed))
            return
        self.tapping.add((call_id, effect.control_id))
        opened = TapOpened(control_id=effect.control_id, address="192.0.2.1", port=4000)
        self.time.after(OPENING, lambda: self._deliver(call_id, opened))

    def _untap(self, call_id: str, control_id: str) -> None:
        if (call_id, control_id) in self.tapping:
            self.tapping.discard((call_id, control_id))
            self.time.after(CLOSING, lambda: self._deliver(call_id, TapEnded(control_id=control_id)))

    # ---------------------------------------- detecting

    def _stop_detecting(self, call_id: str, control_id: str) -> None:
        """What a detector hears is for the test to say."""
        if (call_id, control_id) in self.detecting:
            self.detecting.discard((call_id, control_id))
            ended = DetectorEnded(control_id=control_id)
            self.time.after(CLOSING, lambda: self._deliver(call_id, ended))

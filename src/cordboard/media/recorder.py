"""What one recording consists of: two directions heard tick by tick, put together, and ended in time.

Both directions give a frame on every tick of 20 ms; where one says nothing there is silence, so that the
sides stay aligned to the sample and the recording is as long as the time that it took.  Ticks that the worker
left out after a stall are made up for with silence.  A pause is silence too, or is left out.
"""

from __future__ import annotations

from cordboard.media.codecs import audio
from cordboard.media.ear import Ear
from cordboard.media.protocol import BeginRecording
from cordboard.media.tones import FRAME_MS, SILENT_FRAME
from cordboard.media.voice_activity import VoiceActivity

FINISHED, NO_INPUT, ERROR = "finished", "no_input", "error"

LONGEST_MS = 24 * 3_600_000
"""No recording is longer, whatever was asked for."""
_TICK = FRAME_MS / 1000
_MOST_DUE = 8
"""Ticks that a stalled worker makes up for by itself, and a few more."""


class Recorder:
    """One recording.  `said`: what the far end says; `told`: what it hears.

    `lead_ms` is left out at the start (the beep that announces it).
    """

    __slots__ = (
        "_ends_after_silence",
        "_ends_without_speech",
        "_lead",
        "_length",
        "_longest",
        "_pause",
        "_quiet",
        "_spoken",
        "_started",
        "_stereo",
        "_terminators",
        "_voices",
        "_wants",
        "outcome",
        "said",
        "told",
    )

    def __init__(self, order: BeginRecording, *, lead_ms: int = 0) -> None:
        self.said = Ear()
        self.told = Ear()
        self.outcome = ""
        """Why it is over; empty while it goes on."""
        self._wants = (order.direction != "listen", order.direction != "speak")
        self._stereo = order.stereo
        self._terminators = order.terminators
        self._ends_without_speech = order.initial_timeout_ms
        self._ends_after_silence = order.end_silence_ms
        self._longest = min(order.max_length_ms or LONGEST_MS, LONGEST_MS)
        listening = bool(order.initial_timeout_ms or order.end_silence_ms)
        self._voices = tuple(VoiceActivity(order.input_sensitivity) for _ in range(2)) if listening else ()
        self._lead = lead_ms // FRAME_MS
        self._started: float | None = None
        self._length = 0
        self._pause = ""
        """What a pause leaves in the file: `silence`, `nothing`; empty = it records."""
        self._quiet = 0
        self._spoken = False

    @property
    def length_ms(self) -> int:
        """So far."""
        return self._length * FRAME_MS

    @property
    def channels(self) -> int:
        """Two: left what the far end says, right what it hears; a side that is not wanted is silent."""
        return 2 if self._stereo else 1

    def press(self, digit: str) -> None:
        """The far end pressed a key."""
        if digit in self._terminators:
            self.end(FINISHED)

    def pause(self, *, skip: bool) -> None:
        """Record silence, or nothing at all (`skip`).  Only keys and the longest time end it meanwhile."""
        self._pause = "nothing" if skip else "silence"

    def resume(self) -> None:
        """Record again."""
        self._pause = ""

    def end(self, outcome: str) -> None:
        """Nothing more is recorded; the first to end it says why."""
        self.outcome = self.outcome or outcome

    def tick(self, now: float) -> bytes:
        """20 ms have passed: what has to be written (16-bit PCM at 8 kHz)."""
        said, told = self.said.take(), self.told.take()
        if self.outcome:
            return b""
        if self._lead > 0:
            self._lead -= 1
            return b""
        if self._pause == "nothing":
            # What follows begins where the file ends now.
            self._started = now - self._length * _TICK
            return b""
        wanted = (said if self._wants[0] else None, told if self._wants[1] else None)
        if self._pause:
            wanted = (None, None)
        missing = self._missing(now)
        self._length += missing + 1
        self._judge(wanted, missing)
        return SILENT_FRAME * (self.channels * missing) + self._together(*wanted)

    def _missing(self, now: float) -> int:
        """Ticks that did not come."""
        if self._started is None:
            self._started = now - _TICK
        behind = round((now - self._started) / _TICK) - self._length - 1
        return behind if behind > _MOST_DUE else 0

    def _together(self, said: bytes | None, told: bytes | None) -> bytes:
        if self._stereo:
            return audio.add(
                audio.tostereo(said or SILENT_FRAME, 2, 1, 0),
                audio.tostereo(told or SILENT_FRAME, 2, 0, 1),
                2,
            )
        if said is not None and told is not None:
            return audio.add(said, told, 2)
        return said or told or SILENT_FRAME

    def _judge(self, wanted: tuple[bytes | None, bytes | None], missing: int) -> None:
        if self._voices and not self._pause:
            self._watch_silence(wanted, missing)
        if self.length_ms >= self._longest:
            self.end(FINISHED)

    def _watch_silence(self, wanted: tuple[bytes | None, bytes | None], missing: int) -> None:
        # Each voice must hear its frame, also when the other one speaks.
        speaks = [voice.hear(frame) for voice, frame in zip(self._voices, wanted, strict=True)]
        if any(speaks):
            self._spoken, self._quiet = True, 0
            return
        self._quiet += missing + 1
        quiet_ms = self._quiet * FRAME_MS
        if not self._spoken and 0 < self._ends_without_speech <= quiet_ms:
            self.end(NO_INPUT)
        elif self._spoken and 0 < self._ends_after_silence <= quiet_ms:
            self.end(FINISHED)

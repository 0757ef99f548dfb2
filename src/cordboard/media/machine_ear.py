"""Is it a person or a machine that has answered?  And is the machine ready to take a message?

A person says a few words and waits for an answer; a machine talks on.  So what is said is measured: how much
of it there is, and how many words, until there is a pause.  After a machine's greeting comes a beep, or
silence.  The times are those of `BeginDetector`: `voice_ms` of speech or more than `words` words without a
pause of `end_silence_ms` are a machine, less than that and the pause are a person, nothing at all for
`initial_timeout_ms` is unknown.  A tone is no voice, and whoever beeps is no person.
"""

from __future__ import annotations

from typing import NamedTuple

from cordboard.media.protocol_listeners import BeginDetector
from cordboard.media.tones import FRAME_MS, SILENT_FRAME
from cordboard.media.voicing import Sound, Voicing

MACHINE, HUMAN, UNKNOWN, READY, NOT_READY = "MACHINE", "HUMAN", "UNKNOWN", "READY", "NOT_READY"

_WORD = 5
"""Frames of voice that are more than a click."""
_GAP = 3
"""Frames without voice that are more than a consonant: what follows is another word."""


class Heard(NamedTuple):
    """One thing to tell."""

    event: str
    beep: bool = False


class MachineEar:
    """Frames in, what they tell out.  Nothing more comes once it `is_over`."""

    __slots__ = ("_frames", "_gap", "_order", "_pause", "_state", "_voice", "_voicing", "_word", "_words")

    def __init__(self, order: BeginDetector) -> None:
        self._order = order
        self._voicing = Voicing()
        self._state = "waiting"
        """waiting, greeting, machine, ready, over"""
        self._frames = 0
        self._word = 0
        """Frames of voice of the word that is spoken."""
        self._gap = 0
        """Frames without voice since."""
        self._pause = 0
        """Frames since the last word."""
        self._words = 0
        self._voice = 0
        """Frames of all words."""

    @property
    def is_over(self) -> bool:
        """It has nothing more to tell."""
        return self._state == "over"

    def hear(self, frame: bytes | None) -> list[Heard]:
        """20 ms at 8 kHz; None: nothing was said."""
        if self.is_over:
            return []
        sound = self._voicing.hear(frame or SILENT_FRAME)
        told = self._beeped() if self._voicing.beep_ms else []
        if sound is not None and not self.is_over:
            self._count(sound)
            told += self._judge()
        return told

    def _count(self, sound: Sound) -> None:
        self._frames += 1
        self._pause += 1
        if sound is not Sound.VOICE:
            self._gap += 1
            if self._gap >= _GAP:
                self._word = 0
            return
        # What is missing within a word belongs to it.
        before, grown = self._word, 1 + (self._gap if self._word else 0)
        self._word, self._gap = before + grown, 0
        if self._word >= _WORD:
            self._pause = 0
            self._words += before < _WORD
            self._voice += grown if before >= _WORD else self._word

    def _judge(self) -> list[Heard]:
        order = self._order
        pause_ms = self._pause * FRAME_MS
        if self._state == "waiting":
            if self._words:
                self._state = "greeting"
            elif self._frames * FRAME_MS >= order.initial_timeout_ms:
                return self._end(UNKNOWN)
        if self._state == "greeting":
            if self._voice * FRAME_MS > order.voice_ms or self._words > order.words:
                return self._machine()
            if pause_ms >= order.end_silence_ms:
                return self._end(HUMAN)
        elif self._state == "machine" and pause_ms >= order.ready_ms and not self._voicing.is_beeping:
            return self._ready(beep=False)
        elif self._state == "ready" and self._word >= _WORD:
            self._state = "machine"
            return [Heard(NOT_READY)]
        return []

    def _beeped(self) -> list[Heard]:
        if self._state == "greeting":
            told = self._machine()
            return told if self.is_over else told + self._ready(beep=True)
        return self._ready(beep=True) if self._state == "machine" else []

    def _machine(self) -> list[Heard]:
        self._state = "machine"
        if not self._order.message_end:
            self._state = "over"
        return [Heard(MACHINE)]

    def _ready(self, *, beep: bool) -> list[Heard]:
        self._state = "ready" if self._order.interruptions else "over"
        self._word = 0
        return [Heard(READY, beep)]

    def _end(self, event: str) -> list[Heard]:
        self._state = "over"
        return [Heard(event)]

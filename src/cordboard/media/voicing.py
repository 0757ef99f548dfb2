"""Which frames are a voice, told a little later: noise and tones are known as such only after a while.

A voice rises and falls with every syllable.  What is loud but stays at one level is noise, and becomes the
background that a voice must exceed; what stays at one pitch is a tone.  So each frame of 20 ms is judged when
`DELAY` more have come.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from statistics import pstdev

from cordboard.media.steady_tone import STEADY_FRAMES, SteadyTone
from cordboard.media.tones import FRAME_MS, level

DELAY = 20
"""Frames."""
_FLAT = 18
_FLAT_DB = 0.9
"""Standard deviation of the levels of noise; a voice that is drawn out varies more."""
_QUIETEST_VOICE = -46.0
"""dBov."""
_MARGIN = 4.5
"""dB that a voice is above the background."""
_LOWEST = -70.0
_RISE = 0.04
"""dB that the background may rise in a frame."""


class Sound(Enum):
    """What a frame is."""

    QUIET = "quiet"
    """Nothing, or background."""
    VOICE = "voice"
    TONE = "tone"


class Voicing:
    """One party."""

    __slots__ = ("_background", "_levels", "_sounds", "_tone", "beep_ms")

    def __init__(self) -> None:
        self._background = _LOWEST
        self._levels: deque[float] = deque(maxlen=_FLAT)
        self._sounds: deque[Sound] = deque()
        self._tone = SteadyTone()
        self.beep_ms = 0
        """Length of a beep that the last frame ended, otherwise 0."""

    @property
    def is_beeping(self) -> bool:
        """A tone sounds that may be a beep."""
        return self._tone.is_beeping

    def hear(self, frame: bytes) -> Sound | None:
        """The frame that came `DELAY` frames ago; None while there is none."""
        loudness = max(_LOWEST, level(frame))
        self._levels.append(loudness)
        self._background = min(loudness, self._background + _RISE)
        voice = loudness > max(_QUIETEST_VOICE, self._background + _MARGIN)
        self._sounds.append(Sound.VOICE if voice else Sound.QUIET)
        self.beep_ms = self._tone.hear(frame)
        if self.beep_ms:
            self._correct(self.beep_ms // FRAME_MS + 2, Sound.TONE)
        elif self._tone.is_steady:
            self._correct(STEADY_FRAMES, Sound.TONE)
        elif self._is_flat():
            self._background = max(self._levels)
            self._correct(_FLAT, Sound.QUIET)
        return self._sounds.popleft() if len(self._sounds) > DELAY else None

    def _is_flat(self) -> bool:
        levels = self._levels
        if len(levels) < _FLAT or max(levels) - min(levels) > 4.0 * _FLAT_DB:
            return False
        return pstdev(levels) < _FLAT_DB

    def _correct(self, count: int, sound: Sound) -> None:
        """The last frames were something else than they seemed; silence stays silence."""
        sounds = self._sounds
        for at in range(max(0, len(sounds) - count), len(sounds)):
            if sounds[at] is Sound.VOICE:
                sounds[at] = sound

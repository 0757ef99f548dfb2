"""Is somebody speaking?  By the level of the sound, against the noise that is always there.

Levels are in dBov (`media.tones`).  The threshold follows the background: a hiss that is louder than the
threshold counts as speech at first and as background after some seconds, but a voice never does, because the
background is thought to be louder than the threshold only by `_MOST_RAISED` dB.
"""

from __future__ import annotations

from cordboard.media.codecs import audio
from cordboard.media.tones import level

_DEAF, _KEEN = -20.0, -60.0
"""Threshold at sensitivity 0 and at 100."""
_MARGIN = 8.0
"""dB that speech is louder than the background."""
_MOST_RAISED = 10.0
_RISE = 0.04
"""dB that the background may grow in a frame of 20 ms: 2 dB a second."""
_QUIETEST = -70.0
_FRAMES_OF_SPEECH = 3
"""In a row, until a sound is more than a click."""


class VoiceActivity:
    """One party.  `sensitivity` 0 to 100: the higher, the quieter speech may be."""

    __slots__ = ("_background", "_loud", "_threshold")

    def __init__(self, sensitivity: float) -> None:
        share = min(max(sensitivity, 0.0), 100.0) / 100.0
        self._threshold = _DEAF + share * (_KEEN - _DEAF)
        self._background = _QUIETEST
        self._loud = 0

    def hear(self, frame: bytes | None) -> bool:
        """Take 20 ms of 16-bit PCM (None: nothing was said); whether it is speech."""
        loudness = max(_QUIETEST, level(frame)) if frame is not None and audio.rms(frame, 2) else _QUIETEST
        self._background = min(loudness, self._background + _RISE)
        raised = min(self._background + _MARGIN, self._threshold + _MOST_RAISED)
        self._loud = self._loud + 1 if loudness > max(self._threshold, raised) else 0
        return self._loud >= _FRAMES_OF_SPEECH

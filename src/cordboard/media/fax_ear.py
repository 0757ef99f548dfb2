"""The tones by which fax machines find each other (ITU-T T.30 section 4, V.8 section 3).

CED, of the machine that is called: 2,100 Hz +-15 Hz for 2.6 to 4 s; a modem may turn its phase round every
450 ms and swell it (ANSam).  CNG, of the one that calls: 1,100 Hz +-38 Hz for 0.5 s, every 3.5 s.
"""

from __future__ import annotations

from cordboard.media.tones import FRAME_MS, read_tone

CED, CNG = "CED", "CNG"

_FREQUENCIES = {
    CED: (2085.0, 2100.0, 2115.0),
    CNG: (1062.0, 1081.0, 1100.0, 1119.0, 1138.0),
}
"""So close together that what lies between two of them is heard by both."""
_SHARE = 0.6
"""Of the power of a frame."""
_QUIETEST = -50.0
"""dBov: about -43 dBm0, what a receiver must hear."""
_MOST_MISSED = 2
"""Frames in succession that may sound otherwise: the phase turns, or a packet is lost."""
_CED_MS = 500
_CNG_MS = (400, 620)
"""A tone of another length is another tone."""


class FaxEar:
    """Listens for one of the two; `hear` says when it was heard, once."""

    __slots__ = ("_frames", "_missed", "_tone", "is_over")

    def __init__(self, tone: str) -> None:
        self._tone = tone if tone in _FREQUENCIES else CED
        self._frames = 0
        """That the tone has lasted for."""
        self._missed = 0
        self.is_over = False

    def hear(self, frame: bytes | None) -> str:
        """20 ms at 8 kHz (None: nothing was said); the name of the tone if it has been heard now."""
        if self.is_over:
            return ""
        if frame is not None and self._sounds(frame):
            self._frames += 1 + (self._missed if self._frames else 0)
            self._missed = 0
        elif self._frames:
            self._missed += 1
        if self._is_heard():
            self.is_over = True
            return self._tone
        if self._missed > _MOST_MISSED:
            self._frames = self._missed = 0
        return ""

    def _sounds(self, frame: bytes) -> bool:
        return read_tone(frame, _FREQUENCIES[self._tone], quiet=_QUIETEST).share >= _SHARE

    def _is_heard(self) -> bool:
        lasted = self._frames * FRAME_MS
        if self._tone == CED:
            return lasted >= _CED_MS
        return self._missed > _MOST_MISSED and _CNG_MS[0] <= lasted <= _CNG_MS[1]

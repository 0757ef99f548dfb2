"""The keys of a far end that sends them as tones: heard, and kept out of what is passed on.

Whoever is told a key in another way must not hear its tone as well.  So, towards such a far end, the stream
goes through here: decoded, a frame late, and silent wherever a key sounds or may be about to.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.dtmf import Digit
from cordboard.media.inband import InbandDetector
from cordboard.media.outgoing import Outgoing
from cordboard.media.tones import SAMPLE_RATE, SILENT_FRAME

_GAP = 10
"""Ticks without a frame after which the stream has paused."""


def wants_no_tones(sink: Outgoing) -> bool:
    """Its keys go as events, or by SIP."""
    return sink.speech.digits != "inband"


class ToneEar:
    """A listener of one `Incoming`; `tell` takes each key, `sink` says who hears the stream now."""

    __slots__ = ("_detector", "_gap", "_sink", "_tell", "_waiting", "rate")

    def __init__(self, tell: Callable[[Digit], None], sink: Callable[[], Outgoing | None]) -> None:
        self.rate = SAMPLE_RATE
        self._tell = tell
        self._sink = sink
        self._detector = InbandDetector()
        self._waiting: bytes | None = None
        self._gap = 0

    def hear(self, frame: bytes | None) -> None:
        """20 ms have passed."""
        self._gap = 0 if frame is not None else self._gap + 1
        if self._gap <= _GAP:
            for digit in self._detector.feed(frame or SILENT_FRAME):
                self._tell(digit)
        self._pass_on(frame)

    def _pass_on(self, frame: bytes | None) -> None:
        sink = self._sink()
        waiting, self._waiting = self._waiting, frame
        if sink is None or not wants_no_tones(sink):
            return
        if waiting is None:
            sink.go_on_by_clock()
        else:
            sink.pass_pcm(SILENT_FRAME if self._detector.is_sounding else waiting, SAMPLE_RATE)

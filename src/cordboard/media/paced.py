"""A stream that cannot be passed on packet by packet: through a jitter buffer, out again on the tick.

Packets of any length go in as they come, one frame of 20 ms comes out on every tick, already in the codec of
the far end that hears it, whose packets the `Outgoing` fills with them.  A missing frame is concealed by the
last one, then by silence; when the source stays away, so do we, as a relay would.

Packets of telephone events are not rebuilt.  Each waits until the audio that was spoken before it has gone
out, so that both stay in the order in which they were sent; while a key is down nothing is concealed.
"""

from __future__ import annotations

from collections import deque

from cordboard.media import rtp
from cordboard.media.codecs import g711
from cordboard.media.jitter import JitterBuffer
from cordboard.media.outgoing import Outgoing

_FRAME = 160
_LONGEST_GAP = 10
"""Ticks without a frame after which the source counts as silent."""
_KEY_TICKS = 3
"""A key counts as down for so long after a packet of its event: they come 20 to 50 ms apart."""
_MOST_EVENTS = 64
_STRAY = 8000
"""An event this far (in samples) from the audio has another time base and waits for nothing."""


class Paced:
    """One stream on its way to `sink`: `hear` and `hear_event` as packets come, `tick` every 20 ms."""

    __slots__ = (
        "_buffer",
        "_event",
        "_events",
        "_gap",
        "_key_down",
        "_last",
        "_sink",
        "_ssrc",
    )

    def __init__(self, sink: Outgoing) -> None:
        self._sink = sink
        self._buffer = JitterBuffer(frame_samples=_FRAME, filler=g711.silence(sink.codec, 1))
        self._events: deque[tuple[bytes, bytes, int]] = deque()
        """(packet, payload, time of sending by the source's clock): those that wait for earlier audio."""
        self._event = -1
        """Source's timestamp of the event that is being passed on."""
        self._key_down = 0
        self._last: bytes | None = None
        self._gap = 0
        self._ssrc = -1

    @property
    def is_silent(self) -> bool:
        """Nothing has come for so long that there is nothing to pace."""
        return self._gap > _LONGEST_GAP

    def hear(self, name: str, data: bytes, payload: bytes) -> None:
        """Audio of the codec `name`."""
        _, _, sequence, timestamp, ssrc = rtp.header(data)
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._buffer.restart()
        table = g711.translation(name, self._sink.codec)
        self._buffer.put(sequence, timestamp, payload if table is None else payload.translate(table))

    def hear_event(self, data: bytes, payload: bytes) -> None:
        """One packet of a telephone event."""
        duration = int.from_bytes(payload[2:4], "big")
        self._events.append((data, payload, rtp.timestamp(data) + duration))
        if len(self._events) > _MOST_EVENTS:
            self._pass_event(*self._events.popleft()[:2], self._buffer.position)

    def tick(self) -> None:
        """20 ms have passed."""
        position = self._buffer.position
        frame = self._buffer.get()
        if self._events:
            self._release_events(position, all_due=frame is not None)
        if frame is not None:
            self._last, self._gap = frame, 0
            self._sink.say(frame)
        elif self._key_down or self._events:
            self._gap = 0
            self._sink.rest(_FRAME)
        else:
            self._conceal()
        if self._key_down:
            self._key_down -= 1

    def drain(self) -> None:
        """Say at once what is left: from now on the packets go another way."""
        while not (self._buffer.is_empty and not self._events):
            self.tick()
        self._sink.flush()

    def _conceal(self) -> None:
        self._gap += 1
        if self._last is not None and self._gap <= _LONGEST_GAP:
            self._sink.say(self._last if self._gap == 1 else g711.silence(self._sink.codec, _FRAME))

    def _release_events(self, position: int | None, *, all_due: bool) -> None:
        """One a tick, as they were sent; all of them before the audio that was spoken after them."""
        while self._events and self._is_due(self._events[0][2], position):
            data, payload, _ = self._events.popleft()
            self._pass_event(data, payload, position)
            if not all_due:
                return

    def _is_due(self, sent: int, position: int | None) -> bool:
        # A frame is sent when its last sample is spoken: the one at the play position, `_FRAME` after it.
        return position is None or not 0 < _distance(position + _FRAME, sent) < _STRAY

    def _pass_event(self, data: bytes, payload: bytes, position: int | None) -> None:
        begin = rtp.timestamp(data)
        ahead = 0 if position is None else _distance(position, begin)
        self._sink.pass_event(payload, ahead=ahead if abs(ahead) < _STRAY else 0, start=begin != self._event)
        self._event = begin
        self._key_down = _KEY_TICKS


def _distance(from_: int, to: int) -> int:
    """Samples from one timestamp to another, whichever is later."""
    return ((to - from_ + 0x80000000) & 0xFFFFFFFF) - 0x80000000

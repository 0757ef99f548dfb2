"""A stream that cannot be passed on packet by packet: through a jitter buffer, out again on the tick.

Packets of any length and codec go in as they come, one frame of 20 ms comes out on every tick and is said to
the far end, whose packets the `Outgoing` fills with them.  When the source stays away, so do we, as a relay
would.

Packets of telephone events are not rebuilt.  Each waits until the audio that was spoken before it has gone
out, so that both stay in the order in which they were sent; while a key is down nothing is concealed.
"""

from __future__ import annotations

from collections import deque

from cordboard.media import rtp
from cordboard.media.codecs.codec import Codec
from cordboard.media.outgoing import Outgoing
from cordboard.media.playout import Playout
from cordboard.media.transcoding import common_rate

_TICKS_A_SECOND = 50
_KEY_TICKS = 3
"""A key counts as down for so long after a packet of its event: they come 20 to 50 ms apart."""
_MOST_EVENTS = 64
_LONGEST_DRAIN = 50
"""Ticks: more than the jitter buffer ever holds."""
_STRAY = 1.0
"""An event this far (in seconds) from the audio has another time base and waits for nothing."""


class Paced:
    """One stream on its way to `sink`: `hear` and `hear_event` as packets come, `tick` every 20 ms."""

    __slots__ = ("_event", "_events", "_key_down", "_playout", "_sink")

    def __init__(self, sink: Outgoing, codec: Codec) -> None:
        self._sink = sink
        self._playout = Playout(codec, common_rate(codec, sink))
        self._events: deque[tuple[bytes, bytes, int]] = deque()
        """(packet, payload, time of sending by the source's clock): those that wait for earlier audio."""
        self._event = -1
        """Source's timestamp of the event that is being passed on."""
        self._key_down = 0

    @property
    def is_silent(self) -> bool:
        """Nothing has come for so long that there is nothing to pace."""
        return self._playout.is_silent and not self._key_down and not self._events

    def hear(self, codec: Codec, data: bytes, payload: bytes) -> None:
        """Audio."""
        if codec.encoding != self._playout.codec.encoding:
            self._playout = Playout(codec, common_rate(codec, self._sink))
        self._playout.put(data, payload)

    def hear_event(self, data: bytes, payload: bytes, duration: float) -> None:
        """One packet of a telephone event, which has lasted for so many seconds."""
        samples = round(duration * self._playout.codec.clock_rate)
        self._events.append((data, payload, rtp.timestamp(data) + samples))
        if len(self._events) > _MOST_EVENTS:
            self._pass_event(*self._events.popleft()[:2], self._playout.position)

    def tick(self) -> None:
        """20 ms have passed."""
        playout = self._playout
        position = playout.position
        frame = playout.next_frame()
        heard = frame is not None and not playout.has_gap
        if self._events:
            self._release_events(position, all_due=heard)
        if frame is not None and (heard or not (self._key_down or self._events)):
            self._sink.pass_pcm(frame, playout.rate)
        elif self._key_down or self._events:
            self._sink.rest()
        if self._key_down:
            self._key_down -= 1

    def drain(self) -> None:
        """Say at once what is left: from now on the packets go another way."""
        for _ in range(_LONGEST_DRAIN):
            if self._playout.is_empty and not self._events:
                break
            self.tick()
        self._sink.flush()

    def _release_events(self, position: int | None, *, all_due: bool) -> None:
        """One a tick, as they were sent; all of them before the audio that was spoken after them."""
        while self._events and self._is_due(self._events[0][2], position):
            data, payload, _ = self._events.popleft()
            self._pass_event(data, payload, position)
            if not all_due:
                return

    def _is_due(self, sent: int, position: int | None) -> bool:
        # A frame is sent when its last sample is spoken: the one at the play position, 20 ms after it.
        if position is None:
            return True
        return not 0 < self._seconds(position, sent) - 1 / _TICKS_A_SECOND < _STRAY

    def _pass_event(self, data: bytes, payload: bytes, position: int | None) -> None:
        begin = rtp.timestamp(data)
        ahead = 0.0 if position is None else self._seconds(position, begin)
        self._sink.pass_event(payload, ahead=ahead if abs(ahead) < _STRAY else 0, start=begin != self._event)
        self._event = begin
        self._key_down = _KEY_TICKS

    def _seconds(self, from_: int, to: int) -> float:
        """From one timestamp of the source to another, whichever is later."""
        distance = ((to - from_ + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        return distance / self._playout.codec.clock_rate

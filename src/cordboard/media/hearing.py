"""Those who listen to a leg without taking part: recorders, taps, detectors.

A `Hearing` belongs to one direction of one leg, from the first listener to the last.  It is given every
packet of that direction beside its way through the relay, which adds no delay for its sake, and tells a frame
of 20 ms to each listener on every tick.
"""

from __future__ import annotations

from typing import Protocol

from cordboard.media import rtp
from cordboard.media.codecs.catalogue import codec
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.dtmf import DIGITS
from cordboard.media.inband import digit_frame
from cordboard.media.playout import Playout

_PATIENCE = 4
"""Frames of lead before the delay shrinks: nobody waits for a listener, and each skip would be heard."""
_KEY_TICKS = 3
"""A key sounds on for so long after the last packet of its event."""
_LONGEST_KEY = 400
_MOST_LISTENERS = 24


class Listener(Protocol):
    """Who listens."""

    @property
    def rate(self) -> int:
        """8000 or 16000: what it wants, 16-bit little-endian mono."""
        ...

    def hear(self, frame: bytes | None) -> None:
        """20 ms, on every tick while it is attached; None = nothing was said."""
        ...


Hearings = dict["Hearing", None]
"""All of a worker, in the order in which they began: tick each every 20 ms, after everything was said."""


class Hearing:
    """One direction of one leg, heard by at least one listener."""

    __slots__ = ("_all", "_converters", "_key", "_key_left", "_key_tick", "_listeners", "_playout", "_rate")

    def __init__(self, hearings: Hearings) -> None:
        self._all = hearings
        self._listeners: list[Listener] = []
        self._rate = 0
        self._playout: Playout | None = None
        self._converters: dict[int, RateConverter] = {}
        self._key = ""
        self._key_tick = self._key_left = 0

    @property
    def is_over(self) -> bool:
        """Nobody listens."""
        return not self._listeners

    def attach(self, listener: Listener) -> None:
        """From the next tick on."""
        if listener in self._listeners or len(self._listeners) >= _MOST_LISTENERS:
            return
        self._listeners.append(listener)
        self._all[self] = None
        if listener.rate > self._rate:
            self._rate = listener.rate
            self._begin(None)

    def detach(self, listener: Listener) -> None:
        """No more; one that is not attached is ignored."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners:
            self._all.pop(self, None)

    def _begin(self, playout: Playout | None) -> None:
        self._playout = playout
        self._converters = {}

    def take(self, encoding: str, data: bytes, payload: bytes) -> None:
        """One packet of audio; of what cannot be decoded nothing is heard."""
        playout = self._playout
        if playout is None or playout.codec.encoding != encoding:
            described = codec(encoding)
            if not described.can_decode:
                return
            playout = Playout(described, self._rate, spare=_PATIENCE)
            self._begin(playout)
        playout.put(data, payload)

    def take_event(self, data: bytes, payload: bytes) -> None:
        """One packet of a telephone event, which a far end plays as a tone."""
        if len(payload) >= 4 and payload[0] < len(DIGITS):
            if rtp.marker(data) or self._key != DIGITS[payload[0]]:
                self._key_tick = 0
            self._key = DIGITS[payload[0]]
            self._key_left = 0 if payload[1] & 0x80 else _KEY_TICKS

    def tick(self) -> None:
        """20 ms have passed."""
        frame = self._playout.next_frame() if self._playout is not None else None
        rate = self._playout.rate if self._playout is not None else 8000
        if self._key_left and self._key_tick < _LONGEST_KEY:
            frame, rate = digit_frame(self._key, self._key_tick), 8000
            self._key_tick += 1
            self._key_left -= 1
        made: dict[int, bytes | None] = {rate: frame}
        for listener in list(self._listeners):
            if listener.rate not in made:
                made[listener.rate] = self._converted(frame, rate, listener.rate)
            listener.hear(made[listener.rate])

    def _converted(self, frame: bytes | None, from_rate: int, to_rate: int) -> bytes | None:
        if frame is None:
            return None
        key = from_rate << 20 | to_rate
        converter = self._converters.get(key)
        if converter is None:
            converter = self._converters[key] = RateConverter(from_rate, to_rate)
        return converter.convert(frame)

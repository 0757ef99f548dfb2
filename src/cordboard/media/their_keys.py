"""The keys that one far end presses, whether it tells them as events or as tones."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.clock import Clock
from cordboard.media.dtmf import Digit, DigitReceiver

_EVENT_COUNTS = 0.5
"""Seconds after the packets of an event in which a tone is taken for the same key: some send both."""


class TheirKeys:
    """`hear` takes each key once; so does `convert`, for whoever is joined, with whether it was a tone."""

    __slots__ = ("_clock", "_event_at", "_receiver", "clock_rate", "convert", "hear")

    def __init__(self, clock: Clock, hear: Callable[[Digit], None] | None) -> None:
        self._clock = clock
        self._receiver = DigitReceiver()
        self._event_at = -_EVENT_COUNTS
        self.clock_rate = 8000
        """Of the events."""
        self.hear = hear
        self.convert: Callable[[Digit, bool], None] | None = None

    @property
    def are_told(self) -> bool:
        """Somebody wants to know them; otherwise they only pass through."""
        return self.hear is not None or self.convert is not None

    @property
    def is_down(self) -> bool:
        """One is being pressed."""
        return self._receiver.is_down

    def tick_at(self, clock_rate: int) -> None:
        """The clock of the events from now on."""
        self.clock_rate = clock_rate
        self._receiver.tick_at(clock_rate)

    def let_go(self) -> None:
        """Tell nobody any more."""
        self.hear = self.convert = None

    def take_event(self, payload: bytes, timestamp: int) -> None:
        """One packet of an event."""
        self._event_at = self._clock.now
        if self.are_told:
            for digit in self._receiver.handle(payload, timestamp, self._clock.now):
                self._tell(digit, by_tone=False)

    def take_tone(self, digit: Digit) -> None:
        """One that was heard; an event is the surer of the two."""
        if not self.is_down and self._clock.now - self._event_at > _EVENT_COUNTS:
            self._tell(digit, by_tone=True)

    def tick(self) -> None:
        """20 ms have passed: the end of an event may have been lost."""
        for digit in self._receiver.handle_timeout(self._clock.now):
            self._tell(digit, by_tone=False)

    def _tell(self, digit: Digit, *, by_tone: bool) -> None:
        if self.hear is not None:
            self.hear(digit)
        if self.convert is not None:
            self.convert(digit, by_tone)

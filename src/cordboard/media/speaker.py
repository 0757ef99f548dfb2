"""What the server itself says to one far end: things that are played, and digits; a frame every 20 ms."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.dtmf import DIGITS, Digit, DigitSender, EventFrame
from cordboard.media.inband import digit_frame
from cordboard.media.mixing import Mixer
from cordboard.media.outgoing import Outgoing
from cordboard.media.player import Player
from cordboard.media.protocol import DigitsPlayed, PlayEnded, SendDigits, StartPlay
from cordboard.media.tones import SAMPLE_RATE, SILENT_FRAME

_MOST_WAITING = 512
_CROWD = 4
"""Keys waiting from which on they are pressed as briefly as anybody understands."""
_BRIEF_MS = 60
_SHORTEST_MS, _LONGEST_MS = 80, 2000
"""Of a key that is pressed here for another far end's."""
_GAP_MS = 70


class Speaker:
    """One far end's.  `tick` it while it `is_busy`; what is joined is not heard while it `stands_alone`."""

    __slots__ = (
        "_digits",
        "_endpoint_id",
        "_mixer",
        "_outgoing",
        "_report",
        "_send_id",
        "_tone_at",
        "_waiting",
        "is_open",
    )

    def __init__(
        self, endpoint_id: str, outgoing: Outgoing, report: Callable[[PlayEnded | DigitsPlayed], None]
    ) -> None:
        self._endpoint_id = endpoint_id
        self._outgoing = outgoing
        self._report = report

        # Not by way of `self`: the two would keep each other alive.
        def ended(play_id: str, errors: tuple[str, ...]) -> None:
            report(PlayEnded(endpoint_id=endpoint_id, play_id=play_id, errors=errors))

        self._mixer = Mixer(outgoing, ended)
        self._digits: DigitSender | None = None
        self._send_id = ""
        self._tone_at = 0
        self._waiting: list[tuple[DigitSender, str]] = []
        self.is_open = False
        """Whether the far end may be sent anything; what is played runs on in time while it may not."""

    @property
    def is_busy(self) -> bool:
        """There is something to say, or the last of it has just been said."""
        return self._digits is not None or self._mixer.is_active or self._mixer.is_on

    @property
    def is_pressing(self) -> bool:
        """Keys are sent, and plays wait for them."""
        return self._digits is not None

    @property
    def stands_alone(self) -> bool:
        """Keys are sent, or what is played is in place of what is joined."""
        return self._digits is not None or self._mixer.stands_alone

    def play(self, command: StartPlay, player: Player) -> None:
        """Say this too from now on."""
        self._mixer.begin(command.play_id, player, paused=command.paused, alone=command.alone)
        self._settle()

    def stop(self, play_id: str) -> None:
        """End that play, if it is there."""
        self._mixer.stop(play_id)
        self._settle()

    def pause(self, play_id: str, paused: bool) -> None:
        """Hold that play where it is, or go on with it."""
        self._mixer.pause(play_id, paused)
        self._settle()

    def set_volume(self, play_id: str, volume_db: float) -> None:
        """Of that play, dB."""
        self._mixer.set_volume(play_id, volume_db)

    def send_digits(self, command: SendDigits) -> None:
        """After those that are still being sent."""
        sender = DigitSender(
            command.digits,
            duration_ms=command.duration_ms,
            gap_ms=command.gap_ms,
            clock_rate=self._outgoing.speech.event_clock,
        )
        self._queue(sender, command.send_id)

    def press(self, digit: Digit) -> None:
        """A key of the joined far end, which this one is told in another way."""
        duration, gap = min(max(digit.duration_ms, _SHORTEST_MS), _LONGEST_MS), _GAP_MS
        if len(self._waiting) >= _CROWD:
            duration = gap = _BRIEF_MS
        clock_rate = self._outgoing.speech.event_clock
        self._queue(DigitSender(digit.digit, duration_ms=duration, gap_ms=gap, clock_rate=clock_rate), "")

    def _queue(self, sender: DigitSender, send_id: str) -> None:
        if self._digits is None:
            self._digits, self._send_id = sender, send_id
            self._settle()
            self._outgoing.interrupt()
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append((sender, send_id))
        else:
            self._digits_sent(send_id)

    def end(self) -> None:
        """Nothing more."""
        self._mixer.stop_all()
        self._digits = None
        self._waiting.clear()
        self._settle()

    def tick(self) -> None:
        """20 ms have passed."""
        if self._digits is not None:
            self._tick_digits(self._digits)
            return
        mixer = self._mixer
        if not (mixer.is_on and self.is_open):
            self._settle()
        if self.is_open:
            mixer.tick()
        else:
            mixer.run_on()
            self._outgoing.interrupt()
        if not mixer.is_active:
            self._settle()

    def _settle(self) -> None:
        """Do the plays go out now?"""
        if not self.is_open:
            # What does not fill a packet yet is not said any more.
            self._outgoing.interrupt()
        self._mixer.turn(self.is_open and self._digits is None and self._mixer.is_active)

    def _tick_digits(self, digits: DigitSender) -> None:
        frame = digits.next_frame()
        if self.is_open and self._outgoing.event_type is None:
            self._say_tone(frame)
        elif frame is None:
            self._outgoing.interrupt()
        elif self.is_open:
            self._outgoing.say_event(frame.payload, start=frame.start)
        if digits.finished:
            sent = self._send_id
            self._digits, self._send_id = self._waiting.pop(0) if self._waiting else (None, "")
            self._digits_sent(sent)

    def _say_tone(self, frame: EventFrame | None) -> None:
        """The same in place of an event; between the keys there is silence, so that they stay apart."""
        if frame is None or frame.payload[1] & 0x80:
            self._outgoing.say_pcm(SILENT_FRAME, SAMPLE_RATE)
            return
        self._tone_at = 0 if frame.start else self._tone_at + 1
        self._outgoing.say_pcm(digit_frame(DIGITS[frame.payload[0]], self._tone_at), SAMPLE_RATE)

    def _digits_sent(self, send_id: str) -> None:
        if send_id:
            self._report(DigitsPlayed(endpoint_id=self._endpoint_id, send_id=send_id))

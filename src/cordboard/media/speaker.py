"""What the server itself says to one far end: things that are played, and digits; a frame every 20 ms."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.dtmf import DigitSender
from cordboard.media.outgoing import Outgoing
from cordboard.media.player import Player
from cordboard.media.protocol import PlayEnded, SendDigits, StartPlay
from cordboard.media.tones import SAMPLE_RATE


class Speaker:
    """One far end's.  `tick` it while it `is_busy`; what is joined must be silent meanwhile."""

    __slots__ = (
        "_digits",
        "_endpoint_id",
        "_outgoing",
        "_play_id",
        "_player",
        "_report",
        "_waiting",
        "is_open",
    )

    def __init__(self, endpoint_id: str, outgoing: Outgoing, report: Callable[[PlayEnded], None]) -> None:
        self._endpoint_id = endpoint_id
        self._outgoing = outgoing
        self._report = report
        self._player: Player | None = None
        self._play_id = ""
        self._digits: DigitSender | None = None
        self._waiting: list[DigitSender] = []
        self.is_open = False
        """Whether the far end may be sent anything; what is played runs on in time while it may not."""

    @property
    def is_busy(self) -> bool:
        """There is something to say."""
        return self._player is not None or self._digits is not None

    def play(self, command: StartPlay, player: Player) -> None:
        """Say this from now on; what was being played ends."""
        self._end_play()
        self._player, self._play_id = player, command.play_id

    def stop(self, play_id: str) -> None:
        """End that play, if it is the one."""
        if self._player is not None and self._play_id == play_id:
            self._end_play()

    def send_digits(self, command: SendDigits) -> None:
        """After those that are still being sent."""
        sender = DigitSender(command.digits, duration_ms=command.duration_ms, gap_ms=command.gap_ms)
        if self._digits is None:
            self._digits = sender
        else:
            self._waiting.append(sender)

    def end(self) -> None:
        """Nothing more."""
        self._end_play()
        self._digits = None
        self._waiting.clear()

    def tick(self) -> None:
        """20 ms have passed."""
        if self._digits is not None:
            self._tick_digits(self._digits)
        elif self._player is not None:
            self._tick_player(self._player)

    def _tick_digits(self, digits: DigitSender) -> None:
        frame = digits.next_frame()
        if frame is None:
            self._outgoing.interrupt()
        elif self.is_open:
            self._outgoing.say_event(frame.payload, start=frame.start)
        if digits.finished:
            self._digits = self._waiting.pop(0) if self._waiting else None

    def _tick_player(self, player: Player) -> None:
        frame = player.next_frame()
        if frame is None:
            self._end_play()
        elif self.is_open:
            self._outgoing.say_pcm(frame, SAMPLE_RATE)
        else:
            self._outgoing.interrupt()

    def _end_play(self) -> None:
        player, self._player = self._player, None
        if player is not None:
            player.close()
            if self.is_open:
                self._outgoing.flush()
            self._report(
                PlayEnded(endpoint_id=self._endpoint_id, play_id=self._play_id, errors=tuple(player.errors))
            )

"""All that is played to one far end, and how it is laid over what the joined far end says.

Where the joined far end is heard, the plays are added to its audio packet by packet as that comes, so that
nothing is delayed when a play begins and nothing is lost when it ends: the audio goes the way of a transcoded
stream, with the source's own jitter, and back to the relay afterwards.  Where nobody is heard, or not any
more, the tick says the plays alone.

Which of the two holds is decided by a debt: every tick of 20 ms is owed to the far end, every piece of audio
pays for its length.  A source that stays away for longer than `_PATIENCE` is no longer waited for; what comes
after it was filled in runs ahead of time by so much, which the far end's jitter buffer takes as delay, and
beyond `_MOST_AHEAD` is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.codecs import audio
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.outgoing import Outgoing
from cordboard.media.player import Player
from cordboard.media.tones import FRAME_BYTES, FRAME_MS, SAMPLE_RATE

MOST_PLAYS = 16
_PATIENCE = 40.0
"""Milliseconds that the joined far end's next audio may be late."""
_MOST_AHEAD = 100.0
_HEARD_LATELY = 0.1
"""Seconds since the last packet within which a joined far end counts as heard."""


class _Play:
    __slots__ = ("alone", "paused", "player")

    def __init__(self, player: Player, paused: bool, alone: bool) -> None:
        self.player = player
        self.paused = paused
        self.alone = alone


class Mixer:
    """One far end's plays.  `ended(play_id, errors)` is called once for each."""

    __slots__ = (
        "_converter",
        "_debt",
        "_ended",
        "_is_fed",
        "_outgoing",
        "_patience",
        "_plays",
        "_rate",
        "_ready",
        "is_active",
        "is_on",
        "stands_alone",
    )

    def __init__(self, outgoing: Outgoing, ended: Callable[[str, tuple[str, ...]], None]) -> None:
        self._outgoing = outgoing
        self._ended = ended
        self._plays: dict[str, _Play] = {}
        self.is_active = False
        """Something is to be heard (what is paused is not)."""
        self.stands_alone = False
        """The joined far end must not be heard meanwhile."""
        self.is_on = False
        """The plays go out: see `turn`."""
        self._is_fed = False
        """The joined far end's audio comes, and the plays go out with it."""
        self._debt = 0.0
        """Milliseconds by which what was said is behind the time."""
        self._patience = _PATIENCE
        self._rate = SAMPLE_RATE
        self._converter: RateConverter | None = None
        self._ready = b""
        """Of the plays, at `_rate`, not said yet: less than a frame."""

    # -------------------------------------------------------------- what is asked for

    def begin(self, play_id: str, player: Player, *, paused: bool = False, alone: bool = False) -> None:
        """Beside the others; `alone`: in place of the joined far end."""
        self.stop(play_id)
        self._plays[play_id] = _Play(player, paused, alone)
        self._is_fed = self._is_fed and not alone
        if len(self._plays) > MOST_PLAYS:
            player.errors.append(f"The call hears {MOST_PLAYS} plays at once already.")
            self.stop(play_id)
        self._review()

    def stop(self, play_id: str) -> None:
        """End that one, if it is there."""
        play = self._plays.pop(play_id, None)
        if play is not None:
            play.player.close()
            self._review()
            self._ended(play_id, tuple(play.player.errors))

    def stop_all(self) -> None:
        """End them."""
        for play_id in list(self._plays):
            self.stop(play_id)

    def pause(self, play_id: str, paused: bool) -> None:
        """Hold it where it is, or go on with it."""
        play = self._plays.get(play_id)
        if play is not None:
            play.paused = paused
            self._review()

    def _review(self) -> None:
        sounding = [play for play in self._plays.values() if not play.paused]
        self.is_active = bool(sounding)
        self.stands_alone = any(play.alone for play in sounding)

    def set_volume(self, play_id: str, volume_db: float) -> None:
        """From the next frame on."""
        play = self._plays.get(play_id)
        if play is not None:
            play.player.set_volume(volume_db)

    # -------------------------------------------------------------- what is said

    def turn(self, on: bool) -> None:
        """Whether the plays go out now.  Off: nothing sounds, the far end may be told nothing, or keys."""
        if on == self.is_on:
            return
        self.is_on = on
        if not on:
            self._outgoing.lay_over(None)
            return
        self._debt = 0.0
        self._patience = _PATIENCE
        self._is_fed = not self.stands_alone and self._outgoing.is_fed(_HEARD_LATELY)
        if not self._is_fed:
            self._outgoing.interrupt()
        self._outgoing.lay_over(self)

    def tick(self) -> None:
        """20 ms have passed, and the plays go out."""
        self._debt += FRAME_MS
        if self._is_fed and self._debt <= self._patience:
            return
        self._is_fed = False
        while self._debt >= FRAME_MS and self.is_active:
            self._debt -= FRAME_MS
            pcm = self._take(self._rate * FRAME_MS // 1000)
            if pcm is not None:
                self._outgoing.say_pcm(pcm, self._rate)

    def run_on(self) -> None:
        """20 ms have passed in which nothing could be said: the plays go on in time."""
        self._next_frame()

    def accompany(self, pcm: bytes, rate: int) -> None:
        """Audio of the joined far end: said, with the plays over it."""
        if self._debt < -_MOST_AHEAD:
            return
        samples = len(pcm) // 2
        length = 1000.0 * samples / rate
        self._is_fed = True
        self._patience = _PATIENCE + length
        self._debt -= length
        if rate != self._rate:
            self._play_at(rate)
        plays = self._take(samples)
        self._outgoing.say_pcm(pcm if plays is None else audio.add(pcm, plays, 2), rate)

    def _play_at(self, rate: int) -> None:
        self._rate = rate
        self._converter = RateConverter(SAMPLE_RATE, rate) if rate != SAMPLE_RATE else None
        self._ready = b""

    def _take(self, samples: int) -> bytes | None:
        """So much of the plays, filled up with silence; None if they have come to an end."""
        size = 2 * samples
        ready = self._ready
        if not ready and size == FRAME_BYTES and self._converter is None:
            return self._next_frame()
        while len(ready) < size:
            frame = self._next_frame()
            if frame is None:
                break
            ready += frame if self._converter is None else self._converter.convert(frame)
        self._ready = ready[size:]
        return ready[:size].ljust(size, b"\0") if ready else None

    def _next_frame(self) -> bytes | None:
        """20 ms of all that plays, together."""
        mixed: bytes | None = None
        over: list[str] = []
        for play_id, play in self._plays.items():
            if play.paused:
                continue
            frame = play.player.next_frame()
            if frame is None:
                over.append(play_id)
            else:
                mixed = frame if mixed is None else audio.add(mixed, frame, 2)
        for play_id in over:
            self.stop(play_id)
        return mixed

"""What the server itself says: plays and keys, towards any codec, in virtual time."""

from __future__ import annotations

import pytest

from cordboard.media.clock import Clock
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.dtmf import Digit, DigitReceiver
from cordboard.media.inband import InbandDetector
from cordboard.media.outgoing import Outgoing, Speech
from cordboard.media.player import make_player
from cordboard.media.playout import Playout
from cordboard.media.protocol import DigitsPlayed, PlayEnded, PlaySource, SendDigits, StartPlay
from cordboard.media.rtp import RtpSender
from cordboard.media.speaker import Speaker
from cordboard.media.tones import SILENT_FRAME, heard, level


class Leg:
    def __init__(self, encoding: str, **speech: object) -> None:
        self.clock = Clock(5.0)
        self.codec = codec_of(encoding)
        self.outgoing = Outgoing(RtpSender(ssrc=9), self.clock)
        self.outgoing.speak(Speech(self.codec, 96, 20, **speech))  # type: ignore[arg-type]  # few of many
        self.sent: list[bytes] = []
        self.outgoing.send_by(lambda data: self.sent.append(bytes(data)))
        self.told: list[PlayEnded | DigitsPlayed] = []
        self.speaker = Speaker("leg", self.outgoing, self.told.append)
        self.speaker.is_open = True

    def run(self, ticks: int = 500) -> int:
        for tick in range(ticks):
            if not self.speaker.is_busy:
                return tick
            self.clock.now += 0.02
            self.speaker.tick()
        return ticks

    def pcm(self) -> bytes:
        playout = Playout(self.codec, 8000, start_ms=20, spare=9)
        frames = []
        for data in self.sent:
            if data[1] & 0x7F == 96:
                playout.put(data, data[12:])
                frames.append(playout.next_frame() or SILENT_FRAME)
        return b"".join(frames)


@pytest.mark.parametrize("encoding", ["PCMU", "G722", "OPUS", "L16/8000"])
def test_a_play_is_heard_at_its_level_in_every_codec(encoding: str) -> None:
    leg = Leg(encoding)
    command = StartPlay(
        endpoint_id="leg",
        play_id="p",
        sources=(PlaySource(kind="tone", frequencies=(700.0, 1100.0), duration_ms=1000),),
        volume_db=-4.0,
    )
    leg.speaker.play(command, make_player(command.sources, open, volume_db=-4.0))  # type: ignore[arg-type]  # no files
    leg.run()
    assert heard(leg.pcm()[3200:12800], (700.0, 1100.0))
    assert level(leg.pcm()[3200:12800]) == pytest.approx(-20.0, abs=1.0)
    assert leg.told == [PlayEnded(endpoint_id="leg", play_id="p")]


@pytest.mark.parametrize("clock", [8000, 48000])
def test_digits_are_events_at_the_clock_that_was_agreed_and_told_when_they_are_sent(clock: int) -> None:
    leg = Leg("OPUS", event_type=101, event_clock=clock)
    leg.speaker.send_digits(SendDigits(endpoint_id="leg", digits="12w#", duration_ms=100, send_id="s"))
    ticks = leg.run()
    receiver = DigitReceiver(clock_rate=clock)
    keys = [
        key
        for data in leg.sent
        if data[1] & 0x7F == 101
        for key in receiver.handle(data[12:], int.from_bytes(data[4:8], "big"), 0.0)
    ]
    assert keys == [Digit("1", 100), Digit("2", 100), Digit("#", 100)]
    assert 45 <= ticks <= 56
    assert leg.told == [DigitsPlayed(endpoint_id="leg", send_id="s")]


@pytest.mark.parametrize("encoding", ["PCMU", "G722", "OPUS"])
def test_digits_are_tones_where_no_events_were_agreed(encoding: str) -> None:
    leg = Leg(encoding, digits="inband")
    leg.speaker.send_digits(SendDigits(endpoint_id="leg", digits="159W0", send_id="s"))
    leg.speaker.send_digits(SendDigits(endpoint_id="leg", digits="D", send_id="t"))
    leg.run()
    detector = InbandDetector()
    keys = detector.feed(leg.pcm()) + detector.feed(bytes(3200))
    assert "".join(key.digit for key in keys) == "1590D"
    assert [one.send_id for one in leg.told if isinstance(one, DigitsPlayed)] == ["s", "t"]


def test_a_flood_of_keys_is_limited() -> None:
    leg = Leg("PCMU", event_type=101)
    for _ in range(1000):
        leg.speaker.press(Digit("5", 90))
    leg.run(100_000)
    assert sum(data[1] == 0x80 | 101 for data in leg.sent) == 513


def test_keys_that_come_faster_than_they_are_sent_are_all_sent_and_catch_up() -> None:
    leg = Leg("PCMU", event_type=101)
    for key in "0123456789" * 20:
        leg.speaker.press(Digit(key, 80))
        leg.run(5)
    rest = leg.run(10_000)
    receiver = DigitReceiver()
    told = "".join(
        key.digit
        for data in leg.sent
        if data[1] & 0x7F == 101
        for key in receiver.handle(data[12:], int.from_bytes(data[4:8], "big"), 0.0)
    )
    assert told == "0123456789" * 20
    assert rest < 300

"""Recorders and taps beside a call, in virtual time."""

from __future__ import annotations

import struct

import pytest

from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.hearing import Hearings
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.tones import SILENT_FRAME, dominant_frequency, heard, level, tone_frame


class Listens:
    def __init__(self, rate: int = 8000) -> None:
        self.rate = rate
        self.frames: list[bytes | None] = []

    def hear(self, frame: bytes | None) -> None:
        self.frames.append(frame)

    @property
    def pcm(self) -> bytes:
        return b"".join(frame or SILENT_FRAME * (self.rate // 8000) for frame in self.frames)


class Call:
    """One direction of a bridged call and the worker's tick."""

    def __init__(self) -> None:
        self.clock = Clock(10.0)
        self.ticking: set[Incoming] = set()
        self.hearings: Hearings = {}
        self.incoming = Incoming(self.clock, ticking=self.ticking, hearings=self.hearings)
        self.incoming.expect({0: "PCMU", 8: "PCMA", 101: EVENT})
        self.outgoing = Outgoing(RtpSender(ssrc=99), self.clock, self.hearings)
        self.outgoing.speak(Speech(codec_of("PCMU"), 0, 20, event_type=101))
        self.sent: list[bytes] = []
        self.outgoing.send_by(lambda data: self.sent.append(bytes(data)))
        self.sequence = 0

    def say(self, frequency: float | None, payload_type: int = 0) -> None:
        self.sequence += 1
        name = {0: "PCMU", 8: "PCMA"}[payload_type]
        pcm = tone_frame((frequency,), self.sequence) if frequency else SILENT_FRAME
        header = struct.pack("!BBHII", 0x80, payload_type, self.sequence, self.sequence * 160, 7)
        self.incoming.accept(header + g711.encode(name, pcm))

    def tick(self) -> None:
        self.clock.now += 0.02
        for incoming in list(self.ticking):
            incoming.tick()
        for hearing in list(self.hearings):
            hearing.tick()


@pytest.fixture
def call() -> Call:
    return Call()


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("bridged", [True, False])
def test_who_listens_to_a_far_end_hears_it_bridged_or_not(call: Call, rate: int, bridged: bool) -> None:
    if bridged:
        call.incoming.feed(call.outgoing)
    ear = Listens(rate)
    call.incoming.attach(ear)
    for _ in range(100):
        call.say(440)
        call.tick()
    assert len(ear.frames) == 100
    assert {len(frame) for frame in ear.frames if frame} == {rate // 25}
    assert sum(frame is None for frame in ear.frames) <= 3
    assert level(ear.pcm[rate // 4 :]) == pytest.approx(-16.0, abs=0.5)
    assert len(call.sent) == (100 if bridged else 0)


def test_a_listener_adds_no_delay_and_changes_no_packet(call: Call) -> None:
    call.incoming.feed(call.outgoing)
    call.incoming.attach(Listens())
    call.outgoing.attach(Listens())
    for count in range(1, 50):
        call.say(440)
        assert len(call.sent) == count
        call.tick()


def test_both_directions_tick_in_the_order_in_which_they_were_attached(call: Call) -> None:
    order: list[str] = []

    class Noting(Listens):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def hear(self, frame: bytes | None) -> None:
            order.append(self.name)

    call.incoming.attach(Noting("said"))
    call.outgoing.attach(Noting("told"))
    for _ in range(3):
        call.tick()
    assert order == ["said", "told"] * 3


def test_what_the_far_end_hears_is_the_bridge_and_what_the_server_says(call: Call) -> None:
    call.incoming.feed(call.outgoing)
    ear = Listens()
    call.outgoing.attach(ear)
    for _ in range(60):
        call.say(440)
        call.tick()
    call.incoming.feed(None)
    for number in range(60):
        call.outgoing.say(g711.encode("PCMU", tone_frame((1000.0,), number)))
        call.tick()
    assert dominant_frequency(ear.pcm[16000 : 16000 + 1600]) == pytest.approx(440, abs=3)
    assert dominant_frequency(ear.pcm[-1600:]) == pytest.approx(1000, abs=3)


def test_a_key_that_is_sent_is_heard_as_its_tone(call: Call) -> None:
    ear = Listens()
    call.outgoing.attach(ear)
    for number in range(10):
        call.outgoing.say_event(struct.pack("!BBH", 5, 10, 160 * (number + 1)), start=number == 0)
        call.tick()
    assert heard(ear.pcm[640:2560], (770.0, 1336.0))


def test_the_ticks_go_on_when_nothing_comes_and_the_time_is_right_afterwards(call: Call) -> None:
    ear = Listens()
    call.incoming.attach(ear)
    for _ in range(50):
        call.say(440)
        call.tick()
    for _ in range(100):
        call.tick()
    assert ear.frames[70:150] == [None] * 80
    call.sequence += 100
    for _ in range(50):
        call.say(1000)
        call.tick()
    assert len(ear.frames) == 200
    assert dominant_frequency(ear.pcm[-1600:]) == pytest.approx(1000, abs=3)


def test_another_codec_in_the_middle_is_followed(call: Call) -> None:
    call.incoming.feed(call.outgoing)
    said, told = Listens(), Listens(16000)
    call.incoming.attach(said)
    call.outgoing.attach(told)
    for _ in range(30):
        call.say(440)
        call.tick()
    call.outgoing.speak(Speech(codec_of("PCMA"), 8, 20))
    for _ in range(30):
        call.say(440, 8)
        call.tick()
    assert level(said.pcm[-3200:]) == pytest.approx(-16.0, abs=0.5)
    assert level(told.pcm[-6400:]) == pytest.approx(-16.0, abs=0.5)


def test_the_last_listener_gone_nothing_is_ticked_and_packets_take_the_fast_way_again(call: Call) -> None:
    call.incoming.feed(call.outgoing)
    first, second = Listens(), Listens(16000)
    for ear in (first, second):
        call.incoming.attach(ear)
    call.tick()
    call.incoming.detach(first)
    call.incoming.detach(first)
    call.tick()
    assert (len(first.frames), len(second.frames)) == (1, 2)
    call.incoming.detach(second)
    assert not call.hearings
    assert call.incoming.hearing is None

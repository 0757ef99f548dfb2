"""Streams between far ends that want packets of different lengths, in virtual time."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender

TICK = 0.020
SPEECH = bytes(code for code in range(1, 252) if code != 0x7F) * 200
"""Every sample tells where it belongs; the negative zero is not among them, which is as good as the other."""


class Sent:
    """One packet that went out, read."""

    def __init__(self, data: bytes, at: float) -> None:
        self.at = at
        _, second, self.sequence, self.timestamp, self.ssrc = struct.unpack_from("!BBHII", data)
        self.marker, self.payload_type = bool(second & 0x80), second & 0x7F
        self.payload = data[12:]


class Bridge:
    """One direction of a call whose far ends differ in ptime, with the worker's tick."""

    def __init__(self, *, ptime: int, codec: str = "PCMU") -> None:
        self.clock = Clock(10.0)
        self.ticking: set[Incoming] = set()
        self.incoming = Incoming(self.clock, ticking=self.ticking)
        self.incoming.expect({0: "PCMU", 8: "PCMA", 101: EVENT})
        self.outgoing = Outgoing(RtpSender(ssrc=99, sequence=65_530, timestamp=0xFFFFFF00), self.clock)
        payload_type = {"PCMU": 0, "PCMA": 8}[codec]
        self.outgoing.speak(Speech(codec_of(codec), payload_type, ptime, event_type=96))
        self.sent: list[Sent] = []
        self.outgoing.send_by(lambda data: self.sent.append(Sent(bytes(data), self.clock.now)))
        self.incoming.feed(self.outgoing)
        self._next_tick = self.clock.now + TICK

    def hear(self, data: bytes) -> None:
        self.incoming.accept(data)

    def pass_time(self, until: float) -> None:
        while self._next_tick <= until:
            self.clock.now = self._next_tick
            self._next_tick += TICK
            for incoming in list(self.ticking):
                incoming.tick()
        self.clock.now = until

    def play(self, arrivals: list[tuple[float, bytes]], *, tail: float = 0.15) -> None:
        start = self.clock.now + 0.0001
        for at, data in sorted(arrivals, key=lambda arrival: arrival[0]):
            self.pass_time(start + at)
            self.hear(data)
        self.pass_time(self.clock.now + tail)

    @property
    def audio(self) -> list[Sent]:
        return [packet for packet in self.sent if packet.payload_type in (0, 8)]


def packet(sequence: int, timestamp: int, payload: bytes, payload_type: int = 0, *, ssrc: int = 7) -> bytes:
    second = payload_type
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def stream(ptime: int, milliseconds: int, *, first: int = 65_500) -> list[tuple[float, bytes]]:
    """(when it is sent, packet)"""
    size = 8 * ptime
    return [
        (
            n * ptime / 1000,
            packet(first + n, 0xFFFFF000 + n * size, SPEECH[n * size : (n + 1) * size]),
        )
        for n in range(milliseconds // ptime)
    ]


@pytest.mark.parametrize("theirs", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("ours", [10, 20, 30, 40, 60])
def test_every_packet_has_the_length_that_the_far_end_wants(theirs: int, ours: int) -> None:
    bridge = Bridge(ptime=ours)
    # Shorter than the window after which the jitter buffer thinks about its delay.
    bridge.play(stream(theirs, 840))
    sent = bridge.sent
    assert {len(p.payload) for p in sent} == {8 * ours}
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(sent)] == [1] * (len(sent) - 1)
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(sent)} == {8 * ours}
    assert [p.marker for p in sent] == [True] + [False] * (len(sent) - 1)
    said = b"".join(p.payload for p in sent)
    assert said.startswith(SPEECH[: 8 * (840 - 60)])


def test_equal_lengths_are_relayed_and_not_paced() -> None:
    bridge = Bridge(ptime=30)
    bridge.play(stream(30, 300))
    assert bridge.ticking == set()
    assert [round(p.at - 10, 3) for p in bridge.sent] == [round(0.03 * n, 3) for n in range(10)]


def test_the_delay_of_a_steady_stream_is_small() -> None:
    bridge = Bridge(ptime=20)
    bridge.play(stream(30, 6000))
    late = [p.at - 10 - 0.02 * n for n, p in enumerate(bridge.sent)]
    assert max(late) <= 0.081
    assert max(late[-20:]) <= 0.061


def test_the_laws_are_translated_on_the_way() -> None:
    bridge = Bridge(ptime=20, codec="PCMA")
    bridge.play(stream(30, 900))
    said = b"".join(p.payload for p in bridge.sent)
    assert {p.payload_type for p in bridge.sent} == {8}
    assert said.startswith(SPEECH[: 8 * 840].translate(g711.PCMU_TO_PCMA))


def test_jitter_and_disorder_are_smoothed_out() -> None:
    rng = random.Random(5)
    bridge = Bridge(ptime=20)
    arrivals = [(at + rng.random() * 0.035, data) for at, data in stream(30, 3000)]
    bridge.play(arrivals)
    steps = [round(b.at - a.at, 3) for a, b in pairwise(bridge.sent)]
    assert set(steps) == {0.02}
    said = b"".join(p.payload for p in bridge.sent)
    assert said.startswith(SPEECH[: 8 * 2900])


def test_a_lost_packet_is_filled_in_and_the_rest_keeps_its_time() -> None:
    bridge = Bridge(ptime=20)
    arrivals = stream(60, 1200)
    del arrivals[5]
    bridge.play(arrivals)
    said = b"".join(p.payload for p in bridge.sent)
    hole = slice(5 * 480, 6 * 480)
    expected = bytearray(SPEECH[: 8 * 1080])
    expected[hole] = SPEECH[5 * 480 - 160 : 5 * 480] + g711.silence("PCMU", 320)
    assert said.startswith(bytes(expected))


def test_a_source_that_falls_silent_is_not_made_up_for_ever() -> None:
    bridge = Bridge(ptime=20)
    bridge.play(stream(30, 300), tail=5.0)
    assert len(bridge.sent) <= 15 + 10
    assert bridge.ticking == set()
    count = len(bridge.sent)
    bridge.play([(at, data) for at, data in stream(30, 600, first=3)])
    assert bridge.sent[count].marker
    passed = (bridge.sent[count].timestamp - bridge.sent[0].timestamp) & 0xFFFFFFFF
    assert passed / 8000 == pytest.approx(bridge.sent[count].at - bridge.sent[0].at, abs=0.06)
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(bridge.sent)] == [1] * (
        len(bridge.sent) - 1
    )


def test_one_packet_of_another_length_changes_nothing() -> None:
    bridge = Bridge(ptime=20)
    arrivals = stream(20, 400)
    short = arrivals[10][1]
    arrivals[10] = (arrivals[10][0], short[: 12 + 80])
    bridge.play(arrivals)
    assert bridge.ticking == set()
    assert len(bridge.sent) == 20
    assert all(p.at == pytest.approx(10 + 0.02 * n, abs=0.001) for n, p in enumerate(bridge.sent))


def test_a_source_that_changes_its_length_is_followed_there_and_back() -> None:
    bridge = Bridge(ptime=20)
    first, second = stream(20, 400, first=100), stream(40, 2000, first=120)
    third = stream(20, 5000, first=170)
    begin, back = 0.4, 0.4 + 2.0
    bridge.play(
        [
            *first,
            *((begin + at, _moved(data, 400 * 8)) for at, data in second),
            *((back + at, _moved(data, 2400 * 8)) for at, data in third),
        ]
    )
    assert bridge.ticking == set()
    assert {len(p.payload) for p in bridge.sent[25:]} == {160}
    numbers = [p.sequence for p in bridge.sent]
    assert [(b - a) & 0xFFFF for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)
    assert bridge.sent[-1].at == pytest.approx(10 + back + 4.98, abs=0.001)


def _moved(data: bytes, samples: int) -> bytes:
    (timestamp,) = struct.unpack_from("!I", data, 4)
    return data[:4] + struct.pack("!I", (timestamp + samples) & 0xFFFFFFFF) + data[8:]


# ------------------------------------------------------------------ telephone events


def key(begin: int, code: int, milliseconds: int, *, first: int) -> list[tuple[float, bytes]]:
    """A key as phones send it: updates every 20 ms, three ends; times from the press on."""
    durations = [(n * 160, False) for n in range(1, milliseconds // 20)]
    durations += [(milliseconds * 8, True)] * 3
    return [
        (
            0.02 * (n + 1),
            packet(
                first + n,
                begin,
                struct.pack("!BBH", code, 0x8A if end else 10, duration),
                0x80 | 101 if n == 0 else 101,
            ),
        )
        for n, (duration, end) in enumerate(durations)
    ]


@pytest.mark.parametrize("ours", [10, 20, 60])
def test_a_key_between_two_words_stays_between_them_and_is_not_rebuilt(ours: int) -> None:
    bridge = Bridge(ptime=ours)
    before = stream(30, 600, first=100)
    pressed = key(0xFFFFF000 + 4800 & 0xFFFFFFFF, 7, 100, first=120)
    again = stream(30, 600, first=127)
    bridge.play(
        [
            *before,
            *((0.6 + at - 0.02, data) for at, data in pressed),
            *((0.76 + at, _moved(data, 6080)) for at, data in again),
        ]
    )
    kinds = [p.payload_type for p in bridge.sent]
    first, last = kinds.index(96), len(kinds) - kinds[::-1].index(96)
    assert set(kinds[first:last]) == {96}
    events = bridge.sent[first:last]
    assert [p.payload for p in events] == [data[12:] for _, data in pressed]
    assert len({p.timestamp for p in events}) == 1
    assert [p.marker for p in events] == [True] + [False] * (len(events) - 1)
    said = b"".join(p.payload for p in bridge.sent[:first])
    assert said == SPEECH[:4800]
    assert (events[0].timestamp - bridge.sent[0].timestamp) & 0xFFFFFFFF == 4800
    assert b"".join(p.payload for p in bridge.sent[last:]).startswith(SPEECH[:4000])
    numbers = [p.sequence for p in bridge.sent]
    assert [(b - a) & 0xFFFF for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)
    after = (bridge.sent[last].timestamp - events[0].timestamp) & 0xFFFFFFFF
    assert 1280 <= after <= 1280 + 8 * 60


def test_keys_without_audio_pass_at_once() -> None:
    bridge = Bridge(ptime=20)
    bridge.play(stream(30, 300), tail=3.0)
    count = len(bridge.sent)
    bridge.play(key(0x1234, 1, 60, first=4))
    assert [p.payload_type for p in bridge.sent[count:]] == [96] * 5


def test_keys_are_not_sent_to_who_does_not_know_them() -> None:
    bridge = Bridge(ptime=20)
    bridge.outgoing.speak(Speech(codec_of("PCMU"), 0, 20))
    bridge.play([*stream(30, 300), *key(0xFFFFF000 + 2400 & 0xFFFFFFFF, 1, 60, first=65_510)])
    assert {p.payload_type for p in bridge.sent} == {0}


# ------------------------------------------------------------------ whatever comes

_PACKETS = st.lists(
    st.tuples(
        st.floats(0, 0.5),
        st.one_of(
            st.builds(
                packet,
                st.integers(0, 0xFFFF),
                st.integers(0, 0xFFFFFFFF),
                st.binary(max_size=600),
                st.sampled_from([0, 8, 101, 13]),
                ssrc=st.sampled_from([7, 8]),
            ),
            st.integers(0, 60).map(lambda n: packet(n, n * 240, SPEECH[:240])),
            st.integers(0, 60).map(lambda n: packet(n, n * 240, b"\x05\x8a\x01\x00", 101)),
            st.binary(max_size=30),
        ),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(_PACKETS, st.sampled_from([10, 20, 30, 60]))
def test_nothing_that_is_heard_raises_and_a_stream_gets_through(
    arrivals: list[tuple[float, bytes]], ptime: int
) -> None:
    bridge = Bridge(ptime=ptime)
    bridge.play(arrivals)
    bridge.sent.clear()
    arrivals = [(n * 0.04, packet(30_000 + n, n * 320, b"\x11" * 320, ssrc=77)) for n in range(60)]
    bridge.play(arrivals)
    said = b"".join(p.payload for p in bridge.audio)
    assert said.count(b"\x11") >= 60 * 320 * 3 // 4
    numbers = [p.sequence for p in bridge.sent]
    assert [(b - a) & 0xFFFF for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)
    bridge.pass_time(bridge.clock.now + 5)
    assert bridge.ticking == set()

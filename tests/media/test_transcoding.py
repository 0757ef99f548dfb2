"""Bridges between far ends that speak different codecs, in virtual time."""

from __future__ import annotations

import math
import random
import struct
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.clock import Clock
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.codecs.codec import Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.dtmf import Digit
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.playout import Playout
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.run import DATAGRAM
from cordboard.media.tones import level, read_tone

TICK = 0.020
FIVE = ("PCMU", "PCMA", "G722", "OPUS", "L16/16000")
PAIRS = list(product(FIVE, FIVE))
TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 96, "L16/16000": 97, "L16/48000": 98, "L16/8000": 99}
THEIRS = {0: "PCMU", 8: "PCMA", 9: "G722", 111: "OPUS", 112: "L16/16000", 113: "L16/48000", 101: EVENT}
"""What the speaking side calls the same: other numbers."""


def sine(rate: int, seconds: float, frequency: float = 1000.0) -> bytes:
    count = int(rate * seconds)
    step = 2 * math.pi * frequency / rate
    return struct.pack(f"<{count}h", *(round(8000 * math.sin(step * n)) for n in range(count)))


def speech_like(rate: int, seconds: float) -> bytes:
    """Harmonics of a gliding pitch, loud and soft four times a second."""
    samples = []
    phase = 0.0
    for n in range(int(rate * seconds)):
        t = n / rate
        phase += 2 * math.pi * (130 + 30 * math.sin(2 * math.pi * 0.7 * t)) / rate
        loud = 0.15 + 0.85 * math.sin(math.pi * 4 * t) ** 2
        total = sum(math.sin(k * phase) / k for k in range(1, 12))
        samples.append(round(6000 * loud * total))
    return struct.pack(f"<{len(samples)}h", *samples)


class Phone:
    """A far end that speaks: packets of a codec, as they are sent."""

    def __init__(self, encoding: str, ptime: int = 20) -> None:
        self.codec = codec_of(encoding)
        self.rate = self.codec.rates[-1]
        assert self.codec.make_encoder is not None
        self._encoder = self.codec.make_encoder(self.rate, Wish())
        self.ptime = ptime
        self.type = next(kind for kind, name in THEIRS.items() if name == encoding)
        self.samples = self.codec.clock_rate * ptime // 1000

    def packets(
        self, pcm: bytes, *, first: int = 65_500, begin: int = 0xFFFFF000
    ) -> list[tuple[float, bytes]]:
        size = 2 * self.rate * self.ptime // 1000
        return [
            (
                n * self.ptime / 1000,
                struct.pack(
                    "!BBHII",
                    0x80,
                    self.type,
                    (first + n) & 0xFFFF,
                    (begin + n * self.samples) & 0xFFFFFFFF,
                    7,
                )
                + self._encoder.encode(pcm[n * size : (n + 1) * size]),
            )
            for n in range(len(pcm) // size)
        ]


class Bridge:
    """One direction of a call, with the worker's tick, and the ear at its end."""

    def __init__(self, encoding: str, *, ptime: int = 20, max_rate: int = 0, careful: bool = False) -> None:
        """`careful`: no packet goes the short way."""
        self.clock = Clock(10.0)
        self.ticking: set[Incoming] = set()
        self.digits: list[str] = []
        self.incoming = Incoming(
            self.clock, lambda digit: self.digits.append(digit.digit), ticking=self.ticking
        )
        self.incoming.expect(THEIRS)
        self.outgoing = Outgoing(RtpSender(ssrc=99, sequence=65_530, timestamp=0xFFFFFF00), self.clock)
        self.codec = codec_of(encoding)
        self.outgoing.speak(Speech(self.codec, TYPES[encoding], ptime, max_rate, event_type=100))
        self.sent: list[tuple[float, bytes]] = []
        self.outgoing.send_by(lambda data: self.sent.append((self.clock.now - 10, bytes(data))))
        self.incoming.feed(self.outgoing)
        self._careful = careful
        self._datagram = b""
        self.incoming.receive = self._receive
        self._next_tick = self.clock.now + TICK

    def _receive(self, buffer: bytearray) -> int:
        buffer[: len(self._datagram)] = self._datagram
        return len(self._datagram)

    def hear(self, data: bytes) -> None:
        if self._careful or len(data) > DATAGRAM:
            self.incoming.accept(data)
        else:
            self._datagram = data
            self.incoming.receive_and_forward()

    def _pressed(self, digit: Digit) -> None:
        self.digits.append(digit.digit)

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

    def heard(self) -> bytes:
        """What the far end plays, 8 kHz, after a jitter buffer of its own."""
        playout = Playout(self.codec, 48000, start_ms=60, spare=9)
        frames: list[bytes] = []
        waiting = list(self.sent)
        now = waiting[0][0] if waiting else 0.0
        while waiting or not (playout.is_empty or playout.is_silent):
            while waiting and waiting[0][0] <= now + 1e-6:
                playout.put(waiting[0][1], waiting[0][1][12:])
                waiting.pop(0)
            frames.append(playout.next_frame() or bytes(playout.rate // 25))
            now += TICK
        pcm = b"".join(frames)
        return RateConverter(playout.rate, 8000).convert(pcm) if playout.rate != 8000 else pcm


def levels(pcm: bytes, milliseconds: int = 20) -> list[float]:
    size = 16 * milliseconds
    return [level(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


def numbers(bridge: Bridge) -> list[tuple[int, int, int, int]]:
    return [struct.unpack_from("!xBHII", data) for _, data in bridge.sent]


LEVEL = 20 * math.log10(8000 / math.sqrt(2) / 32768)


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_a_tone_keeps_its_level_and_has_no_gap_in_every_pairing(from_: str, to: str) -> None:
    bridge, phone = Bridge(to), Phone(from_)
    bridge.play(phone.packets(sine(phone.rate, 3.0)))
    heard = bridge.heard()[9600:-3200]
    assert level(heard) == pytest.approx(LEVEL, abs=1.0)
    assert min(levels(heard)) > LEVEL - 2.0
    assert read_tone(heard[:1600], (500.0, 1000.0, 2000.0, 3000.0)).frequency == 1000.0
    read = numbers(bridge)
    assert {kind & 0x7F for kind, *_ in read} == {TYPES[to]}
    assert [bool(kind & 0x80) for kind, *_ in read] == [True] + [False] * (len(read) - 1)
    assert {(b[1] - a[1]) & 0xFFFF for a, b in pairwise(read)} == {1}
    assert {(b[2] - a[2]) & 0xFFFFFFFF for a, b in pairwise(read)} == {bridge.codec.clock_rate // 50}
    # At once: transcoding waits for nothing.
    assert max(at - 0.0001 - 0.02 * n for n, (at, _) in enumerate(bridge.sent)) < 0.001


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_what_is_like_speech_keeps_its_level_from_moment_to_moment(from_: str, to: str) -> None:
    bridge, phone = Bridge(to), Phone(from_)
    pcm = speech_like(phone.rate, 2.0)
    bridge.play(phone.packets(pcm))
    said = RateConverter(phone.rate, 8000).convert(pcm) if phone.rate != 8000 else pcm
    heard = bridge.heard()
    assert level(heard[8000:28000]) == pytest.approx(level(said[8000:28000]), abs=1.0)
    loud = [one > -30 for one in levels(heard[9600:-3200])]
    assert "0" * 4 not in "".join("1" if one else "0" for one in loud)


LENGTHS_MS = (10, 20, 30, 40, 60)
FROM = [
    (from_, to, theirs)
    for from_, to in (("PCMU", "G722"), ("OPUS", "PCMU"), ("L16/48000", "PCMA"))
    for theirs in LENGTHS_MS
    if (from_, theirs) != ("OPUS", 30)  # it has no such packets (RFC 6716 section 2.1.4)
]


@pytest.mark.parametrize(("from_", "to", "theirs"), FROM)
@pytest.mark.parametrize("ours", LENGTHS_MS)
def test_packets_of_every_length_become_packets_of_every_length(
    from_: str, to: str, theirs: int, ours: int
) -> None:
    bridge, phone = Bridge(to, ptime=ours), Phone(from_, theirs)
    bridge.play(phone.packets(sine(phone.rate, 1.8)))
    read = numbers(bridge)
    assert {(b[1] - a[1]) & 0xFFFF for a, b in pairwise(read)} == {1}
    assert {(b[2] - a[2]) & 0xFFFFFFFF for a, b in pairwise(read)} == {8 * ours}
    heard = bridge.heard()[3200:-3200]
    assert level(heard) == pytest.approx(LEVEL, abs=1.0)
    assert min(levels(heard)) > LEVEL - 2.0


@pytest.mark.parametrize("name", [*FIVE, "L16/48000"])
def test_the_same_codec_is_passed_on_untouched_under_the_other_sides_number(name: str) -> None:
    bridge, phone = Bridge(name), Phone(name)
    packets = phone.packets(speech_like(phone.rate, 0.5))
    bridge.play(packets)
    assert [data[12:] for _, data in bridge.sent] == [data[12:] for _, data in packets]
    assert {kind & 0x7F for kind, *_ in numbers(bridge)} == {TYPES[name]}


def test_a_codec_that_nobody_here_knows_is_passed_on_between_two_who_speak_it() -> None:
    bridge = Bridge("PCMU")
    bridge.incoming.expect({18: "G729", 120: "AMR-WB"})
    for name, kind in (("G729", 18), ("AMR-WB", 120)):
        bridge.outgoing.speak(Speech(codec_of(name), 77, 20))
        bridge.sent.clear()
        packets = [struct.pack("!BBHII", 0x80, kind, n, n * 160, 7) + bytes([n] * 20) for n in range(1, 9)]
        bridge.play([(0.02 * n, data) for n, data in enumerate(packets)])
        assert [data[12:] for _, data in bridge.sent] == [data[12:] for data in packets]
    bridge.outgoing.speak(Speech(codec_of("PCMU"), 0, 20))
    bridge.sent.clear()
    bridge.play([(0.02 * n, data) for n, data in enumerate(packets)])
    assert not bridge.sent


@pytest.mark.parametrize(("from_", "to"), [("OPUS", "PCMU"), ("PCMU", "OPUS"), ("G722", "PCMA")])
def test_lost_packets_are_made_up_and_the_time_stays_right(from_: str, to: str) -> None:
    bridge, phone = Bridge(to), Phone(from_)
    packets = phone.packets(sine(phone.rate, 3.0))
    rng = random.Random(3)
    bridge.play([one for n, one in enumerate(packets) if n < 5 or rng.random() > 0.05])
    assert len(bridge.sent) >= len(packets) - 3
    read = numbers(bridge)
    assert {(b[2] - a[2]) & 0xFFFFFFFF for a, b in pairwise(read)} == {bridge.codec.clock_rate // 50}
    assert min(levels(bridge.heard()[3200:-3200])) > LEVEL - 16.0


def test_a_pause_of_the_source_is_a_pause_with_a_marker_after_it() -> None:
    bridge, phone = Bridge("OPUS"), Phone("PCMU")
    packets = phone.packets(sine(8000, 2.0))
    words = packets[:40] + [
        (at, data[:2] + struct.pack("!H", (65_500 + 40 + n) & 0xFFFF) + data[4:])
        for n, (at, data) in enumerate(packets[70:])
    ]
    bridge.play(words)
    read = numbers(bridge)
    assert [n for n, one in enumerate(read) if one[0] & 0x80] == [0, 40]
    assert (read[40][2] - read[39][2]) & 0xFFFFFFFF == 31 * 960


@pytest.mark.parametrize(("from_", "to"), [("PCMU", "G722"), ("OPUS", "PCMU"), ("G722", "OPUS")])
def test_disorder_and_an_outage_are_survived_and_the_delay_comes_back(from_: str, to: str) -> None:
    rng = random.Random(11)
    bridge, phone = Bridge(to), Phone(from_)
    packets = phone.packets(sine(phone.rate, 24.0))
    arrivals = []
    for at, data in packets:
        if rng.random() < 0.05:
            continue
        if at < 6.0:
            arrivals.append((at + rng.random() * 0.1, data))
        elif at < 7.0:
            arrivals.append((7.0 + (at - 6.0) / 100, data))
        else:
            arrivals.append((at, data))
    bridge.play(arrivals)
    # By their timestamps the packets tell when they would have been sent.
    begin = numbers(bridge)[0][2]
    late = [
        sent - ((stamp - begin) & 0xFFFFFFFF) / bridge.codec.clock_rate
        for (sent, _), (_, _, stamp, _) in zip(bridge.sent, numbers(bridge), strict=True)
    ]
    assert max(late[-200:]) < 0.1
    heard = bridge.heard()
    assert sum(one < LEVEL - 12 for one in levels(heard[-16000 * 8 : -16000])) <= 12


@pytest.mark.parametrize(("from_", "to"), [("PCMU", "G722"), ("OPUS", "PCMU"), ("PCMA", "OPUS")])
def test_jumps_and_nonsense_raise_nothing_and_the_audio_goes_on(from_: str, to: str) -> None:
    bridge, phone = Bridge(to), Phone(from_)

    def speak(first: int, begin: int, ssrc: int = 7, *, enough: int = 48) -> None:
        packets = phone.packets(sine(phone.rate, 1.0), first=first, begin=begin)
        bridge.sent.clear()
        bridge.play([(at, data[:8] + struct.pack("!I", ssrc) + data[12:]) for at, data in packets], tail=0.5)
        assert len(bridge.sent) >= enough
        assert level(bridge.heard()[6400:9600]) == pytest.approx(LEVEL, abs=1.5)

    speak(100, 1000)
    speak(30_150, 1000 + 50 * phone.samples)
    speak(30_200, 0xA0000000)
    speak(7, 99, ssrc=8)
    header = struct.pack("!BBHII", 0x80, phone.type, 57, 99, 8)
    for data in (
        b"\x80",
        header + b"\x00",
        header + bytes(1500),
        header + b"\xff" * 1500,
        b"\xa0" + header[1:] + b"\xff" * 20,
        b"\x8f" + header[1:] + bytes(40),
        b"\x9f" + header[1:] + b"\xff" * 90,
    ):
        bridge.incoming.accept(data)
    speak(60, 99 + 53 * phone.samples, ssrc=8, enough=35)


def with_surprises(arrivals: list[tuple[float, bytes]], seed: int) -> list[tuple[float, bytes]]:
    """Now and then one packet is lost, late, doubled, marked, or a key is pressed beside it."""
    chance = random.Random(seed)
    made = []
    for at, data in arrivals:
        match chance.choices(("", "lost", "late", "twice", "marked", "key"), (60, 1, 1, 1, 1, 1))[0]:
            case "lost":
                continue
            case "late":
                at += 0.03
            case "twice":
                made.append((at + 0.001, data))
            case "marked":
                data = data[:1] + bytes((data[1] | 0x80,)) + data[2:]
            case "key":
                data = data[:1] + bytes((101,)) + data[2:12] + b"\x05\x8a\x03\x20"
        made.append((at, data))
    return made


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_the_short_way_is_the_careful_way(from_: str, to: str) -> None:
    phone = Phone(from_)
    arrivals = with_surprises(phone.packets(speech_like(phone.rate, 6.0)), len(from_) + 7 * len(to))
    fast, careful = Bridge(to), Bridge(to, careful=True)
    for bridge in (fast, careful):
        bridge.play(arrivals)
        bridge.outgoing.settle()
    assert fast.sent == careful.sent
    for of in ("packets", "octets", "sequence", "timestamp"):
        assert getattr(fast.outgoing.sender, of) == getattr(careful.outgoing.sender, of), of
    for of in ("received", "octets", "lost", "highest", "ssrc"):
        assert getattr(fast.incoming.statistics, of) == getattr(careful.incoming.statistics, of), of


@pytest.mark.parametrize(("from_", "to"), [pair for pair in PAIRS if "OPUS" not in pair])
def test_a_steady_stream_goes_the_short_way(from_: str, to: str) -> None:
    phone, bridge = Phone(from_), Bridge(to)
    arrivals = phone.packets(speech_like(phone.rate, 1.0), first=100, begin=0)
    bridge.outgoing.sender.sequence, bridge.outgoing.sender.timestamp = 7, 7
    bridge.play(arrivals[:2])
    assert bridge.incoming.is_armed
    packets = bridge.outgoing.sender.packets
    bridge.play(arrivals[2:])
    assert bridge.incoming.is_armed
    assert bridge.outgoing.sender.packets == packets  # not counted yet, as the careful way would have
    bridge.outgoing.settle()
    assert bridge.outgoing.sender.packets == len(bridge.sent) == len(arrivals)


def test_a_payload_that_cannot_be_decoded_in_the_middle_ends_nothing() -> None:
    fast, careful = Bridge("PCMU"), Bridge("PCMU", careful=True)
    phone = Phone("OPUS")
    payload = phone.packets(bytes(2 * phone.rate))[-1][1][12:]
    payloads = [payload] * 40
    # A frame count of 0 with code 3 is no Opus packet (RFC 6716, 3.2.5).
    payloads[20] = b"\x03\x00" + bytes(len(payload) - 2)
    arrivals = [
        (n * TICK, struct.pack("!BBHII", 0x80, phone.type, n, n * 960, 7) + payload)
        for n, payload in enumerate(payloads)
    ]
    for bridge in (fast, careful):
        bridge.play(arrivals[:20], tail=0.0)
        assert bridge.incoming.is_armed
        bridge.play(arrivals[20:])
    assert fast.sent == careful.sent
    assert len(fast.sent) >= len(arrivals) - 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 8, 9, 111, 112, 113, 101]),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.sampled_from([7, 8]),
            st.binary(max_size=300),
        ),
        max_size=30,
    ),
    st.sampled_from(sorted(TYPES)),
    st.sampled_from([10, 20, 30, 60]),
)
def test_no_packet_raises(packets: list[tuple[int, int, int, int, bytes]], to: str, ptime: int) -> None:
    bridge = Bridge(to, ptime=ptime)
    bridge.play(
        [
            (0.005 * n, struct.pack("!BBHII", 0x80, kind, sequence, stamp, ssrc) + payload)
            for n, (kind, sequence, stamp, ssrc, payload) in enumerate(packets)
        ],
        tail=0.5,
    )

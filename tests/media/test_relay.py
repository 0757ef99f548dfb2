"""Streams from one far end to another, without sockets."""

from __future__ import annotations

import struct
from collections import deque
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.dtmf import Digit
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender

SPEECH = bytes(range(160))


def packet(
    sequence: int,
    timestamp: int,
    *,
    payload: bytes = SPEECH,
    payload_type: int = 0,
    ssrc: int = 7,
    first: int = 0x80,
) -> bytes:
    return (
        struct.pack("!BBHII", first, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload
    )


def event(sequence: int, timestamp: int, duration: int, *, end: bool = False, code: int = 5) -> bytes:
    payload = struct.pack("!BBH", code, 0x80 if end else 10, duration)
    return packet(sequence, timestamp, payload=payload, payload_type=101)


class Sent:
    """One packet that went out, read."""

    def __init__(self, data: bytes) -> None:
        self.first, second, self.sequence, self.timestamp, self.ssrc = struct.unpack_from("!BBHII", data)
        self.marker, self.payload_type = bool(second & 0x80), second & 0x7F
        self.payload = data[12:]


class Bridge:
    """One direction of a call: packets in, packets out."""

    def __init__(self, *, careful: bool = False, codec: str = "PCMU", event_type: int | None = 96) -> None:
        self.clock = Clock(10.0)
        self.digits: list[Digit] = []
        self.ticking: set[Incoming] = set()
        self.incoming = Incoming(self.clock, self.digits.append, ticking=self.ticking)
        self.incoming.expect({0: "PCMU", 8: "PCMA", 101: EVENT, 13: "CN"})
        self.outgoing = Outgoing(RtpSender(ssrc=99, sequence=500, timestamp=70_000), self.clock)
        payload_type = {"PCMU": 0, "PCMA": 8}[codec]
        self.outgoing.speak(Speech(codec_of(codec), payload_type, event_type=event_type))
        self.wire: list[bytes] = []
        self.outgoing.send_by(lambda data: self.wire.append(bytes(data)))
        self.incoming.feed(self.outgoing)
        self._careful = careful
        self._socket: deque[bytes] = deque()
        self.incoming.receive = self._receive

    def _receive(self, buffer: bytearray) -> int:
        data = self._socket.popleft()
        buffer[: len(data)] = data
        return len(data)

    def hear(self, *packets: bytes) -> None:
        for data in packets:
            self.clock.now += 0.02
            if self._careful:
                self.incoming.accept(data)
            else:
                self._socket.append(data)
                self.incoming.receive_and_forward()

    @property
    def sent(self) -> list[Sent]:
        return [Sent(data) for data in self.wire]


def stream(count: int, *, start: int = 1000, ssrc: int = 7) -> list[bytes]:
    return [packet(start + n, (start + n) * 160, ssrc=ssrc) for n in range(count)]


def test_a_stream_keeps_its_order_and_time_under_our_own_identity() -> None:
    bridge = Bridge()
    bridge.hear(*stream(30))
    assert [p.sequence for p in bridge.sent] == list(range(500, 530))
    assert [p.timestamp - bridge.sent[0].timestamp for p in bridge.sent] == [160 * n for n in range(30)]
    assert {p.ssrc for p in bridge.sent} == {99}
    assert [p.marker for p in bridge.sent] == [True] + [False] * 29
    assert all(p.payload == SPEECH for p in bridge.sent)
    bridge.incoming.settle()
    sender, received = bridge.outgoing.sender, bridge.incoming.statistics
    assert (sender.packets, sender.octets, sender.sequence) == (30, 30 * 160, 530)
    assert (received.received, received.octets, received.lost) == (30, 30 * 172, 0)


def test_the_numbers_wrap_like_the_sources_do() -> None:
    bridge = Bridge()
    bridge.hear(*stream(40, start=65_520))
    assert [p.sequence for p in bridge.sent] == list(range(500, 540))
    bridge.incoming.settle()
    assert bridge.incoming.statistics.lost == 0


def test_loss_stays_visible_and_is_counted() -> None:
    bridge = Bridge()
    packets = stream(30)
    del packets[10:13]
    bridge.hear(*packets)
    assert [p.sequence for p in bridge.sent] == [*range(500, 510), *range(513, 530)]
    bridge.incoming.settle()
    assert bridge.incoming.statistics.lost == 3


def test_packets_out_of_order_stay_so() -> None:
    bridge = Bridge()
    packets = stream(10)
    packets[4], packets[5] = packets[5], packets[4]
    bridge.hear(*packets)
    assert [p.sequence for p in bridge.sent] == [500, 501, 502, 503, 505, 504, 506, 507, 508, 509]


def test_between_the_laws_bytes_are_translated() -> None:
    bridge = Bridge(codec="PCMA")
    bridge.hear(*stream(20))
    assert {p.payload for p in bridge.sent} == {SPEECH.translate(g711.PCMU_TO_PCMA)}
    assert {p.payload_type for p in bridge.sent} == {8}


def test_the_source_may_change_its_codec_in_the_middle() -> None:
    bridge = Bridge()
    bridge.hear(*stream(5), *(packet(1005 + n, (1005 + n) * 160, payload_type=8) for n in range(5)))
    assert [p.sequence for p in bridge.sent] == list(range(500, 510))
    assert {p.payload_type for p in bridge.sent} == {0}
    assert bridge.sent[-1].payload == SPEECH.translate(g711.PCMA_TO_PCMU)


def test_a_new_ssrc_and_a_jump_go_on_where_the_stream_is() -> None:
    bridge = Bridge()
    bridge.hear(*stream(5), *stream(5, start=40_000, ssrc=8), *stream(5, start=9_000, ssrc=8))
    assert [p.sequence for p in bridge.sent] == list(range(500, 515))
    assert {p.ssrc for p in bridge.sent} == {99}
    times = [p.timestamp for p in bridge.sent]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_extensions_padding_and_contributors_are_not_passed_on() -> None:
    bridge = Bridge()
    extension = struct.pack("!HHI", 0xBEDE, 1, 0)
    bridge.hear(
        packet(1, 160, first=0x90, payload=extension + SPEECH),
        packet(2, 320, first=0x82, payload=bytes(8) + SPEECH),
        packet(3, 480, first=0xA0, payload=SPEECH + b"\0\0\0\4"),
    )
    assert [(p.first, p.payload) for p in bridge.sent] == [(0x80, SPEECH)] * 3


def test_events_are_relayed_with_their_own_type_and_reported_once() -> None:
    bridge = Bridge(codec="PCMA", event_type=96)
    pressed = [event(1003 + n, 160_480, 160 * (n + 1)) for n in range(3)]
    ends = [event(1006 + n, 160_480, 480, end=True) for n in range(3)]
    bridge.hear(*stream(3), *pressed, *ends, *stream(3, start=1009))
    assert [p.payload_type for p in bridge.sent] == [8] * 3 + [96] * 6 + [8] * 3
    assert [p.sequence for p in bridge.sent] == list(range(500, 512))
    assert len({p.timestamp for p in bridge.sent[3:9]}) == 1
    assert bridge.sent[9].timestamp - bridge.sent[0].timestamp == 9 * 160
    assert bridge.digits == [Digit("5", 60)]


def test_a_digit_whose_ends_are_lost_is_reported_when_it_falls_silent() -> None:
    bridge = Bridge()
    bridge.hear(*stream(1), event(1001, 160_160, 160))
    assert bridge.ticking == {bridge.incoming}
    for _ in range(15):
        bridge.clock.now += 0.02
        for key in list(bridge.ticking):
            key.tick()
    assert [d.digit for d in bridge.digits] == ["5"]
    assert not bridge.ticking


def test_what_the_other_side_cannot_have_leaves_no_hole() -> None:
    bridge = Bridge(event_type=None)
    comfort = packet(1005, 160_800, payload=b"\x40", payload_type=13)
    bridge.hear(*stream(3), event(1003, 160_480, 160), event(1004, 160_480, 320, end=True), comfort)
    bridge.hear(*stream(3, start=1006))
    assert [p.sequence for p in bridge.sent] == list(range(500, 506))
    assert {p.payload_type for p in bridge.sent} == {0}
    assert abs(bridge.sent[3].timestamp - bridge.sent[0].timestamp - 6 * 160) <= 160
    assert bridge.digits == [Digit("5", 40)]


def test_audio_made_here_and_audio_relayed_are_one_stream() -> None:
    bridge = Bridge()
    bridge.hear(*stream(5))
    bridge.incoming.feed(None)
    bridge.outgoing.interrupt()
    for _ in range(5):
        bridge.clock.now += 0.02
        bridge.outgoing.say(SPEECH)
    bridge.hear(*stream(2, start=1005))
    bridge.incoming.feed(bridge.outgoing)
    bridge.hear(*stream(5, start=1007))
    assert [p.sequence for p in bridge.sent] == list(range(500, 515))
    times = [p.timestamp - bridge.sent[0].timestamp for p in bridge.sent]
    expected = [160 * n for n in (*range(10), *range(12, 17))]
    assert all(abs(time - wanted) <= 2 for time, wanted in zip(times, expected, strict=True))


def test_one_stream_has_one_feeder() -> None:
    bridge = Bridge()
    bridge.hear(*stream(5))
    other = Incoming(bridge.clock)
    other.expect({0: "PCMU"})
    other.feed(bridge.outgoing)
    bridge.hear(*stream(5, start=1005))
    assert len(bridge.wire) == 5
    other.accept(packet(1, 1))
    assert bridge.sent[-1].sequence == 505


def test_a_sink_that_does_not_take_packets_is_survived() -> None:
    bridge = Bridge()
    bridge.hear(*stream(3))

    def refuse(_: bytes | memoryview) -> None:
        raise ConnectionRefusedError

    bridge.outgoing.send_by(refuse)
    bridge.hear(*stream(20, start=1003))
    assert bridge.outgoing.unsent == 20


def test_a_changed_sink_is_obeyed_at_once() -> None:
    bridge = Bridge()
    bridge.hear(*stream(10))
    bridge.outgoing.speak(Speech(codec_of("PCMA"), 8))
    bridge.hear(*stream(10, start=1010))
    assert [p.payload_type for p in bridge.sent] == [0] * 10 + [8] * 10
    assert [p.sequence for p in bridge.sent] == list(range(500, 520))


def test_jitter_is_measured_in_the_fast_path_too() -> None:
    bridge = Bridge()
    for index, data in enumerate(stream(4000)):
        bridge.clock.now += 0.01 if index % 16 < 8 else -0.01
        bridge.hear(data)
    assert bridge.incoming.statistics.jitter_ms > 3


_PACKETS = st.lists(
    st.one_of(
        st.builds(
            packet,
            st.integers(990, 1010),
            st.integers(0, 4).map(lambda n: n * 160),
            payload=st.sampled_from([SPEECH, b"", b"\x05\x80\x00\xa0"]),
            payload_type=st.sampled_from([0, 0, 8, 13, 101, 50, 128]),
            ssrc=st.sampled_from([7, 7, 7, 8]),
            first=st.sampled_from([0x80, 0x80, 0x90, 0xA0, 0x8F, 0x40]),
        ),
        st.integers(0, 60_000).map(lambda start: packet(start, start * 160)),
        st.binary(max_size=30),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(_PACKETS)
def test_nothing_that_is_heard_raises_and_the_stream_goes_on(packets: list[bytes]) -> None:
    bridge = Bridge()
    bridge.hear(*packets)
    bridge.wire.clear()
    bridge.hear(*stream(20, start=30_000, ssrc=1234))
    assert [p.payload for p in bridge.sent] == [SPEECH] * 20
    numbers = [p.sequence for p in bridge.sent]
    assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(20)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 0, -1, 5000]), st.sampled_from([0, 0, 0, 0, 8, 101])),
        max_size=60,
    )
)
def test_the_fast_path_does_exactly_what_the_careful_way_does(steps: list[tuple[int, int]]) -> None:
    fast, careful = Bridge(codec="PCMA"), Bridge(codec="PCMA", careful=True)
    at = 65_500
    for step, payload_type in steps:
        at += step
        payload = SPEECH if payload_type != 101 else b"\x05\x00\x00\xa0"
        data = packet(at, at * 160, payload=payload, payload_type=payload_type)
        fast.hear(data)
        careful.hear(data)
    fast.incoming.settle()
    assert fast.wire == careful.wire
    ours, theirs = fast.outgoing.sender, careful.outgoing.sender
    assert (ours.packets, ours.octets, ours.sequence) == (theirs.packets, theirs.octets, theirs.sequence)
    assert fast.incoming.statistics.received == careful.incoming.statistics.received
    assert fast.incoming.statistics.lost == careful.incoming.statistics.lost

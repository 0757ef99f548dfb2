"""Bridges between two workers, in one process."""

from __future__ import annotations

import gc
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.link import LinkEnd, LinkSocket, pack, unpack
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender

CLOCK = Clock(1.0)


class Side:
    """One worker's half of a link: its endpoint's stream in, and what its far end is sent."""

    def __init__(self, directory: Path, here: str, there: str, codec: str, *, first_type: int) -> None:
        self.links = LinkSocket(str(directory / here))
        self.end = LinkEnd(
            here,
            there,
            str(directory / there),
            sender=RtpSender(ssrc=first_type),
            clock=CLOCK,
            transmit=self.links.transmit,
        )
        self.links.add(self.end)
        self.phone = Incoming(CLOCK)
        self.phone.expect({0: "PCMU", 8: "PCMA", first_type: EVENT})
        self.phone.feed(self.end.outgoing)
        self.wire: list[bytes] = []
        out = Outgoing(RtpSender(ssrc=99), CLOCK)
        out.speak(Speech(codec_of(codec), {"PCMU": 0, "PCMA": 8}[codec], event_type=first_type))
        out.send_by(lambda data: self.wire.append(bytes(data)))
        self.end.incoming.feed(out)


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    a = Side(tmp_path, "a", "b", "PCMU", first_type=101)
    b = Side(tmp_path, "b", "a", "PCMA", first_type=96)
    yield a, b
    a.links.socket.close()
    b.links.socket.close()


def rtp(sequence: int, payload: bytes, payload_type: int) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence, sequence * 160, 7) + payload


def test_the_end_of_a_link_is_forgotten_at_once(tmp_path: Path) -> None:
    """Without the collector: what lives longer than its period would never be looked at again."""
    gc.collect()
    gc.disable()
    try:
        sender, wire = RtpSender(ssrc=1), LinkSocket(str(tmp_path / "a"))
        end = LinkEnd("a", "b", str(tmp_path / "b"), sender=sender, clock=CLOCK, transmit=wire.transmit)
        wire.add(end)
        wire.remove(end)
        del end
        assert gc.collect() == 0
        wire.socket.close()
    finally:
        gc.enable()


def test_audio_is_translated_at_the_far_side_only(sides: tuple[Side, Side]) -> None:
    a, b = sides
    for sequence in range(50):
        a.phone.accept(rtp(sequence, b"\x11" * 160, 0))
    a.links.flush()
    b.links.receive()
    assert len(b.wire) == 50
    assert {p[1] & 0x7F for p in b.wire} == {8}
    assert {p[12:] for p in b.wire} == {(b"\x11" * 160).translate(g711.PCMU_TO_PCMA)}


def test_a_source_that_changes_its_codec_is_followed(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.phone.accept(rtp(1, b"\x11" * 160, 0))
    a.phone.accept(rtp(2, b"\x22" * 160, 8))
    a.links.flush()
    b.links.receive()
    assert [p[12] for p in b.wire] == [g711.PCMU_TO_PCMA[0x11], 0x22]


def test_digits_pass_with_each_sides_own_payload_type(sides: tuple[Side, Side]) -> None:
    a, b = sides
    b.phone.accept(rtp(1, b"\xd5" * 160, 8))
    b.phone.accept(rtp(2, struct.pack("!BBH", 5, 0x8A, 800), 96))
    b.links.flush()
    a.links.receive()
    assert [p[1] & 0x7F for p in a.wire] == [0, 101]
    assert a.wire[1][12:] == struct.pack("!BBH", 5, 0x8A, 800)


def test_records_of_a_link_that_ended_go_nowhere(sides: tuple[Side, Side]) -> None:
    a, b = sides
    b.links.remove(b.end)
    a.phone.accept(rtp(1, b"\x11" * 160, 0))
    a.links.flush()
    b.links.receive()
    assert b.wire == []


def test_a_dead_worker_at_the_other_side_costs_packets_only(sides: tuple[Side, Side], tmp_path: Path) -> None:
    a, _ = sides
    (tmp_path / "b").unlink()
    a.phone.accept(rtp(1, b"\x11" * 160, 0))
    a.links.flush()
    assert a.links.lost == 1


def test_what_the_other_side_cannot_take_yet_arrives_later_in_order(
    sides: tuple[Side, Side],
) -> None:
    a, b = sides
    for sequence in range(1200):
        a.phone.accept(rtp(sequence, b"\x11" * 160, 0))
        if sequence % 2:
            a.links.flush()
    for _ in range(200):
        b.links.receive()
        a.links.flush()
    assert a.links.lost == 0
    sequences = [struct.unpack_from("!H", p, 2)[0] for p in b.wire]
    assert sequences == [sequences[0] + n for n in range(1200)]


def test_a_side_that_never_reads_does_not_fill_the_memory(sides: tuple[Side, Side]) -> None:
    a, _ = sides
    for sequence in range(20_000):
        a.phone.accept(rtp(sequence % 0x10000, b"\x11" * 160, 0))
        if not sequence % 100:
            a.links.flush()
    assert a.links.lost > 5000


def test_records_survive_packing() -> None:
    records = [(b"call-1", b"call-2", b"packet"), (b"", b"x" * 255, b"")]
    assert list(unpack(b"".join(pack(*record) for record in records))) == records


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_rubbish_on_the_link_is_survived(datagram: bytes) -> None:
    for from_, to, data in unpack(datagram):
        assert len(from_) + len(to) + len(data) + 4 <= len(datagram)

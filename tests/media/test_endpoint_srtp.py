"""An endpoint whose far end speaks SRTP, with real sockets: what leaves, what is heard, whom it believes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from cordboard.media import rtcp
from cordboard.media.player import make_player
from cordboard.media.protocol import PlaySource, Srtp, SrtpKeys, StartPlay
from cordboard.media.rtp import RtpSender
from cordboard.media.srtp import SUITES, Protection

from .endpoint_bench import WAYS, Leg, rtp

SUITE = "AES_CM_128_HMAC_SHA1_80"
SILENCE = b"\xff" * 160


def srtp(suite: str = SUITE, *, send: int = 1, receive: int = 2) -> Srtp:
    """Keys as the endpoint has them."""
    length = SUITES[suite][2]
    return Srtp(
        send=SrtpKeys(suite=suite, key=bytes([send]) * length),
        receive=SrtpKeys(suite=suite, key=bytes([receive]) * length),
    )


class Phone:
    """The far end's keys."""

    def __init__(self, leg: Leg, keys: Srtp) -> None:
        self._leg = leg
        self.protection = Protection(leg.clock)
        self.protection.use(Srtp(send=keys.receive, receive=keys.send))
        self._sealed = b""
        self._seal = self.protection.protecting(self._keep)

    def _keep(self, packet: bytes | memoryview) -> object:
        self._sealed = bytes(packet)
        return None

    def seal(self, packet: bytes) -> bytes:
        self._seal(packet)
        return self._sealed

    def says(self, *packets: bytes) -> None:
        self._leg.send(*(self.seal(packet) for packet in packets))

    def hears(self) -> list[bytes | None]:
        return [self.protection.open(packet) for packet in self._leg.heard()]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def leg(way: str) -> Iterator[Leg]:
    made = Leg(way)
    yield made
    made.close()


def received(leg: Leg) -> int:
    return leg.endpoint.statistics().packets_received


@pytest.mark.parametrize("suite", SUITES)
def test_either_hears_the_other(leg: Leg, suite: str) -> None:
    keys = srtp(suite)
    leg.set_remote(srtp=keys)
    phone = Phone(leg, keys)
    phone.says(*(rtp(n) for n in range(20)))
    assert received(leg) == 20
    for _ in range(3):
        leg.endpoint.outgoing.say(SILENCE)
    payloads = [packet[12:] for packet in phone.hears() if packet is not None]
    assert payloads == [SILENCE] * 3
    assert leg.endpoint.statistics().packets_unauthentic == 0


def test_what_comes_in_secure_goes_on_plain_to_the_other_leg_and_back(leg: Leg, way: str) -> None:
    other = Leg(way)
    try:
        leg.set_remote(srtp=srtp())
        other.set_remote()
        phone = Phone(leg, srtp())
        leg.endpoint.incoming.feed(other.endpoint.outgoing)
        other.endpoint.incoming.feed(leg.endpoint.outgoing)
        for n in range(20):
            phone.says(rtp(n, bytes([n]) * 160))
            other.send(rtp(n, bytes([100 + n]) * 160))
        assert [packet[12:] for packet in other.heard()] == [bytes([n]) * 160 for n in range(20)]
        heard = phone.hears()
        assert [packet[12:] for packet in heard if packet is not None] == [
            bytes([100 + n]) * 160 for n in range(20)
        ]
    finally:
        other.close()


def test_plain_replayed_and_foreign_packets_are_dropped_counted_and_never_heard(leg: Leg) -> None:
    leg.set_remote(srtp=srtp())
    phone, stranger = Phone(leg, srtp()), Phone(leg, srtp(send=5, receive=6))
    first = phone.seal(rtp(0))
    leg.send(first, first, rtp(1), stranger.seal(rtp(2)), b"\x80", phone.seal(rtp(3)), first)
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.packets_unauthentic) == (2, 5)


def test_plain_packets_never_latch(leg: Leg) -> None:
    leg.set_remote(srtp=srtp(), address="127.0.0.2", port=9)
    leg.send(*(rtp(n) for n in range(20)))
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.latched_to) == (0, "")
    assert statistics.packets_unauthentic == 20
    assert leg.endpoint.was_heard


def test_one_authentic_packet_latches_from_wherever_it_comes(leg: Leg) -> None:
    leg.set_remote(srtp=srtp(), address="127.0.0.2", port=9)
    phone = Phone(leg, srtp())
    phone.says(rtp(0))
    host, port = leg.phone.getsockname()
    assert leg.endpoint.statistics().latched_to == f"{host}:{port}"
    leg.endpoint.outgoing.say(SILENCE)
    assert [packet is not None for packet in phone.hears()] == [True]


def test_a_far_end_that_moved_is_followed_when_its_old_place_is_silent(leg: Leg) -> None:
    leg.set_remote(srtp=srtp())
    phone = Phone(leg, srtp())
    phone.says(*(rtp(n) for n in range(5)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.3", 0))
        moved.settimeout(1)
        moved.sendto(phone.seal(rtp(5)), leg.server)
        leg.loop.serve()
        assert leg.endpoint.statistics().latched_to == ""
        leg.clock.now += 1.5
        moved.sendto(phone.seal(rtp(6)), leg.server)
        leg.loop.serve()
        assert leg.endpoint.statistics().latched_to.startswith("127.0.0.3:")
        leg.endpoint.outgoing.say(SILENCE)
        assert phone.protection.open(moved.recv(2048)) is not None


def test_nothing_plain_ever_leaves(leg: Leg) -> None:
    """Not before the keys are there, not by a play, not while they change, not in reports, not at the end."""
    reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reports.bind(("127.0.0.1", 0))
    reports.setblocking(False)
    rtcp_port = reports.getsockname()[1]
    leg.endpoint.outgoing.say(SILENCE)
    leg.set_remote(srtp=srtp(), rtcp_port=rtcp_port)
    phone = Phone(leg, srtp())
    play = StartPlay(endpoint_id="leg", play_id="p", sources=(PlaySource(kind="silence", duration_ms=200),))
    leg.endpoint.speaker.play(play, make_player(play.sources, open_file))
    phone.says(*(rtp(n) for n in range(3)))
    for round_ in range(4):
        for _ in range(3):
            leg.endpoint.speaker.tick()
            leg.endpoint.outgoing.say(SILENCE)
        leg.endpoint.report()
        leg.set_remote(srtp=srtp(send=10 + round_, receive=20 + round_), rtcp_port=rtcp_port)
    leg.endpoint.report(goodbye=True)
    media = leg.heard()
    told = _all(reports)
    reports.close()
    assert len(media) >= 12
    assert len(told) == 5
    assert not any(packet[12:] in (SILENCE, SILENCE[:-10]) or SILENCE[:16] in packet for packet in media)
    assert not any(_is_readable_report(packet) for packet in told)


def open_file(path: str) -> BinaryIO:
    raise FileNotFoundError(path)


def _all(one: socket.socket) -> list[bytes]:
    packets = []
    try:
        while True:
            packets.append(one.recv(2048))
    except BlockingIOError:
        return packets


def _is_readable_report(packet: bytes) -> bool:
    """The name of the source (SDES) can be read."""
    return b"@127.0.0.1" in packet


def test_reports_are_heard_only_if_they_are_authentic(leg: Leg) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
        reports.bind(("127.0.0.1", 0))
        leg.set_remote(srtp=srtp(), rtcp_port=reports.getsockname()[1])
        phone = Phone(leg, srtp())
        phone.says(*(rtp(n) for n in range(3)))
        leg.endpoint.outgoing.say(SILENCE)
        theirs = rtcp.Reporting(cname="phone")
        plain = theirs.report(RtpSender(ssrc=7), leg.endpoint.incoming.statistics, leg.clock.now)
        there = (leg.server[0], leg.server[1] + 1)
        reports.sendto(plain, there)
        leg.loop.serve()
        assert leg.endpoint.statistics().packets_unauthentic == 1
        reports.sendto(phone.protection.protect_rtcp(plain), there)
        leg.loop.serve()
        assert leg.endpoint.statistics().packets_unauthentic == 1


def test_reports_on_the_port_of_the_media_are_protected_as_reports(leg: Leg) -> None:
    leg.set_remote(srtp=srtp(), rtcp_port=leg.phone.getsockname()[1])
    phone = Phone(leg, srtp())
    phone.says(rtp(0))
    leg.endpoint.outgoing.say(SILENCE)
    leg.endpoint.report()
    media, report = leg.heard()
    assert phone.protection.open(media) is not None
    plain = phone.protection.open_rtcp(report)
    assert plain is not None
    assert _is_readable_report(plain)
    phone.says(rtp(1))
    leg.send(phone.protection.protect_rtcp(plain))
    assert leg.endpoint.statistics().packets_unauthentic == 0


def test_new_keys_take_over_without_a_lost_packet(leg: Leg) -> None:
    leg.set_remote(srtp=srtp())
    old = Phone(leg, srtp())
    old.says(*(rtp(n) for n in range(10)))
    leg.endpoint.outgoing.say(SILENCE)
    under_way = [old.seal(rtp(n)) for n in range(10, 13)]
    keys = srtp(send=3, receive=4)
    leg.set_remote(srtp=keys)
    new = Phone(leg, keys)
    leg.send(*under_way)
    new.says(*(rtp(n) for n in range(13, 30)))
    leg.endpoint.outgoing.say(SILENCE)
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.packets_lost) == (30, 0)
    first, second = leg.heard()
    assert old.protection.open(first) is not None
    assert new.protection.open(second) is not None


def test_the_same_description_again_keeps_counters_and_replay_list(leg: Leg) -> None:
    leg.set_remote(srtp=srtp())
    phone = Phone(leg, srtp())
    sealed = [phone.seal(rtp(n)) for n in range(65_530, 65_550)]
    leg.send(*sealed[:10])
    leg.set_remote(srtp=srtp())
    leg.send(*sealed)
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.packets_unauthentic) == (20, 10)


def test_a_far_end_may_go_from_plain_to_secure_and_back(leg: Leg) -> None:
    leg.set_remote()
    leg.send(*(rtp(n) for n in range(5)))
    leg.set_remote(srtp=srtp())
    phone = Phone(leg, srtp())
    phone.says(*(rtp(n) for n in range(5, 10)))
    leg.set_remote()
    leg.send(*(rtp(n) for n in range(10, 15)))
    assert received(leg) == 15


def test_keys_that_fit_no_suite_mean_silence(leg: Leg) -> None:
    bad = SrtpKeys(suite=SUITE, key=b"short")
    leg.set_remote(srtp=Srtp(send=bad, receive=bad))
    leg.endpoint.outgoing.say(SILENCE)
    leg.endpoint.report()
    assert leg.heard() == []
    assert not leg.endpoint.may_be_heard

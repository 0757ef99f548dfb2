"""Video between two legs, with real sockets: what comes in at one goes out at the other as it is."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from cordboard.media.graph import Graph
from cordboard.media.protocol import Srtp, SrtpKeys, VideoRemote
from cordboard.media.srtp import Protection

from .endpoint_bench import Leg

VP8, H264 = 96, 97
PLI = struct.pack("!BBHII", 0x81, 206, 2, 0x1111, 0x2222)
SUITE = "AES_CM_128_HMAC_SHA1_80"


def picture(sequence: int, kind: int = VP8, *, marker: bool = False, payload: bytes = b"p" * 900) -> bytes:
    second = kind | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, 90_000, 0x2222) + payload


def keys(seed: int) -> Srtp:
    return Srtp(
        send=SrtpKeys(suite=SUITE, key=bytes([seed]) * 30),
        receive=SrtpKeys(suite=SUITE, key=bytes([seed + 1]) * 30),
    )


class Viewer:
    """A leg and the camera and screen of its far end."""

    def __init__(self) -> None:
        self.leg = Leg(video=True)
        video = self.leg.endpoint.video
        assert video is not None
        self.video = video
        self.there = ("127.0.0.1", video.ports.port)
        self.media, self.reports = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.media, self.reports):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)

    def agree(self, **changes: object) -> None:
        fields: dict[str, object] = {
            "port": self.media.getsockname()[1],
            "rtcp_port": self.reports.getsockname()[1],
            "accepted": ((VP8, "VP8"), (H264, "H264/1/42")),
        }
        self.leg.set_remote(video=VideoRemote(**(fields | changes)))  # type: ignore[arg-type]

    def shows(self, *packets: bytes) -> None:
        for packet in packets:
            self.media.sendto(packet, self.there)
        self.leg.loop.serve()

    def reports_back(self, packet: bytes) -> None:
        self.reports.sendto(packet, (self.there[0], self.there[1] + 1))
        self.leg.loop.serve()

    def sees(self) -> list[bytes]:
        return _waiting(self.media)

    def is_told(self) -> list[bytes]:
        return _waiting(self.reports)

    def close(self) -> None:
        self.leg.close()
        self.media.close()
        self.reports.close()


def _waiting(one: socket.socket) -> list[bytes]:
    packets = []
    try:
        while True:
            packets.append(one.recv(4096))
    except BlockingIOError:
        return packets


class Call:
    """Two viewers, joined."""

    def __init__(self) -> None:
        self.a, self.b = Viewer(), Viewer()
        self.graph = Graph()
        self.graph.join(self.a.leg.endpoint, self.b.leg.endpoint)

    def close(self) -> None:
        self.a.close()
        self.b.close()


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call()
    yield made
    made.close()


def test_pictures_pass_as_they_are(call: Call) -> None:
    call.a.agree()
    call.b.agree()
    sent = [picture(n, marker=n % 3 == 2) for n in range(65_500, 65_560)]
    call.a.shows(*sent)
    assert call.b.sees() == sent
    call.b.shows(*sent[:5])
    assert call.a.sees() == sent[:5]
    statistics = call.a.leg.endpoint.statistics()
    assert (statistics.video_packets_received, statistics.video_packets_sent) == (60, 5)


def test_only_the_payload_type_is_translated(call: Call) -> None:
    call.a.agree()
    call.b.agree(accepted=((120, "VP8"), (121, "H264/1/42")))
    call.a.shows(picture(1, VP8), picture(2, H264, marker=True))
    assert call.b.sees() == [picture(1, 120), picture(2, 121, marker=True)]
    call.b.shows(picture(3, 120))
    assert call.a.sees() == [picture(3, VP8)]


def test_a_far_end_gets_its_own_numbers_where_they_clash_with_ours(call: Call) -> None:
    call.a.agree()
    call.b.agree(accepted=((96, "VP8"), (97, "H264/1/42")), send=((96, "H264/1/42"), (110, "VP8")))
    call.a.shows(picture(1, VP8), picture(2, H264))
    assert call.b.sees() == [picture(1, 110), picture(2, 96)]


def test_what_the_other_leg_does_not_take_is_not_passed(call: Call) -> None:
    call.a.agree()
    call.b.agree(accepted=((120, "VP8"),))
    call.a.shows(picture(1, H264), picture(2, VP8), picture(3, 50))
    assert call.b.sees() == [picture(2, 120)]


def test_feedback_goes_back_to_the_sender_untouched(call: Call) -> None:
    call.a.agree()
    call.b.agree()
    call.a.shows(picture(1))
    call.b.reports_back(PLI)
    assert call.a.is_told() == [PLI]


def test_feedback_passes_where_pictures_go_one_way_only(call: Call) -> None:
    call.a.agree(sending=False)
    call.b.agree(receiving=False)
    call.a.shows(picture(1))
    call.b.shows(picture(1))
    call.b.reports_back(PLI)
    assert call.b.sees() == [picture(1)]
    assert call.a.sees() == []
    assert call.a.is_told() == [PLI]


def test_feedback_on_the_port_of_the_media_goes_on_as_feedback(call: Call) -> None:
    call.a.agree(rtcp_port=call.a.media.getsockname()[1])
    call.b.agree()
    call.a.shows(picture(1), PLI)
    assert call.b.is_told() == [PLI]
    call.b.reports_back(PLI)
    assert call.a.sees() == [PLI]


def test_a_stranger_is_neither_seen_nor_listened_to(call: Call) -> None:
    call.a.agree()
    call.b.agree()
    call.a.shows(picture(1))
    call.b.sees()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        for n in range(20):
            stranger.sendto(picture(n), call.a.there)
        stranger.sendto(PLI, (call.a.there[0], call.a.there[1] + 1))
        call.a.leg.loop.serve()
    assert call.b.sees() == []
    assert call.b.is_told() == []


def test_a_camera_behind_nat_is_followed(call: Call) -> None:
    call.a.agree(port=9, address="127.0.0.2")
    call.b.agree()
    call.a.shows(*(picture(n) for n in range(10)))
    assert len(call.b.sees()) == 6
    call.b.shows(picture(50))
    assert call.a.sees() == [picture(50)]


@pytest.mark.parametrize("off", ["a", "b"])
def test_video_is_off_when_either_side_has_none(call: Call, off: str) -> None:
    call.a.agree()
    call.b.agree()
    (call.a if off == "a" else call.b).leg.set_remote()
    call.a.shows(picture(1))
    call.a.reports_back(PLI)
    assert call.b.sees() == []
    assert call.b.is_told() == []


def test_a_leg_without_video_may_be_joined_with_one_that_has_it() -> None:
    viewer, other = Viewer(), Leg()
    try:
        Graph().join(viewer.leg.endpoint, other.endpoint)
        viewer.agree()
        viewer.shows(picture(1))
        assert viewer.leg.endpoint.statistics().video_packets_received == 1
        assert other.endpoint.statistics().video_packets_received == 0
    finally:
        viewer.close()
        other.close()


def test_nothing_flows_after_the_legs_are_taken_apart(call: Call) -> None:
    call.a.agree()
    call.b.agree()
    call.graph.part(call.a.leg.endpoint)
    call.a.shows(picture(1))
    call.a.reports_back(PLI)
    assert (call.b.sees(), call.b.is_told()) == ([], [])


def test_each_stream_has_its_own_keys(call: Call) -> None:
    call.a.agree(srtp=keys(10))
    call.b.agree()
    camera = Protection(call.a.leg.clock)
    camera.use(Srtp(send=keys(10).receive, receive=keys(10).send))
    call.a.shows(picture(1), camera.protect(picture(2)), camera.protect(picture(3)))
    assert call.b.sees() == [picture(2), picture(3)]
    call.b.shows(picture(4))
    (sealed,) = call.a.sees()
    assert sealed[12:28] != picture(4)[12:28]
    assert camera.open(sealed) == picture(4)
    call.a.reports_back(PLI)
    assert call.b.is_told() == []
    call.a.reports_back(camera.protect_rtcp(PLI))
    assert call.b.is_told() == [PLI]
    call.b.reports_back(PLI)
    (report,) = call.a.is_told()
    assert camera.open_rtcp(report) == PLI
    assert call.a.video.refused == 2


def test_a_packet_that_was_missed_is_passed_again(call: Call) -> None:
    call.a.agree()
    call.b.agree(srtp=keys(10))
    screen = Protection(call.b.leg.clock)
    screen.use(Srtp(send=keys(10).receive, receive=keys(10).send))
    call.a.shows(picture(1), picture(2), picture(3), picture(2))
    first, missed, third, again = call.b.sees()
    assert missed == again
    assert [screen.open(packet) for packet in (first, third, again)] == [picture(1), picture(3), picture(2)]

"""One leg's media with real sockets on loopback, its loop driven by hand."""

from __future__ import annotations

import gc
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.media import rtcp
from cordboard.media.endpoint import reachable
from cordboard.media.protocol import DigitHeard

from .endpoint_bench import WAYS, ByHand, Leg, rtp


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def leg(way: str) -> Iterator[Leg]:
    made = Leg(way)
    yield made
    made.close()


def test_every_packet_is_counted_whichever_socket_it_comes_by(leg: Leg) -> None:
    leg.set_remote()
    leg.send(*(rtp(n) for n in range(50)))
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.bytes_received) == (50, 50 * 172)
    assert statistics.packets_lost == 0
    assert statistics.mos is not None
    assert statistics.mos > 4


def test_a_burst_that_arrives_while_the_far_end_is_latched_stays_in_order(leg: Leg) -> None:
    leg.set_remote()
    for n in range(30):
        leg.phone.sendto(rtp(n), leg.server)
    leg.loop.serve()
    for n in range(30, 60):
        leg.phone.sendto(rtp(n), leg.server)
    leg.loop.serve()
    statistics = leg.endpoint.statistics()
    assert (statistics.packets_received, statistics.packets_lost) == (60, 0)


def test_a_closed_endpoint_leaves_only_its_ports(way: str) -> None:
    leg = Leg(way)
    leg.set_remote()
    leg.send(rtp(1), rtp(2))
    assert len(leg.loop.handlers) == 3
    leg.close()
    ports = leg.endpoint.ports
    assert list(leg.loop.handlers) == [ports.rtp, ports.rtcp]


@pytest.mark.parametrize("packets", [0, 3, 20])
def test_a_closed_endpoint_is_forgotten_at_once(way: str, packets: int) -> None:
    """Without the collector: what lives longer than its period would never be looked at again."""
    loop = ByHand(way)
    # The types of ctypes that a first lane needs are made once.
    first = Leg(loop=loop)
    first.set_remote()
    first.send(rtp(1))
    gc.collect()
    gc.disable()
    try:
        leg = Leg(loop=loop)
        leg.set_remote()
        leg.send(*(rtp(number) for number in range(packets)))
        leg.close()
        for one in (leg.endpoint.ports.rtp, leg.endpoint.ports.rtcp):
            del loop.handlers[one]
        del leg, one
        assert gc.collect() == 0
    finally:
        gc.enable()
        first.close()
        loop.close()


def test_an_endpoint_knows_whether_anybody_sent_to_it(leg: Leg) -> None:
    assert not leg.endpoint.was_heard
    leg.set_remote(address="127.0.0.2")
    leg.send(rtp(1))
    assert leg.endpoint.was_heard


def test_the_far_end_moves_by_a_new_description(leg: Leg) -> None:
    leg.set_remote()
    leg.send(rtp(1), rtp(2))
    leg.endpoint.outgoing.say(b"\xff" * 160)
    assert len(leg.heard()) == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.1", 0))
        leg.set_remote(port=moved.getsockname()[1])
        leg.endpoint.outgoing.say(b"\xff" * 160)
        assert leg.heard() == []
        assert len(moved.recv(2048)) == 172


@pytest.mark.parametrize(
    ("address", "port"),
    [("0.0.0.0", 4000), ("127.0.0.1", 0), ("224.0.0.1", 4000), ("nowhere", 4000), ("::", 1)],
)
def test_where_nothing_may_be_sent_nothing_is(leg: Leg, address: str, port: int) -> None:
    leg.set_remote()
    leg.set_remote(address=address, port=port)
    assert not leg.endpoint.may_be_told
    leg.endpoint.outgoing.say(b"\xff" * 160)
    assert leg.heard() == []


def test_addresses_are_spelt_as_sockets_spell_them() -> None:
    assert reachable("2001:DB8:0::1") == "2001:db8::1"
    assert reachable("fe80::1%eth0") in ("fe80::1%eth0", None)


def test_rtcp_from_elsewhere_is_not_listened_to(leg: Leg) -> None:
    leg.set_remote()
    goodbye = struct.pack("!BBHI", 0x80, 201, 1, 7) + struct.pack("!BBHI", 0x81, 203, 1, 7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(goodbye, (leg.server[0], leg.server[1] + 1))
        leg.loop.serve()
        assert not leg.endpoint.reports.reporting.goodbye
    leg.phone.sendto(goodbye, (leg.server[0], leg.server[1] + 1))
    leg.loop.serve()
    assert leg.endpoint.reports.reporting.goodbye


def test_rtcp_on_the_port_of_rtp_is_understood_and_answered_there(leg: Leg) -> None:
    leg.set_remote(rtcp_port=leg.phone.getsockname()[1])
    leg.send(rtp(1), rtp(2))
    leg.send(struct.pack("!BBHI", 0x80, 201, 1, 7) + struct.pack("!BBHI", 0x81, 203, 1, 7))
    assert leg.endpoint.reports.reporting.goodbye
    leg.endpoint.report()
    (report,) = leg.heard()
    assert report[1] == 201


def test_at_its_end_a_leg_takes_leave_of_whom_it_has_spoken_with(leg: Leg) -> None:
    leg.set_remote(rtcp_port=leg.phone.getsockname()[1])
    leg.endpoint.outgoing.say(b"\xff" * 160)
    leg.endpoint.close()
    _, last = leg.heard()
    report, goodbye = rtcp.parse(last)
    assert isinstance(report, rtcp.Report)
    assert goodbye == rtcp.Goodbye((1,))


def test_who_never_said_anything_takes_no_leave(leg: Leg) -> None:
    leg.set_remote(rtcp_port=leg.phone.getsockname()[1])
    leg.send(rtp(1), rtp(2))
    leg.endpoint.close()
    assert leg.heard() == []


def test_a_silent_leg_sends_no_report(leg: Leg) -> None:
    leg.set_remote(rtcp_port=leg.phone.getsockname()[1])
    leg.endpoint.report()
    assert leg.heard() == []


def test_a_key_is_heard_once_however_often_its_end_comes(leg: Leg) -> None:
    leg.set_remote()
    pressed = [rtp(1 + n, struct.pack("!BBH", 9, 10, 160 * n), 101) for n in range(1, 4)]
    same_time = [packet[:4] + struct.pack("!I", 160) + packet[8:] for packet in pressed]
    end = struct.pack("!BBHIIBBH", 0x80, 101, 5, 160, 7, 9, 0x8A, 800)
    leg.send(rtp(1), *same_time, end, end, end)
    assert leg.events == [DigitHeard(endpoint_id="leg", digit="9", duration_ms=100)]


_DATAGRAMS = st.lists(
    st.one_of(
        st.binary(max_size=64),
        st.sampled_from([b"", b"\x80", b"\x80" * 1500, rtp(5)[:12], rtp(5)[:13]]),
        st.builds(
            lambda first, second, rest: bytes((first, second)) + rest,
            st.sampled_from([0x80, 0x8F, 0x90, 0xA0, 0xBF]),
            st.sampled_from([0, 8, 101, 0x80, 200, 201, 72]),
            st.binary(min_size=10, max_size=60),
        ),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_DATAGRAMS)
def test_whatever_the_far_end_sends_its_next_good_packets_are_heard(leg: Leg, datagrams: list[bytes]) -> None:
    leg.set_remote()
    leg.send(*datagrams)
    before = leg.endpoint.statistics().packets_received
    leg.send(*(rtp(20_000 + n) for n in range(5)))
    assert leg.endpoint.statistics().packets_received == before + 5
    for data in datagrams:
        leg.phone.sendto(data, (leg.server[0], leg.server[1] + 1))
        leg.loop.serve()
    leg.endpoint.report()
    assert all(0 <= d.duration_ms <= 8192 for d in leg.events if isinstance(d, DigitHeard))

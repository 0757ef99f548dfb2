"""The same call once more: without keys where they are refused, over UDP where TCP is closed."""

from __future__ import annotations

import pytest

from cordboard.call.plan import Destination
from cordboard.legs.outputs import Target
from cordboard.legs.plain_hosts import MAX_HOSTS, REMEMBERED_FOR, PlainHosts
from cordboard.legs.rules import LegRules
from cordboard.sdp import parse
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import InviteReceived

from .attempting import SECOND, answer, dialled, invites, refuse
from .leg_bench import BOB, CALLED, FAR, LegBench


@pytest.fixture
def bench() -> LegBench:
    return LegBench()


# ---------------------------------------------------------------- without keys


def secure_rules(encryption: str = "optional") -> LegRules:
    return LegRules(encryption=encryption, new_key=lambda length: bytes(range(length)))


def keys_offered(bench: LegBench) -> bool:
    return b"a=crypto:" in bench.received(InviteReceived).request.body


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_far_end_that_wants_no_keys_is_asked_once_more_without(status: int) -> None:
    bench = LegBench(rules=secure_rules())
    dialled(bench, SECOND)
    assert keys_offered(bench)
    refuse(bench, status)
    assert not keys_offered(bench)
    assert parse(bench.received(InviteReceived).request.body).media[0].protocol == "RTP/AVP"
    answer(bench)


def test_one_that_refuses_both_is_not_asked_a_third_time() -> None:
    bench = LegBench(rules=secure_rules())
    dialled(bench, SECOND)
    refuse(bench, 488)
    refuse(bench, 488)
    assert invites(bench) == 2
    assert bench.ending(CALLED).cause == "incompatible"


@pytest.mark.parametrize(("later", "offered"), [(0.0, False), (3599.0, False), (3601.0, True)])
def test_it_is_remembered_for_an_hour_that_a_host_wants_no_keys(later: float, offered: bool) -> None:
    bench = LegBench(rules=secure_rules())
    dialled(bench, SECOND)
    refuse(bench, 488)
    answer(bench)
    bench.end(CALLED)
    bench.run(later)
    dialled(bench, SECOND)
    assert keys_offered(bench) is offered


def test_where_keys_are_demanded_nothing_is_offered_without() -> None:
    bench = LegBench(rules=secure_rules("forbidden"))
    dialled(bench, SECOND, destination=Destination(kind="sip", to=BOB, encryption="mandatory"))
    assert parse(bench.received(InviteReceived).request.body).media[0].protocol == "RTP/SAVP"
    refuse(bench, 488)
    assert invites(bench) == 1
    end = bench.ending(CALLED)
    assert (end.cause, end.sip_code) == ("encryption_refused", 488)
    assert "SRTP" in end.sentence


def test_where_keys_are_forbidden_a_refusal_is_final() -> None:
    bench = LegBench(rules=secure_rules())
    dialled(bench, SECOND, destination=Destination(kind="sip", to=BOB, encryption="forbidden"))
    assert not keys_offered(bench)
    refuse(bench, 488)
    assert invites(bench) == 1
    assert bench.ending(CALLED).cause == "incompatible"


def test_the_memory_of_plain_hosts_is_bounded_and_keeps_the_latest() -> None:
    hosts = PlainHosts()
    for n in range(MAX_HOSTS + 10):
        hosts.note(f"Host{n}", float(n))
    assert len(hosts) == MAX_HOSTS
    assert not hosts.has("host0", 20.0)
    assert hosts.has("HOST1033", 2000.0)
    assert not hosts.has("host1033", 1033.0 + REMEMBERED_FOR)


# ---------------------------------------------------------------- too large for a datagram

BY_TCP = Endpoint("TCP", FAR.address, 5060)
EITHER = Target(request_uri=BOB, endpoint=FAR, large=BY_TCP)
LONG_HEADER = Destination(kind="sip", to=BOB, headers=(("X-Long", "x" * 1000),))


def test_a_large_invite_goes_by_tcp(bench: LegBench) -> None:
    dialled(bench, EITHER, destination=LONG_HEADER)
    [invite] = [d for d in bench.wire.sent if d.data.startswith(b"INVITE")]
    assert invite.destination == BY_TCP
    assert b"SIP/2.0/TCP" in invite.data


def test_a_small_one_goes_by_udp(bench: LegBench) -> None:
    dialled(bench, EITHER)
    answer(bench)


def test_where_tcp_is_refused_it_goes_by_udp_after_all(bench: LegBench) -> None:
    dialled(bench, EITHER, destination=LONG_HEADER)
    bench.do(bench.legs.transport_failed(BY_TCP, bench.now))
    bench.run()
    assert invites(bench) == 1
    answer(bench)


def test_no_request_by_udp_is_larger_than_1300_bytes_where_tcp_is_possible() -> None:
    for length in range(500, 900, 7):
        bench = LegBench()
        headers = (("X-Long", "x" * length),)
        dialled(bench, EITHER, destination=Destination(kind="sip", to=BOB, headers=headers))
        [invite] = [d for d in bench.wire.sent if d.data.startswith(b"INVITE")]
        assert invite.destination == BY_TCP or len(invite.data) <= 1300


@pytest.mark.parametrize(("length", "suites"), [(10, 5), (200, 1)])
def test_an_invite_that_would_be_too_large_offers_the_suite_that_everybody_has(
    length: int, suites: int
) -> None:
    bench = LegBench(rules=secure_rules())
    headers = (("X-Long", "x" * length),)
    dialled(bench, EITHER, destination=Destination(kind="sip", to=BOB, headers=headers))
    [audio] = parse(bench.received(InviteReceived).request.body).media
    assert len(audio.all("crypto")) == suites
    assert "AES_CM_128_HMAC_SHA1_80" in " ".join(audio.all("crypto"))
    answer(bench)

"""SIPps that call behave in every way that a caller can."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cordboard.server.server import Server
from cordboard.sip.timers import Timers

from .book import Book
from .cases import about
from .conftest import StartServer
from .peers import Sipps
from .scenario import (
    ANSWERED,
    CANCELLED,
    PCMA,
    SDP,
    TARGET,
    TELEPHONE_EVENT,
    ack,
    ack_refusal,
    answer_bye,
    bye,
    callee,
    caller,
    cancel,
    hang_up,
    invite,
    invited,
    pause,
    provisionals,
    receive,
    reply,
    request,
    response,
    sdp,
)
from .strategies import NAMES, connect, document

pytestmark = pytest.mark.real_peer

every_strategy = pytest.mark.parametrize("strategy", NAMES)

RINGS = callee(invited(), reply(180), receive("CANCEL"), *CANCELLED)
ANSWERS = callee(invited(), reply(180), reply(200, SDP), *ANSWERED)
TALKED = ["connecting", "connected", "disconnected"]

GIVES_UP = (
    response(100, optional="true"),
    response(180),
    pause(400),
    cancel(),
    response(200),
    response(487),
    ack_refusal(),
)


# ---------------------------------------------------------------- leaving


@every_strategy
async def test_a_caller_who_cancels_stops_the_ringing(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    ringing = await sipps.callee("ringing", RINGS)
    server = await start_server(connect(strategy, ringing.uri))
    book = Book(server)
    calling = await sipps.caller(server.socket.local.host_port, caller(invite(), *GIVES_UP))
    await calling.finished()
    await ringing.finished()
    await book.rest()
    assert book.connects() == ["connecting", "failed cancel"]
    assert book.ends()[ringing.uri] == "caller_gone"
    assert book.caller_ends() == ["caller_cancelled"]


@every_strategy
async def test_an_answered_caller_who_hangs_up_stops_the_ringing(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    ringing = await sipps.callee("ringing", RINGS)
    server = await start_server(connect(strategy, ringing.uri, options="answer_on_bridge: false"))
    book = Book(server)
    calling = await sipps.caller(server.socket.local.host_port, "uac", talk_ms=600)
    await calling.finished()
    await ringing.finished()
    await book.rest()
    assert book.connects() == ["connecting", "failed cancel"]
    assert book.ends()[ringing.uri] == "caller_gone"
    assert book.caller_ends() == ["hangup_far_end"]


async def test_a_caller_who_hangs_up_leaves_all_who_ring_and_nobody_else_is_dialled(
    start_server: StartServer, sipps: Sipps
) -> None:
    first, second = await sipps.callee("first", RINGS), await sipps.callee("second", RINGS)
    never = await sipps.callee("never", ANSWERS)
    groups = f'[{{to: "{first.uri}"}}, {{to: "{second.uri}"}}], [{{to: "{never.uri}"}}]'
    server = await start_server(document(f"serial_parallel: [{groups}]", then="    - play: 'silence:5'\n"))
    book = Book(server)
    calling = await sipps.caller(server.socket.local.host_port, caller(invite(), *GIVES_UP))
    for one in (calling, first, second):
        await one.finished()
    await book.rest()
    assert never.received() == []
    assert book.ends() == {first.uri: "caller_gone", second.uri: "caller_gone"}


# ---------------------------------------------------------------- repetitions and losses


async def test_a_repeated_invite_makes_no_second_call(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    twice = caller(
        invite(again=False),
        response(100),
        invite(again=False),
        provisionals(),
        response(200),
        ack(),
        pause(100),
        bye(),
    )
    await (await sipps.caller(server.socket.local.host_port, twice)).finished()
    await answering.finished()
    await book.rest()
    assert len(book.caller_ends()) == 1
    assert len(answering.times("INVITE")) == 1


async def test_a_late_ack_ends_the_repetitions_of_the_answer(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    late = caller(invite(), provisionals(), response(200), pause(1800), ack(), pause(2500), bye())
    calling = await sipps.caller(server.socket.local.host_port, late)
    await calling.finished()
    await answering.finished()
    await book.rest()
    times = calling.times("200 INVITE")
    assert [later - times[0] for later in times[1:]] == [about(0.5), about(1.5)]
    assert book.connects() == TALKED


async def test_a_caller_who_never_acknowledges_is_hung_up(
    start_server: StartServer, sipps: Sipps, brisk: Timers
) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    deaf = caller(invite(), provisionals(), response(200), answer_bye())
    calling = await sipps.caller(server.socket.local.host_port, deaf)
    await calling.finished()
    await answering.finished()
    await book.rest()
    assert book.caller_ends() == ["no_ack"]
    waited = calling.times("BYE")[0] - calling.times("200 INVITE")[0]
    assert 0.9 * brisk.patience < waited < 1.25 * brisk.patience


# ---------------------------------------------------------------- within the dialog


async def test_hold_and_resume(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    holds = caller(
        invite(),
        provisionals(),
        response(200, check=["a=sendrecv"]),
        ack(),
        pause(100),
        request("INVITE", 2, sdp(direction="sendonly", version=2)),
        response(100, optional="true"),
        response(200, check=["a=recvonly"]),
        ack(2),
        pause(100),
        request("INVITE", 3, sdp(version=3)),
        response(100, optional="true"),
        response(200, check=["a=sendrecv"]),
        ack(3),
        bye(4),
    )
    await (await sipps.caller(server.socket.local.host_port, holds)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == TALKED


async def test_a_refused_re_invite_leaves_the_call_as_it_is(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    changes = caller(
        invite(),
        provisionals(),
        response(200),
        ack(),
        request("INVITE", 2, sdp("18", version=2), branch="2"),
        response(100, optional="true"),
        response(488),
        request("ACK", 2, branch="2"),
        pause(100),
        bye(3),
    )
    await (await sipps.caller(server.socket.local.host_port, changes)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == TALKED


async def test_a_late_offer_is_answered_in_the_ack(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    offered = ["m=audio [0-9]+ RTP/AVP 0 8 101"]
    late = caller(
        invite(""),
        provisionals(),
        response(200, check=offered),
        ack(1, sdp(PCMA, TELEPHONE_EVENT)),
        pause(100),
        bye(),
    )
    await (await sipps.caller(server.socket.local.host_port, late)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == TALKED


async def test_the_route_of_the_invite_is_followed_back(start_server: StartServer, sipps: Sipps) -> None:
    far_end = callee(invited(), reply(180), reply(200, SDP), receive("ACK"), pause(150), hang_up())
    answering = await sipps.callee("answering", far_end)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    routed = caller(
        invite(headers=["Record-Route: <sip:edge@[local_ip]:[local_port];lr>"]),
        provisionals(),
        response(200, check=["Record-Route: *<sip:edge@127.0.0.1:[0-9]+;lr>"]),
        ack(),
        answer_bye(check=["^BYE sip:caller@127.0.0.1", "Route: *<sip:edge@127.0.0.1:[0-9]+;lr>"]),
    )
    await (await sipps.caller(server.socket.local.host_port, routed)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == TALKED


# ---------------------------------------------------------------- what is refused

NOBODY = document('to: "sip:alice@phones.test"')


async def expect_refusal(
    server: Server,
    sipps: Sipps,
    status: int,
    first: str,
    *,
    check: Sequence[str] = (),
    source: str = "127.0.0.1",
) -> None:
    """The INVITE `first` gets `status`, and no trace of a call is left."""
    book = Book(server)
    refused = caller(first, response(100, optional="true"), response(status, check=check), ack_refusal())
    await (await sipps.caller(server.socket.local.host_port, refused, source=source)).finished()
    await book.rest()
    assert book.connects() == []


@pytest.mark.parametrize(
    ("status", "first", "check"),
    [
        (483, invite(max_forwards=0), []),
        (420, invite(headers=["Require: foreign"]), ["Unsupported: *foreign"]),
        (488, invite(sdp("18")), []),
        (416, invite(uri="http://example.com/"), []),
        (415, invite(SDP, content_type="text/plain"), ["Accept: *application/sdp"]),
    ],
)
async def test_an_invite_that_cannot_be_served(
    status: int, first: str, check: list[str], start_server: StartServer, sipps: Sipps
) -> None:
    await expect_refusal(await start_server(NOBODY), sipps, status, first, check=check)


async def test_a_number_without_a_document(start_server: StartServer, sipps: Sipps) -> None:
    server = await start_server(NOBODY, routes={"*": None})
    await expect_refusal(server, sipps, 404, invite())


async def test_a_stranger(start_server: StartServer, sipps: Sipps) -> None:
    server = await start_server(NOBODY, sip={"allowed_sources": ["127.0.0.1/32"]})
    await expect_refusal(server, sipps, 403, invite(), source="127.0.0.2")


async def test_more_calls_than_allowed(start_server: StartServer, sipps: Sipps) -> None:
    waits = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - sleep: 60000\n"
    server = await start_server(waits, server={"max_calls": 1})
    book = Book(server)
    stays = await sipps.caller(server.socket.local.host_port, "uac", talk_ms=1500)
    await book.until(lambda seen: any(info.call_state == "answered" for info, _ in seen.events))
    refused = caller(
        invite(), response(100, optional="true"), response(503, check=["Retry-After: *[0-9]"]), ack_refusal()
    )
    await (await sipps.caller(server.socket.local.host_port, refused)).finished()
    await stays.finished()
    await book.rest()
    assert book.caller_ends() == ["hangup_far_end"]


@pytest.mark.parametrize(
    ("method", "status", "check"),
    [
        ("OPTIONS", 200, ["Allow: [^\r\n]*INVITE", "Accept: *application/sdp"]),
        ("FROBNICATE", 405, ["Allow: [^\r\n]*INVITE"]),
        ("REGISTER", 405, ["Allow: [^\r\n]*INVITE"]),
        ("BYE", 481, []),
        ("CANCEL", 481, []),
    ],
)
async def test_requests_outside_of_calls(
    method: str, status: int, check: list[str], start_server: StartServer, sipps: Sipps
) -> None:
    server = await start_server(NOBODY)
    book = Book(server)
    asks = caller(request(method, 1, uri=TARGET, headers=()), response(status, check=check))
    await (await sipps.caller(server.socket.local.host_port, asks)).finished()
    await book.rest()
    assert book.events == []


async def test_an_unknown_method_within_a_call(start_server: StartServer, sipps: Sipps) -> None:
    answering = await sipps.callee("answering", ANSWERS)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    asks = caller(
        invite(),
        provisionals(),
        response(200),
        ack(),
        request("FROBNICATE", 2),
        response(405, check=["Allow: [^\r\n]*INVITE"]),
        request("OPTIONS", 3),
        response(200),
        bye(4),
    )
    await (await sipps.caller(server.socket.local.host_port, asks)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == TALKED

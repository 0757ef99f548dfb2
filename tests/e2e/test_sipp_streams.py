"""SIPps that speak TCP, as callers and as callees: one connection for several calls, large messages,
connections that go away, ports where nobody listens."""

from __future__ import annotations

import time

import pytest

from cordboard.server.server import Server
from cordboard.testing.phone import SimulatedPhone

from .book import Book
from .cases import until
from .conftest import StartServer
from .explained import explain_last
from .peers import NUMBER, Sipps, free_ports
from .scenario import (
    ANSWERED,
    SDP,
    ack,
    ack_refusal,
    answer_bye,
    bye,
    callee,
    caller,
    hang_up,
    invite,
    invited,
    pause,
    provisionals,
    receive,
    reply,
    response,
)
from .strategies import NAMES, connect

pytestmark = pytest.mark.real_peer

every_strategy = pytest.mark.parametrize("strategy", NAMES)

HERE = "<sip:[local_ip]:[local_port];transport=tcp>"
ANSWERS = callee(invited(), reply(180), reply(200, SDP, contact=HERE), *ANSWERED)
CALLS = caller(invite(), provisionals(), response(200), ack(), pause(), bye())
LEAVES = callee(invited(), reply(200, SDP, contact=HERE), receive("ACK"))
"""Its process ends after the ACK, and its connection with it."""
STAYS = caller(invite(), provisionals(), response(200), ack(), answer_bye())
REFUSED = caller(invite(), provisionals(), response(503), ack_refusal())
LARGE = tuple(f"X-Filler-{number}: {'x' * 200}" for number in range(8))
"""Header lines that make an INVITE larger than 1,300 bytes."""


def address(server: Server) -> str:
    return server.socket.local.host_port


@every_strategy
async def test_a_call_goes_by_tcp_on_both_sides(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    far = await sipps.callee("far", ANSWERS, transport="t1")
    server = await start_server(connect(strategy, far.uri))
    book = Book(server)
    near = await sipps.caller(address(server), CALLS, transport="t1")
    await near.finished()
    await far.finished()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.peers() == [far.uri]
    asked = far.messages("INVITE")[0]
    assert "Via: SIP/2.0/TCP " in asked
    assert "Contact: <sip:" in asked
    assert ";transport=tcp>" in asked.lower()


async def test_the_side_that_was_called_by_tcp_hangs_up(start_server: StartServer, sipps: Sipps) -> None:
    far_end = callee(invited(), reply(180), reply(200, SDP, contact=HERE), receive("ACK"), hang_up())
    far = await sipps.callee("far", far_end, transport="t1")
    server = await start_server(connect("to", far.uri))
    book = Book(server)
    near = await sipps.caller(address(server), STAYS, transport="t1")
    await near.finished()
    await far.finished()
    await book.rest()
    assert book.ends()[far.uri] == "hangup_far_end"


@pytest.mark.parametrize("transport", ["t1", "tn"])
async def test_several_calls_to_a_far_end_share_one_connection(
    transport: str, start_server: StartServer, sipps: Sipps
) -> None:
    """Callers come over one connection (t1) or over one each (tn)."""
    count = 4
    far = await sipps.callee("far", ANSWERS, calls=count, transport="t1")
    server = await start_server(connect("to", far.uri))
    book = Book(server)
    most: list[int] = []
    book.server.recorder.listeners.append(lambda *_: most.append(server.transports.connections()))
    near = await sipps.caller(
        address(server),
        caller(invite(), provisionals(), response(200), ack(), pause(1000), bye()),
        calls=count,
        rate=20,
        transport=transport,
    )
    await near.finished(count)
    await far.finished(count)
    await book.rest()
    assert book.connects().count("connected") == count
    assert max(most) == (2 if transport == "t1" else count + 1)


async def test_an_invite_over_1300_bytes_is_taken_and_passed_on_by_tcp(
    start_server: StartServer, sipps: Sipps
) -> None:
    far = await sipps.callee("far", ANSWERS, transport="t1")
    more = ", ".join(f'{{name: "X-Filler-{number}", value: "{"x" * 200}"}}' for number in range(8))
    server = await start_server(connect("to", far.uri, options=f"headers: [{more}]"))
    book = Book(server)
    large = caller(invite(headers=LARGE), provisionals(), response(200), ack(), pause(200), bye())
    near = await sipps.caller(address(server), large, transport="t1")
    await near.finished()
    await far.finished()
    await book.rest()
    assert len(far.messages("INVITE")[0]) > 1_300
    assert book.connects() == ["connecting", "connected", "disconnected"]


async def test_an_invite_over_1300_bytes_goes_by_tcp_where_the_uri_leaves_it_open(
    start_server: StartServer, sipps: Sipps
) -> None:
    """RFC 3261 section 18.1.1."""
    far = await sipps.callee("far", ANSWERS, transport="t1")
    more = ", ".join(f'{{name: "X-Filler-{number}", value: "{"x" * 200}"}}' for number in range(8))
    uri = far.uri.partition(";")[0]
    server = await start_server(connect("to", uri, options=f"headers: [{more}]"))
    book = Book(server)
    await (await sipps.caller(address(server), CALLS)).finished()
    await far.finished()
    await book.rest()
    assert "Via: SIP/2.0/TCP " in far.messages("INVITE")[0]
    assert book.ends()[uri] == "hangup_peer"


# ---------------------------------------------------------------- connections that go away


async def test_the_bye_opens_a_new_connection_where_the_callee_closed_its_own(
    start_server: StartServer, sipps: Sipps
) -> None:
    """The connection ends with the process that had it; the next process at that port gets the BYE."""
    far = await sipps.callee("far", LEAVES, transport="t1")
    server = await start_server(connect("to", far.uri))
    book = Book(server)
    async with SimulatedPhone() as near:
        call = await near.call(f"sip:{NUMBER}@{address(server)}")
        await far.finished()
        await until(lambda: server.transports.connections() == 0)
        goodbye = caller(receive("BYE"), reply(200, of="BYE"))
        next_one = await sipps.callee("next", goodbye, transport="t1", port=far.port)
        assert not call.is_over
        call.hang_up()
        await next_one.finished()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.ends()[far.uri] == "hangup_peer"


async def test_a_callee_that_is_gone_with_its_connection_does_not_hold_the_call(
    start_server: StartServer, sipps: Sipps
) -> None:
    """Its process is over after the ACK: the BYE finds nobody, and the caller is none the worse."""
    far = await sipps.callee("far", LEAVES, transport="t1")
    server = await start_server(connect("to", far.uri))
    book = Book(server)
    async with SimulatedPhone() as near:
        call = await near.call(f"sip:{NUMBER}@{address(server)}")
        await far.finished()
        await until(lambda: server.transports.connections() == 0)
        call.hang_up()
        await call.ended()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.ends()[far.uri] == "hangup_peer"


@every_strategy
async def test_a_port_that_refuses_tcp_fails_at_once_and_the_record_says_why(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    port = free_ports(1)
    uri = f"sip:nobody@127.0.0.1:{port};transport=tcp"
    server = await start_server(connect(strategy, uri))
    book = Book(server)
    before = time.monotonic()
    await (await sipps.caller(address(server), REFUSED, transport="t1")).finished()
    assert time.monotonic() - before < 5.0
    await book.rest()
    assert book.ends()[uri] == "connection_failed"
    sentence = (
        f"{uri} could not be reached: 127.0.0.1:{port} (TCP): it refused the connection: "
        "check that something listens on that port."
    )
    assert await book.sentence(uri) == sentence
    if strategy == "to":
        assert f"what      {sentence}\n" in await explain_last(server)


async def test_a_refusal_of_encryption_is_explained(start_server: StartServer, sipps: Sipps) -> None:
    far_end = callee(invited(check=["RTP/SAVP"]), reply("488 Not Acceptable Here"), receive("ACK"))
    far = await sipps.callee("far", far_end, transport="t1")
    server = await start_server(connect("to", far.uri, options="encryption: mandatory"))
    book = Book(server)
    refused = caller(invite(), provisionals(), response(488), ack_refusal())
    await (await sipps.caller(address(server), refused)).finished()
    await far.finished()
    await book.rest()
    assert book.ends()[far.uri] == "encryption_refused"
    said = await explain_last(server)
    assert f"what      {await book.sentence(far.uri)}\n" in said
    assert "encryption" in await book.sentence(far.uri)

"""Reliable provisional responses (RFC 3262) with SIPps at both ends: PRACK by the server, and to it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .book import Book
from .conftest import StartServer
from .peers import Sipps
from .scenario import (
    ANSWERED,
    SDP,
    ack,
    bye,
    callee,
    caller,
    invite,
    invited,
    pause,
    provisionals,
    receive,
    reply,
    request,
    response,
)
from .strategies import connect

pytestmark = pytest.mark.real_peer

RELIABLE = ("Require: 100rel", "RSeq: 4711")
AUDIO = ["m=audio [0-9]+ RTP/AVP 0"]
PLAIN = caller(invite(), provisionals(), response(200, check=AUDIO), ack(), pause(100), bye())
EARLY = callee(invited(), reply(183, SDP), pause(300), reply(200, SDP), *ANSWERED)


def reliable(status: int, number: int) -> str:
    """A provisional response with a sequence number, which gets its PRACK (CSeq `number`)."""
    took = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" check_it="true" assign_to="rseq"/>'
    asked = '<ereg regexp="100rel" search_in="hdr" header="Require:" check_it="true" assign_to="required"/>'
    told = '<log message="[$required]"/>'
    came = f'<recv response="{status}" rrs="true"><action>{took}{asked}{told}</action></recv>'
    fields = ("[routes]", "RAck: [$rseq] 1 INVITE")
    return f"{came}\n{request('PRACK', number, headers=fields)}\n{response(200)}"


async def talk(start_server: StartServer, sipps: Sipps, far: str, near: str) -> None:
    """Both ends see what their scenarios say, and are connected."""
    answering = await sipps.callee("far", far)
    server = await start_server(connect("to", answering.uri))
    book = Book(server)
    await (await sipps.caller(server.socket.local.host_port, near)).finished()
    await answering.finished()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]


@pytest.mark.parametrize(("status", "body"), [(180, ""), (183, SDP)])
async def test_a_callee_that_wants_prack_gets_it(
    status: int, body: str, start_server: StartServer, sipps: Sipps
) -> None:
    far = callee(
        invited(check=["Supported:[^\\r\\n]*100rel"]),
        reply(status, body, headers=RELIABLE),
        receive("PRACK", check=["RAck: 4711 1 INVITE"]),
        reply(200, of="PRACK"),
        pause(200),
        reply(200, SDP),
        *ANSWERED,
    )
    await talk(start_server, sipps, far, PLAIN)


async def test_a_callee_that_repeats_itself_gets_one_prack(start_server: StartServer, sipps: Sipps) -> None:
    far = callee(
        invited(),
        reply(183, SDP, headers=RELIABLE),
        receive("PRACK"),
        reply(183, SDP, headers=RELIABLE),
        reply(200, of="PRACK"),
        pause(300),
        reply(200, SDP),
        *ANSWERED,
    )
    await talk(start_server, sipps, far, PLAIN)


@pytest.mark.parametrize(
    ("header", "steps"),
    [
        ("Supported: 100rel", [response(180), reliable(183, 2)]),
        ("Require: 100rel", [reliable(180, 2), reliable(183, 3)]),
    ],
)
async def test_a_caller_who_can_or_must_acknowledges_early_media(
    header: str, steps: Sequence[str], start_server: StartServer, sipps: Sipps
) -> None:
    near = caller(
        invite(headers=[header]),
        response(100, optional="true"),
        *steps,
        response(200, check=AUDIO),
        ack(),
        pause(100),
        bye(9),
    )
    await talk(start_server, sipps, EARLY, near)

"""SIPp calls through the server to other SIPps, in all four strategies."""

from __future__ import annotations

import pytest

from .book import Book
from .conftest import StartServer
from .peers import Sipp, Sipps
from .scenario import ANSWERED, CANCELLED, SDP, callee, invited, receive, reply

pytestmark = pytest.mark.real_peer

RING = callee(invited(), reply(180), receive("CANCEL"), *CANCELLED)
ANSWER = callee(invited(), reply(180), reply(200, SDP), *ANSWERED)
BUSY = callee(invited(), reply(486), receive("ACK"))
DECLINE = callee(invited(), reply(603), receive("ACK"))


def connect(value: str) -> str:
    return f"version: 1.0.0\nsections:\n  main:\n    - connect: {value}\n"


def to(*callees: Sipp) -> str:
    return ", ".join(f'{{to: "{one.uri}"}}' for one in callees)


# ---------------------------------------------------------------- the scenarios that SIPp brings


@pytest.mark.parametrize(
    ("strategy", "invited_too"),
    [
        ('to: "{a}"', False),
        ('serial: [{{to: "{a}"}}, {{to: "{b}"}}]', False),
        ('parallel: [{{to: "{b}"}}, {{to: "{a}"}}]', True),
        ('serial_parallel: [[{{to: "{b}"}}, {{to: "{a}"}}], [{{to: "{b}"}}]]', True),
    ],
)
@pytest.mark.parametrize("on_bridge", ["true", "false"])
async def test_the_built_in_scenarios_complete_a_call(
    strategy: str, invited_too: bool, on_bridge: str, start_server: StartServer, sipps: Sipps
) -> None:
    answering = await sipps.callee("a", "uas")
    other = await sipps.callee("b", RING)
    strategy = strategy.format(a=answering.uri, b=other.uri)
    server = await start_server(connect(f"{{answer_on_bridge: {on_bridge}, {strategy}}}"))
    book = Book(server)
    caller = await sipps.caller(server.socket.local.host_port, "uac", talk_ms=200)
    await caller.finished()
    await answering.saw("INVITE", "ACK", "BYE")
    if invited_too:
        await other.finished()
        assert "Call completed elsewhere" in other.messages("CANCEL")[0]
    else:
        assert other.received() == []
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.peers() == [answering.uri]
    assert book.ends()[answering.uri] == "hangup_peer"

"""SIPp calls through the server to other SIPps, in all four strategies."""

from __future__ import annotations

import pytest

from .book import Book
from .conftest import Receiver, StartServer
from .peers import Sipp, Sipps
from .scenario import (
    ANSWERED,
    CANCELLED,
    SDP,
    ack_refusal,
    callee,
    caller,
    invite,
    invited,
    pause,
    provisionals,
    receive,
    reply,
    response,
)
from .strategies import document

pytestmark = pytest.mark.real_peer

RING = callee(invited(), reply(180), receive("CANCEL"), *CANCELLED)
ANSWER = callee(invited(), reply(180), reply(200, SDP), *ANSWERED)
BUSY = callee(invited(), reply(486), receive("ACK"))
DECLINE = callee(invited(), reply(603), receive("ACK"))


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
    server = await start_server(document(f"answer_on_bridge: {on_bridge}, {strategy}"))
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


# ---------------------------------------------------------------- how groups go on


async def test_serial_goes_on_past_busy_and_declined(start_server: StartServer, sipps: Sipps) -> None:
    busy = await sipps.callee("busy", BUSY)
    declining = await sipps.callee("declining", DECLINE)
    answering = await sipps.callee("answering", ANSWER)
    never = await sipps.callee("never", ANSWER)
    server = await start_server(document(f"serial: [{to(busy, declining, answering, never)}]"))
    book = Book(server)
    await (await sipps.caller(server.socket.local.host_port)).finished()
    for one in (busy, declining, answering):
        await one.finished()
    assert never.received() == []
    assert busy.sent_at("486 INVITE") < declining.times("INVITE")[0]
    assert declining.sent_at("603 INVITE") < answering.times("INVITE")[0]
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.ends()[busy.uri] == "user_busy"
    assert book.ends()[declining.uri] == "call_rejected"


async def test_parallel_goes_on_while_one_is_left(start_server: StartServer, sipps: Sipps) -> None:
    busy = await sipps.callee("busy", BUSY)
    ringing = await sipps.callee("ringing", RING)
    late = await sipps.callee("late", callee(invited(), reply(180), pause(600), reply(200, SDP), *ANSWERED))
    server = await start_server(document(f"parallel: [{to(busy, ringing, late)}]"))
    book = Book(server)
    await (await sipps.caller(server.socket.local.host_port)).finished()
    for one in (busy, ringing, late):
        await one.finished()
    await book.rest()
    assert book.peers() == [late.uri]
    assert book.ends()[ringing.uri] == "lost_race"


async def test_the_next_group_waits_for_the_last_of_this_one(start_server: StartServer, sipps: Sipps) -> None:
    busy = await sipps.callee("busy", BUSY)
    slow = await sipps.callee("slow", callee(invited(), reply(180), pause(500), reply(480), receive("ACK")))
    answering = await sipps.callee("answering", ANSWER)
    server = await start_server(
        document(f"serial_parallel: [[{to(busy, slow)}], [{to(answering)}]]"),
    )
    book = Book(server)
    await (await sipps.caller(server.socket.local.host_port)).finished()
    for one in (busy, slow, answering):
        await one.finished()
    assert answering.times("INVITE")[0] > slow.sent_at("480 INVITE") > slow.times("INVITE")[0] + 0.4
    await book.rest()
    assert book.ends() == {
        busy.uri: "user_busy",
        slow.uri: "unavailable",
        answering.uri: "hangup_peer",
    }
    assert book.caller_ends() == ["hangup_far_end"]


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ('to: "{uri}"', "busy"),
        ("serial: [{first}, {second}]", "declined"),
        ("parallel: [{first}, {second}]", "busy"),
        ("serial_parallel: [[{first}], [{second}]]", "declined"),
    ],
)
async def test_when_nobody_takes_the_call_the_caller_gets_the_code_and_the_script_the_reason(
    strategy: str, reason: str, start_server: StartServer, sipps: Sipps, receiver: Receiver
) -> None:
    busy, declining = await sipps.callee("busy", BUSY), await sipps.callee("declining", DECLINE)
    strategy = strategy.format(first=to(busy), second=to(declining), uri=busy.uri)
    server = await start_server(document(f"status_url: '{receiver.url}/status', {strategy}"))
    book = Book(server)
    code = 486 if reason == "busy" else 603
    refused = caller(invite(), provisionals(), response(code), ack_refusal())
    await (await sipps.caller(server.socket.local.host_port, refused)).finished()
    await busy.finished()
    await book.rest()
    assert book.connects() == ["connecting", f"failed {reason}"]
    assert (await book.variables())["connect_result"] == "failed"
    assert (await book.variables())["connect_failed_reason"] == reason
    await receiver.until(lambda seen: len(seen.events) >= 2)
    assert receiver.states("/status") == ["connecting", "failed"]


async def test_every_leg_tells_its_own_story(
    start_server: StartServer, sipps: Sipps, receiver: Receiver
) -> None:
    busy = await sipps.callee("busy", BUSY)
    silently = await sipps.callee("silently", callee(invited(), reply(200, SDP), *ANSWERED))
    states = "call_state_events: [created, ringing, answered, ended]"
    server = await start_server(
        document(
            f"status_url: '{receiver.url}/status', {states}, serial: ["
            f"{{to: '{busy.uri}', call_state_url: '{receiver.url}/busy'}},"
            f" {{to: '{silently.uri}', call_state_url: '{receiver.url}/silently'}}]"
        )
    )
    book = Book(server)
    await (await sipps.caller(server.socket.local.host_port)).finished()
    await silently.finished()
    await book.rest()
    await receiver.until(lambda seen: len(seen.events) >= 8)
    assert receiver.states("/status") == ["connecting", "connected", "disconnected"]
    assert receiver.states("/busy") == ["created", "ended"]
    assert receiver.states("/silently") == ["created", "answered", "ended"]
    assert len({headers["X-Cordboard-Event-Id"] for headers in receiver.headers}) == 8

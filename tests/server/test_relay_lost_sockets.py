"""Sockets of clients that are lost, silent or slow, and clients that do not come back."""

from __future__ import annotations

import asyncio

import pytest

from cordboard.relay.connection import Patience
from cordboard.relay.handshake import Signer
from cordboard.relay.session import Limits
from cordboard.server import relay_socket

from .relay_bench import PROJECT, bench

ANSWER = {"node_id": "node", "call_id": "c1"}


@pytest.mark.parametrize("by", ["protocol", "authorization_state"])
@pytest.mark.parametrize("acks", [True, False])
async def test_a_client_that_was_killed_between_answer_and_event_gets_the_event_when_it_resumes(
    by: str, acks: bool
) -> None:
    """RELAY 50."""
    async with bench() as server:
        client = await server.connected(event_acks=acks)
        server.offer("c1")
        await client.event("calling.call.receive")
        state = (await client.event("signalwire.authorization.state"))["authorization_state"]
        await client.ask("calling.answer", ANSWER)
        await client.cut()
        server.happen("c1", "answered")
        again = await server.client()
        name = {"protocol": client.protocol, "authorization_state": state}[by]
        result = (await again.connect(event_acks=acks, **{by: name}))["result"]
        assert result["session_restored"] is True
        assert result["protocol"] == client.protocol
        await again.event("calling.call.state", call_state="answered")
        told = [e for e in again.events if e["params"]["params"].get("call_state") == "answered"]
        assert len(told) == 1


async def test_two_sockets_of_one_session_share_no_event() -> None:
    """RELAY 50."""
    async with bench() as server:
        older = await server.connected()
        server.offer("c1")
        await older.event("calling.call.receive")
        newer = await server.connected(protocol=older.protocol)
        assert await older.closed() == 4000
        server.happen("c1", "answered")
        await newer.event("calling.call.state", call_state="answered")
        assert not any(e["params"]["params"].get("call_state") == "answered" for e in older.events)


async def test_a_client_that_does_not_come_back_loses_its_calls() -> None:
    async with bench(limits=Limits(without_socket=0.05)) as server:
        client = await server.connected()
        server.calls.add("c1", owner=client.protocol)
        server.calls.add("c2", owner="another")
        await client.cut()
        await server.until(lambda: server.calls.did("lose") != [])
        assert server.calls.did("lose") == [("c1", "client_gone")]
        again = await server.connected(protocol=client.protocol)
        assert again.protocol == client.protocol
        assert server.hub.counts() == {"clients": 1, "sockets": 1}


async def test_a_session_that_this_server_never_knew_begins_anew_under_its_name() -> None:
    protocol = Signer("key").protocol(PROJECT, "0123-4567")
    async with bench() as server:
        client = await server.client()
        result = (await client.connect(protocol=protocol))["result"]
        assert (result["protocol"], result["session_restored"]) == (protocol, False)
        foreign = await server.client()
        forged = protocol.replace("0123", "zzzz")
        assert (await foreign.connect(protocol=forged))["result"]["protocol"] not in (protocol, forged)


async def test_a_call_that_is_made_in_the_moment_in_which_its_client_goes_has_nobody() -> None:
    async with bench() as server:
        server.calls.add("c1", owner="signalwire_gone")
        server.happen("c1", "created")
        assert server.calls.did("lose") == [("c1", "client_gone")]


async def test_a_client_that_does_not_answer_pings_is_cut_off_and_its_session_lives() -> None:
    """RELAY 50."""
    async with bench(patience=Patience(heartbeat=0.05, silence=0.1)) as server:
        client = await server.client(autoping=False)
        await client.connect()
        await server.until(lambda: len(server.sockets) == 0)
        assert server.hub.client(client.protocol) is not None
        alive = await server.connected()
        await asyncio.sleep(0.3)
        assert not alive.websocket.closed


async def test_a_client_that_does_not_read_is_cut_off_and_its_events_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_socket, "MAX_UNSENT", 64 * 1024)
    async with bench() as server:
        client = await server.connected()
        client._reading.cancel()
        found = server.hub.client(client.protocol)
        assert found is not None
        for number in range(80):
            server.hub.tell(found, "calling.x", {"n": number, "x": "y" * 100_000})
            await asyncio.sleep(0)
            if not len(server.sockets):
                break
        await server.until(lambda: len(server.sockets) == 0)
        assert found.session.unproven > 0
        again = await server.connected(protocol=client.protocol)
        assert (await again.event("calling.x"))["n"] == 0


async def test_a_client_that_comes_back_can_bear_all_that_was_kept_for_it() -> None:
    async with bench() as server:
        client = await server.connected()
        found = server.hub.client(client.protocol)
        assert found is not None
        await client.cut()
        await server.until(lambda: len(server.sockets) == 0)
        for number in range(5_000):
            server.hub.tell(found, "calling.x", {"n": number, "x": "y" * 700})
        again = await server.connected(protocol=client.protocol)
        await again.event("calling.x", n=4_999)
        told = [e["params"]["params"]["n"] for e in again.events if e["params"]["event_type"] == "calling.x"]
        assert told == list(range(5_000))


async def test_before_a_planned_stop_clients_are_told_what_happened_and_then_to_come_back() -> None:
    async with bench() as server:
        client = await server.connected()
        server.offer("c1")
        server.happen("c1", "ended")
        server.hub.farewell()
        await server.sockets.stop(1.0)
        assert await client.closed() == 1001
        assert client.others[-1]["method"] == "signalwire.disconnect"
        assert client.others[-1]["params"] == {"restart": True}
        assert client.events[-1]["params"]["params"]["call_state"] == "ended"
        assert server.hub.counts() == {"clients": 0, "sockets": 0}


async def test_at_a_planned_stop_a_socket_stays_until_its_client_has_answered_its_events() -> None:
    """Some SDKs answer an event before they take it, and lose what they cannot answer."""
    async with bench() as server:
        client = await server.connected()
        client.acks = False
        server.offer("c1")
        server.happen("c1", "ended")
        server.hub.farewell()
        stopping = asyncio.create_task(server.sockets.stop(5.0))
        told = await client.event("calling.call.state", call_state="ended")
        await asyncio.sleep(0.1)
        assert not client.websocket.closed
        last = next(event for event in client.events if event["params"]["params"] == told)
        await client.send({"jsonrpc": "2.0", "id": last["id"], "result": {}})
        assert await client.closed() == 1001
        await stopping


async def test_a_client_that_never_answers_holds_up_no_stop() -> None:
    async with bench() as server:
        client = await server.connected()
        client.acks = False
        server.offer("c1")
        server.happen("c1", "ended")
        server.hub.farewell()
        async with asyncio.timeout(2.0):
            await server.sockets.stop(0.1)
        assert await client.closed() == 1001

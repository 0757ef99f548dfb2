"""A client, a whole server and phones: calls come in, are answered, dialled, and end in the right order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cordboard.server.server import Server
from cordboard.testing.phone import SimulatedPhone

from .relay_bench import PROJECT, TOKEN, Client
from .server_bench import make_server, target

OFFICE = {"*": {"context": "office"}}
DOCUMENT = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - sleep: -1\n"


@asynccontextmanager
async def office(tmp_path: Path, routes: Any = None, **sections: Any) -> AsyncIterator[tuple[Server, Client]]:
    """A server and a client of its context."""
    sections = {"projects": {PROJECT: {"tokens": [TOKEN]}}, "http": {"port": 0}, **sections}
    server = make_server(tmp_path, DOCUMENT, routes=routes or OFFICE, **sections)
    async with server, aiohttp.ClientSession() as session:
        client = await connected(server, session)
        try:
            yield server, client
        finally:
            await client.forget()
            assert server.exchange.switchboard.defects == server.relay.hub.defects == 0


async def connected(server: Server, session: aiohttp.ClientSession, **params: Any) -> Client:
    client = Client(await session.ws_connect(server.http.base_url))
    assert "result" in await client.connect(**params)
    return client


async def offered(client: Client) -> dict[str, str]:
    offer = await client.event("calling.call.receive")
    return {"node_id": offer["node_id"], "call_id": offer["call_id"]}


def states(client: Client, call_id: str) -> list[str]:
    told = (event["params"]["params"] for event in client.events)
    return [p["call_state"] for p in told if p.get("call_id") == call_id and "call_state" in p]


async def test_a_call_is_answered_played_to_and_hung_up(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        about = await offered(client)
        assert await call.ringing()
        assert (await client.ask("calling.answer", about))["result"]["code"] == "200"
        assert await call.answered()
        play = {"control_id": "p1", "play": [{"type": "silence", "params": {"duration": 0.1}}]}
        assert (await client.ask("calling.play", about | play))["result"]["code"] == "200"
        await client.event("calling.call.play", state="finished", control_id="p1")
        assert (await client.ask("calling.end", about))["result"]["code"] == "200"
        await client.event("calling.call.state", call_state="ended")
        assert states(client, about["call_id"]) == ["created", "answered", "ending", "ended"]
        await call.ended()


async def test_without_a_client_the_caller_is_turned_away_or_gets_the_document(tmp_path: Path) -> None:
    document = tmp_path / "spare.yaml"
    document.write_text(DOCUMENT)
    routes = {"shut": {"context": "sales"}, "spare": {"context": "sales", "document": str(document)}}
    async with office(tmp_path, {"*": str(document), **routes}) as (server, _), SimulatedPhone() as caller:
        call = await caller.call(target(server, "shut"))
        assert not await call.answered()
        assert (await call.ended()).status == 480
        assert await (await caller.call(target(server, "spare"))).answered()


async def test_a_client_that_never_decides_leaves_the_caller_to_the_document(tmp_path: Path) -> None:
    document = tmp_path / "spare.yaml"
    document.write_text(DOCUMENT)
    route = {"context": "office", "document": str(document), "offer_timeout": 1.0}
    async with office(tmp_path, {"*": route}) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        about = await offered(client)
        assert await call.answered()
        await client.event("calling.call.state", call_state="ended")
        assert "answered" not in states(client, about["call_id"])


async def test_a_call_that_every_client_passes_is_turned_away(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        about = await offered(client)
        assert (await client.ask("calling.pass", about))["result"]["code"] == "200"
        assert (await call.ended()).status == 480
        await client.event("calling.call.state", call_state="ended")
        assert states(client, about["call_id"]) == ["created", "ending", "ended"]


async def test_a_call_is_handed_to_a_document(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        about = await offered(client)
        await client.ask("calling.answer", about)
        assert await call.answered()
        hang_up = "version: 1.0.0\nsections:\n  main:\n    - hangup: {}\n"
        answer = await client.ask("calling.transfer", about | {"dest": hang_up})
        assert answer["result"]["code"] == "200"
        await call.ended()
        await client.event("calling.call.state", call_state="ended")


async def test_a_caller_who_gives_up_while_it_rings_is_told_to_the_client(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        await offered(client)
        assert await call.ringing()
        call.hang_up()
        ended = await client.event("calling.call.state", call_state="ended")
        assert ended["end_reason"] in ("cancel", "abandoned")
        await server.exchange.quiet()


async def test_a_client_dials_and_hangs_up(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client):
        alice = {"type": "sip", "params": {"from": "sip:me@here.example", "to": "sip:alice@phones.test"}}
        assert (await client.ask("calling.dial", {"tag": "t", "devices": [[alice]]}))["result"][
            "code"
        ] == "200"
        won = (await client.event("calling.call.dial", dial_state="answered"))["call"]
        about = {"node_id": won["node_id"], "call_id": won["call_id"]}
        assert (await client.ask("calling.end", about))["result"]["code"] == "200"
        await client.event("calling.call.state", call_state="ended")
        await server.exchange.quiet()


@pytest.mark.parametrize("first", ["dial", "begin"])
@pytest.mark.parametrize("second", ["dial", "begin"])
async def test_a_tag_names_one_dial_at_a_time(tmp_path: Path, first: str, second: str) -> None:
    async with office(tmp_path) as (server, client), silent_phone() as to:
        device = {"type": "sip", "params": {"from": "sip:me@here.example", "to": to}}
        asked = {"dial": {"tag": "t", "devices": [[device]]}, "begin": {"tag": "t", "device": device}}
        assert (await client.ask(f"calling.{first}", asked[first]))["result"]["code"] == "200"
        refused = (await client.ask(f"calling.{second}", asked[second]))["result"]
        assert refused["code"] == "409"
        assert "the tag t " in refused["message"]
        created = await client.event("calling.call.state", call_state="created")
        about = {"node_id": created["node_id"], "call_id": created["call_id"]}
        assert (await client.ask("calling.end", about))["result"]["code"] == "200"
        await client.event("calling.call.state", call_state="ended")
        await server.exchange.quiet()
        await client.ask("signalwire.ping")  # all is told
        dials = ["dialing", "failed"] if first == "dial" else []
        assert [e["dial_state"] for e in told(client, "calling.call.dial")] == dials
        assert {e["call_id"] for e in told(client, "calling.call.state")} == {created["call_id"]}
        # Whoever has its outcome has done with its tag.
        assert (await client.ask(f"calling.{second}", asked[second]))["result"]["code"] == "200"


def told(client: Client, kind: str) -> list[dict[str, Any]]:
    return [e["params"]["params"] for e in client.events if e["params"]["event_type"] == kind]


@asynccontextmanager
async def silent_phone() -> AsyncIterator[str]:
    """A SIP URI where nobody says anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"sip:nobody@127.0.0.1:{deaf.getsockname()[1]}"


async def test_a_client_that_does_not_come_back_leaves_no_call_behind(tmp_path: Path) -> None:
    async with (
        office(tmp_path, relay={"session_timeout": 1}) as (server, client),
        SimulatedPhone() as caller,
    ):
        call = await caller.call(target(server, "office"))
        await client.ask("calling.answer", await offered(client))
        assert await call.answered()
        await client.cut()
        await call.ended()
        await server.exchange.quiet()


async def test_a_client_that_resumes_goes_on_with_its_call(tmp_path: Path) -> None:
    """RELAY 50."""
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        about = await offered(client)
        await client.ask("calling.answer", about)
        assert await call.answered()
        await client.cut()
        call.hang_up()
        await server.exchange.switchboard.empty()
        async with aiohttp.ClientSession() as session:
            again = await connected(server, session, protocol=client.protocol)
            await again.event("calling.call.state", call_state="ended")
            gone = (await again.ask("calling.play.stop", about | {"control_id": "x"}))["result"]
            assert gone["code"] == "404"
            await again.forget()


async def test_a_planned_stop_tells_the_end_of_each_call_before_it_says_goodbye(tmp_path: Path) -> None:
    async with office(tmp_path) as (server, client), SimulatedPhone() as caller:
        call = await caller.call(target(server, "office"))
        await client.ask("calling.answer", await offered(client))
        assert await call.answered()
        async with asyncio.timeout(15.0):
            await server.stop()
        assert await client.closed() == 1001
        assert client.events[-1]["params"]["params"]["call_state"] == "ended"
        assert client.others[-1]["method"] == "signalwire.disconnect"


@pytest.mark.parametrize("project", [None, "two"])
async def test_a_call_belongs_to_the_project_of_its_route(tmp_path: Path, project: str | None) -> None:
    tokens = {"tokens": [TOKEN]}
    routes = {"*": {"context": "office", "project": project or PROJECT}}
    async with (
        office(tmp_path, routes, projects={PROJECT: tokens, "two": tokens}) as (server, client),
        aiohttp.ClientSession() as session,
        SimulatedPhone() as caller,
    ):
        other = await connected(server, session, project="two")
        await caller.call(target(server, "office"))
        theirs, not_theirs = (other, client) if project else (client, other)
        about = await offered(theirs)
        assert (await not_theirs.ask("calling.answer", about))["result"]["code"] == "404"
        assert (await theirs.ask("calling.end", about))["result"]["code"] == "200"
        await other.forget()


async def test_a_server_without_relay_speaks_none(tmp_path: Path) -> None:
    server = make_server(tmp_path, DOCUMENT, relay={"enabled": False}, http={"port": 0})
    async with server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await session.ws_connect(server.http.base_url)

"""Inbound calls and the clients of their context, and calls that are handed on."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from aiohttp import web

from cordboard.call.effects import CallStateChanged
from cordboard.call.reasons import ending
from cordboard.relay.session import Limits
from cordboard.server.http_server import HttpServer
from cordboard.swml.document import load

from .relay_bench import OTHER, OTHER_TOKEN, Bench, Client, bench

HANGUP = "version: 1.0.0\nsections:\n  main:\n    - hangup: {}\n"
FALLBACK = load(HANGUP.encode(), source="fallback.yaml")


def of(call_id: str) -> dict[str, str]:
    return {"node_id": "node", "call_id": call_id}


async def receives(client: Client, call_id: str) -> None:
    offer = await client.event("calling.call.receive", call_id=call_id)
    assert (offer["context"], offer["direction"], offer["call_state"]) == ("office", "inbound", "created")


async def test_a_call_goes_to_one_of_two_clients_and_the_next_to_the_other() -> None:
    """RELAY 50."""
    async with bench() as server:
        one, two = await server.connected(), await server.connected()
        server.offer("c1")
        server.offer("c2")
        await receives(one, "c1")
        await receives(two, "c2")
        assert server.calls.did("take") == [("c1", one.protocol), ("c2", two.protocol)]
        assert len(one.events) == len(two.events) == 2


async def test_only_clients_of_the_project_and_the_context_are_asked() -> None:
    async with bench() as server:
        await server.connected(project=OTHER, token=OTHER_TOKEN)
        await server.connected(contexts=["sales"])
        server.offer("c1")
        assert server.calls.did("end") == [("c1", "no_client")]


async def test_the_first_command_takes_the_call_for_good() -> None:
    async with bench() as server:
        one, _ = await server.connected(), await server.connected()
        server.offer("c1", offer_timeout=0.05)
        assert (await one.ask("calling.answer", of("c1")))["result"]["code"] == "200"
        assert len(server.inbound) == 0
        refused = (await one.ask("calling.pass", of("c1")))["result"]
        assert refused["code"] == "409"


async def test_a_call_that_is_passed_goes_on_and_is_over_for_the_one_who_passed() -> None:
    async with bench() as server:
        one, two = await server.connected(), await server.connected()
        server.offer("c1")
        await receives(one, "c1")
        assert (await one.ask("calling.pass", of("c1")))["result"]["code"] == "200"
        await one.event("calling.call.state", call_state="ended", call_id="c1")
        await receives(two, "c1")
        assert server.calls.infos["c1"].owner == two.protocol
        server.happen("c1", "answered")
        await two.event("calling.call.state", call_state="answered")
        assert not any(e["params"]["params"].get("call_state") == "answered" for e in one.events)


async def test_an_offer_that_nobody_takes_in_time_goes_on_to_the_document_of_the_route() -> None:
    async with bench() as server:
        one = await server.connected()
        server.offer("c1", offer_timeout=0.05, document=FALLBACK)
        await one.event("calling.call.state", call_state="ended", call_id="c1")
        assert [entry[0] for entry in server.calls.diary] == ["take", "give_driver", "lose"]
        assert server.calls.infos["c1"].owner is None


async def test_an_offer_that_nobody_takes_and_no_document_ends_the_call() -> None:
    async with bench() as server:
        one = await server.connected()
        server.offer("c1")
        await receives(one, "c1")
        await one.ask("calling.pass", of("c1"))
        assert server.calls.did("end") == [("c1", "no_client")]


async def test_a_call_that_somebody_else_has_answered_is_offered_no_further() -> None:
    """The HTTP API, or another client of the project."""
    async with bench() as server:
        one, two = await server.connected(), await server.connected()
        server.offer("c1")
        await receives(one, "c1")
        assert (await two.ask("calling.answer", of("c1")))["result"]["code"] == "200"
        assert len(server.inbound) == 1
        server.happen("c1", "answered")
        assert len(server.inbound) == 0
        answer = await one.ask("calling.pass", of("c1"))
        assert answer["result"]["code"] == "409"
        assert server.calls.did("end") == []


async def test_a_call_that_a_document_was_given_for_is_offered_no_further() -> None:
    async with bench() as server:
        one = await server.connected()
        server.offer("c1")
        await receives(one, "c1")
        two = await server.connected()
        assert (await two.ask("calling.transfer", of("c1") | {"dest": HANGUP}))["result"]["code"] == "200"
        assert server.calls.did("give_driver") == [("c1",)]
        assert len(server.inbound) == 0
        assert server.calls.infos["c1"].owner == one.protocol


async def test_a_client_that_dies_before_it_decides_leaves_the_call_to_the_next() -> None:
    async with bench() as server:
        one, two = await server.connected(), await server.connected()
        server.offer("c1")
        await receives(one, "c1")
        await one.cut()
        await receives(two, "c1")


async def test_the_only_client_may_lose_its_socket_and_still_take_the_call() -> None:
    async with bench() as server:
        one = await server.connected()
        server.offer("c1")
        await one.cut()
        await server.until(lambda: len(server.sockets) == 0)
        again = await server.connected(protocol=one.protocol)
        await receives(again, "c1")
        assert (await again.ask("calling.answer", of("c1")))["result"]["code"] == "200"


async def test_a_client_that_does_not_come_back_leaves_the_call_to_the_document() -> None:
    async with bench(limits=Limits(without_socket=0.05)) as server:
        one = await server.connected()
        server.offer("c1", document=FALLBACK)
        await one.cut()
        await server.until(lambda: server.calls.did("give_driver") == [("c1",)])


async def test_a_caller_who_gives_up_is_told_and_forgotten() -> None:
    async with bench() as server:
        one = await server.connected()
        info = server.offer("c1")
        info.call_state = "ended"
        gone = CallStateChanged(state="ended", ending=ending("caller_cancelled", who="alice"))
        server.report(info, gone)
        assert (await one.event("calling.call.state", call_state="ended"))["end_reason"] == "cancel"
        assert len(server.inbound) == 0


async def test_a_client_that_comes_while_it_rings_is_asked_when_the_first_has_passed() -> None:
    async with bench() as server:
        one = await server.connected()
        server.offer("c1")
        two = await server.connected(contexts=[])
        await two.ask("signalwire.receive", {"contexts": ["office"]})
        await one.ask("calling.pass", of("c1"))
        await receives(two, "c1")


async def test_a_client_that_has_left_the_context_is_not_asked() -> None:
    async with bench() as server:
        one, two = await server.connected(), await server.connected()
        await one.ask("signalwire.unreceive", {"contexts": ["office"]})
        server.offer("c1")
        await receives(two, "c1")


# ---------------------------------------------------------------- transfer


async def transferred(server: Bench, client: Client, dest: str) -> dict[str, str]:
    server.calls.add("c1", owner=client.protocol)
    answer = await client.ask("calling.transfer", {**of("c1"), "dest": dest})
    result: dict[str, str] = answer["result"]
    return result


@pytest.mark.parametrize("dest", [HANGUP, '{"version":"1.0.0","sections":{"main":["hangup"]}}'])
async def test_a_document_takes_the_call_over(dest: str) -> None:
    async with bench() as server:
        client = await server.connected()
        assert (await transferred(server, client, dest))["code"] == "200"
        assert server.calls.did("give_driver") == [("c1",)]


async def test_an_outbound_call_is_not_offered_and_the_client_is_told_what_to_do_instead() -> None:
    async with bench() as server:
        client, other = await server.connected(), await server.connected(contexts=["sales"])
        server.calls.add("c1", owner=client.protocol).direction = "outbound"
        answer = await client.ask("calling.transfer", {**of("c1"), "dest": "sales"})
        assert answer["result"]["code"] == "400"
        assert "document" in answer["result"]["message"]
        assert not any("receive" in event["params"]["event_type"] for event in other.events)


async def test_a_long_document_holds_up_no_other_request() -> None:
    async with bench() as server:
        client = await server.connected()
        server.calls.add("c1", owner=client.protocol)
        steps = [{"play": {"url": f"say:{n}"}} for n in range(4_000)]
        document = {"version": "1.0.0", "sections": {"main": steps}}
        answers: list[str] = []

        async def ask(method: str, params: dict[str, object]) -> None:
            assert "result" in await client.ask(method, params)
            answers.append(method)

        await asyncio.gather(
            ask("calling.transfer", {**of("c1"), "dest": document}), ask("signalwire.ping", {})
        )
        assert answers == ["signalwire.ping", "calling.transfer"]
        assert server.calls.did("give_driver") == [("c1",)]


async def test_a_document_that_cannot_be_used_is_told_with_its_line_and_the_call_goes_on() -> None:
    async with bench() as server:
        client = await server.connected()
        result = await transferred(server, client, HANGUP.replace("hangup", "hngup"))
        assert result["code"] == "400"
        assert "dest:4" in result["message"]
        assert server.calls.did("give_driver") == []


async def test_a_document_is_fetched_and_its_mistakes_are_told_too() -> None:
    documents = HttpServer("127.0.0.1", 0)

    async def good(request: web.Request) -> web.StreamResponse:
        return web.Response(text=HANGUP)

    async def bad(request: web.Request) -> web.StreamResponse:
        return web.Response(text=HANGUP.replace("hangup", "hngup"))

    documents.add("POST", "/good", good)
    documents.add("POST", "/bad", bad)
    await documents.start()
    async with bench() as server:
        client = await server.connected()
        assert (await transferred(server, client, documents.base_url + "/good"))["code"] == "200"
        assert server.calls.did("give_driver") == [("c1",)]
        with_password = documents.base_url.replace("//", "//user:secret@")
        refused = await transferred(server, client, with_password + "/bad")
        assert refused["code"] == "400"
        assert "/bad:4" in refused["message"]
        assert "secret" not in refused["message"]
        missing = await transferred(server, client, documents.base_url + "/missing")
        assert "404" in missing["message"]
        assert server.calls.did("give_driver") == [("c1",)]
    await documents.stop()


async def test_a_call_is_handed_on_to_the_clients_of_another_context() -> None:
    async with bench() as server:
        one = await server.connected(contexts=["office"])
        two = await server.connected(contexts=["sales"])
        server.offer("c1")
        await receives(one, "c1")
        answer = await one.ask("calling.transfer", {**of("c1"), "dest": "sales"})
        assert answer["result"]["code"] == "200"
        await one.event("calling.call.state", call_state="ended", call_id="c1")
        assert (await two.event("calling.call.receive"))["context"] == "sales"
        assert server.calls.infos["c1"].owner == two.protocol


async def test_a_context_without_a_client_takes_no_call() -> None:
    async with bench() as server:
        client = await server.connected()
        result = await transferred(server, client, "sales")
        assert result["code"] == "404"
        assert "sales" in result["message"]
        assert server.calls.infos["c1"].owner == client.protocol


def test_an_offer_that_is_over_at_once_disturbs_no_other_on_the_loop_of_the_product() -> None:
    """What is due already is no timer there, and cannot be asked for its time."""

    async def two_offers() -> list[tuple[object, ...]]:
        async with bench() as the:
            client = await the.connected()
            the.offer("late", offer_timeout=0.0)
            the.offer("other")
            await client.event("calling.call.receive", call_id="other")
            await the.until(lambda: bool(the.calls.did("end")))
            return the.calls.did("end")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(two_offers()) == [("late", "no_client")]

"""What clients do wrong, by accident or on purpose, to a whole server with phones (cases 50 and 51)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from cordboard.relay.connection import Patience
from cordboard.relay.session import Limits
from cordboard.server.server import Server
from cordboard.testing.phone import SimulatedPhone

from .relay_bench import OTHER, OTHER_TOKEN, PROJECT, TOKEN, Client, bench
from .server_bench import make_server, target

DOCUMENT = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - sleep: -1\n"
SIP = {"type": "sip", "params": {"from": "sip:me@here.example", "to": "sip:alice@phones.test"}}
SILENCE = [{"type": "silence", "params": {"duration": 60}}]


class Office:
    """A server whose calls all go to the clients of one context, and its clients."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._http = http
        self._clients: list[Client] = []

    async def client(self, **options: Any) -> Client:
        """A socket that has not said who it is."""
        made = Client(await self._http.ws_connect(self.server.http.base_url, **options))
        self._clients.append(made)
        return made

    async def connected(self, **params: Any) -> Client:
        client = await self.client()
        assert "result" in await client.connect(**params)
        return client

    async def call(self, phone: SimulatedPhone) -> Any:
        return await phone.call(target(self.server, "office"))

    async def forget(self) -> None:
        await asyncio.gather(*[client.forget() for client in self._clients])


@asynccontextmanager
async def office(tmp_path: Path) -> AsyncIterator[tuple[Office, SimulatedPhone]]:
    server = make_server(
        tmp_path,
        DOCUMENT,
        routes={"*": {"context": "office", "project": PROJECT}},
        projects={PROJECT: {"tokens": [TOKEN]}, OTHER: {"tokens": [OTHER_TOKEN]}},
        http={"port": 0},
    )
    async with server, aiohttp.ClientSession() as http, SimulatedPhone() as phone:
        made = Office(server, http)
        try:
            yield made, phone
        finally:
            await made.forget()
            assert server.exchange.switchboard.defects == server.relay.hub.defects == 0


async def offered(client: Client) -> dict[str, str]:
    offer = await client.event("calling.call.receive")
    return {"node_id": offer["node_id"], "call_id": offer["call_id"]}


def told(client: Client, kind: str = "calling.call.state", **values: Any) -> list[dict[str, Any]]:
    """The params of all events of that kind with these values."""
    events = (event["params"] for event in client.events)
    found = [event["params"] for event in events if event["event_type"] == kind]
    return [params for params in found if values.items() <= params.items()]


def calling(client: Client) -> list[str]:
    types = (event["params"]["event_type"] for event in client.events)
    return [kind for kind in types if kind.startswith("calling.")]


# ---------------------------------------------------------------- what is not in the book


async def test_unknown_methods_and_fields_are_answered_and_cost_neither_client_nor_call(
    tmp_path: Path,
) -> None:
    """RELAY 50: unknown method, unknown field."""
    async with office(tmp_path) as (there, phone):
        client = await there.connected(colour="blue", version={"major": 9})
        call = await there.call(phone)
        about = await offered(client)
        for method in ("calling.teleport", "calling.ai", "calling.play.rewind"):
            answer = (await client.ask(method, about))["result"]
            assert answer["code"] == "501"
            assert method in answer["message"]
        assert (await client.ask("signalwire.teleport"))["error"]["code"] == -32601
        assert (await client.ask("blade.connect"))["error"]["code"] == -32601
        answered = await client.ask("calling.answer", about | {"colour": "blue", "max_duration": 600})
        assert answered["result"]["code"] == "200"
        assert await call.answered()


async def test_a_request_that_comes_twice_is_done_once(tmp_path: Path) -> None:
    """RELAY 50: duplicate id."""
    async with office(tmp_path) as (there, phone):
        client = await there.connected()
        call = await there.call(phone)
        about = await offered(client)
        await client.ask("calling.answer", about)
        assert await call.answered()
        play = about | {"control_id": "p", "play": SILENCE}
        first = await client.ask("calling.play", play, id_="same")
        again = await client.ask("calling.play", play, id_="same")
        assert first == again
        assert first["result"]["code"] == "200"
        other = await client.ask("calling.play", play, id_="another")
        assert other["result"]["code"] == "409"
        await client.ask("calling.play.stop", about | {"control_id": "p"})
        await client.event("calling.call.play", state="finished")
        assert len(told(client, "calling.call.play", state="playing")) == 1


async def test_a_dial_that_is_sent_twice_rings_one_phone_once(tmp_path: Path) -> None:
    """RELAY 50: duplicate id."""
    async with office(tmp_path) as (there, _):
        client = await there.connected()
        dial = {"tag": "t", "devices": [[SIP]]}
        for _ in range(2):
            assert (await client.ask("calling.dial", dial, id_="same"))["result"]["code"] == "200"
        won = (await client.event("calling.call.dial", dial_state="answered"))["call"]
        await client.ask("calling.end", {"node_id": won["node_id"], "call_id": won["call_id"]})
        await client.event("calling.call.state", call_state="ended")
        await there.server.exchange.quiet()
        assert len(told(client, call_state="created")) == 1


# ---------------------------------------------------------------- acknowledgements, pings


@pytest.mark.parametrize("order", ["backwards", "strangers", "twice"])
async def test_acknowledgements_in_any_order_lose_no_event(tmp_path: Path, order: str) -> None:
    """RELAY 50: out of order."""
    async with office(tmp_path) as (there, phone):
        client = await there.connected()
        client.acks = False
        call = await there.call(phone)
        about = await offered(client)
        await client.ask("calling.answer", about)
        await client.event("calling.call.state", call_state="answered")
        ids = [event["id"] for event in client.events]
        wanted = {"backwards": ids[::-1], "strangers": ["x", ids[0][:-1], ""], "twice": ids[:1] * 2}[order]
        for id_ in wanted:
            await client.send({"jsonrpc": "2.0", "id": id_, "result": {}})
        await client.ask("signalwire.ping")  # behind them all
        await client.cut()
        call.hang_up()
        again = await there.connected(protocol=client.protocol)
        await again.event("calling.call.state", call_state="ended")
        proven = {"backwards": len(ids), "strangers": 0, "twice": 1}[order]
        calls = [event["id"] for event in again.events if event["id"] in ids]
        assert [id_ for id_ in ids[proven:] if id_ in calls] == calls
        assert set(calls) >= {e["id"] for e in client.events[proven:] if "call_id" in e["params"]["params"]}
        assert not set(calls) & set(ids[:proven])
        assert len(told(again, call_state="ended")) == 1


async def test_a_client_whose_pongs_are_lost_is_cut_off_and_finds_its_call_again(tmp_path: Path) -> None:
    """RELAY 50: ping lost."""
    async with office(tmp_path) as (there, phone):
        hub = there.server.relay.hub
        hub._setting = msgspec.structs.replace(hub._setting, patience=Patience(heartbeat=0.1, silence=0.3))
        client = await there.client(autoping=False)
        await client.connect(event_acks=False)
        call = await there.call(phone)
        about = await offered(client)
        await client.ask("calling.answer", about)
        assert await call.answered()
        await client.closed()
        hub._setting = msgspec.structs.replace(hub._setting, patience=Patience())
        again = await there.connected(protocol=client.protocol, event_acks=False)
        await again.event("calling.call.state", call_state="answered", call_id=about["call_id"])
        assert (await again.ask("calling.end", about))["result"]["code"] == "200"
        await call.ended()


# ---------------------------------------------------------------- several clients, lost clients


async def test_two_clients_of_one_context_share_the_calls_and_hear_of_their_own_only(tmp_path: Path) -> None:
    """RELAY 50: two clients of one context."""
    async with office(tmp_path) as (there, phone):
        one, two = await there.connected(), await there.connected()
        calls = [await there.call(phone) for _ in range(4)]
        for client in (one, two):
            await client.event("calling.call.receive")
        async with asyncio.timeout(5.0):
            while sum(len(told(client, "calling.call.receive")) for client in (one, two)) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for client in (one, two):
            for offer in told(client, "calling.call.receive"):
                about = {"node_id": offer["node_id"], "call_id": offer["call_id"]}
                assert (await client.ask("calling.answer", about))["result"]["code"] == "200"
        for call in calls:
            assert await call.answered()
            call.hang_up()
        await there.server.exchange.switchboard.empty()
        for client in (one, two):
            await client.ask("signalwire.ping")
        ours = [{p["call_id"] for p in told(client, "calling.call.receive")} for client in (one, two)]
        assert [len(ids) for ids in ours] == [2, 2]
        for client, ids in zip((one, two), ours, strict=True):
            assert {p["call_id"] for p in told(client)} == ids
            assert len(told(client, call_state="ended")) == 2


async def test_an_offer_that_is_too_much_for_a_client_goes_to_the_next_and_stays_there() -> None:
    """RELAY 50: two clients of one context, of whom one answers nothing."""
    async with bench(limits=Limits(events=3)) as server:
        deaf = await server.connected()
        deaf.acks = False
        found = server.hub.client(deaf.protocol)
        assert found is not None
        for number in range(3):
            server.hub.tell(found, "calling.x", {"n": number})
        other = await server.connected()
        server.offer("c1")
        await other.event("calling.call.receive", call_id="c1")
        assert server.calls.infos["c1"].owner == other.protocol
        server.happen("c1", "answered")
        await other.event("calling.call.state", call_state="answered")
        assert await deaf.closed() == 1013


@pytest.mark.parametrize("acks", [True, False])
@pytest.mark.parametrize("by", ["protocol", "authorization_state"])
async def test_a_client_killed_right_after_its_answer_loses_and_doubles_nothing(
    tmp_path: Path, by: str, acks: bool
) -> None:
    """RELAY 50: client killed between `answer` and event, reconnect with `authorization_state`."""
    async with office(tmp_path) as (there, phone):
        client = await there.connected(event_acks=acks)
        call = await there.call(phone)
        about = await offered(client)
        state = (await client.event("signalwire.authorization.state"))["authorization_state"]
        await client.send({"jsonrpc": "2.0", "id": "a", "method": "calling.answer", "params": about})
        await client.cut()
        assert await call.answered()
        name = {"protocol": client.protocol, "authorization_state": state}[by]
        again = await there.client()
        result = (await again.connect(event_acks=acks, **{by: name}))["result"]
        assert (result["session_restored"], result["protocol"]) == (True, client.protocol)
        await again.event("calling.call.state", call_state="answered")
        # The answer to the request went with the socket: who asks again gets it, and nothing is done twice.
        answer = await again.ask("calling.answer", about, id_="a")
        assert answer["result"]["code"] == "200"
        call.hang_up()
        await again.event("calling.call.state", call_state="ended")
        told_of_it = [p["call_state"] for p in told(again, call_id=about["call_id"])]
        assert told_of_it == ["answered", "ending", "ended"]


async def test_a_client_that_is_cut_at_every_event_is_told_each_once_and_in_order(tmp_path: Path) -> None:
    """RELAY 50: no lost or doubled event."""
    async with office(tmp_path) as (there, phone):
        client = await there.connected(event_acks=False)
        call = await there.call(phone)
        about = await offered(client)
        seen = {event["id"]: event["params"]["params"] for event in client.events}
        for method, more, last in (
            ("calling.answer", {}, {"call_state": "answered"}),
            ("calling.play", {"control_id": "p", "play": SILENCE}, {"state": "playing"}),
            ("calling.play.stop", {"control_id": "p"}, {"state": "finished"}),
            ("calling.end", {}, {"call_state": "ended"}),
        ):
            await client.send({"jsonrpc": "2.0", "id": method, "method": method, "params": about | more})
            await client.ask("signalwire.ping")
            await client.cut()
            client = await there.connected(protocol=client.protocol, event_acks=False)
            kind = "calling.call.state" if "call_state" in last else "calling.call.play"
            await client.event(kind, **last)
            seen |= {event["id"]: event["params"]["params"] for event in client.events}
        await call.ended()
        states = [p.get("call_state") or p.get("state") for p in seen.values() if "call_id" in p]
        assert states == ["created", "answered", "playing", "finished", "ending", "ended"]


# ---------------------------------------------------------------- strangers

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("calling.answer", {}),
    ("calling.end", {"reason": "hangup"}),
    ("calling.pass", {}),
    ("calling.connect", {"devices": [[SIP]]}),
    ("calling.disconnect", {}),
    ("calling.play", {"control_id": "x", "play": SILENCE}),
    ("calling.play.pause", {"control_id": "p"}),
    ("calling.play.resume", {"control_id": "p"}),
    ("calling.play.volume", {"control_id": "p", "volume": 1}),
    ("calling.play.stop", {"control_id": "p"}),
    ("calling.play_and_collect", {"control_id": "x", "play": SILENCE, "collect": {"digits": {"max": 1}}}),
    ("calling.collect", {"control_id": "x", "digits": {"max": 1}}),
    ("calling.record", {"control_id": "x", "record": {"audio": {}}}),
    ("calling.detect", {"control_id": "x", "detect": {"type": "fax", "params": {}}}),
    (
        "calling.tap",
        {
            "control_id": "x",
            "tap": {"type": "audio", "params": {}},
            "device": {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9}},
        },
    ),
    ("calling.send_digits", {"control_id": "x", "digits": "1"}),
    ("calling.transfer", {"dest": DOCUMENT}),
    ("calling.refer", {"device": {"type": "sip", "params": {"to": "sip:thief@example.com"}}}),
    ("calling.hold", {}),
    ("calling.unhold", {}),
]


async def test_another_projects_call_and_no_call_look_the_same_to_every_method(tmp_path: Path) -> None:
    """RELAY 51: same error for "not yours" and "not there"."""
    async with office(tmp_path) as (there, phone):
        owner = await there.connected()
        thief = await there.connected(project=OTHER, token=OTHER_TOKEN)
        call = await there.call(phone)
        about = await offered(owner)
        await owner.ask("calling.answer", about)
        assert (await owner.ask("calling.play", about | {"control_id": "p", "play": SILENCE}))["result"]
        await owner.event("calling.call.play", state="playing")
        nowhere = about | {"call_id": "00000000-0000-4000-8000-000000000000"}
        for method, more in ASKED:
            answers = [await thief.ask(method, which | more) for which in (about, nowhere)]
            assert answers[0]["result"] == answers[1]["result"], method
            assert answers[0]["result"]["code"] == "404"
            assert about["call_id"] not in json.dumps(answers[0]["result"])
        assert await call.answered()
        assert len(told(owner, "calling.call.play")) == 1
        assert calling(thief) == []
        assert (await owner.ask("calling.end", about))["result"]["code"] == "200"
        await call.ended()


async def test_a_name_of_another_projects_session_opens_nothing(tmp_path: Path) -> None:
    """RELAY 51."""
    async with office(tmp_path) as (there, phone):
        owner = await there.connected()
        call = await there.call(phone)
        about = await offered(owner)
        state = (await owner.event("signalwire.authorization.state"))["authorization_state"]
        for name in ({"protocol": owner.protocol}, {"authorization_state": state}):
            thief = await there.client()
            result = (await thief.connect(project=OTHER, token=OTHER_TOKEN, **name))["result"]
            assert result["session_restored"] is False
            assert result["protocol"] != owner.protocol
            assert (await thief.ask("calling.answer", about))["result"]["code"] == "404"
            assert calling(thief) == []
        assert (await owner.ask("calling.answer", about))["result"]["code"] == "200"
        assert await call.answered()


async def test_guessing_tokens_opens_nothing_and_those_who_are_in_stay_in(tmp_path: Path) -> None:
    """RELAY 51: token brute force."""
    async with office(tmp_path) as (there, phone):
        owner = await there.connected()
        refused = []
        for guess in [*(f"guess-{number}" for number in range(11)), OTHER_TOKEN, TOKEN, ""]:
            client = await there.client()
            refused.append((await client.connect(project=OTHER, token=guess))["error"])
            assert await client.closed() == 1008
        assert refused == [refused[0]] * 14  # the right one too: nobody listens to its guesser now
        assert refused[0]["code"] == -32002
        call = await there.call(phone)
        assert (await owner.ask("calling.answer", await offered(owner)))["result"]["code"] == "200"
        assert await call.answered()
        await there.connected(protocol=owner.protocol)  # its project knows the address


async def test_a_client_that_is_refused_is_not_heard_however_much_it_says(tmp_path: Path) -> None:
    """RELAY 51."""
    async with office(tmp_path) as (there, phone):
        owner = await there.connected()
        call = await there.call(phone)
        about = await offered(owner)
        stranger = await there.client()
        answer = {"jsonrpc": "2.0", "id": "2", "method": "calling.answer", "params": about}
        wrong = {"authentication": {"project": PROJECT, "token": "wrong"}}
        frames = [
            answer,
            {**answer, "id": "1", "method": "signalwire.connect", "params": wrong},
            answer,
            answer,
        ]
        await asyncio.gather(*[stranger.send(frame) for frame in frames])
        assert await stranger.closed() == 1008
        codes = [(frame["id"], frame["error"]["code"]) for frame in stranger.others]
        assert codes == [("2", -32000), ("1", -32002)]
        assert told(owner, call_state="answered") == []
        assert await call.ringing()

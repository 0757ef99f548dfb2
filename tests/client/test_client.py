"""The Python SDK against a server that speaks the protocol, and nothing of Cordboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from cordboard.client import (
    AuthenticationError,
    Call,
    CallEndedError,
    Client,
    ConnectError,
    ConnectionLostError,
    DialError,
    OperationError,
    Plan,
    Playlist,
    RequestError,
    SipParams,
    audio,
    phone,
    silence,
    sip,
)

from .scripted_server import PROTOCOL, ScriptedServer, scripted

Json = dict[str, Any]

DEVICE = {"type": "sip", "params": {"from": "sip:a@x.example", "to": "sip:b@x.example"}}


def state(call_state: str, call_id: str = "c1", **more: Any) -> Json:
    body = {"call_id": call_id, "node_id": "n", "call_state": call_state, "direction": "outbound"}
    return {**body, "device": DEVICE, **more}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as made:
        yield made


@pytest_asyncio.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    async with Client("p", "t", server.url) as made:
        yield made


async def dialled(server: ScriptedServer, client: Client) -> Call:
    dialling = asyncio.create_task(client.dial(sip(to="sip:b@x.example")))
    tag = (await server.asked("calling.dial"))["tag"]
    await server.event("calling.call.state", state("created", tag=tag), "e-created")
    answered = {"tag": tag, "node_id": "n", "dial_state": "answered", "call": state("answered", tag=tag)}
    await server.event("calling.call.dial", answered, "e-dialled")
    return await dialling


# ------------------------------------------------------------ the session


async def test_wrong_credentials_are_an_error_of_their_own(server: ScriptedServer) -> None:
    with pytest.raises(AuthenticationError, match="Authentication failed"):
        await Client("p", "wrong", server.url).open()
    assert server.params("signalwire.connect")[0]["event_acks"] is True


async def test_a_server_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        await Client("p", "t", "ws://127.0.0.1:1").open()


def test_a_client_needs_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORDBOARD_PROJECT", raising=False)
    with pytest.raises(ValueError, match="CORDBOARD_TOKEN"):
        Client(host="ws://127.0.0.1:1")


def test_no_token_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORDBOARD_TOKEN", "secret-token")
    assert "secret" not in repr(Client("p"))
    assert Client("p").host == "ws://127.0.0.1:8080"
    assert Client("p", host="calls.example.com").host == "wss://calls.example.com"


async def test_a_socket_that_is_lost_is_replaced_and_the_session_taken_up(
    server: ScriptedServer, client: Client
) -> None:
    await server.sockets[0].close()
    await server.until(lambda: len(server.params("signalwire.connect")) == 2)
    assert server.params("signalwire.connect")[1]["protocol"] == PROTOCOL
    assert (await client.request("signalwire.ping", {}))["code"] == "200"


async def test_a_server_that_is_away_for_a_while_is_waited_for(
    server: ScriptedServer, client: Client
) -> None:
    server.is_down = True
    await server.sockets[0].close()
    asking = asyncio.create_task(client.request("calling.x", {}))
    await asyncio.sleep(0)
    server.is_down = False
    assert (await asking)["code"] == "200"


async def test_a_restart_without_memory_begins_a_new_session(server: ScriptedServer, client: Client) -> None:
    frame = {"jsonrpc": "2.0", "id": "d", "method": "signalwire.disconnect", "params": {"restart": True}}
    await server.sockets[0].send_json(frame)
    await server.until(lambda: "d" in server.acknowledged)
    await server.sockets[0].close()
    assert "protocol" not in await server.asked("signalwire.connect", 2)


async def test_a_session_that_the_server_has_forgotten_leaves_nobody_waiting(
    server: ScriptedServer, client: Client
) -> None:
    """What it has left to say of the calls comes right behind its answer; the others are lost."""
    told, lost = await dialled(server, client), "c2"
    dialling = asyncio.create_task(client.dial(sip(to="sip:c@x.example")))
    tag = (await server.asked("calling.dial", 2))["tag"]
    await server.event("calling.call.state", state("created", lost, tag=tag), "e-created-2")
    await server.until(lambda: "e-created-2" in server.acknowledged)
    forgotten = client.call(lost)
    assert forgotten is not None
    anew = {"result": {"protocol": PROTOCOL, "session_restored": False}}
    server.answers["signalwire.connect"] = lambda frame: anew
    await server.sockets[-1].close()
    await server.asked("signalwire.connect", 2)
    await server.event("calling.call.state", state("ended", end_reason="error"), "e-ended")
    assert await told.ended(timeout=5.0) == "error"
    assert await forgotten.ended(timeout=5.0) == "notFound"
    with pytest.raises(ConnectionLostError):
        async with asyncio.timeout(5.0):
            await dialling
    assert client.call(lost) is None


async def test_a_request_in_the_air_when_the_socket_breaks_fails(
    server: ScriptedServer, client: Client
) -> None:
    server.answers["calling.x"] = None
    asking = asyncio.create_task(client.request("calling.x", {}))
    await server.asked("calling.x")
    await server.sockets[0].close()
    with pytest.raises(ConnectionLostError):
        await asking


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"code": "404", "message": "Call not found"}},
        {"error": {"code": 404, "message": "Call not found"}},
    ],
    ids=["result", "error"],
)
async def test_a_refusal_has_its_code_and_words(server: ScriptedServer, client: Client, answer: Json) -> None:
    server.answers["calling.x"] = lambda _: answer
    with pytest.raises(RequestError) as raised:
        await client.request("calling.x", {})
    assert (raised.value.code, raised.value.message) == ("404", "Call not found")


async def test_an_event_is_acknowledged_and_taken_once(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    playing = await call.play_tts("hello")
    body = {"call_id": "c1", "node_id": "n", "control_id": playing.control_id, "state": "finished"}
    await server.event("calling.call.play", {**body, "state": "playing"}, "p1")
    await server.event("calling.call.play", body, "p2")
    await playing.ended(timeout=5)
    await server.event("calling.call.state", state("ended", end_reason="hangup"), "s9")
    assert await call.ended(timeout=5) == "hangup"
    await server.until(lambda: len(server.acknowledged) == 5)
    assert server.acknowledged == ["e-created", "e-dialled", "p1", "p2", "s9"]
    # The same event again, as after a socket that broke before the acknowledgement arrived.
    await server.event("calling.call.state", state("answered"), "s9")
    await server.until(lambda: len(server.acknowledged) == 6)
    assert call.state == "ended"


async def test_a_ping_of_the_server_is_answered(server: ScriptedServer, client: Client) -> None:
    frame = {"jsonrpc": "2.0", "id": "ping", "method": "signalwire.ping", "params": {"timestamp": 5.0}}
    await server.sockets[0].send_json(frame)
    await server.until(lambda: "ping" in server.acknowledged)


# ------------------------------------------------------------ calls


async def test_devices_go_over_the_wire_two_levels_deep(server: ScriptedServer, client: Client) -> None:
    a, b = sip(to="sip:a@x", timeout=5, headers={"X-A": "1"}, codecs=["PCMU"]), phone(to="+1", from_="+2")
    assert a == {
        "type": "sip",
        "params": {
            "to": "sip:a@x",
            "timeout": 5,
            "headers": [{"name": "X-A", "value": "1"}],
            "codecs": ["PCMU"],
        },
    }
    assert b == {"type": "phone", "params": {"to_number": "+1", "from_number": "+2"}}
    server.answers["calling.dial"] = lambda _: {"result": {"code": "400", "message": "no"}}
    for whom in (a, [a, b], [[a, b]], Plan(a).then(a, b)):
        with pytest.raises(RequestError):
            await client.dial(whom)
    sent = [params["devices"] for params in server.params("calling.dial")]
    assert sent == [[[a]], [[a], [b]], [[a, b]], [[a], [a, b]]]


async def test_a_device_takes_what_the_types_say_and_nothing_else(
    server: ScriptedServer, client: Client
) -> None:
    given: SipParams = {
        "from_": "sip:a@x",
        "timeout": 5,
        "max_duration": 60,
        "call_state_url": "http://x/",
        "call_state_events": ("ended",),
        "headers": [("X-A", "1")],
        "codecs": ("PCMU", "G722"),
        "webrtc_media": False,
        "session_timeout": 0,
        "from_name": "A",
        "encryption": "optional",
        "username": "u",
        "password": "p",
    }
    server.answers["calling.dial"] = lambda _: {"result": {"code": "400", "message": "no"}}
    with pytest.raises(RequestError):
        await client.dial_sip(to="sip:b@x", **given)
    [[device]] = server.params("calling.dial")[0]["devices"]
    assert device == sip(to="sip:b@x", **given)
    assert device["params"] == {
        "from": "sip:a@x",
        "to": "sip:b@x",
        **{name: value for name, value in given.items() if name != "from_"},
        "call_state_events": ["ended"],
        "headers": [{"name": "X-A", "value": "1"}],
        "codecs": ["PCMU", "G722"],
    }
    with pytest.raises(TypeError, match="fromm"):
        await client.dial_sip(to="sip:b@x", fromm="sip:a@x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="codecs"):
        phone(to="+1", codecs=["PCMU"])  # type: ignore[call-arg]


async def test_a_dial_that_fails_says_why(server: ScriptedServer, client: Client) -> None:
    dialling = asyncio.create_task(client.dial_phone(to="+15551234567"))
    tag = (await server.asked("calling.dial"))["tag"]
    failed = {"tag": tag, "node_id": "n", "dial_state": "failed", "reason": "noAnswer"}
    await server.event("calling.call.dial", failed)
    with pytest.raises(DialError) as raised:
        await dialling
    assert raised.value.reason == "noAnswer"


async def test_a_dialled_call_knows_who_it_is(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    assert (call.id, call.state, call.type, call.from_, call.to) == (
        "c1",
        "answered",
        "sip",
        "sip:a@x.example",
        "sip:b@x.example",
    )
    assert client.call("c1") is call


async def test_of_several_devices_the_call_of_the_answer_is_the_call(
    server: ScriptedServer, client: Client
) -> None:
    dialling = asyncio.create_task(client.dial([[sip(to="sip:a@x"), sip(to="sip:b@x")]]))
    tag = (await server.asked("calling.dial"))["tag"]
    for call_id in ("c1", "c2"):
        await server.event("calling.call.state", state("created", call_id), f"created-{call_id}")
    await server.event("calling.call.state", state("ended", "c1", end_reason="cancel"), "ended-c1")
    await server.event("calling.call.state", state("answered", "c2", tag=tag), "answered-c2")
    told = {"tag": tag, "node_id": "n", "dial_state": "answered", "call": state("answered", "c2", tag=tag)}
    await server.event("calling.call.dial", told)
    assert (await dialling).id == "c2"


async def test_a_connect_gives_the_peer_and_its_end(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    connecting = asyncio.create_task(
        call.connect_sip(to="sip:p@x", ringback=[silence(1)], max_price_per_minute=0.0075)
    )
    params = await server.asked("calling.connect")
    assert params["ringback"] == [{"type": "silence", "params": {"duration": 1}}]
    assert params["max_price_per_minute"] == 0.0075
    peer_state = state("answered", "c2", tag=params["tag"], peer={"call_id": "c1", "node_id": "n"})
    await server.event("calling.call.state", peer_state, "x1")
    told = {"call_id": "c2", "node_id": "n", "device": DEVICE}
    body = {"call_id": "c1", "node_id": "n", "connect_state": "connected", "peer": told}
    await server.event("calling.call.connect", body, "x2")
    peer = await connecting
    assert (peer.id, peer.state, call.peer, peer.peer) == ("c2", "answered", peer, call)
    await server.event("calling.call.state", state("ended", "c2"), "x3")
    await server.event("calling.call.connect", {**body, "connect_state": "disconnected"}, "x4")
    await call.disconnected(timeout=5)
    assert (call.peer, call.state, peer.state) == (None, "answered", "ended")


async def test_a_connect_that_fails_says_why(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    connecting = asyncio.create_task(call.connect_phone(to="+1"))
    await server.asked("calling.connect")
    body = {"call_id": "c1", "node_id": "n", "connect_state": "failed", "failed_reason": "busy"}
    await server.event("calling.call.connect", body)
    with pytest.raises(ConnectError) as raised:
        await connecting
    assert raised.value.reason == "busy"


async def test_a_call_that_ends_meanwhile_ends_every_waiting(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    playing = await call.play(Playlist(audio("http://x/a.wav"), volume=3))
    assert server.params("calling.play")[0]["volume"] == 3
    waits: list[asyncio.Task[Any]] = [
        asyncio.create_task(playing.ended()),
        asyncio.create_task(call.connect(sip(to="sip:a@x"))),
        asyncio.create_task(call.wait_for("ringing")),
    ]
    await server.asked("calling.connect")
    await server.event("calling.call.state", state("ended", end_reason="hangup"))
    for wait in waits:
        with pytest.raises(CallEndedError):
            await wait
    with pytest.raises(CallEndedError):
        await call.play_silence(1)


async def test_a_call_that_the_server_does_not_know_any_more_has_ended(
    server: ScriptedServer, client: Client
) -> None:
    call = await dialled(server, client)
    server.answers["calling.play"] = lambda _: {"result": {"code": "404", "message": "Call not found"}}
    with pytest.raises(CallEndedError):
        await call.play_tts("anybody?")
    assert (call.state, call.end_reason) == ("ended", "notFound")


async def test_a_play_that_fails_is_an_error(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    playing = await call.play_audio("http://x/none.wav")
    body = {"call_id": "c1", "node_id": "n", "control_id": playing.control_id, "state": "error"}
    await server.event("calling.call.play", body)
    with pytest.raises(OperationError):
        await playing.ended()


async def test_a_block_ends_its_operation(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)

    def stop(frame: Json) -> Json:
        body = {"call_id": "c1", "node_id": "n", "control_id": frame["params"]["control_id"]}
        told = {**body, "state": "finished", "url": "http://x/r.wav", "duration": 1.5, "size": 24044}
        told_soon = server.event("calling.call.record", told, "r1")
        asyncio.get_running_loop().create_task(told_soon)
        return {"result": {"code": "200", "message": "OK"}}

    server.answers["calling.record.stop"] = stop
    async with call.record(format="wav", beep=True) as recording:
        assert server.params("calling.record")[0]["record"] == {"audio": {"format": "wav", "beep": True}}
    assert (recording.url, recording.duration, recording.size) == ("http://x/r.wav", 1.5, 24044)


async def test_partial_results_end_no_collect(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    collecting = await call.collect(max_digits=2)
    body = {"call_id": "c1", "node_id": "n", "control_id": collecting.control_id, "state": "collecting"}
    one = {"type": "digit", "params": {"digits": "1", "terminator": ""}}
    two = {"type": "digit", "params": {"digits": "12", "terminator": "#"}}
    await server.event("calling.call.collect", {**body, "result": {"type": "start_of_input"}}, "k0")
    await server.event("calling.call.collect", {**body, "result": one, "final": False}, "k1")
    last = {**body, "result": two, "final": True, "state": "finished"}
    await server.event("calling.call.collect", last, "k2")
    heard = await collecting.ended(timeout=5)
    assert (heard.type, heard.digits, heard.terminator) == ("digit", "12", "#")


async def test_a_detector_keeps_all_that_it_heard(server: ScriptedServer, client: Client) -> None:
    call = await dialled(server, client)
    detecting = await call.detect_machine(timeout=20, initial_timeout=3)
    detect = server.params("calling.detect")[0]
    assert (detect["timeout"], detect["detect"]["params"]) == (20, {"initial_timeout": 3})
    for number, params in enumerate(
        ({"event": "MACHINE"}, {"event": "READY", "beep": True}, {"event": "finished"})
    ):
        ids = {"call_id": "c1", "node_id": "n", "control_id": detecting.control_id}
        body = {**ids, "detect": {"type": "machine", "params": params}}
        await server.event("calling.call.detect", body, f"d{number}")
    heard = await detecting.ended(timeout=5)
    assert (heard.first, heard.heard, heard.beep) == ("MACHINE", ["MACHINE", "READY"], True)


# ------------------------------------------------------------ inbound


async def test_calls_of_a_context_are_taken(server: ScriptedServer) -> None:
    taken: asyncio.Queue[Call] = asyncio.Queue()
    client = Client("p", "t", server.url)

    @client.on_call("office")
    async def office(call: Call) -> None:
        await taken.put(call)

    async with client:
        assert server.params("signalwire.connect")[0]["contexts"] == ["office"]
        body = state("created", "in1", direction="inbound", context="office")
        await server.event("calling.call.receive", body)
        async with asyncio.timeout(5):
            call = await taken.get()
        assert (call.direction, call.context, call.state) == ("inbound", "office", "created")
        answering = asyncio.create_task(call.answer())
        await server.asked("calling.answer")
        await server.event("calling.call.state", {**body, "call_state": "answered"}, "a1")
        assert await answering is call


async def test_a_handler_that_fails_hangs_up(server: ScriptedServer) -> None:
    client = Client("p", "t", server.url)

    @client.on_call("office")
    async def office(call: Call) -> None:
        raise RuntimeError("what a user wrote")

    async with client:
        body = state("created", "in1", direction="inbound", context="office")
        await server.event("calling.call.receive", body)
        assert (await server.asked("calling.end"))["call_id"] == "in1"


async def test_a_context_can_be_added_later(server: ScriptedServer, client: Client) -> None:
    @client.on_call("late")
    async def late(call: Call) -> None:
        """Never called here."""

    assert await server.asked("signalwire.receive") == {"contexts": ["late"]}
    await client.unreceive("late")
    assert server.params("signalwire.unreceive") == [{"contexts": ["late"]}]

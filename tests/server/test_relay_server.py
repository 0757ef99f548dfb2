"""RELAY over real WebSockets: who is let in, who may touch which call, what becomes of lost sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from cordboard.call.effects import CallStateChanged, CommandAnswered
from cordboard.relay.connection import Patience
from cordboard.relay.session import Limits
from cordboard.server.relay_socket import BREATH
from cordboard.server.tls import TlsContexts, TlsFiles

from .relay_bench import OTHER, OTHER_TOKEN, PROJECT, TOKEN, Bench, Client, bench

ANSWER = {"node_id": "node", "call_id": "c1"}


# ---------------------------------------------------------------- getting in


@pytest.mark.parametrize("path", ["/", "/any/where", "/?x=1"])
async def test_a_client_connects_on_any_path_that_nothing_else_has(path: str) -> None:
    async with bench() as server:
        client = await server.client(path)
        result = (await client.connect())["result"]
        assert result["session_restored"] is False
        assert result["nodeid"] == "node"
        event = await client.event("signalwire.authorization.state")
        assert event["authorization_state"]
        assert (await client.ask("signalwire.ping"))["result"] == {}


async def test_what_is_no_upgrade_is_told_so() -> None:
    async with bench() as server, aiohttp.ClientSession() as session:
        for path, status in (("/", 426), ("/other", 404)):
            async with session.get(server.url + path) as response:
                assert response.status == status
                assert list(await response.json()) == ["error"]


async def test_a_page_of_another_origin_is_refused_and_one_of_this_host_is_not() -> None:
    async with bench() as server:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await server.client(origin="https://evil.example")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await server.client(origin="null")
        assert "result" in await (await server.client(origin=server.url)).connect()


async def test_an_origin_that_is_no_url_is_another_one() -> None:
    async with bench() as server:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await server.client(origin="http://[")


async def test_a_wrong_project_and_a_wrong_token_look_the_same_and_both_sockets_are_closed() -> None:
    """RELAY 51."""
    async with bench() as server:
        answers = []
        for project, token in ((PROJECT, "wrong"), ("nobody", TOKEN), (OTHER, TOKEN)):
            client = await server.client()
            answers.append((await client.connect(project=project, token=token))["error"])
            assert await client.closed() == 1008
        assert answers[0]["code"] == -32002
        assert answers == [answers[0]] * 3


async def test_a_client_that_guesses_tokens_is_soon_not_listened_to() -> None:
    """RELAY 51."""
    async with bench() as server:
        for _ in range(10):
            client = await server.client()
            refused = (await client.connect(token="guess"))["error"]
            await client.closed()
        client = await server.client()
        assert (await client.connect())["error"] == refused
        await client.closed()


async def test_a_socket_that_never_connects_is_closed() -> None:
    async with bench(patience=Patience(handshake=0.05)) as server:
        client = await server.client()
        assert await client.closed() == 1008
        await server.until(lambda: len(server.sockets) == 0)


async def test_there_are_so_many_sockets_of_one_source_and_of_all() -> None:
    async with bench(most_of_a_source=2) as server:
        first, _ = await server.connected(), await server.connected()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
            await server.client()
        await first.cut()
        await server.until(lambda: len(server.sockets) == 1)
        await server.connected()
    async with bench(most=1) as server:
        await server.connected()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await server.client()


@pytest.mark.parametrize(("status", "limits"), [(429, {"most_of_a_source": 0}), (503, {"most": 0})])
async def test_an_upgrade_that_is_refused_closes_its_connection(status: int, limits: dict[str, int]) -> None:
    async with bench(**limits) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            % host.encode()
        )
        async with asyncio.timeout(5.0):
            answer = (await reader.read()).decode()  # to the end of the connection
        writer.close()
        assert answer.startswith(f"HTTP/1.1 {status} ")
        assert "\r\nConnection: close\r\n" in answer
        assert ("\r\nRetry-After: 5\r\n" in answer) is (status == 429)


async def test_a_server_that_stops_takes_nobody_in() -> None:
    async with bench() as server:
        server.stopping = True
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await server.client()


async def test_a_message_that_is_not_text_or_too_long_closes_the_socket() -> None:
    async with bench() as server:
        client = await server.connected()
        await client.websocket.send_bytes(b"x")
        assert await client.closed() == 1003
        client = await server.connected()
        await client.websocket.send_str("x" * ((1 << 20) + 1))
        assert await client.closed() == 1009


async def test_nonsense_and_unknown_methods_are_answered_and_the_client_goes_on() -> None:
    """RELAY 50."""
    async with bench() as server:
        client = await server.connected()
        await client.send([1, 2])
        assert (await client.ask("signalwire.nonsense"))["error"]["code"] == -32601
        assert (await client.ask("calling.nonsense", ANSWER))["result"]["code"][0] in "45"
        assert client.others[0]["error"]["code"] == -32600


@pytest.mark.parametrize("size", [100, 125, 126, 60_000, 65_535, 65_536, 200_000])
async def test_messages_of_all_lengths_arrive(size: int) -> None:
    async with bench() as server:
        client = await server.connected()
        found = server.hub.client(client.protocol)
        assert found is not None
        server.hub.tell(found, "calling.x", {"x": "y" * size})
        assert (await client.event("calling.x"))["x"] == "y" * size


# ---------------------------------------------------------------- calls


async def test_a_command_goes_to_the_call_and_its_answer_comes_back() -> None:
    async with bench() as server:
        client = await server.connected()
        server.calls.add("c1", owner=client.protocol)
        answer = await client.ask("calling.answer", ANSWER)
        assert answer["result"]["code"] == "200"
        assert server.calls.did("command") == [("c1", "Answer")]


async def test_a_call_of_another_project_and_one_that_is_not_there_look_the_same() -> None:
    """RELAY 51."""
    async with bench() as server:
        owner = await server.connected()
        thief = await server.connected(project=OTHER, token=OTHER_TOKEN)
        server.calls.add("c1", owner=owner.protocol)
        for method, more in (
            ("calling.answer", {}),
            ("calling.end", {"reason": "hangup"}),
            ("calling.pass", {}),
            ("calling.transfer", {"dest": "office"}),
            ("calling.play.stop", {"control_id": "x"}),
        ):
            answers = []
            for call_id in ("c1", "c2"):
                answer = await thief.ask(method, {"node_id": "node", "call_id": call_id, **more})
                answers.append(json.dumps(answer["result"]).replace(call_id, "?"))
            assert answers[0] == answers[1]
            assert json.loads(answers[0])["code"] == "404"
        assert server.calls.diary == []


@pytest.mark.parametrize("method", ["answer", "end", "pass"])
async def test_a_call_whose_end_was_told_is_not_found_though_its_recording_is_still_written(
    method: str,
) -> None:
    """Otherwise a client would wait for an `ended` that has been."""
    async with bench() as server:
        client = await server.connected()
        server.calls.add("c1", owner=client.protocol)
        server.happen("c1", "ended")
        answer = await client.ask("calling." + method, ANSWER)
        assert answer["result"] == {"code": "404", "message": "Call not found"}
        assert server.calls.did("command") == []


async def test_a_session_of_another_project_cannot_be_taken_over() -> None:
    """RELAY 51."""
    async with bench() as server:
        owner = await server.connected()
        thief = await server.connected(project=OTHER, token=OTHER_TOKEN, protocol=owner.protocol)
        assert thief.protocol != owner.protocol
        assert thief.protocol.endswith("_" + OTHER)
        assert not owner.websocket.closed


async def test_another_client_of_the_project_may_command_its_calls() -> None:
    async with bench() as server:
        owner, colleague = await server.connected(), await server.connected()
        server.calls.add("c1", owner=owner.protocol)
        assert (await colleague.ask("calling.answer", ANSWER))["result"]["code"] == "200"


async def test_events_go_to_the_client_that_owns_the_call_and_to_no_other() -> None:
    async with bench() as server:
        one, two = await server.connected(), await server.connected(contexts=[])
        server.offer("c1")
        assert (await one.event("calling.call.receive"))["call_id"] == "c1"
        server.happen("c1", "answered")
        await one.event("calling.call.state", call_state="answered")
        await two.ask("signalwire.ping")
        assert [e for e in two.events if e["params"]["event_type"].startswith("calling.")] == []


@pytest.mark.parametrize("id_", ["r-1", 'a "quoted" one', "\u00e9\\"])
async def test_the_events_of_what_is_begun_wait_for_a_moment_behind_its_answer(id_: str) -> None:
    loop = asyncio.get_running_loop()
    begun: list[float] = []

    def begin(command: object) -> CommandAnswered:
        begun.append(loop.time())
        loop.call_soon(server.happen, "c1", "answered")
        return CommandAnswered(ticket="")

    async with bench() as server:
        client = await server.connected()
        server.calls.answer = begin
        server.offer("c1")
        await client.event("calling.call.receive")
        assert (await client.ask("calling.answer", ANSWER, id_))["result"]["code"] == "200"
        await client.event("calling.call.state", call_state="answered")
        assert loop.time() - begun[0] >= BREATH * 0.9


async def test_a_dial_is_answered_before_it_begins() -> None:
    async with bench() as server:
        client = await server.connected()
        sip = {"type": "sip", "params": {"from": "sip:a@b.example", "to": "sip:c@d.example"}}
        dial = {"tag": "t1", "devices": [[sip]]}
        assert (await client.ask("calling.dial", dial))["result"]["code"] == "200"
        begun = await client.ask("calling.begin", {"tag": "t2", "device": sip})
        call_id = begun["result"]["call_id"]
        assert server.calls.did("dial") == [(client.protocol, "t1", None), (client.protocol, "t2", call_id)]
        server.closed_because = "The server is stopping."
        refused = (await client.ask("calling.dial", dial))["result"]
        assert (refused["code"], refused["message"]) == ("503", "The server is stopping.")


async def test_a_call_that_never_answers_costs_the_client_no_socket() -> None:
    async with bench(limits=Limits(answer_within=0.05)) as server:
        client = await server.connected()
        server.calls.add("c1")
        server.calls.answer = lambda command: None
        assert (await client.ask("calling.answer", ANSWER))["result"]["code"] == "500"


async def test_a_defect_is_answered_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken(command: Any) -> CommandAnswered:
        raise RuntimeError("broken")

    async with bench() as server:
        client = await server.connected()
        server.calls.add("c1")
        server.calls.answer = broken
        assert (await client.ask("calling.answer", ANSWER))["result"]["code"] == "500"
    assert "internal error in calling.answer" in caplog.text


async def test_a_defect_in_what_a_client_is_told_is_counted_and_ends_no_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench() as server:
        client = await server.connected()
        info = server.calls.add("c1", owner=client.protocol)
        server.hub.listen(info, CallStateChanged(state="ended"), {"no": "timestamp"})
        assert server.hub.defects == 1
    assert "internal error in what its client is told" in caplog.text


# ---------------------------------------------------------------- TLS, raw bytes


async def test_relay_is_spoken_over_tls_and_a_new_certificate_is_shown_without_a_restart(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    path = tmp_path / "server.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    async with bench() as server:
        await server.http.start_tls(0, TlsContexts(TlsFiles(certificate=path), listens=True))
        assert await _serial(server, authority) == await _serial(server, authority)
        first = await _serial(server, authority)
        other = authority.issue_cert("localhost", "127.0.0.1")
        other.private_key_and_cert_chain_pem.write_to_path(path)
        assert await _serial(server, authority) != first


async def _serial(server: Bench, authority: trustme.CA) -> Any:
    """Connect over TLS; the serial number of the certificate that was shown."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with aiohttp.ClientSession() as session:
        url = f"wss://127.0.0.1:{server.http.tls_port}/"
        client = Client(await session.ws_connect(url, ssl=context))
        assert "result" in await client.connect()
        shown = client.websocket.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        await client.websocket.close()
        return shown


async def test_a_far_end_that_breaks_off_in_the_middle_of_a_frame_does_no_harm() -> None:
    async with bench() as server:
        raw = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", server.http.port))
        raw.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await server.until(lambda: len(server.sockets) == 1)
        raw.sendall(b"\x81\xfe\x01")
        raw.close()
        await server.until(lambda: len(server.sockets) == 0)
        await server.connected()

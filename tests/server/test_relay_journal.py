"""Sessions on disk: what a server that dies, or stops, leaves to the next one."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cordboard.call.effects import CollectStateChanged, CommandAnswered, DetectStateChanged
from cordboard.relay.session import Limits
from cordboard.server import relay_journal
from cordboard.server.relay_journal import Journal
from cordboard.server.relay_stored import StoredSession, owed, read

from .relay_bench import OTHER, OTHER_TOKEN, Bench, Client, bench

ABOUT = {"node_id": "node", "call_id": "c1"}


@asynccontextmanager
async def killed(path: Path, **options: Any) -> AsyncIterator[Bench]:
    """A server that dies in the end: what happens to it from then on is on no disk."""
    async with bench(sessions=path, **options) as server:
        yield server
        await server.hub.journal.close()


async def back(server: Bench, client: Client, *, restored: bool = True, **params: Any) -> Client:
    """The client, over a new socket."""
    again = await server.client()
    result = (await again.connect(protocol=client.protocol, **params))["result"]
    assert result["session_restored"] is restored
    assert (result["protocol"] == client.protocol) or not restored
    return again


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


def told(client: Client) -> list[str]:
    """States of calls and operations, but not the client's own."""
    found = []
    for event in client.events:
        kind, params = event["params"]["event_type"], event["params"]["params"]
        if kind != "signalwire.authorization.state":
            state = params.get("call_state") or params.get("connect_state") or params.get("state")
            found.append(
                f"{kind.removeprefix('calling.call.')} {state or params['detect']['params']['event']}"
            )
    return found


# ------------------------------------------------------------ a death


async def test_a_client_of_a_server_that_died_is_told_how_its_call_ended(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
        assert (await client.ask("calling.answer", ABOUT))["result"]["code"] == "200"
        server.happen("c1", "answered")
        await client.event("calling.call.state", call_state="answered")
        await server.until(lambda: server.hub.unproven() == 0)
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        ended = await again.event("calling.call.state", call_state="ended")
        assert (ended["call_id"], ended["end_reason"], ended["context"]) == ("c1", "error", "office")
        assert told(again) == ["state ending", "state ended"]


async def test_what_a_client_without_a_socket_missed_comes_first_with_the_same_ids(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
        await server.until(lambda: server.hub.unproven() == 0)
        await client.cut()
        await server.until(lambda: len(server.sockets) == 0)
        server.happen("c1", "answered")
        found = server.hub.client(client.protocol)
        assert found is not None
        (frame,) = found.session.kept()[1]
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")
        assert told(again) == ["state answered", "state ending", "state ended"]
        assert again.events[0] == msgspec.json.decode(frame)


async def test_a_second_death_before_the_client_is_back_changes_nothing(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected(event_acks=False)
        server.offer("c1")
        await client.event("calling.call.receive")
        await client.cut()
    ids: list[set[str]] = []
    for _ in range(2):
        async with killed(tmp_path) as server:
            found = server.hub.client(client.protocol)
            assert found is not None
            ids.append({msgspec.json.decode(frame)["id"] for frame in found.session.kept()[1]})
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")
        assert told(again) == ["receive created", "state ending", "state ended"]
        assert (
            ids == [{event["id"] for event in again.events if "calling" in event["params"]["event_type"]}] * 2
        )


async def test_what_was_told_after_a_restart_is_not_told_after_the_next(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
    async with killed(tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")
        await server.until(lambda: server.hub.unproven() == 0)
    async with bench(sessions=tmp_path) as server:
        last = await back(server, client)
        await last.event("signalwire.authorization.state")
        assert told(last) == []


async def test_operations_without_an_event_of_their_own_end_before_their_call(tmp_path: Path) -> None:
    """Those that are over do not end again."""
    async with killed(tmp_path) as server:
        client = await server.connected()
        info = server.offer("c1")
        await client.event("calling.call.receive")
        for control_id in ("collect-1", "collect-2"):
            await client.ask("calling.collect", ABOUT | {"control_id": control_id, "digits": {"max": 1}})
        await client.ask("calling.detect", ABOUT | {"control_id": "detect", "detect": {"type": "fax"}})
        await client.ask("calling.send_digits", ABOUT | {"control_id": "keys", "digits": "12"})
        server.report(info, DetectStateChanged(control_id="detect", kind="fax", event="CED"))
        over = CollectStateChanged(
            control_id="collect-2", type="no_input", params={}, final=True, goes_on=False
        )
        server.report(info, over)
        await client.event("calling.call.collect", control_id="collect-2")
        await server.until(lambda: server.hub.unproven() == 0)
    left = read(tmp_path)
    kinds = [(kind, params["control_id"]) for kind, params, _ in owed(left)["c1"]]
    assert kinds == [
        ("calling.call.collect", "collect-1"),
        ("calling.call.detect", "detect"),
        ("calling.call.send_digits", "keys"),
    ]
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")
        assert told(again) == [
            "collect finished",
            "detect finished",
            "send_digits error",
            "state ending",
            "state ended",
        ]


async def test_a_refused_request_begins_nothing(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
        server.calls.answer = lambda command: CommandAnswered(ticket="", code="409", message="no")
        assert (await client.ask("calling.collect", ABOUT | {"control_id": "c", "digits": {"max": 1}}))[
            "result"
        ]["code"] == "409"
    assert owed(read(tmp_path)) == {}


async def test_a_request_is_carried_out_once_however_often_the_server_dies(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
        for number in range(30):
            await client.ask("calling.answer", ABOUT, f"request {number}")
    for _ in range(2):
        async with killed(tmp_path) as server:
            again = await back(server, client)
            assert (await again.ask("calling.answer", ABOUT, "request 29"))["result"]["code"] == "200"
            assert (await again.ask("calling.answer", ABOUT, "request 0"))["result"]["code"] == "404"
            assert server.calls.did("command") == []
            await again.forget()


# ------------------------------------------------------------ who may come back


async def test_contexts_are_those_of_the_session(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected(contexts=["office"])
        await client.ask("signalwire.receive", {"contexts": ["home", "shop"]})
        await client.ask("signalwire.unreceive", {"contexts": ["shop"]})
    async with bench(sessions=tmp_path) as server:
        await back(server, client, contexts=[])
        assert server.hub.subscribers("one", "home") == [client.protocol]
        assert server.hub.subscribers("one", "office") == [client.protocol]
        assert server.hub.subscribers("one", "shop") == []


async def test_a_client_of_another_project_gets_nothing_of_it(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        server.offer("c1")
        await client.event("calling.call.receive")
    async with bench(sessions=tmp_path) as server:
        thief = await back(server, client, restored=False, project=OTHER, token=OTHER_TOKEN)
        await thief.event("signalwire.authorization.state")
        assert told(thief) == []
        assert thief.protocol != client.protocol


async def test_a_server_with_another_key_does_not_know_it(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
    async with bench(sessions=tmp_path, signing_key="another") as server:
        assert server.hub.counts()["clients"] == 0
        await back(server, client, restored=False)


async def test_a_session_that_was_left_for_too_long_is_over_at_the_start(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        left, stayed = await server.connected(), await server.connected()
        await left.cut()
        await server.until(lambda: len(server.sockets) == 1)
    for session in read(tmp_path):
        assert (session.left_at is None) is (session.protocol == stayed.protocol)
    async with bench(sessions=tmp_path, limits=Limits(without_socket=0.0)) as server:
        assert server.hub.counts()["clients"] == 0
    assert read(tmp_path) == []


async def test_the_time_without_a_socket_goes_on_over_restarts(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected()
        await client.cut()
        await server.until(lambda: len(server.sockets) == 0)
    (session,) = read(tmp_path)
    assert session.left_at is not None
    assert time.time() - session.left_at < 10.0
    for _ in range(2):
        async with killed(tmp_path) as server:
            assert server.hub.counts()["clients"] == 1
        assert read(tmp_path)[0].left_at == session.left_at
    async with bench(sessions=tmp_path, limits=Limits(without_socket=0.3)) as server:
        await server.until(lambda: server.hub.counts()["clients"] == 0)
    assert read(tmp_path) == []


# ------------------------------------------------------------ files


async def test_a_line_that_is_cut_off_anywhere_costs_no_more_than_itself(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        client = await server.connected(event_acks=False)
        server.offer("c1")
        server.happen("c1", "answered")
        await client.event("calling.call.state", call_state="answered")
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        complete = whole[:length].count(b"\n")
        events = sum(line.startswith(b"E") for line in lines[:complete])
        assert sum(len(session.frames) for session in read(tmp_path)) == events
    path.write_bytes(whole[:-3])
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")


async def test_files_are_written_anew_and_lose_nothing(tmp_path: Path) -> None:
    async with killed(tmp_path) as server:
        server.hub.journal._limit = server.hub.journal._smallest = 20_000
        reading, away = await server.connected(), await server.connected(event_acks=False)
        many = [await server.connected() for _ in range(40)]
        await away.cut()
        await server.until(lambda: len(server.sockets) == 41)
        clients = [server.hub.client(one.protocol) for one in (reading, away)]
        for number in range(2_000):
            for found in clients:
                assert found is not None
                server.hub.tell(found, "calling.x", {"n": number, "x": "y" * 200})
            if not number % 50:
                await reading.event("calling.x", n=number)
        await reading.event("calling.x", n=1_999)
        await server.until(lambda: server.hub.unproven() == 0)
        await server.until(lambda: len(files(tmp_path)) == 1)
        (path,) = files(tmp_path)
        assert int(path.stem) > 3
        assert path.stat().st_size < 4_000_000
    kept = {session.protocol: len(session.frames) for session in read(tmp_path)}
    assert kept == {reading.protocol: 0, away.protocol: 2_000, **{one.protocol: 0 for one in many}}
    async with bench(sessions=tmp_path) as server:
        again = await back(server, away)
        await again.event("calling.x", n=1_999)
        told = [e["params"]["params"]["n"] for e in again.events if e["params"]["event_type"] == "calling.x"]
        assert told == list(range(2_000))


async def test_the_bytes_of_all_are_bounded_and_who_left_first_goes_first(tmp_path: Path) -> None:
    long = b"y" * 900
    stored = [
        StoredSession(
            number=number,
            protocol=f"p{number}",
            project="one",
            contexts=[],
            frames=[msgspec.Raw(b'{"id": "x", "params": {"event_type": "e", "params": {"x": "%s"}}}' % long)],
        )
        for number in range(1, 6)
    ]
    journal = Journal(most_bytes=3_500)
    journal.open(tmp_path, lambda: [lambda one=one: one for one in stored])  # type: ignore[misc]
    await journal.close()
    assert [session.number for session in read(tmp_path)] == [1, 2, 3]


async def test_of_sessions_those_with_a_socket_are_kept_first(tmp_path: Path) -> None:
    async with bench() as server:
        gone, gone_later, there = [await server.connected() for _ in range(3)]
        await gone.cut()
        await server.until(lambda: len(server.sockets) == 2)
        await gone_later.cut()
        await server.until(lambda: len(server.sockets) == 1)
        order = [snapshot() for snapshot in server.hub._sessions.snapshots()]
        assert [one.protocol for one in order if one] == [there.protocol, gone_later.protocol, gone.protocol]


async def test_a_disk_that_refuses_costs_no_client_anything_until_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_journal, "_RETRY", 0.05)
    async with killed(tmp_path) as server:
        client = await server.connected()
        real, file = os.open(os.devnull, os.O_RDONLY), server.hub.journal._file
        assert file is not None
        os.dup2(real, file)  # a file that cannot be written
        os.close(real)
        server.offer("c1")
        await client.event("calling.call.receive")
        await server.until(lambda: server.hub.journal.failures == 1)
        server.happen("c1", "answered")
        await client.event("calling.call.state", call_state="answered")
        await server.until(
            lambda: len(list(tmp_path.glob("*.log"))) == 1 and bool(read(tmp_path)[0].ends.calls)
        )
    async with bench(sessions=tmp_path) as server:
        again = await back(server, client)
        await again.event("calling.call.state", call_state="ended")
        assert told(again) == ["state ending", "state ended"]


async def test_files_are_readable_by_the_server_alone(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    async with bench(sessions=directory):
        (path,) = files(directory)
        assert directory.stat().st_mode & 0o077 == 0
        assert path.stat().st_mode & 0o077 == 0


async def test_an_event_is_in_the_file_before_it_is_on_the_wire(tmp_path: Path) -> None:
    async with bench(sessions=tmp_path) as server:
        client = await server.connected()
        seen: list[int] = []
        (socket,) = server.sockets._sockets
        transport = Watched(socket._transport, lambda: seen.append(len(read(tmp_path)[0].frames)))
        socket._transport = transport  # type: ignore[assignment]
        found = server.hub.client(client.protocol)
        assert found is not None
        await server.until(lambda: server.hub.unproven() == 0)
        for number in range(3):
            server.hub.tell(found, "calling.x", {"n": number})
        await client.event("calling.x", n=2)
        assert seen[0] == 3


class Watched:
    """A transport, and a look at the moment of each write."""

    def __init__(self, transport: Any, look: Callable[[], None]) -> None:
        self._transport = transport
        self._look = look

    def write(self, data: bytes) -> None:
        self._look()
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

"""The server as a whole: it starts or leaves nothing behind, and stops without forgetting anybody."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.server import server as server_module
from cordboard.server import worker_process
from cordboard.server.media_engine import MediaEngine
from cordboard.server.server import Server
from cordboard.server.store import StoreError
from cordboard.sip.endpoint import Endpoint
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import MANUAL, SimulatedPhone

from .server_bench import DIAL_ALICE, RING, WAIT, children, invite, make_server, settings, target


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """No thread of a store, no worker process, no task."""
    workers, threads = children(), threading.active_count()
    yield
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task.get_coro() for task in left if "nothing_is_left" not in repr(task)] == []
    assert children() <= workers
    names = [thread.name for thread in threading.enumerate()]
    assert "store-writer" not in names
    assert threading.active_count() <= threads + 2, names


# ---------------------------------------------------------------- a start that fails


async def test_a_sip_port_that_is_taken_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        server = make_server(tmp_path, sip={"port": port})
        with pytest.raises(OSError, match=f"SIP port 127.0.0.1:{port}: Address already in use") as raised:
            await server.start()
        assert raised.value.errno == errno.EADDRINUSE
        await server.stop()
    async with make_server(tmp_path):
        pass


async def test_a_second_server_on_one_data_directory_is_refused_and_the_first_lives_on(
    tmp_path: Path,
) -> None:
    async with make_server(tmp_path) as first:
        second = make_server(tmp_path)
        with pytest.raises(StoreError, match="in use by another running server"):
            await second.start()
        await second.stop()
        async with SimulatedPhone() as caller:
            call = await caller.call(target(first))
            assert await call.answered()


async def test_a_phones_port_that_is_taken_is_no_leak(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        server = make_server(tmp_path, phones={"port": other.getsockname()[1]})
        with pytest.raises(OSError, match="in use"):
            await server.start()
    async with make_server(tmp_path):
        pass


async def test_workers_that_cannot_be_started_stop_the_start_and_take_the_others_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = worker_process.WorkerProcess._run
    started: list[int] = []

    async def second_fails(self: worker_process.WorkerProcess, fd: int) -> asyncio.subprocess.Process:
        if started:
            raise OSError(errno.EAGAIN, "no more processes")
        started.append(fd)
        return await spawn(self, fd)

    monkeypatch.setattr(worker_process.WorkerProcess, "_run", second_fails)
    server = make_server(tmp_path, media={"workers": 3})
    with pytest.raises(OSError, match="no more processes"):
        await server.start()
    assert started


async def test_a_start_that_is_cancelled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def stuck(*arguments: Any, **options: Any) -> int:
        reached.set()
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(server_module, "recover", stuck)
    task = asyncio.create_task(make_server(tmp_path).start())
    async with asyncio.timeout(5.0):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---------------------------------------------------------------- early callers


async def test_an_invite_that_comes_while_the_server_starts_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash under load it is certain to come."""
    start = MediaEngine.start
    caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    caller.bind(("127.0.0.1", 0))
    caller.setblocking(False)
    server = make_server(tmp_path)

    async def start_and_be_called(self: MediaEngine) -> None:
        await start(self)
        source = Endpoint("UDP", *caller.getsockname())
        local = server.socket.local
        caller.sendto(invite(source, target(server)), (local.address, local.port))
        await asyncio.sleep(0.05)

    monkeypatch.setattr(MediaEngine, "start", start_and_be_called)
    async with server:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(3.0):
            statuses = [(await loop.sock_recv(caller, 4096)).split()[1] for _ in range(2)]
        assert statuses == [b"100", b"200"]
        assert server.exchange.switchboard.defects == 0
    caller.close()


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize("document", [DIAL_ALICE, RING, WAIT])
async def test_a_stop_hangs_up_every_call_and_keeps_their_last_events(tmp_path: Path, document: str) -> None:
    server = make_server(tmp_path, document)
    async with SimulatedPhone(Behaviour(tone_hz=350.0)) as caller:
        async with server:
            call = await caller.call(target(server))
            if document is RING:
                assert await call.ringing()
            else:
                assert await call.answered()
        report = await call.ended()
        assert report.status == (503 if document is RING else 200)
        assert report.cause in ("bye_received", "refused")
    reopened = make_server(tmp_path)
    async with reopened:
        records = await reopened.store.calls()
        assert {record.end.cause for record in records if record.end} <= {
            "server_stopping",
            "caller_gone",
            "hangup_peer",
        }
        assert all(record.end is not None for record in records)


async def test_a_far_end_that_misses_the_bye_gets_it_again_before_the_server_is_gone(tmp_path: Path) -> None:
    byes: list[float] = []

    def lose_the_first(direction: str, data: bytes, peer: Endpoint, now: float) -> None:
        if direction == "in" and data.startswith(b"BYE"):
            byes.append(now)

    server = make_server(tmp_path)
    async with SimulatedPhone(on_message=lose_the_first) as caller:
        receive = caller._received

        def deaf_once(data: bytes, source: tuple[str, int]) -> None:
            if data.startswith(b"BYE") and not byes:
                byes.append(0.0)
                return
            receive(data, source)

        async with server:
            call = await caller.call(target(server))
            assert await call.answered()
            caller._socket._on_datagram = deaf_once
        report = await call.ended(within=0.5)
        assert report.cause == "bye_received"
        assert len(byes) == 2


async def test_a_server_that_stops_takes_no_more_calls(tmp_path: Path) -> None:
    async with make_server(tmp_path) as server, SimulatedPhone() as caller:
        server.exchange.draining = True
        report = await (await caller.call(target(server))).ended()
        assert report.status == 503


async def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    server = make_server(tmp_path)
    await server.start()
    await server.stop()
    await server.stop()


async def test_a_server_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    await make_server(tmp_path).stop()


# ---------------------------------------------------------------- after a crash


async def test_calls_that_a_dead_server_left_behind_are_ended_and_hung_up(tmp_path: Path) -> None:
    async with SimulatedPhone(MANUAL) as caller:
        dead = make_server(tmp_path)
        await dead.start()
        port = dead.socket.local.port
        call = await caller.call(target(dead))
        assert await call.answered()
        await dead.store.flush()
        dead._is_running = False  # no goodbyes, as if it had been killed
        await dead.stop()
        assert not call.is_over
        async with Server(settings(tmp_path, sip={"port": port}), directory=tmp_path) as server:
            report = await call.ended()
            assert report.cause == "bye_received"
            [record] = await server.store.calls()
            assert record.end is not None
            assert record.end.cause == "server_restarted"


# ---------------------------------------------------------------- what it knows by itself


async def test_phones_have_their_host_name_and_their_numbers(tmp_path: Path) -> None:
    document = DIAL_ALICE.replace("sip:alice@phones.test", '"+15550100"')
    async with make_server(tmp_path, document) as server, SimulatedPhone() as caller:
        call = await caller.call(target(server))
        assert await call.answered()


async def test_without_phones_their_name_and_numbers_mean_nothing(tmp_path: Path) -> None:
    async with (
        make_server(tmp_path, DIAL_ALICE, phones={"enabled": False}) as server,
        SimulatedPhone() as caller,
    ):
        assert server.phones is None
        assert server._trunks() == {}
        report = await (await caller.call(target(server))).ended()
        assert report.status in (502, 503)


async def test_a_public_address_is_what_far_ends_are_told(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "sip": {"port": 0, "address": "0.0.0.0", "public_address": "127.0.0.1"},
        "media": {"address": "0.0.0.0", "public_address": "127.0.0.1"},
    }
    messages: list[bytes] = []
    async with (
        make_server(tmp_path, **sections) as server,
        SimulatedPhone(
            on_message=lambda d, data, p, n: messages.append(data) if d == "in" else None
        ) as caller,
    ):
        call = await caller.call(f"sip:x@127.0.0.1:{server.socket.local.port}")
        assert await call.answered()
    answer = next(data for data in messages if data.startswith(b"SIP/2.0 200"))
    assert b"Contact: <sip:127.0.0.1:" in answer
    assert b"c=IN IP4 127.0.0.1" in answer


async def test_changed_documents_are_taken_over_while_it_runs(tmp_path: Path) -> None:
    async with make_server(tmp_path) as server, SimulatedPhone() as caller:
        running = await caller.call(target(server))
        assert await running.answered()
        busy = "version: 1.0.0\nsections:\n  main:\n    - hangup: {reason: busy}\n"
        (tmp_path / "document.yaml").write_text(busy)
        assert await _is_busy(caller, target(server))
        assert not running.is_over


async def _is_busy(caller: SimulatedPhone, uri: str) -> bool:
    """Whether the document is soon the one that turns everybody away."""
    for _ in range(30):
        call = await caller.call(uri)
        if not await call.answered():
            return call.report.status == 486
        call.hang_up()
        await asyncio.sleep(0.1)
    return False


async def test_defects_inside_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with make_server(tmp_path) as server:
        assert server._report_defects(0) == 0
    assert "defects" not in caplog.text

"""What the exchange does when something in it, below it or beside it fails: one call suffers, at most."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cordboard.server.server import Server
from cordboard.server.targets import Way
from cordboard.sip.endpoint import Endpoint
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_report import PhoneReport

from .server_bench import DIAL_ALICE, invite, make_server, target

AT_REST = ("calls", "legs", "tasks", "records", "plays", "endpoints", "sessions", "dialogs")


@pytest.fixture
async def phone() -> AsyncIterator[SimulatedPhone]:
    async with SimulatedPhone(Behaviour(tone_hz=350.0), name="+15550001") as made:
        yield made


async def report_of(phone: SimulatedPhone, server: Server, user: str = "+15551230000") -> PhoneReport:
    """A call that the server ends or refuses."""
    return await (await phone.call(target(server, user))).ended()


async def comes_to_rest(server: Server) -> None:
    async with asyncio.timeout(3.0):
        while any(server.exchange.counts()[name] for name in AT_REST):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def defect(*arguments: Any, **named: Any) -> NoReturn:
    raise ZeroDivisionError("a defect")


# ---------------------------------------------------------------- who is not taken in


async def test_a_number_without_a_route_is_not_found_and_the_log_says_so(
    tmp_path: Path, phone: SimulatedPhone, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_server(tmp_path)
    made.routes._routes._prefixes.clear()
    async with made as server:
        assert (await report_of(phone, server)).status == 404
        assert "No document is configured for +15551230000" in caplog.text
        await comes_to_rest(server)
        assert await server.store.calls() == []


async def test_a_stranger_is_refused_without_a_record_and_the_log_says_who(
    tmp_path: Path, phone: SimulatedPhone, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_server(tmp_path, sip={"allowed_sources": ["192.0.2.0/24"]}) as server:
        assert (await report_of(phone, server)).status == 403
        assert f"127.0.0.1:{phone.port} is not allowed to call in" in caplog.text
        await comes_to_rest(server)
        assert await server.store.calls() == []


async def test_while_nothing_can_be_stored_no_call_is_taken(tmp_path: Path, phone: SimulatedPhone) -> None:
    async with make_server(tmp_path) as server:
        server.exchange._ready = lambda: False
        assert (await report_of(phone, server)).status == 503
        await comes_to_rest(server)


async def test_over_the_limit_callers_are_turned_away(tmp_path: Path, phone: SimulatedPhone) -> None:
    async with make_server(tmp_path, server={"max_calls": 1}) as server:
        first = await phone.call(target(server))
        assert await first.answered()
        assert (await report_of(phone, server)).status == 503
        assert not first.is_over


# ---------------------------------------------------------------- defects


async def test_a_call_that_cannot_be_taken_in_gets_500_and_leaves_nothing(
    tmp_path: Path, phone: SimulatedPhone
) -> None:
    async with make_server(tmp_path) as server:
        route = server.exchange._route
        server.exchange._route = defect
        assert (await report_of(phone, server)).status == 500
        server.exchange._route = route
        await comes_to_rest(server)
        assert server.exchange.switchboard.defects == 1
        assert await (await phone.call(target(server))).answered()


async def test_a_tap_that_fails_costs_a_message_and_no_call(tmp_path: Path, phone: SimulatedPhone) -> None:
    async with make_server(tmp_path) as server:
        failures = [True]

        def tap(direction: str, data: bytes, far_end: Endpoint) -> None:
            if direction == "received" and failures.pop():
                failures.append(False)
                defect()
            failures.append(False)

        server.exchange.taps.append(tap)
        assert await (await phone.call(target(server))).answered()
        assert server.exchange.switchboard.defects == 1


async def test_a_sip_timer_that_fails_does_not_stop_the_clock(tmp_path: Path) -> None:
    """The 200 is sent again although the first timer failed."""
    async with make_server(tmp_path) as server:
        real = server.exchange.legs.handle_timeout
        calls: list[float] = []

        def fails_once(now: float) -> Any:
            calls.append(now)
            return defect() if len(calls) == 1 else real(now)

        server.exchange.legs.handle_timeout = fails_once  # type: ignore[method-assign]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.bind(("127.0.0.1", 0))
            caller.setblocking(False)
            local = server.socket.local
            source = Endpoint("UDP", *caller.getsockname())
            caller.sendto(invite(source, target(server)), (local.address, local.port))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(3.0):
                statuses = [(await loop.sock_recv(caller, 4096)).split()[1] for _ in range(3)]
        assert statuses == [b"100", b"200", b"200"]
        assert server.exchange.switchboard.defects == 1


async def test_a_look_up_that_fails_ends_the_dialled_call_with_the_reason(
    tmp_path: Path, phone: SimulatedPhone, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_server(tmp_path, DIAL_ALICE) as server:
        server.exchange._targets.find = defect  # type: ignore[method-assign]
        way = Way(who="alice", plans=())
        server.exchange._targets.find_at_once = lambda order, caller="": way  # type: ignore[method-assign]
        report = await report_of(phone, server)
        assert report.status == 500
        await comes_to_rest(server)
        ends = {record.end.cause for record in await server.store.calls() if record.end}
        assert "internal_error" in ends
        assert server.exchange.switchboard.defects >= 1


async def test_a_fetch_that_fails_inside_ends_its_call(tmp_path: Path, phone: SimulatedPhone) -> None:
    document = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - transfer: http://127.0.0.1:9/\n"
    async with make_server(tmp_path, document) as server:

        async def fails(*arguments: Any) -> None:
            defect()

        server.exchange._documents.fetch = fails  # type: ignore[assignment,method-assign]
        report = await report_of(phone, server)
        assert (report.status, report.cause) == (200, "bye_received")
        await comes_to_rest(server)
        assert [record.end.cause for record in await server.store.calls() if record.end] == ["internal_error"]


async def test_a_recorder_that_fails_ends_the_call_and_frees_its_media(
    tmp_path: Path, phone: SimulatedPhone
) -> None:
    async with make_server(tmp_path) as server:
        real = server.recorder._new_id
        server.recorder._new_id = defect
        assert (await report_of(phone, server)).status == 500
        server.recorder._new_id = real
        await comes_to_rest(server)


# ---------------------------------------------------------------- the media


async def test_calls_of_a_worker_that_dies_end_with_the_true_reason_and_the_next_ones_work(
    tmp_path: Path, phone: SimulatedPhone, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_server(tmp_path) as server:
        call = await phone.call(target(server))
        assert await call.answered()
        with caplog.at_level(logging.CRITICAL):
            os.kill(server.media.worker_pids()[0], signal.SIGKILL)
            assert (await call.ended()).cause == "bye_received"
        [record] = await server.store.calls()
        assert record.end is not None
        assert record.end.cause == "media_worker_died"
        assert "killed by signal 9" in record.end.sentence
        await comes_to_rest(server)
        async with asyncio.timeout(5.0):
            while not server.media.worker_pids():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await (await phone.call(target(server))).answered()


async def test_without_any_worker_callers_get_503(tmp_path: Path, phone: SimulatedPhone) -> None:
    async with make_server(tmp_path) as server:
        server.media._place = lambda near: None  # type: ignore[method-assign]
        assert (await report_of(phone, server)).status == 503
        await comes_to_rest(server)


# ---------------------------------------------------------------- at rest, and under fire


async def test_after_calls_of_all_kinds_nothing_is_held(tmp_path: Path, phone: SimulatedPhone) -> None:
    async with make_server(tmp_path, DIAL_ALICE) as server:
        calls = [await phone.call(target(server)) for _ in range(5)]
        await asyncio.gather(*(call.answered() for call in calls[:3]))
        for call in calls:
            call.hang_up()
        await comes_to_rest(server)
        assert server.exchange.switchboard.defects == 0
        assert server.exchange.legs.stack.defects == 0


async def test_taps_see_every_message_in_both_directions(tmp_path: Path, phone: SimulatedPhone) -> None:
    seen: list[tuple[str, bytes]] = []
    async with make_server(tmp_path) as server:
        server.exchange.taps.append(lambda direction, data, far_end: seen.append((direction, data[:11])))
        call = await phone.call(target(server))
        assert await call.answered()
        async with asyncio.timeout(2.0):
            while ("received", b"ACK sip:127") not in seen:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [line for direction, line in seen if direction == "sent"] == [b"SIP/2.0 100", b"SIP/2.0 200"]
        assert [line[:3] for direction, line in seen if direction == "received"] == [b"INV", b"ACK"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n\r\n", b"\x00" * 2000, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", os.urandom(1500), b"A" * 65_000],
)
async def test_nonsense_on_the_wire_is_answered_by_silence_or_400(
    tmp_path: Path, phone: SimulatedPhone, data: bytes
) -> None:
    async with make_server(tmp_path) as server:
        local = server.socket.local
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.sendto(data, (local.address, local.port))
            good = invite(Endpoint("UDP", *stranger.getsockname()), target(server))
            stranger.sendto(good.replace(b"raw@", b"\xff\xfe\x1b[2J@"), (local.address, local.port))
            assert await (await phone.call(target(server))).answered()
        assert server.exchange.switchboard.defects == 0
        assert server.exchange.legs.stack.defects == 0

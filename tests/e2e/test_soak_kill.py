"""`kill -9` of the server in the middle of a storm: no callback is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from .soak import ledger
from .soak.crowd import Crowd
from .soak.people import People
from .soak.receiver import FlakyReceiver
from .soak.remains import Memory, children, descriptors, resident_kib, say, threads, udp_ports, until
from .soak.sizes import FULL, SEED, SMALL, Size
from .soak.subject import Subject

_UNSTORED = 0.25
"""Seconds before a kill in which an INVITE can have gone out whose call was not yet on the disk."""


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(FULL, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
async def test_every_callback_is_seen_once_and_in_order_although_the_server_is_killed(
    size: Size, tmp_path: Path
) -> None:
    async with (
        FlakyReceiver(SEED, most_failures=size.failures) as receiver,
        Crowd(SEED, timers=SMALL.timers) as crowd,
    ):
        server = Subject(tmp_path, ports=size.ports)
        people = People(SEED, bank=crowd.bank, timeouts=size.timeouts)
        documents = {f"soak-{index}": people.document(receiver.urls) for index in range(size.documents)}
        server.write(documents)
        async with server:
            storm = asyncio.create_task(
                crowd.place(server.address, list(documents), calls=size.calls, rate=size.rate)
            )
            await until(lambda: crowd.placed >= size.calls // 2, 300.0, lambda: crowd.placed)
            open_then = crowd.connected()
            killed_at = time.time()
            await server.kill()
            unseen = ledger.pending(server.database)
            await asyncio.sleep(0.5)  # some call while nobody is there
            restarted_at = time.time()
            await server.start()
            base = descriptors(server.pid)
            memory = Memory("server", server.pid, lambda: crowd.placed)
            await storm

            await until(lambda: ledger.is_settled(server.database), 240.0, lambda: receiver.figures)
            await memory.stop()
            say(memory.figures)
            say(f"{crowd.placed} calls; at the callers: {dict(crowd.outcomes)}")
            say(f"legs by cause: {dict(ledger.causes(server.database))}")
            say(f"receiver: {receiver.figures}")
            closed = ledger.ends(receiver, since=restarted_at - 0.5, begun_before=killed_at)
            say(
                f"killed with {open_then} connected callers and {unseen} callbacks not yet delivered; "
                f"{len(closed)} last events after the restart"
            )

            assert not ledger.faults_of_calls(receiver)
            assert not ledger.faults_of_delivery(receiver, ledger.deliveries(server.database))
            assert not crowd.outcomes["never ended"]
            assert closed
            assert {body["params"].get("end_reason", "error") for body in closed} == {"error"}
            assert {body["params"].get("failed_reason", "error") for body in closed} == {"error"}
            assert "" not in ledger.causes(server.database)
            assert "internal error" not in server.log
            created = ledger.count(receiver, "created")
            invited = sum(not killed_at - _UNSTORED < at < killed_at + 0.1 for at in crowd.invited.values())
            assert created >= invited, "a phone rang and no callback told of it"

            def left() -> list[str]:
                ports = udp_ports(server.rtp_ports)
                return [
                    *([f"{descriptors(server.pid)} descriptors"] if descriptors(server.pid) > base else []),
                    *([f"{len(ports)} RTP sockets"] if len(ports) != len(set(ports)) else []),
                ]

            await until(lambda: not left(), 45.0, left)
            assert len(children(server.pid)) == 1
            say(
                f"at rest: {descriptors(server.pid)} descriptors, {threads(server.pid)} threads, "
                f"{resident_kib(server.pid) / 1024:.1f} MiB"
            )
            assert await server.terminate() == 0

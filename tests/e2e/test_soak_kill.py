"""`kill -9` of the server in the middle of a storm: no callback is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import av
import pytest

from .soak import ledger
from .soak.crowd import Crowd
from .soak.people import People
from .soak.receiver import FlakyReceiver
from .soak.remains import KEPT, Memory, children, descriptors, resident_kib, say, threads, udp_ports, until
from .soak.sizes import FULL, SEED, SMALL, Size
from .soak.subject import Subject

_UNSTORED = 0.25
"""Seconds before a kill in which an INVITE can have gone out whose call was not yet on the disk."""


def unfinished(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.suffix in (".part", ".making")]


def seconds_of(path: Path) -> float:
    """Of a recording that can be decoded from its beginning to its end; raises if it cannot."""
    with av.open(str(path)) as sound:
        return sum(frame.samples for frame in sound.decode(audio=0)) / sound.streams.audio[0].rate


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
            assert not ledger.faults_of_recordings(receiver, killed=True)
            assert not ledger.faults_of_delivery(receiver, ledger.deliveries(server.database))
            assert not crowd.outcomes["never ended"]
            assert closed
            assert {body["params"].get("end_reason", "error") for body in closed} == {"error"}
            assert {body["params"].get("failed_reason", "error") for body in closed} == {"error"}
            assert "" not in ledger.causes(server.database)
            assert "internal error" not in server.log
            dialled = ledger.dialled(server.database)
            invited = sum(not killed_at - _UNSTORED < at < killed_at + 0.1 for at in crowd.invited.values())
            assert dialled >= invited, "a phone rang and the store does not know of it"

            await until(
                lambda: not unfinished(server.recordings), 90.0, lambda: unfinished(server.recordings)
            )
            lengths = {path.name: seconds_of(path) for path in server.recordings.iterdir()}
            say(f"{len(lengths)} recordings, {sum(lengths.values()):.0f} s")
            # One of a call that ended at once has nothing in it, and can be played all the same.
            assert sum(length > 0.0 for length in lengths.values()) > 0.8 * len(lengths) > 0

            def left() -> list[str]:
                ports = udp_ports(server.rtp_ports)
                return [
                    *([f"{open_} descriptors"] if (open_ := descriptors(server.pid)) > base + KEPT else []),
                    *([f"{len(ports)} RTP sockets"] if len(ports) != len(set(ports)) else []),
                ]

            await until(lambda: not left(), 45.0, left)
            assert len(children(server.pid)) <= 2, "more than a media worker and an encoder"
            say(
                f"at rest: {descriptors(server.pid)} descriptors, {threads(server.pid)} threads, "
                f"{resident_kib(server.pid) / 1024:.1f} MiB"
            )
            assert await server.terminate() == 0

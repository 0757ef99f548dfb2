"""Many clients of RELAY, many calls, everything at random: each client is told everything once, and nothing
of others; afterwards the server holds nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from .soak import relay_ledger
from .soak.crowd import Crowd
from .soak.people import People
from .soak.relay_people import Programs
from .soak.relay_subject import RelaySubject
from .soak.remains import Memory, children, descriptors, resident_kib, say, threads, udp_ports
from .soak.sizes import FULL, SEED, SMALL, Size


class RelaySize(NamedTuple):
    """Of this soak."""

    clients: int
    inbound: int
    dials: int
    rate: float
    """Of inbound calls, a second; dials come beside them in the same time."""
    trouble: float
    """Seconds from one lost connection to the next, on average."""
    session_timeout: float
    like: Size


SMALL_RELAY = RelaySize(12, 70, 25, 14.0, 0.15, 4.0, SMALL)
FULL_RELAY = RelaySize(40, 1_400, 600, 14.0, 0.15, 10.0, FULL)
CONTEXTS = ["office", "home", "shop"]
_LINGERING = ("transactions", "timers", "merge_keys")
"""For the last repetitions of far ends: RFC 3261 has them for half a minute."""
_STEEPEST = 16.0
"""KiB a call in the second half: what caches still take then; twice as many calls show half of it."""
_TASKS = 12
"""Of the server itself, at rest."""


class Storm(NamedTuple):
    """Who takes part."""

    subject: RelaySubject
    crowd: Crowd
    programs: Programs


@asynccontextmanager
async def storm(directory: Path, size: RelaySize) -> AsyncIterator[Storm]:
    like = size.like
    async with Crowd(SEED, timers=like.timers) as crowd, aiohttp.ClientSession() as http:
        subject = RelaySubject(
            directory,
            ports=like.ports,
            numbers=CONTEXTS,
            session_timeout=size.session_timeout,
            offer_timeout=1.0,
            trunk=crowd.bank,
            timers=like.timers,
        )
        subject.write({})
        people = People(SEED, bank=crowd.bank, timeouts=like.timeouts)
        programs = Programs(subject, http, people, seed=SEED, timeouts=like.timeouts)
        async with subject:
            try:
                yield Storm(subject, crowd, programs)
            finally:
                await programs.stop()


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL_RELAY, id="small"),
        pytest.param(FULL_RELAY, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(1_200)]),
    ],
)
async def test_every_client_is_told_all_of_its_calls_once_and_nothing_is_left(
    size: RelaySize, tmp_path: Path
) -> None:
    async with storm(tmp_path, size) as the:
        subject, crowd, programs = the
        await programs.start(size.clients, CONTEXTS)
        memory = Memory("server", subject.pid, lambda: crowd.placed + programs.dialled)
        programs.make_trouble(size.trouble, CONTEXTS)
        async with asyncio.TaskGroup() as group:
            place = crowd.place(subject.address, CONTEXTS, calls=size.inbound, rate=size.rate)
            group.create_task(place)
            group.create_task(programs.dial(size.dials, size.rate * size.dials / size.inbound))
        try:
            await programs.quiet(60.0)
        except TimeoutError:
            pytest.fail(f"calls without an end: {programs.unsettled()}; {programs.failures}")
        await programs.stop()
        await memory.stop()

        left = await at_rest(subject, size.session_timeout + 60.0, expire=size is SMALL_RELAY)
        clients = [*programs.living, *programs.dead]
        _say(the, memory)
        assert not left
        assert not programs.failures
        for client in clients:
            assert not relay_ledger.faults(client)
            assert not client.forgotten, "a session was over while its client was away for a moment"
        assert not relay_ledger.faults_between(clients)
        assert not crowd.outcomes["never ended"]
        told = await subject.counts()
        assert not any(told["defects"].values()), subject.log[-6000:]
        assert told["held"]["all tasks"] <= _TASKS, told
        assert size is SMALL_RELAY or memory.slope < _STEEPEST
        assert "Traceback" not in subject.log
        assert "rror" not in subject.log
        assert await subject.terminate() == 0


async def at_rest(subject: RelaySubject, within: float, *, expire: bool) -> list[str]:
    """Wait for it; what is left, as sentences."""
    ignored = ("all tasks", "workers", *(_LINGERING if expire else ()))
    deadline = asyncio.get_running_loop().time() + within
    while True:
        held = (await subject.counts())["held"]
        left = [f"{count} {name}" for name, count in held.items() if count and name not in ignored]
        used = udp_ports(subject.rtp_ports)
        left += [f"{len(used) - len(set(used))} RTP sockets"] if len(used) != len(set(used)) else []
        if not left or asyncio.get_running_loop().time() > deadline:
            return left
        await asyncio.sleep(0.2)


def _say(the: Storm, memory: Memory) -> None:
    subject, crowd, programs = the
    clients = [*programs.living, *programs.dead]
    codes: Counter[str] = sum((client.codes() for client in clients), Counter())
    events: Counter[Any] = Counter(told.event_type for client in clients for told in client.diary)
    say(memory.figures)
    say(f"{crowd.placed} calls in, {programs.dialled} dials; at the callers: {dict(crowd.outcomes)}")
    say(f"in the middle of calls: {dict(crowd.deeds)}")
    say(f"clients: {len(programs.living)} living, {len(programs.dead)} dead; {dict(programs.deeds)}")
    say(f"{sum(codes.values())} answers: {dict(sorted(codes.items()))}")
    say(
        f"{sum(events.values())} events, {sum(client.repeated for client in clients)} came again, "
        f"{sum(client.connected for client in clients)} sockets: {dict(events)}"
    )
    say(
        f"at rest: {descriptors(subject.pid)} descriptors, {threads(subject.pid)} threads, "
        f"{len(children(subject.pid))} children, {resident_kib(subject.pid) / 1024:.1f} MiB"
    )

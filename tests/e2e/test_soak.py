"""Many calls with random failures: afterwards nothing is left, and every callback was seen once, in order."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import cordboard.server.server as server_module
from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening, RecordStateChanged
from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.sip.stack import SipStack
from cordboard.sip.timers import Timers

from .peers import free_ports
from .soak import ledger
from .soak.crowd import Crowd
from .soak.people import STATES, People
from .soak.receiver import FlakyReceiver
from .soak.remains import Memory, at_rest, grown, holdings, say, until
from .soak.sizes import FULL, SEED, SMALL, Size

_TIME_TRAVEL = 65.0
_RINGING = 30.0
"""Seconds, at most, in which a script still rings and talks for a caller who has vanished."""
TRUNK, WARM_UP = "the bank", "warm-up"


SIZES = [
    pytest.param(SMALL, id="small"),
    pytest.param(FULL, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
]


def longest_farewell(timers: Timers) -> float:
    """Seconds until the last request has its answer or is given up.

    Whoever vanishes after its INVITE takes longest: 64*T1 without an ACK to our 200 (timer H), and only then
    may the BYE leave, which nobody answers for 64*T1 either (timer F).
    """
    return _RINGING + 2 * timers.patience


class Storm:
    """Server, crowd and receiver in this process."""

    def __init__(self, server: Server, crowd: Crowd, receiver: FlakyReceiver, numbers: list[str]) -> None:
        self.server = server
        self.crowd = crowd
        self.receiver = receiver
        self.numbers = numbers
        self.told: Counter[str] = Counter()
        """The bodies that the server made for callbacks."""
        self.ends: Counter[str] = Counter()
        server.recorder.listeners.append(self._note)

    def _note(self, info: CallInfo, happening: Happening, body: ledger.Body) -> None:
        if isinstance(happening, CallStateChanged):
            if happening.state == "ended" and happening.ending is not None:
                self.ends[happening.ending.cause] += 1
            wanted = happening.state in STATES and self._has_url(info.call_id)
        else:
            # Where a caller transfers a far end, that is the one that connects, and tells nobody.
            inbound = info.direction == "inbound"
            wanted = inbound and isinstance(happening, ConnectStateChanged | RecordStateChanged)
        if wanted:
            self.told[json.dumps(body, sort_keys=True)] += 1

    def _has_url(self, call_id: str) -> bool:
        """Callers, and those to whom somebody was transferred, tell nobody of their states."""
        call = self.server.exchange.switchboard.call(call_id)
        return call is not None and call.destination is not None and bool(call.destination.call_state_url)

    def seen(self) -> Counter[str]:
        return Counter(json.dumps(body, sort_keys=True) for body in self.receiver.events.values())

    async def calls(self, count: int, rate: float) -> None:
        await self.crowd.place(self.server.socket.local.host_port, self.numbers, calls=count, rate=rate)

    async def quiet(self, *, patience: float, expire: bool) -> None:
        """Wait for the end of everything; `expire`: the last repetitions are not waited for (timer D …)."""
        exchange = self.server.exchange
        lingering = ("transactions", "timers", "merge_keys") if expire else ()

        def held() -> dict[str, int]:
            counts = {**exchange.counts(), "unanswered": exchange.legs.stack.unanswered()}
            return {name: n for name, n in counts.items() if n and name not in lingering}

        await until(lambda: not held(), patience, held)
        if expire:
            outputs = exchange.legs.handle_timeout(asyncio.get_running_loop().time() + _TIME_TRAVEL)
            assert not outputs
        await at_rest(self.server, 1.0)
        sender = self.server.sender
        await until(lambda: not sender.counts()["held"], patience, sender.counts)
        await self.server.store.flush()


@asynccontextmanager
async def storm(directory: Path, size: Size) -> AsyncIterator[Storm]:
    lowest = free_ports(size.ports, busy=size.ports // 10)
    async with (
        FlakyReceiver(SEED, most_failures=size.failures) as receiver,
        Crowd(SEED, timers=size.timers) as crowd,
    ):
        people = People(SEED, bank=crowd.bank, timeouts=size.timeouts)
        numbers = [f"soak-{index}" for index in range(size.documents)]
        for number in numbers:
            (directory / f"{number}.json").write_text(people.document(receiver.urls))
        # Makes a connection to the phones, and whatever looks names up.
        first = [{"to": "sip:unknown@no-such-host.invalid"}, {"to": f"sip:hangup@{crowd.bank};transport=tcp"}]
        told = f"{receiver.urls[0]}/connect"
        warm_up = {"sections": {"main": [{"connect": {"serial": first, "status_url": told}}]}}
        (directory / f"{WARM_UP}.json").write_text(json.dumps(warm_up))
        settings = {
            "server": {"data_directory": str(directory / "data")},
            "sip": {"port": 0},
            "media": {"workers": 1, "port_min": lowest, "port_max": lowest + size.ports - 1},
            "phones": {"enabled": False},
            "trunks": {TRUNK: {"address": crowd.bank, "allowed_prefixes": ["+1555"], "max_calls": 10}},
            "routes": {number: f"{number}.json" for number in (*numbers, WARM_UP)},
        }
        async with Server(Config.model_validate(settings), directory=directory) as server:
            yield Storm(server, crowd, receiver, numbers)


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_is_left_after_calls_with_random_failures(
    size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SipStack", functools.partial(SipStack, timers=size.timers))
    is_small = size is SMALL
    async with storm(tmp_path, size) as the:
        media = the.server.config.media
        ports = range(media.port_min, media.port_max + 1)
        # The first calls make what is made once: connections, ports bound ahead, caches.
        await the.crowd.warm_up(the.server.socket.local.host_port, WARM_UP)
        await the.calls(20, 20.0)
        await the.quiet(patience=longest_farewell(size.timers), expire=True)
        await the.crowd.forget(expire=True)
        before = holdings(ports)
        memory = Memory("server, phones and receiver", os.getpid(), lambda: the.crowd.placed)
        worker = Memory("media worker", the.server.media.worker_pids()[0], lambda: the.crowd.placed)

        await the.calls(size.calls, size.rate)
        await the.quiet(patience=longest_farewell(size.timers), expire=is_small)
        for watch in (memory, worker):
            await watch.stop()
            say(watch.figures)
        await the.crowd.forget(expire=is_small)

        def left() -> list[str]:
            return grown(before, holdings(ports))

        await until(lambda: not left(), 40.0, left)

        say(f"{the.crowd.placed} calls; at the callers: {dict(the.crowd.outcomes)}")
        say(f"in the middle of calls: {dict(the.crowd.deeds)}")
        say(f"legs by cause: {dict(the.ends)}")
        say(f"receiver: {the.receiver.figures}")
        assert the.server.exchange.switchboard.defects == 0
        assert the.server.exchange.legs.stack.defects == 0
        assert not the.ends["internal_error"]
        assert not the.crowd.outcomes["never ended"]
        assert the.seen() == the.told
        assert not ledger.faults_of_calls(the.receiver)
        assert not ledger.faults_of_recordings(the.receiver)
        assert not the.server.trunks.calls(TRUNK)
        stored = ledger.deliveries(the.server.data_directory / "cordboard.sqlite3")
        assert not ledger.faults_of_delivery(the.receiver, stored)

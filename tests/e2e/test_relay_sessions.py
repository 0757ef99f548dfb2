"""Clients that are away when a server stops or is killed: they come back and are told everything, once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import NamedTuple

from cordboard.testing.phone_call import PhoneCall

from .soak import relay_ledger
from .soak.relay_client import CallView, RelayClient
from .soak.sizes import SMALL
from .test_relay_restart import Scene, connected_again, scene, seen, stored, works

_PATIENCE = 40.0
SILENCE = [{"type": "silence", "params": {"duration": 300}}]
KEYS = "1" + 120 * "W"
"""They take two minutes."""


async def come_back(clients: list[RelayClient]) -> None:
    """Each is the client that it was."""
    before = {client: client.connected for client in clients}
    for client in clients:
        client.may_come.set()
    await connected_again(clients, lambda client: before[client] + 1)
    for client in clients:
        assert client.names == [client.protocol]
        assert not client.forgotten


async def killed(the: Scene) -> None:
    """And started again, and all clients are back."""
    before = {client: client.connected for client in the.clients}
    await the.subject.kill()
    await the.subject.start()
    await connected_again(the.clients, lambda client: before[client] + 1)


async def all_told(clients: list[RelayClient]) -> None:
    for client in clients:
        for view in client.calls.values():
            assert await view.until(lambda it=view: it.is_over, _PATIENCE), view.states  # type: ignore[misc]
        assert not relay_ledger.faults(client)


async def operating(the: Scene, number: int) -> tuple[PhoneCall, RelayClient, CallView]:
    """A call with operations of which nothing is told before they end."""
    call, client, view = await the.answered()
    digits = {"digits": {"max": 5}, "initial_timeout": 300}
    detect = {"detect": {"type": "digit"}, "timeout": 300}
    prompt = {"play": SILENCE, "collect": digits}
    assert await client.command(view, "collect", control_id=f"collect-{number}", **digits) == "200"
    assert await client.command(view, "detect", control_id=f"detect-{number}", **detect) == "200"
    assert await client.command(view, "play_and_collect", control_id=f"prompt-{number}", **prompt) == "200"
    assert await client.command(view, "send_digits", control_id=f"keys-{number}", digits=KEYS) == "200"
    return call, client, view


async def test_clients_without_a_socket_at_a_planned_stop_are_told_how_it_all_ended(tmp_path: Path) -> None:
    async with scene(tmp_path) as the:
        calls = await the.busy()
        away = the.clients[:3]
        for client in away:
            await client.leave()
        told = {client: len(client.diary) for client in away}
        assert await the.subject.terminate() == 0
        for call in calls:
            assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
        assert all(len(client.diary) == told[client] for client in away)
        await the.subject.start()
        await come_back(away)
        await all_told(away)
        for client in away:
            assert client.farewells == [], "there was nobody to be told that the server stops"
        await connected_again(the.clients, lambda client: 2)
        await works(the)
        assert "Traceback" not in the.subject.log


async def test_clients_that_are_away_while_a_server_is_killed_twice_are_told_all_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as the:
        await the.busy()
        working = [await operating(the, number) for number in range(6)]
        away = the.clients[:4]
        await stored(
            the.subject, "SELECT count(*) FROM calls WHERE answered_at IS NOT NULL AND dialog IS NOT NULL", 24
        )
        async with asyncio.timeout(_PATIENCE):
            while (await the.subject.counts())["held"]["unproven"]:
                pass
        for client in away:
            await client.leave()
        await the.subject.kill()
        await the.subject.start()
        await the.subject.kill()
        await the.subject.start()
        await come_back(away)
        await connected_again(the.clients, lambda client: 2)
        await all_told(the.clients)
        for number, (call, client, _) in enumerate(working):
            assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
            for kind, name in (("collect", "collect"), ("detect", "detect"), ("collect", "prompt")):
                assert seen(client, kind, control_id=f"{name}-{number}") == 1
            assert seen(client, "play", control_id=f"prompt-{number}", state="finished") == 1
            assert seen(client, "send_digits", control_id=f"keys-{number}", state="error") == 1
        assert [client.repeated for client in the.clients] == [0] * len(the.clients)
        # Nothing of it comes again after one more death.
        diaries = {client: len(client.diary) for client in the.clients}
        await killed(the)
        for client in the.clients:
            await client.ask("signalwire.ping", {})
            news = {told.event_type for told in client.diary[diaries[client] :]}
            assert news <= {"signalwire.authorization.state"}
        assert "Traceback" not in the.subject.log


class Program:
    """What a client does with its calls: a little of everything, whatever the answers are."""

    def __init__(self, the: Scene, client: RelayClient, seed: int) -> None:
        self._the = the
        self._client = client
        self._choose = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        client.on_offer = self._start
        self._count = 0

    def _start(self, view: CallView) -> None:
        self._count += 1
        name = f"{self._client.protocol[-20:]}-{self._count}"
        task = asyncio.get_running_loop().create_task(self._serve(view, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, view: CallView, name: str) -> None:
        ask = self._client.command
        short = [{"type": "silence", "params": {"duration": 0.2}}]
        await ask(view, "answer")
        # Where its line was cut another client may have got the call, and hears how it goes on.
        await view.until(lambda: "answered" in view.states or view.is_over, _PATIENCE)
        for number in range(self._choose.randint(1, 5)):
            if view.is_over:
                return
            control_id = f"{name}-{number}"
            what = self._choose.choice(["play", "collect", "record", "detect", "connect", "prompt", "digits"])
            if what == "play":
                await ask(view, "play", control_id=control_id, play=short)
            elif what == "collect":
                await ask(view, "collect", control_id=control_id, digits={"max": 1}, initial_timeout=0.3)
            elif what == "record":
                await ask(view, "record", control_id=control_id, record={"audio": {}})
            elif what == "detect":
                await ask(view, "detect", control_id=control_id, detect={"type": "digit"}, timeout=0.3)
            elif what == "connect":
                await ask(view, "connect", tag=control_id, devices=[[self._the.device("bob")]])
            elif what == "prompt":
                collect = {"digits": {"max": 1}, "initial_timeout": 0.2}
                await ask(view, "play_and_collect", control_id=control_id, play=short, collect=collect)
            else:
                await ask(view, "send_digits", control_id=control_id, digits="1w2")
            await asyncio.sleep(self._choose.uniform(0.0, 0.1))
        await ask(view, "end")
        for peer in list(self._client.calls.values()):
            if peer.states[0] == "created" and not peer.is_over and self._choose.random() < 0.3:
                await ask(peer, "end")

    async def dial(self) -> None:
        self._count += 1
        tag = f"{self._client.protocol[-20:]}-dial-{self._count}"
        await self._client.dial(tag, [[self._the.device("bob")]])

    async def quiet(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)


class Mood(NamedTuple):
    """What the crowd goes by."""

    choose: random.Random
    up: asyncio.Event
    """There is a server."""
    over: asyncio.Event
    placed: list[PhoneCall]


async def crowd(the: Scene, programs: list[Program], mood: Mood) -> None:
    """Callers and dials, until it is over; lines that break."""
    choose = mood.choose
    async with asyncio.TaskGroup() as group:
        while not mood.over.is_set():
            await asyncio.sleep(choose.uniform(0.0, 0.08))
            chance = choose.random()
            if chance < 0.6:
                await mood.up.wait()
                mood.placed.append(await the.callers.call(f"sip:office@{the.subject.address}"))
            elif chance < 0.8:
                group.create_task(choose.choice(programs).dial())
            else:
                choose.choice(the.clients).cut()


async def all_over(the: Scene, programs: list[Program], placed: list[PhoneCall]) -> None:
    """No call is left or on its way, every client has had all of it, no program has anything to do."""
    for call in placed:
        call.hang_up()  # of some that were just answered the server that died has left no trace
    while True:
        for client in the.clients:
            for view in list(client.calls.values()):
                if not view.is_over:
                    await client.command(view, "end")
        for program in programs:
            await program.quiet()
        held = (await the.subject.counts())["held"]
        is_quiet = not any(held[kind] for kind in ("calls", "offers", "dials", "unproven"))
        if is_quiet and all(call.is_over for call in placed):
            return


async def test_a_server_may_be_killed_at_any_moment_and_each_client_is_told_everything_once(
    tmp_path: Path,
) -> None:
    # An INVITE to a server that was dead is repeated for four seconds instead of half a minute.
    choose = random.Random(7)
    async with scene(tmp_path, timers=SMALL.timers) as the:
        programs = [Program(the, client, seed) for seed, client in enumerate(the.clients)]
        mood = Mood(choose, asyncio.Event(), asyncio.Event(), [])
        crowding = asyncio.create_task(crowd(the, programs, mood))
        for _ in range(4):
            mood.up.set()
            await asyncio.sleep(choose.uniform(0.8, 1.6))
            mood.up.clear()
            await killed(the)
        mood.up.set()
        mood.over.set()
        await crowding
        async with asyncio.timeout(_PATIENCE):
            await all_over(the, programs, mood.placed)
        events = sum(len(client.diary) for client in the.clients)
        calls = sum(len(client.calls) for client in the.clients)
        assert (events > 400, calls > 60) == (True, True), (events, calls)
        await all_told(the.clients)
        assert not relay_ledger.faults_between(the.clients)
        assert not any(client.forgotten for client in the.clients)
        assert "Traceback" not in the.subject.log

"""Servers that stop, servers and media workers that are killed: what the clients of their calls are told."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp

from cordboard.sip.timers import Timers
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank, SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

from .soak import relay_ledger
from .soak.relay_client import CallView, Json, RelayClient
from .soak.relay_subject import RelaySubject
from .soak.remains import until

CLIENTS = 6
QUIET = Behaviour(answer_after=0.0, muted=True)
RINGS = Behaviour(answer_after=None)
_PATIENCE = 40.0


class Scene:
    """A server, clients that take every call, callers and phones."""

    def __init__(self, subject: RelaySubject, http: aiohttp.ClientSession, timers: Timers | None) -> None:
        self.subject = subject
        self.phones = PhoneBank(lambda user: RINGS if user == "ring" else QUIET)
        self.callers = SimulatedPhone(QUIET, name="caller", timers=timers)
        self.clients = [
            RelayClient(subject.url, http, acks=n % 2 == 0, contexts=["office"]) for n in range(CLIENTS)
        ]
        self.taken: dict[str, RelayClient] = {}
        """By call id, whose call it is."""
        for client in self.clients:
            client.on_offer = lambda call, it=client: self.taken.update({call.call_id: it})  # type: ignore[misc]

    def device(self, user: str) -> Json:
        to = self.phones_uri(user)
        return {"type": "sip", "params": {"to": to, "from": "sip:office@127.0.0.1", "timeout": 60}}

    def phones_uri(self, user: str) -> str:
        return f"sip:{user}@{self.phones.address}:{self.phones.port}"

    async def answered(self) -> tuple[PhoneCall, RelayClient, CallView]:
        """A caller who talks, and the client that has taken the call."""
        known = set(self.taken)
        call = await self.callers.call(f"sip:office@{self.subject.address}")
        await until(lambda: len(self.taken) > len(known), _PATIENCE, lambda: "no offer")
        (call_id,) = self.taken.keys() - known
        client = self.taken[call_id]
        view = client.calls[call_id]
        assert await client.command(view, "answer") == "200"
        assert await call.answered(within=_PATIENCE)
        return call, client, view

    async def told(self, client: RelayClient, kind: str, count: int = 1, **values: object) -> None:
        """Wait until so many events of that kind, with these values, have come."""
        await client.until(lambda: seen(client, kind, **values) >= count, _PATIENCE)

    async def busy(self) -> list[PhoneCall]:
        """Two calls a client: one connected, one with a play and a recording."""
        calls: list[PhoneCall] = []
        for number in range(CLIENTS):
            call, client, view = await self.answered()
            calls.append(call)
            devices = [[self.device("bob")]]
            assert await client.command(view, "connect", tag=f"connect-{number}", devices=devices) == "200"
            await self.told(client, "connect", call_id=view.call_id, connect_state="connected")
        for number in range(CLIENTS):
            call, client, view = await self.answered()
            calls.append(call)
            silence = [{"type": "silence", "params": {"duration": 300}}]
            for name in (f"play-{number}", f"paused-{number}"):
                assert await client.command(view, "play", control_id=name, play=silence) == "200"
                await self.told(client, "play", control_id=name, state="playing")
            assert await client.command(view, "play.pause", control_id=f"paused-{number}") == "200"
            audio = {"audio": {"initial_timeout": 0, "end_silence_timeout": 0}}
            record = await client.command(view, "record", control_id=f"record-{number}", record=audio)
            assert record == "200"
            await self.told(client, "record", control_id=f"record-{number}", state="recording")
        assert Counter(self.taken.values()) == dict.fromkeys(self.clients, 2)
        return calls


def seen(client: RelayClient, kind: str, **values: object) -> int:
    """How many events of a kind with these values it was told."""
    return sum(
        told.event_type == f"calling.call.{kind}" and values.items() <= told.params.items()
        for told in client.diary
    )


@asynccontextmanager
async def scene(directory: Path, *, timers: Timers | None = None) -> AsyncIterator[Scene]:
    subject = RelaySubject(directory, timers=timers)
    subject.write({})
    async with aiohttp.ClientSession() as http:
        the = Scene(subject, http, timers)
        async with the.phones, the.callers, subject:
            try:
                for client in the.clients:
                    await client.start()
                yield the
            finally:
                for client in the.clients:
                    await client.stop()


async def stored(subject: RelaySubject, query: str, count: int) -> None:
    """What clients have been told is on the disk a moment later."""

    def found() -> int:
        with closing(sqlite3.connect(f"file:{subject.database}?mode=ro", uri=True)) as reader:
            number: int = reader.execute(query).fetchone()[0]
            return number

    await until(lambda: found() >= count, _PATIENCE, found)


async def connected_again(clients: list[RelayClient], times: Callable[[RelayClient], int]) -> None:
    for client in clients:
        await client.until(lambda it=client: it.connected >= times(it), _PATIENCE)  # type: ignore[misc]


async def works(the: Scene) -> None:
    """A call for each client, from its offer to its end."""
    for _ in the.clients:
        call, client, view = await the.answered()
        assert await client.command(view, "end") == "200"
        assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
        assert await view.until(lambda it=view: it.is_over, _PATIENCE)  # type: ignore[misc]


async def test_a_planned_stop_ends_all_calls_tells_all_clients_and_then_says_goodbye(tmp_path: Path) -> None:
    async with scene(tmp_path) as the:
        calls = await the.busy()
        far = list(the.phones.calls)
        assert await the.subject.terminate() == 0
        for call in (*calls, *far):
            assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
        for client in the.clients:
            await client.until(lambda it=client: len(it.close_codes) > 0, _PATIENCE)  # type: ignore[misc]
            assert client.farewells == [{"restart": True}]
            assert client.told_before_farewell == [len(client.diary)]
            assert all(view.is_over for view in client.calls.values())
            assert len(client.calls) == 3  # two callers, one far end
            assert client.close_codes[0] == 1001
            assert not relay_ledger.faults(client)
        before = {client: client.connected for client in the.clients}
        await the.subject.start()
        await connected_again(the.clients, lambda client: before[client] + 1)
        await works(the)
        for client in the.clients:
            assert not relay_ledger.faults(client)
            assert client.farewells == [{"restart": True}]
        assert "Traceback" not in the.subject.log


async def test_after_a_kill_clients_are_told_the_end_of_all_once_and_in_a_safe_order(tmp_path: Path) -> None:
    async with scene(tmp_path) as the:
        calls = await the.busy()
        dialling = the.clients[0]
        alone = asyncio.create_task(dialling.dial("alone", [[the.device("ring")]]))
        race = asyncio.create_task(dialling.dial("race", [[the.device("ring"), the.device("ring")]]))
        won = await dialling.dial("won", [[the.device("bob")]])
        assert won is not None
        assert won["dial_state"] == "answered"
        _, asking, view = await the.answered()
        assert await asking.command(view, "connect", tag="x", devices=[[the.device("ring")]]) == "200"
        states = "SELECT count(*) FROM events WHERE CAST(body AS TEXT) LIKE '%\"{}\"%'"
        await stored(the.subject, states.format('ringing","direction":"outbound'), CLIENTS + 1 + 4)
        await stored(the.subject, states.format("connected"), CLIENTS)
        await stored(the.subject, states.format("recording"), CLIENTS)
        far = [call for call in the.phones.calls if call.report.answered_at is not None]
        assert len(far) == CLIENTS + 1
        old = [(client, call) for client in the.clients for call in client.calls.values()]

        await the.subject.kill()
        before = {client: client.connected for client in the.clients}
        assert not any(call.is_over for call in (*calls, *far)), "nobody can have told them"
        await the.subject.start()
        await connected_again(the.clients, lambda client: before[client] + 1)
        for call in (*calls, *far):
            assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
        for client, call_view in old:
            over = await call_view.until(lambda it=call_view: it.is_over, _PATIENCE)  # type: ignore[misc]
            assert over, call_view.states
            assert await client.command(call_view, "end") == "404"
            assert await client.command(call_view, "disconnect") == "404"
        for decided in (alone, race):
            async with asyncio.timeout(_PATIENCE):
                failed = await decided
            assert failed is not None
            assert (failed["dial_state"], failed["reason"]) == ("failed", "error")
        for client in the.clients:
            assert client.names == [client.protocol], "its name is what it resumes with"
            assert not relay_ledger.faults(client)
            assert not client.forgotten
        assert seen(asking, "connect", call_id=view.call_id, connect_state="failed") == 1
        await works(the)
        # Once more, with nothing new to tell: what clients hear is on the disk a moment later.
        everything = len(old) + CLIENTS
        await stored(the.subject, "SELECT count(*) FROM calls WHERE ended_at IS NOT NULL", everything)
        diaries = {client: len(client.diary) for client in the.clients}
        await the.subject.kill()
        before = {client: client.connected for client in the.clients}
        await the.subject.start()
        await connected_again(the.clients, lambda client: before[client] + 1)
        for client in the.clients:
            await client.ask("signalwire.ping", {})
            told = [told.event_type for told in client.diary[diaries[client] :]]
            assert set(told) <= {"signalwire.authorization.state"}
        assert "Traceback" not in the.subject.log


async def test_clients_hear_of_the_calls_of_a_killed_media_worker(tmp_path: Path) -> None:
    async with scene(tmp_path) as the:
        calls = await the.busy()
        far = list(the.phones.calls)
        os.kill(the.subject.workers[0], signal.SIGKILL)
        for call in (*calls, *far):
            assert (await call.ended(within=_PATIENCE)).cause == "bye_received"
        for client in the.clients:
            for call_id, view in client.calls.items():
                assert await view.until(lambda it=view: it.is_over, _PATIENCE)  # type: ignore[misc]
                assert seen(client, "state", call_id=call_id, call_state="ended", end_reason="error") == 1
            assert not relay_ledger.faults(client)
            assert client.connected == 1, "no connection was lost"
        async with asyncio.timeout(_PATIENCE):
            while not (await the.subject.counts())["held"]["workers"]:
                pass
        await works(the)
        told = await the.subject.counts()
        assert not any(told["defects"].values()), told

"""Clients that do not read, read slowly, send much, or never say who they are.

The server's memory is bounded, and others do not notice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .soak import relay_ledger
from .soak.raw_websocket import RawWebSocket, frame
from .soak.relay_client import CallView, RelayClient
from .soak.relay_subject import OTHER, OTHER_TOKEN, PROJECT, TOKEN, RelaySubject
from .soak.remains import resident_kib, say, until

MIB = 1 << 20
MOST_MEMORY = 64 * 1024
"""KiB that the server may grow by: eight times what it keeps for one client that does not read."""
_MOST = 1_000
"""Thousands of requests; half as many answers are more than the server bears and the kernel holds."""
PATIENCE = 10.0
"""Seconds that an innocent client waits for an answer at most; the SDKs give up after ten."""


class Innocent:
    """A client of the same project whose calls and requests go on all the time."""

    def __init__(self, subject: RelaySubject, http: aiohttp.ClientSession) -> None:
        self.subject = subject
        self.client = RelayClient(subject.url, http, contexts=["office"])
        self.client.on_offer = self._take
        self.longest = 0.0
        """Seconds that an answer has taken."""
        self.calls = 0
        self.most_memory = 0
        self._taken: asyncio.Queue[CallView] = asyncio.Queue()
        self._callers = SimulatedPhone(Behaviour(muted=True), name="caller")
        self._going: list[asyncio.Task[None]] = []

    def _take(self, call: CallView) -> None:
        self._taken.put_nowait(call)

    async def start(self) -> None:
        await self._callers.__aenter__()
        await self.client.start()
        await self._call()
        self.first_memory = resident_kib(self.subject.pid)
        self._going = [asyncio.create_task(self._ping()), asyncio.create_task(self._talk())]

    async def stop(self) -> None:
        for task in self._going:
            task.cancel()
        results = await asyncio.gather(*self._going, return_exceptions=True)
        await self.client.stop()
        await self._callers.__aexit__(None, None, None)
        failed = [result for result in results if isinstance(result, Exception)]
        assert not failed

    @property
    def growth(self) -> int:
        """KiB, at most so far."""
        return self.most_memory - self.first_memory

    async def _ping(self) -> None:
        while True:
            begun = time.monotonic()
            await self.client.ask("signalwire.ping", {})
            self.longest = max(self.longest, time.monotonic() - begun)
            self.most_memory = max(self.most_memory, resident_kib(self.subject.pid))
            await asyncio.sleep(0.02)

    async def _talk(self) -> None:
        while True:
            await self._call()
            self.calls += 1
            await asyncio.sleep(0.1)  # the ports of a call that is over rest for a while

    async def _call(self) -> None:
        call = await self._callers.call(f"sip:office@{self.subject.address}")
        async with asyncio.timeout(30.0):
            view = await self._taken.get()
        answered = await self.client.command(view, "answer")
        assert answered == "200", (answered, view.states, view.call_id)
        assert await call.answered(within=30.0)
        ended = await self.client.command(view, "end")
        assert ended == "200", (ended, view.states, view.call_id, call.report)
        await call.ended(within=30.0)
        assert await view.until(lambda: view.is_over, 30.0)


@asynccontextmanager
async def innocent(directory: Path) -> AsyncIterator[Innocent]:
    subject = RelaySubject(directory, session_timeout=2.0)
    subject.write({})
    async with subject, aiohttp.ClientSession() as http:
        the = Innocent(subject, http)
        await the.start()
        try:
            yield the
            await until(lambda: the.calls > 0, 30.0, lambda: "no call meanwhile")
        finally:
            await the.stop()
        say(
            f"others: {the.calls} calls meanwhile, the longest answer after {the.longest * 1000:.0f} ms; "
            f"memory {the.growth / 1024:+.1f} MiB at most"
        )
        assert the.longest < PATIENCE
        assert the.calls > 0
        assert the.growth < MOST_MEMORY
        assert not relay_ledger.faults(the.client)
        assert the.client.connected == 1
        await until_left_alone(subject)


async def until_left_alone(subject: RelaySubject) -> None:
    """Nothing of the bad clients stays, and none of them has met a defect."""
    async with asyncio.timeout(60.0):
        while True:
            told = await subject.counts()
            names = ("relay clients", "relay sockets", "commands", "sources", "offers", "calls")
            if not any(told["held"][name] for name in names):
                break
    assert not any(told["defects"].values()), told
    assert "Traceback" not in subject.log


async def let_in(
    bad: RawWebSocket, *, acks: bool = False, credentials: tuple[str, str] = (PROJECT, TOKEN)
) -> None:
    assert await bad.upgrade() == 101
    known = dict(zip(("project", "token"), credentials, strict=True))
    params = {"version": {"major": 3}, "authentication": known, "event_acks": acks}
    await bad.ask("connect", "signalwire.connect", params)
    assert "result" in await bad.message()


async def test_a_client_that_asks_and_never_reads_is_cut_off(tmp_path: Path) -> None:
    async with innocent(tmp_path) as the, AsyncExitStack() as stack:
        bad = [await stack.enter_async_context(RawWebSocket(the.subject.http_port)) for _ in range(2)]
        for client in bad:
            await let_in(client)

        message = {"jsonrpc": "2.0", "id": "flood", "method": "signalwire.ping", "params": {}}
        thousand = frame(json.dumps(message).encode()) * 1_000

        async def flood(client: RawWebSocket) -> int:
            for number in range(_MOST):
                try:
                    await client.write(thousand)
                except OSError:
                    return number
            return _MOST

        async with asyncio.timeout(90.0):
            sent = await asyncio.gather(*map(flood, bad))
        say(f"cut off after {sent} thousand requests")
        assert max(sent) < _MOST


async def test_a_client_that_reads_slowly_gets_everything_in_order(tmp_path: Path) -> None:
    async with innocent(tmp_path) as the, RawWebSocket(the.subject.http_port) as slow:
        await let_in(slow)
        count = 2_000
        sending = asyncio.create_task(_ask_many(slow, count))
        await until(lambda: sending.done() or the.calls > 0, 30.0, lambda: "no call meanwhile")
        seen: list[str] = []
        async with asyncio.timeout(90.0):
            while len(seen) < count:
                message = await slow.message(at_once=512)
                if "method" not in message:
                    seen.append(message["id"])
            await sending
        assert seen == [str(number) for number in range(count)]


async def _ask_many(client: RawWebSocket, count: int) -> None:
    about = {"call_id": "nobody", "node_id": "nobody"}
    for number in range(count):
        await client.ask(str(number), "calling.answer", about)


async def test_ten_thousand_requests_at_once_have_an_answer_each(tmp_path: Path) -> None:
    async with innocent(tmp_path) as the:
        busy = RelayClient(the.subject.url, the.client._http)
        await busy.start()
        about = {"call_id": "nobody", "node_id": "nobody"}
        async with asyncio.timeout(90.0):
            await asyncio.gather(*(busy.ask("calling.answer", about) for _ in range(10_000)))
        codes = busy.codes()
        assert codes == {"calling.answer 404": 10_000}
        assert all(len(answers) == 1 for answers in busy.results.values())
        assert busy.connected == 1
        await busy.stop()


async def test_ten_thousand_commands_to_one_call_have_an_answer_each(tmp_path: Path) -> None:
    async with innocent(tmp_path) as the, SimulatedPhone(Behaviour(muted=True)) as phone:
        busy = RelayClient(the.subject.url, the.client._http)
        await busy.start()
        device = {"type": "sip", "params": {"to": phone.uri("bob"), "from": "sip:x@127.0.0.1"}}
        won = await busy.dial("tag", [[device]])
        assert won is not None
        view = busy.calls[won["call"]["call_id"]]
        async with asyncio.timeout(90.0):
            answers = await asyncio.gather(*(busy.command(view, "disconnect") for _ in range(10_000)))
        assert set(Counter(answers)) <= {"409", "429"}
        assert await busy.command(view, "end") == "200"
        assert await view.until(lambda: view.is_over, 30.0)
        await busy.stop()


@pytest.mark.parametrize("size", [MIB, 8 * MIB])
async def test_large_messages_cost_their_sender_the_connection_at_most(tmp_path: Path, size: int) -> None:
    async with innocent(tmp_path) as the:
        for content in (b"[" * size, b'{"a":' + b'"' + b"x" * (size - 8) + b'"}', b"\xff" * size):
            async with RawWebSocket(the.subject.http_port) as bad:
                await let_in(bad, credentials=(OTHER, OTHER_TOKEN))

                async def send(content: bytes = content, bad: RawWebSocket = bad) -> None:
                    for _ in range(30):
                        await bad.write(frame(content))

                sending = asyncio.create_task(send())
                async with asyncio.timeout(60.0):
                    await bad.closed()
                    await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.slow
async def test_connections_that_never_say_who_they_are_are_closed_and_bounded(tmp_path: Path) -> None:
    async with innocent(tmp_path) as the, AsyncExitStack() as stack:
        port = the.subject.http_port
        silent = [await stack.enter_async_context(RawWebSocket(port)) for _ in range(50)]
        bad = [await stack.enter_async_context(RawWebSocket(port)) for _ in range(220)]
        statuses = [await client.upgrade() for client in bad]
        assert Counter(statuses) == {101: 199, 429: 21}, "one of the address is the innocent client"
        bad = [client for client, status in zip(bad, statuses, strict=True) if status == 101]
        async with asyncio.timeout(60.0):
            await asyncio.gather(*(client.closed() for client in (*silent, *bad)))
        # There is room again.
        async with RawWebSocket(port) as late:
            await let_in(late)

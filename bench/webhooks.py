"""What one callback costs the control process: body, row, commit and queue, without and with the HTTP POST.

Run: `python bench/webhooks.py [CALLBACKS]`.  Figures are CPU time of this process, all threads.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged
from cordboard.events.bodies import envelope
from cordboard.events.encoding import encode
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import DELIVERED, Delivery, NewCall, NewEvent, Settlement
from cordboard.server.webhook_sender import WebhookSender
from cordboard.webhooks.delivery import DeliveryMachine, Input, Offered, Settled, Tried, Try
from cordboard.webhooks.lane import Item

PER_TURN = 2
EVENTS_PER_CALL = 5


def call_info(number: int) -> CallInfo:
    return CallInfo(
        call_id=f"a1b2c3d4-0000-4000-8000-{number:012d}",
        node_id="a1b2c3d4-0000-4000-8000-000000000004",
        segment_id=f"a1b2c3d4-0000-4000-8000-{number:012d}",
        project_id="a1b2c3d4-0000-4000-8000-000000000001",
        space_id="a1b2c3d4-0000-4000-8000-000000000002",
        session_id=f"a1b2c3d4-0000-4000-8000-{number:012d}",
        call_state="created",
        direction="outbound",
        type="sip",
        from_="sip:alice@a.example.com",
        to="sip:bob@b.example.com",
    )


def new_call(info: CallInfo) -> NewCall:
    return NewCall(
        info.call_id, info.session_id, info.segment_id, info.node_id, info.project_id, info.space_id,
        info.direction, info.type, info.from_, info.to, None, None, time.time(), None, "ended",
    )  # fmt: skip


class Load:
    """Calls of `EVENTS_PER_CALL` callbacks each, some of them in each turn of the loop."""

    def __init__(self, store: SqliteStore, sender: WebhookSender, url: str) -> None:
        self._store, self._sender, self._url = store, sender, url
        self._calls = 0

    def call(self) -> None:
        self._calls += 1
        info = call_info(self._calls)
        number = self._store.add_call(new_call(info))
        for seq in range(1, EVENTS_PER_CALL + 1):
            at = time.time()
            body = envelope(CallStateChanged(state="ringing"), info, timestamp=at)
            event = NewEvent(number, seq, str(uuid.uuid4()), body["event_type"], at, encode(body))
            self._sender.send(event, info.session_id, self._url)


class Accounts:
    """Takes stored deliveries through the machine, as if every POST succeeded at once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._machine = DeliveryMachine(random=lambda: 0.5)
        self.done = 0

    def stored(self, deliveries: list[Delivery]) -> None:
        now = time.monotonic()
        for d in deliveries:
            item = Item(
                number=d.number,
                queue=(d.session_id, d.url),
                origin=d.origin,
                created_at=now,
                due=now,
                payload=d,
            )
            self._feed(Offered(item), now)

    def _feed(self, given: Input, now: float) -> None:
        for output in self._machine.handle(given, now):
            if isinstance(output, Try):
                self._feed(Tried(number=output.item.number, delivered=True), now)
            elif isinstance(output, Settled):
                self.done += 1
                self._store.settle(Settlement(output.item.number, DELIVERED, 1, 0.0, 200, "", time.time(), 3))


async def idle_cost(pause: float) -> float:
    """CPU seconds of one turn of the loop that only sleeps: the bench's own, not the callbacks'."""
    turns = min(100, int(2 / pause))
    cpu = time.process_time()
    for _ in range(turns):
        await asyncio.sleep(pause)
    return (time.process_time() - cpu) / turns


async def measure_storing(callbacks: int, rate: float) -> None:
    """`rate`: calls a second; 0 = as fast as it goes."""
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore.open(Path(directory) / "bench.sqlite3")
        sender = WebhookSender(store, OutboundPolicy(allow_private=True), signing_key="k")
        accounts = Accounts(store)
        store.on_stored = accounts.stored
        load = Load(store, sender, "http://127.0.0.1:9/events")
        idle = await idle_cost(PER_TURN / rate) if rate else 0.0
        turns = callbacks // EVENTS_PER_CALL // PER_TURN
        wall, cpu = time.perf_counter(), time.process_time()
        for turn in range(turns):
            for _ in range(PER_TURN):
                load.call()
            due = wall + (turn + 1) * PER_TURN / rate - time.perf_counter() if rate else 0
            await asyncio.sleep(max(0.0, due))
        while accounts.done < callbacks:
            await store.flush()
        await store.flush()
        spent, lasted = time.process_time() - cpu - turns * idle, time.perf_counter() - wall
        await store.close()
    name = f"at {rate:.0f} calls/s" if rate else "flat out"
    print(f"body, rows, commit, queue, {name:>14}: {spent / callbacks * 1e6:6.1f} µs a callback"
          f" ({callbacks / lasted:.0f}/s)")  # fmt: skip


async def measure_posting(callbacks: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        receiver = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--receiver", stdout=asyncio.subprocess.PIPE
        )
        assert receiver.stdout is not None
        url = (await receiver.stdout.readline()).decode().strip()
        store = SqliteStore.open(Path(directory) / "bench.sqlite3")
        sender = WebhookSender(store, OutboundPolicy(allow_private=True), signing_key="k")
        await sender.start()
        load = Load(store, sender, url)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(callbacks // EVENTS_PER_CALL):
            load.call()
            await asyncio.sleep(0)
        while sender.delivered < callbacks:
            await sender.idle()
        spent, lasted = time.process_time() - cpu, time.perf_counter() - wall
        await sender.stop()
        await store.close()
        receiver.terminate()
        await receiver.wait()
    print(f"all of it, with the HTTP POST: {spent / callbacks * 1e6:6.1f} µs a callback"
          f" ({callbacks / lasted:.0f}/s)")  # fmt: skip


async def receive() -> None:
    async def take(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response()

    server = web.Server(take)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/events", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    if "--receiver" in sys.argv:
        uvloop.run(receive())
        return
    callbacks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"Python {sys.version.split()[0]}, aiohttp {aiohttp.__version__}, {callbacks} callbacks")
    uvloop.run(measure_storing(callbacks, 0))
    uvloop.run(measure_storing(callbacks, 200))
    uvloop.run(measure_storing(min(callbacks, 2000), 20))
    uvloop.run(measure_posting(min(callbacks, 5000)))


if __name__ == "__main__":
    main()

"""A server process that is killed in the middle: every event arrives, in order, once by its id."""

from __future__ import annotations

import asyncio
import random
import sys
import textwrap
from pathlib import Path

from aiohttp import web

_SERVER = """
    import asyncio, sys, time
    from pathlib import Path
    from cordboard.server.outbound_policy import OutboundPolicy
    from cordboard.server.sqlite_store import SqliteStore
    from cordboard.server.store import NewCall, NewEvent
    from cordboard.server.webhook_sender import WebhookSender
    from cordboard.webhooks.delivery import DeliveryLimits

    async def main(path, url, run, count):
        store = SqliteStore.open(Path(path))
        limits = DeliveryLimits(first_pause=0.01, longest_pause=0.1)
        sender = WebhookSender(store, OutboundPolicy(allow_private=True), signing_key="k", limits=limits)
        await sender.start()
        for index in range(int(count)):
            session = f"{run}.{index % 5}"
            row = NewCall(session, session, *["x"] * 8, None, None, time.time(), None, "")
            number = store.add_call(row)
            for seq in (1, 2, 3):
                event = NewEvent(number, seq, f"{session}/{number}/{seq}", "t", time.time(), b"{}")
                sender.send(event, session, url)
            await store.flush()
            for seq in (1, 2, 3):
                print(f"{session}/{number}/{seq}", flush=True)
        if int(count):
            await asyncio.Event().wait()
        while await store.pending_origins():
            await asyncio.sleep(0.02)
        await sender.stop()
        await store.close()

    asyncio.run(main(*sys.argv[1:]))
"""


async def _start(path: Path, url: str, run: str, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(_SERVER), str(path), url, run, str(count),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _kill_after(process: asyncio.subprocess.Process, lines: int) -> list[str]:
    """What it said was stored."""
    assert process.stdout is not None
    said = [(await process.stdout.readline()).decode().strip() for _ in range(lines)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    return said + rest.decode().split()


async def test_each_stored_event_arrives_in_order_over_two_kills(tmp_path: Path) -> None:
    dice = random.Random(3)
    seen: list[str] = []

    async def take(request: web.BaseRequest) -> web.Response:
        await request.read()
        # A receiver that fails after it has taken the event, too: that is what ids are for.
        if dice.random() < 0.15:
            return web.Response(status=500)
        seen.append(request.headers["X-Cordboard-Event-Id"])
        return web.Response(status=502 if dice.random() < 0.15 else 200)

    runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/cb"
    try:
        stored: list[str] = []
        for run in ("a", "b"):
            process = await _start(tmp_path / "s", url, run, 10_000)
            stored += await _kill_after(process, 60)
        last = await _start(tmp_path / "s", url, "c", 0)
        async with asyncio.timeout(30):
            await last.wait()
    finally:
        await runner.cleanup()
    assert last.returncode == 0
    first_arrivals = list(dict.fromkeys(seen))
    assert set(stored) <= set(first_arrivals)
    sessions = {event.split("/")[0] for event in stored}
    assert len(sessions) == 10
    for session in sessions:
        mine = [event for event in first_arrivals if event.startswith(session + "/")]
        assert mine == sorted(mine, key=lambda event: [int(part) for part in event.split("/")[1:]])

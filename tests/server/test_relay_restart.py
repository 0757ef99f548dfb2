"""`kill -9` of the server under a client's call: the client comes back and hears how its call ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp

from cordboard.testing.phone import SimulatedPhone

from .relay_bench import PROJECT, TOKEN, Client
from .server_bench import free_ports


class Ports:
    """Where the server is found again."""

    def __init__(self) -> None:
        self.sip = self.http = 0
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            self.sip, self.http = one.getsockname()[1], two.getsockname()[1]


def configuration(directory: Path, ports: Ports) -> Path:
    media = free_ports(100)
    path = directory / "c.toml"
    path.write_text(
        f"[sip]\nport = {ports.sip}\n[http]\nport = {ports.http}\n"
        f"[media]\nworkers = 1\nport_min = {media}\nport_max = {media + 99}\n"
        f'[projects.{PROJECT}]\ntokens = ["{TOKEN}"]\n'
        '[routes]\n"*" = { context = "office" }\n'
    )
    return path


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[None]:
    """A server in a process of its own, killed in the end without a warning."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cordboard",
        "serve",
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30.0):
            ready = await process.stdout.readline()
        assert b"SIP on UDP" in ready
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def until_stored(directory: Path) -> None:
    """What a client has been told is on the disk a moment later."""
    query = "SELECT count(*) FROM events WHERE event_type = 'calling.call.play'"
    database = directory / "cordboard-data" / "cordboard.sqlite3"
    async with asyncio.timeout(10.0):
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            while not reader.execute(query).fetchone()[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_a_client_of_a_killed_server_resumes_and_is_told_the_end_of_its_call(tmp_path: Path) -> None:
    """RELAY 50."""
    ports = Ports()
    path = configuration(tmp_path, ports)
    url = f"http://127.0.0.1:{ports.http}/"
    async with aiohttp.ClientSession() as session, SimulatedPhone() as caller:
        async with running(path):
            client = Client(await session.ws_connect(url))
            await client.connect()
            call = await caller.call(f"sip:office@127.0.0.1:{ports.sip}")
            offer = await client.event("calling.call.receive")
            about = {"node_id": offer["node_id"], "call_id": offer["call_id"]}
            assert (await client.ask("calling.answer", about))["result"]["code"] == "200"
            assert await call.answered()
            play = {"control_id": "p", "play": [{"type": "silence", "params": {"duration": 60}}]}
            await client.ask("calling.play", about | play)
            await client.event("calling.call.play", state="playing")
            await until_stored(tmp_path)
        async with running(path):
            again = Client(await session.ws_connect(url))
            result = (await again.connect(protocol=client.protocol))["result"]
            assert (result["protocol"], result["session_restored"]) == (client.protocol, True)
            ended = await again.event("calling.call.state", call_state="ended")
            assert ended["call_id"] == about["call_id"]
            kinds = [
                (event["params"]["event_type"], event["params"]["params"].get("state"))
                for event in again.events
            ]
            assert ("calling.call.play", "finished") in kinds
            assert (await again.ask("calling.end", about))["result"]["code"] == "404"
            assert (await call.ended(within=10.0)).cause == "bye_received"
        await client.forget()
        await again.forget()

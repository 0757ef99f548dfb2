"""What stands on a page of the documentation works when it is typed as it stands.

Only ports differ: tests take free ones.  The servers are those that the pages name.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tomllib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cordboard.cli.development import development_config
from cordboard.cli.serve import announce
from cordboard.client import Call, Client
from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phones import ALICE_TONE

from .cases import until
from .conftest import StartServer
from .sdk.programs import NODE_3_9, NODE_3_13, NODE_4, PYTHON, Program, Sdk

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PLAIN, TLS = "ws://127.0.0.1:8080", "localhost:8443"
"""Where the pages say that a server is."""
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.real_peer


def blocks(page: str, language: str) -> list[str]:
    """The examples on a page, in their order."""
    text = (DOCS / page).read_text()
    return [found[2] for found in _FENCE.finditer(text) if found[1] == language]


def typed(directory: Path, page: str, language: str, *, where: str, there: str) -> Path:
    """The first example of a page as a file, but for the port."""
    text = blocks(page, language)[0]
    assert text.count(where) == 1
    suffix = {"js": ".cjs", "python": ".py"}[language]
    path = directory / f"program{suffix}"
    path.write_text(text.replace(where, there))
    return path


@asynccontextmanager
async def running(command: tuple[str, ...], directory: Path, **environment: str) -> AsyncIterator[Program]:
    """A program that was started by hand in that directory."""
    inherited = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env={**inherited, **environment}
    )
    program = Program(process)
    try:
        yield program
    finally:
        await program.end()


@asynccontextmanager
async def a_caller_of(server: Server) -> AsyncIterator[PhoneCall]:
    """Somebody who calls as soon as a program takes the calls of the office."""
    project = server.config.default_project
    await until(lambda: bool(server.relay.hub.subscribers(project, "office")), within=30.0)
    async with SimulatedPhone(Behaviour(tone_hz=350.0), name="+15557770001", record=True) as phone:
        call = await phone.call(f"sip:office@{server.socket.local.host_port}")
        yield call
        call.hang_up()
        await call.ended()


def example() -> dict[str, Any]:
    """The configuration that the pages start a server with."""
    sections = tomllib.loads((ROOT / "examples/relay/cordboard.toml").read_text())
    for route in sections["routes"].values():
        route["document"] = str(ROOT / "examples/relay" / route["document"])
    return {**sections, "relay": {"session_timeout": 5}}


@pytest.mark.parametrize(
    ("sdk", "page"),
    [(NODE_3_9, "sdk-node-v3.md"), (NODE_3_13, "sdk-node-v3.md"), (NODE_4, "sdk-node-v4.md")],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_the_program_of_a_node_page_answers_speaks_and_hangs_up(
    start_server: StartServer, tmp_path: Path, sdk: Sdk, page: str
) -> None:
    sdk.check()
    server = await start_server("{}", **example())
    program = typed(tmp_path, page, "js", where=PLAIN, there=f"ws://127.0.0.1:{server.http.port}")
    async with running(("node", str(program)), tmp_path, **sdk.environment), a_caller_of(server) as caller:
        assert await caller.answered(within=10.0)
        assert (await caller.ended(within=20.0)).cause == "bye_received"


async def test_the_program_of_our_own_page_connects_and_ends(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = await start_server("{}", **example())
    there = f"ws://127.0.0.1:{server.http.port}"
    program = typed(tmp_path, "sdk-python.md", "python", where=PLAIN, there=there)
    async with running((sys.executable, str(program)), tmp_path), a_caller_of(server) as caller:
        assert await caller.hears(ALICE_TONE, within=20.0)
        assert server.phones is not None
        for phone in list(server.phones.calls):
            phone.hang_up()
        assert (await caller.ended(within=20.0)).cause == "bye_received"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
async def test_the_certificate_the_server_and_the_program_of_the_page_of_the_python_sdk(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PYTHON.check()
    page = "sdk-signalwire-python.md"
    make = next(block for block in blocks(page, "sh") if block.startswith("openssl"))
    openssl = await asyncio.create_subprocess_shell(make, cwd=tmp_path, stdin=DEVNULL, stderr=DEVNULL)
    assert await openssl.wait() == 0
    sections = tomllib.loads(blocks(page, "toml")[0])
    assert f"localhost:{sections['http']['tls_port']}" == TLS
    sections["http"]["tls_port"] = 0
    server = await start_server("{}", **sections, relay={"session_timeout": 5})
    announce(server)
    said = capsys.readouterr().out
    assert f", HTTPS https://127.0.0.1:{server.http.tls_port}\n" in said
    assert "programs:" not in said  # its projects have secrets
    program = typed(tmp_path, page, "python", where=TLS, there=f"localhost:{server.http.tls_port}")
    words = [word for block in blocks(page, "sh") for word in block.split() if word.startswith("SIGNALWIRE_")]
    told = dict(word.split("=", 1) for word in words)
    command = (PYTHON.command[0], str(program))
    async with running(command, tmp_path, **told), a_caller_of(server) as caller:
        assert await caller.answered(within=10.0)
        assert (await caller.ended(within=20.0)).cause == "bye_received"


# ------------------------------------------------------------ a server without a configuration


@asynccontextmanager
async def development_server(directory: Path) -> AsyncIterator[Server]:
    """What `make run` and `cordboard serve` start, on free ports."""
    settings = development_config(directory)
    sections = {"sip": {"port": 0}, "http": {"port": 0}, "relay": {"session_timeout": 5}}
    changed = {name: getattr(settings, name).model_copy(update=new) for name, new in sections.items()}
    async with Server(settings.model_copy(update=changed), directory=directory) as server:
        yield server


async def test_a_server_without_a_configuration_says_who_may_come_and_asks_a_program_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with development_server(tmp_path) as server:
        announce(server)
        said = re.search(
            r"^programs: (\S+), project (\S+), token (\S+)$", capsys.readouterr().out, re.MULTILINE
        )
        assert said is not None
        host, project, token = said.groups()
        async with Client(project, token, host) as client:
            offered: asyncio.Queue[str] = asyncio.Queue()

            async def take(call: Call) -> None:
                await call.answer()
                await offered.put(call.to)
                await call.hangup()

            await client.receive("office", take)
            async with a_caller_of(server) as caller:
                assert await caller.answered(within=10.0)
                assert "office" in await offered.get()
                assert (await caller.ended(within=10.0)).cause == "bye_received"


async def test_without_a_program_its_document_connects_whoever_is_dialled(tmp_path: Path) -> None:
    async with (
        development_server(tmp_path) as server,
        SimulatedPhone(Behaviour(tone_hz=350.0), name="+15557770001", record=True) as phone,
    ):
        caller = await phone.call(f"sip:alice@{server.socket.local.host_port}")
        assert await caller.hears(ALICE_TONE, within=10.0)
        caller.hang_up()
        await caller.ended()

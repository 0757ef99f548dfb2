"""Every program in examples/relay/ does what its first line says, with a real server and real phones.

Programs are run as their readers run them, with nothing but the environment to say where the server is.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import tomllib
import wave
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from cordboard.events.bodies import Body
from cordboard.server.relay_sessions import Client
from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phones import ALICE_TONE, BOB_TONE

from ..media.test_machine_ear import speech
from .cases import until
from .conftest import StartServer
from .sdk.programs import NODE_3_9, NODE_3_13, NODE_4, OURS, PYTHON, Program, Sdk

EXAMPLES = Path(__file__).parents[2] / "examples" / "relay"
CALLER_TONE = 350.0

CONNECT_SIP = [
    (NODE_3_9, "connect-sip-v3.cjs"),
    (NODE_3_13, "connect-sip-v3.cjs"),
    (NODE_4, "connect-sip-v4.cjs"),
    (PYTHON, "connect_sip_signalwire.py"),
    (OURS, "connect_sip.py"),
]
MENUS = [(NODE_4, "ivr-v4.cjs"), (OURS, "ivr.py")]
REMINDERS = [(NODE_4, "amd-v4.cjs"), (OURS, "amd.py")]
OVER_HTTP = ["http_api.py", "http-api.sh"]

GREETINGS = {"human": ((0.3, 0.05), (0.3, 0.0)), "machine": ((0.3, 0.08),) * 15}
"""(Seconds of a syllable, seconds of the pause behind it)"""
GREETS = """
version: 1.0.0
sections:
  main:
    - answer: {{}}
    - play: {{ urls: ["silence:1.5", "file:{name}.wav", "silence:60"] }}
"""

pytestmark = pytest.mark.real_peer


def of(name: str) -> str:
    """The id of a parameter."""
    return name if isinstance(name, str) else name.name


def test_every_example_is_tested() -> None:
    tested = {name for _, name in (*CONNECT_SIP, *MENUS, *REMINDERS)} | set(OVER_HTTP)
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".cjs", ".sh")}
    assert programs == tested


class Example(Program):
    """One that may end by itself."""

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def ends(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(30.0):
            return await self._process.wait()


class Office:
    """A server with the configuration of the examples, and somebody who calls it."""

    def __init__(self, server: Server, caller: SimulatedPhone, authority: Path) -> None:
        self.server = server
        self.caller = caller
        self._authority = authority
        self._events: list[Body] = []
        self.asked: list[str] = []
        """The methods that programs have called."""
        self._perform = server.relay.hub.perform
        server.relay.hub.perform = self._note
        server.exchange.recorder.listeners.append(lambda info, happening, body: self._events.append(body))

    def _note(self, client: Client, ticket: int, method: str, params: Any) -> None:
        self._perform(client, ticket, method, params)
        self.asked.append(method)

    def states(self, event_type: str) -> list[str]:
        """Of the events of that kind so far."""
        bodies = [body["params"] for body in self._events if body["event_type"] == event_type]
        return [body["state"] for body in bodies]

    @asynccontextmanager
    async def runs(self, sdk: Sdk, name: str, *arguments: str) -> AsyncIterator[Example]:
        """One of the examples."""
        sdk.check()
        command = (sdk.command[0], str(EXAMPLES / name), *arguments)
        async with self.runs_command(command, over_tls=sdk.over_tls, **sdk.environment) as program:
            yield program

    @asynccontextmanager
    async def runs_command(
        self, command: tuple[str, ...], *, over_tls: bool = False, **more: str
    ) -> AsyncIterator[Example]:
        http = self.server.http
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "SIGNALWIRE_RELAY_CA_FILE": str(self._authority),
            "CORDBOARD_HOST": f"localhost:{http.tls_port}" if over_tls else f"ws://127.0.0.1:{http.port}",
            "CORDBOARD_URL": f"http://127.0.0.1:{http.port}",
            **more,
        }
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
        )
        program = Example(process)
        try:
            yield program
        finally:
            await program.end()

    async def is_served(self) -> None:
        """A program takes the calls of the office."""
        await until(lambda: bool(self.server.relay.hub.subscribers("demo", "office")), within=30.0)

    async def call(self) -> PhoneCall:
        return await self.caller.call(f"sip:+15551230000@{self.server.socket.local.host_port}")

    async def far(self) -> PhoneCall:
        """The phone that was called and has answered."""
        phones = self.server.phones
        assert phones is not None
        await until(lambda: any(call.report.answered_at is not None for call in phones.calls), within=20.0)
        return next(call for call in phones.calls if call.report.answered_at is not None)


async def prints(program: Program, text: str, *, within: float = 30.0) -> None:
    try:
        await until(lambda: any(text in line for line in program.noise), within=within)
    except TimeoutError:
        raise AssertionError(f"{within:g} s without {text!r}: {program.story()}") from None


def voice(syllables: tuple[tuple[float, float], ...]) -> bytes:
    """A wav file with made-up speech."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((speech(syllables) * 4000).clip(-32000, 32000).astype("<i2").tobytes())
    return written.getvalue()


@pytest.fixture
async def office(start_server: StartServer, tmp_path: Path) -> AsyncIterator[Office]:
    authority = trustme.CA()
    chain, trusted = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
    authority.cert_pem.write_to_path(str(trusted))
    sections = tomllib.loads((EXAMPLES / "cordboard.toml").read_text())
    route = sections["routes"]["*"]
    route["document"] = str(EXAMPLES / route["document"])
    http = {"tls_port": 0, "certificate": str(chain)}
    for name, syllables in GREETINGS.items():
        (tmp_path / f"{name}.wav").write_bytes(voice(syllables))
        (tmp_path / f"{name}.yaml").write_text(GREETS.format(name=name))
        sections["routes"][name] = f"{name}.yaml"
    sections["media"] = {"directory": str(tmp_path)}
    # What a program leaves behind when it is ended here is not kept for five minutes.
    relay = {"session_timeout": 5}
    server = await start_server(EXAMPLES / "closed.yaml", http=http, relay=relay, **sections)
    async with SimulatedPhone(Behaviour(tone_hz=CALLER_TONE), name="+15557770001", record=True) as caller:
        yield Office(server, caller, trusted)
        for call in list(caller.calls):
            call.hang_up()
        await server.exchange.quiet()
        assert server.exchange.switchboard.defects == server.relay.hub.defects == 0


@pytest.mark.parametrize(("sdk", "name"), CONNECT_SIP, ids=of)
async def test_the_documented_program_runs_to_its_end(office: Office, sdk: Sdk, name: str) -> None:
    async with office.runs(sdk, name) as program:
        await office.is_served()
        caller = await office.call()
        await prints(program, "connected with sip:alice@phones.test")
        alice = await office.far()
        assert await caller.hears(ALICE_TONE, within=10.0)
        assert await alice.hears(CALLER_TONE, within=10.0)
        alice.hang_up()
        await prints(program, "apart")
        assert not caller.is_over
        await prints(program, "over")
        await caller.ended()


@pytest.mark.parametrize(("sdk", "name"), MENUS, ids=of)
async def test_who_presses_a_key_is_connected(office: Office, sdk: Sdk, name: str) -> None:
    async with office.runs(sdk, name) as program:
        await office.is_served()
        caller = await office.call()
        assert await caller.answered(within=10.0)
        caller.press("1")
        await prints(program, "sales: sip:bob@phones.test")
        bob = await office.far()
        assert await caller.hears(BOB_TONE, within=10.0)
        bob.hang_up()
        await caller.ended(within=10.0)


async def test_who_presses_nothing_of_use_leaves_a_message(office: Office) -> None:
    async with office.runs(OURS, "ivr.py") as program:
        await office.is_served()
        caller = await office.call()
        assert await caller.answered(within=10.0)
        caller.press("999")
        await until(lambda: "recording" in office.states("calling.call.record"), within=60.0)
        before = caller.report.audio.packets_sent
        await until(lambda: caller.report.audio.packets_sent >= before + 75, within=10.0)
        caller.press("#")
        await prints(program, "message of ")
        await caller.ended(within=10.0)
        url = next(line for line in program.noise if line.startswith("message of ")).split()[-1]
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 200
            with wave.open(io.BytesIO(await response.read())) as file:
                assert file.getnframes() / file.getframerate() >= 1.0


@pytest.mark.parametrize(("sdk", "name"), [*CONNECT_SIP, *MENUS], ids=of)
async def test_who_hangs_up_leaves_nobody_behind(office: Office, sdk: Sdk, name: str) -> None:
    """The peer is hung up when the caller has gone, and the program serves the next one."""
    async with office.runs(sdk, name) as program:
        await office.is_served()
        caller = await office.call()
        assert await caller.answered(within=10.0)
        caller.press("2")
        await prints(program, "sip:alice@phones.test")
        alice = await office.far()
        caller.hang_up()
        await alice.ended(within=20.0)
        await office.server.exchange.quiet()
        again = await office.call()
        assert await again.answered(within=10.0)
        again.hang_up()
        await again.ended()
        assert not any("Traceback" in line for line in program.noise), program.story()


async def test_where_no_program_runs_the_document_answers(office: Office) -> None:
    caller = await office.call()
    assert await caller.answered(within=10.0)
    report = await caller.ended(within=20.0)
    assert report.cause == "bye_received"
    assert office.states("calling.call.play") == ["playing", "finished"]


@pytest.mark.parametrize(("sdk", "name"), REMINDERS, ids=of)
@pytest.mark.parametrize("who", ["HUMAN", "MACHINE"])
async def test_a_person_and_a_machine_are_told_apart(office: Office, sdk: Sdk, name: str, who: str) -> None:
    """Who is called is a document of the same server, since phones that only hum are nobody."""
    to = f"sip:{who.lower()}@{office.server.socket.local.host_port}"
    async with office.runs(sdk, name, to) as program:
        await prints(program, f"{to}: {who}", within=60.0)
        await until(lambda: office.states("calling.call.play").count("finished") >= 2, within=60.0)
        await office.server.exchange.quiet()


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_call_is_made_over_http(office: Office, name: str) -> None:
    interpreter = sys.executable if name.endswith(".py") else shutil.which("bash") or "bash"
    command = (interpreter, str(EXAMPLES / name), "sip:alice@phones.test")
    async with office.runs_command(command) as program:
        alice = await office.far()
        await alice.ended(within=30.0)
        assert await program.ends() == 0, program.story()
        assert office.states("calling.call.play") == ["playing", "finished"]
        assert any("hung up" in line or "hangup" in line for line in program.noise), program.story()

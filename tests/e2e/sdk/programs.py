"""Programs of users: each runs as a process of its own, with one of the SDKs, and says what it sees.

A program prints a line of JSON for each thing that happens to it (`{"what": …}`), and waits where it was told
to (`go`).  Nothing of an SDK is changed; `make sdks` installs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent

PATIENCE = 30.0
"""Seconds that a program has for its next line; a machine that is busy is slow to start one."""
_LAST_WORDS = 5.0


class Sdk(msgspec.Struct, frozen=True):
    """One SDK in one version."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    needs: str = ""
    """A file that is there when it is installed."""
    over_tls: bool = False
    """It speaks nothing else."""
    remote: tuple[str, ...] = ()
    """The program that does what a test says, step by step."""

    @property
    def is_node(self) -> bool:
        return self.name.startswith("node")

    @property
    def is_v4(self) -> bool:
        return self.name == "node-4.2.1"

    def check(self) -> None:
        """Skip the test where it is not installed; on CI, fail."""
        missing = self.needs and not (ROOT / self.needs).exists()
        if missing or (self.is_node and shutil.which("node") is None):
            hint = f"{self.name} is not installed: make sdks"
            if os.environ.get("CI"):
                pytest.fail(hint)
            pytest.skip(hint)


def _node(version: str) -> Sdk:
    directory = f".sdks/node-{version}"
    return Sdk(
        f"node-{version}",
        ("node", str(HERE / "node" / "programs.cjs")),
        {"NODE_PATH": str(ROOT / directory / "node_modules")},
        f"{directory}/stamp",
        remote=("node", str(HERE / "node" / "remote.cjs")),
    )


NODE_3_9 = _node("3.9.0")
NODE_3_13 = _node("3.13.0")
NODE_4 = _node("4.2.1")
_PYTHON = str(ROOT / ".sdks/python-3.7.5/bin/python")
PYTHON = Sdk(
    "python-3.7.5",
    (_PYTHON, str(HERE / "python" / "relay_programs.py")),
    {"SIGNALWIRE_LOG_MODE": "off"},
    ".sdks/python-3.7.5/stamp",
    over_tls=True,
    remote=(_PYTHON, str(HERE / "python" / "relay_remote.py")),
)
OURS = Sdk(
    "cordboard",
    (sys.executable, str(HERE / "python" / "own_programs.py")),
    remote=(sys.executable, str(HERE / "python" / "own_remote.py")),
)

ALL = (NODE_3_9, NODE_3_13, NODE_4, PYTHON, OURS)


class Program:
    """One running program."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.said: list[Json] = []
        self.noise: list[str] = []
        """Lines that are not its own: what the SDK prints."""
        self._news = asyncio.Event()
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]

    async def says(self, what: str, *, within: float = PATIENCE) -> Json:
        """Wait for its next line of that kind, and take it.  Other kinds stay for later."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for line in self.said:
                        if line["what"] == what:
                            self.said.remove(line)
                            return line
                    if self._process.returncode is not None and self._readers[0].done():
                        raise AssertionError(f"it ended without saying {what!r}: {self.story()}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{within:g} s without {what!r}: {self.story()}") from None

    def has_said(self, what: str) -> bool:
        return any(line["what"] == what for line in self.said)

    def go(self) -> None:
        """Let it go on."""
        self.tell("go")

    def tell(self, line: str) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def kill(self) -> None:
        """It ends at once, without a goodbye."""
        self._process.kill()

    def story(self) -> str:
        """All that is known of it, for a failure."""
        return f"exit code {self._process.returncode}, said {self.said}, printed {self.noise[-30:]}"

    async def end(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_LAST_WORDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await asyncio.gather(*self._readers)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            text = raw.decode(errors="replace").strip()
            try:
                line = msgspec.json.decode(text)
            except msgspec.DecodeError:
                line = None
            if isinstance(line, dict) and "what" in line:
                self.said.append(line)
            else:
                self.noise.append(text)
            self._news.set()
        await self._process.wait()
        self._news.set()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            self.noise.append(raw.decode(errors="replace").strip())


@asynccontextmanager
async def running(
    sdk: Sdk, options: Json, *, authority: Path, command: tuple[str, ...] = ()
) -> AsyncIterator[Program]:
    """Run one program.  `authority`: PEM file of the certificates to trust."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "NODE_EXTRA_CA_CERTS": str(authority),
        "SIGNALWIRE_RELAY_CA_FILE": str(authority),
        **sdk.environment,
    }
    process = await asyncio.create_subprocess_exec(
        *(command or sdk.command),
        msgspec.json.encode(options).decode(),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    program = Program(process)
    try:
        yield program
    finally:
        await program.end()


class Cable:
    """A TCP connection to somewhere that can be cut, and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_cut = False
        self.made = 0
        """Connections since the start."""

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self._writers) // 2

    def lead_to(self, port: int) -> None:
        """Another server stands there from now on."""
        self._to = port

    def cut(self) -> None:
        """Both sides lose their connection without a goodbye; new ones fail until `mend`."""
        self.is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        self.cut()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self.made += 1
        self._writers |= {writer, there_writer}
        both = [self._copy(reader, there_writer), self._copy(there_reader, writer)]
        for work in both:
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        with contextlib.suppress(OSError):
            writer.close()


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[Cable]:
    """One cable to a port on loopback."""
    made = Cable(port)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()

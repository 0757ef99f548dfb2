"""`cordboard serve` as a process of its own, that can be killed and started again on the same data."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..peers import free_ports
from .remains import children, is_running, until

_READY = b"cordboard is ready"


class Subject:
    """A server with a configuration file in `directory`.  `write`, then `async with`."""

    def __init__(self, directory: Path, *, ports: int = 400, workers: int = 1) -> None:
        self._directory = directory
        self.port = free_ports(2)
        self.http_port = self.port + 1
        first = free_ports(ports, busy=ports // 10)
        self.rtp_ports = range(first, first + ports)
        self._program: tuple[str, ...] = ("-m", "cordboard")
        self._process: Process
        self._media_workers = workers
        self.workers: list[int] = []
        """The process ids of its media workers at the start."""

    def write(self, documents: Mapping[str, str]) -> None:
        """The configuration, and a document for each number."""
        for number, text in documents.items():
            (self._directory / f"{number}.json").write_text(text)
        (self._directory / "cordboard.toml").write_text("\n".join(self._lines(documents)))

    def _lines(self, numbers: Iterable[str]) -> Iterable[str]:
        first, last = self.rtp_ports[0], self.rtp_ports[-1]
        yield "[server]\ndata_directory = 'data'\nlog_level = 'warning'"
        yield f"[sip]\nport = {self.port}\n[http]\nport = {self.http_port}"
        yield f"[media]\nworkers = {self._media_workers}\nport_min = {first}\nport_max = {last}"
        yield "[phones]\nenabled = false\n[routes]"
        yield from (f"{json.dumps(number)} = {json.dumps(number + '.json')}" for number in numbers)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self._directory / "data" / "cordboard.sqlite3"

    @property
    def recordings(self) -> Path:
        """Their directory."""
        return self._directory / "data" / "recordings"

    @property
    def log(self) -> str:
        """What all its runs wrote."""
        return (self._directory / "server.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self) -> None:
        """Returns when it takes calls."""
        with (self._directory / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._program, "serve", str(self._directory / "cordboard.toml")),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        assert line.startswith(_READY), f"{line!r}\n{self.log}"
        self.workers = children(self.pid)

    async def kill(self) -> None:
        """kill -9; its workers must notice by themselves."""
        self._process.kill()
        await self._process.wait()
        await until(lambda: not any(map(is_running, self.workers)), 5.0, lambda: "orphaned media workers")
        await self._last_words()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            code = await self._process.wait()
        await self._last_words()
        return code

    async def _last_words(self) -> None:
        """Until the last process that may write there has ended: later workers, and who speaks."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            await self._process.stdout.read()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            await self.kill()

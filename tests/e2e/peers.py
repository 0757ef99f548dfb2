"""Real SIP programs as far ends: SIPp and baresip, each with ports and a directory of its own.

They are children of the test: each is ended by its process id, whatever happens.  SIPp also gives up by
itself after `PATIENCE` seconds, so that none outlives a test run that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import re
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

INSTALL = {
    "sipp": "apt-get install sip-tester",
    "baresip": "apt-get install baresip-core",
    "openssl": "apt-get install openssl",
    "stunnel": "apt-get install stunnel4",
    "espeak-ng": "apt-get install espeak-ng",
    "tshark": "apt-get install tshark",
    "dumpcap": "apt-get install tshark",
}

PATIENCE = 60
"""Seconds; far longer than anything here takes on a slow machine."""

NUMBER = "+15551230000"
"""What callers dial."""


class Tally(NamedTuple):
    """What a SIPp process says of its calls at the end."""

    successful: int
    failed: int
    retransmissions: int
    unexpected: int


class Sipp:
    """One running SIPp."""

    def __init__(
        self, name: str, process: Process, directory: Path, port: int, host: str, transport: str = "u1"
    ) -> None:
        """`transport`: as SIPp names it."""
        self.name = name
        self._transport = transport
        self.port = port
        self.host = host
        self.process = process
        self.directory = directory

    @property
    def uri(self) -> str:
        """How it is dialled."""
        by = ";transport=tcp" if self._transport.startswith("t") else ""
        return f"sip:{self.name}@{self.host}:{self.port}{by}"

    # ------------------------------------------------------------ the end

    async def finished(self, calls: int = 1, *, within: float = PATIENCE) -> Tally:
        """Wait until it has had all its calls; the test fails if one did not go as its scenario says."""
        async with asyncio.timeout(within):
            code = await self.process.wait()
        tally = self.tally()
        if code != 0 or tally.successful != calls or tally.failed:
            raise AssertionError(f"SIPp {self.name}: exit code {code}, {tally}\n{self._story()}")
        return tally

    async def saw(self, *ladder: str, within: float = PATIENCE) -> None:
        """Wait until it has received exactly these, in order: `INVITE`, `ACK`, `200 INVITE`, …"""
        wanted = list(ladder)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                # Another process writes the file: there is nothing to be woken by.
                while self.received()[: len(wanted)] != wanted and not self._has_ended():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        if self.received() != wanted:
            raise AssertionError(
                f"SIPp {self.name} received {self.received()}, not {wanted}\n{self._story()}"
            )

    async def stop(self) -> None:
        """End it now."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def _has_ended(self) -> bool:
        return self.process.returncode is not None

    # ------------------------------------------------------------ what it saw

    def tally(self) -> Tally:
        with (self.directory / "statistics.csv").open(newline="") as file:
            *_, last = csv.DictReader(file, delimiter=";")
        return Tally(
            int(last["SuccessfulCall(C)"]),
            int(last["FailedCall(C)"]),
            int(last["Retransmissions(C)"]),
            int(last["FailedUnexpectedMessage(C)"]),
        )

    def received(self) -> list[str]:
        """What came in, without repetitions: `INVITE`, `ACK`, `180 INVITE`, `200 BYE` …"""
        return _without_repetitions(self._lines("R"))

    def sent(self) -> list[str]:
        return _without_repetitions(self._lines("S"))

    def times(self, what: str) -> list[float]:
        """When `what` came in, repetitions included; seconds since the epoch."""
        return [at for at, way, line in self._short() if way == "R" and line == what]

    def sent_at(self, what: str) -> float:
        """When `what` was sent first."""
        return next(at for at, way, line in self._short() if way == "S" and line == what)

    def messages(self, method: str) -> list[str]:
        """The whole text of the requests of a method that came in."""
        found = []
        for block in self._read("messages.log").split("-" * 47)[1:]:
            head, _, text = block.partition("\n\n")
            if "received" in head and text.startswith(method + " "):
                found.append(text)
        return found

    def _lines(self, direction: str) -> list[str]:
        return [line for _, way, line in self._short() if way == direction]

    def _short(self) -> list[tuple[float, str, str]]:
        rows = [row.split("\t") for row in self._read("short.log").splitlines()]
        return [(float(row[2]), row[3], _named(row[6], row[5])) for row in rows if len(row) == 7]

    def _read(self, name: str) -> str:
        return _text(self.directory / name)

    def _story(self) -> str:
        return f"{self._read('errors.log')}\n{self._read('messages.log')[-12_000:]}"


def _named(start_line: str, cseq: str) -> str:
    if start_line.startswith("SIP/2.0 "):
        return f"{start_line[8:11]} {cseq.rpartition(' ')[2]}"
    return start_line.partition(" ")[0]


def _without_repetitions(lines: Sequence[str]) -> list[str]:
    return [line for index, line in enumerate(lines) if index == 0 or lines[index - 1] != line]


class Sipps:
    """Starts SIPps, and ends them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Sipp] = []

    async def callee(
        self,
        name: str,
        scenario: str = "uas",
        *,
        calls: int = 1,
        traced: bool = True,
        extra: Sequence[str] = (),
        transport: str = "u1",
        port: int = 0,
    ) -> Sipp:
        """A SIPp that is called `calls` times; `scenario` is XML, or the name of a built-in one.

        `transport`: `u1` UDP, `t1` TCP on one connection, `tn` TCP with a connection for each call.
        `port`: of one that is over, whose place it takes.
        """
        sipp = await self._start(name, scenario, calls, extra, "127.0.0.1", traced, transport, port)
        await bound(sipp.port, sipp.process, sipp.directory / "errors.log", transport=transport)
        return sipp

    async def caller(
        self,
        server: str,
        scenario: str = "uac",
        *,
        calls: int = 1,
        rate: int = 10,
        talk_ms: int = 100,
        dial: str = NUMBER,
        source: str = "127.0.0.1",
        traced: bool = True,
        transport: str = "u1",
    ) -> Sipp:
        """A SIPp that calls `server` (`address:port`); `talk_ms` is how long a pause without a number is."""
        rest = [server, "-s", dial, "-r", str(rate), "-d", str(talk_ms), "-l", str(calls)]
        return await self._start("caller", scenario, calls, rest, source, traced, transport)

    async def stop(self) -> None:
        for sipp in self._running:
            await sipp.stop()

    async def _start(
        self,
        name: str,
        scenario: str,
        calls: int,
        rest: Sequence[str],
        host: str,
        traced: bool,
        transport: str,
        port: int = 0,
    ) -> Sipp:
        directory = self._directory / f"sipp-{len(self._running)}-{name}"
        directory.mkdir(parents=True)
        port = port or free_ports(8)
        arguments = [*rest, *_scenario(scenario, directory), *_options(host, port, calls, directory)]
        arguments += ["-t", transport, "-max_socket", "256"]
        if traced:
            arguments += ["-trace_msg", "-message_file", str(directory / "messages.log")]
            arguments += ["-trace_shortmsg", "-shortmessage_file", str(directory / "short.log")]
        process = await asyncio.create_subprocess_exec(
            program("sipp"), *arguments, cwd=directory, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        sipp = Sipp(name, process, directory, port, host, transport)
        self._running.append(sipp)
        return sipp


def _scenario(scenario: str, directory: Path) -> list[str]:
    if not scenario.startswith("<"):
        return ["-sn", scenario]
    path = directory / "scenario.xml"
    path.write_text(scenario)
    return ["-sf", str(path)]


def _options(host: str, port: int, calls: int, directory: Path) -> list[str]:
    return [
        *(
            "-i",
            host,
            "-bind_local",
            "-p",
            str(port),
            "-mi",
            host,
            "-mp",
            str(port + 2),
            "-cp",
            str(port + 6),
        ),
        *("-m", str(calls), "-nostdin", "-timeout", str(PATIENCE), "-timeout_error"),
        *("-trace_stat", "-stf", str(directory / "statistics.csv"), "-fd", "5"),
        *("-trace_err", "-error_file", str(directory / "errors.log")),
    ]


async def bound(
    port: int, process: Process, log: Path, within: float = 20.0, *, transport: str = "u1"
) -> None:
    """Wait until a program listens on a port, of UDP or (`t…`) of TCP; `log` says why it does not."""
    is_there = _listens if transport.startswith("t") else _is_bound
    async with asyncio.timeout(within):
        while not is_there(port):
            if process.returncode is not None:
                raise AssertionError(f"exit code {process.returncode} before it listened: {_text(log)}")
            await asyncio.sleep(0.01)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _is_bound(port: int) -> bool:
    # Binding it to see would be in the way of the program.
    return re.search(rf":{port:04X} ", Path("/proc/net/udp").read_text()) is not None


def _listens(port: int) -> bool:
    return re.search(rf":{port:04X} [0-9A-F]+:0000 0A ", Path("/proc/net/tcp").read_text()) is not None


_BLOCKS, _BLOCK = 10, 4_000
_OWN = 16
_taken = os.getpid() * 16 % _BLOCK
"""Ports of this process's block that were given out; the count starts again at the end of the block."""


def free_ports(count: int, *, busy: int = 0) -> int:
    """The first of a run of ports that nobody uses now, but for `busy` of them at most.

    UDP; where there are no more than a program has for itself, TCP too.

    Each process that runs tests has a block of its own, and no run is given out twice in a row, because a
    server takes the ports of its range only when it needs them.
    """
    global _taken  # noqa: PLW0603 - one count a process is what is meant
    block = 20_000 + _own_block() * _BLOCK
    used = _used_ports(with_tcp=count <= _OWN)
    best = (count // 10, 0)
    for _ in range(2 * _BLOCK):
        if _taken + count > _BLOCK:
            _taken = 0
        start = block + _taken
        first, end = bisect_left(used, start), bisect_left(used, start + count)
        if end - first <= busy:
            _taken += count
            return start
        best = min(best, (end - first, start))
        _taken = (used[first] - block) // 2 * 2 + 2
    if not best[1]:
        raise RuntimeError(f"no run of {count} free UDP ports")
    # Programs that let the kernel choose their ports are all over the place: few of them do no harm.
    return best[1]


def _used_ports(*, with_tcp: bool) -> list[int]:
    """All that somebody has now, in order; from the kernel's tables, since trying each takes long."""
    tables = [Path("/proc/net", name) for name in ("udp", "udp6", *(("tcp", "tcp6") if with_tcp else ()))]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return sorted({int(line.split(maxsplit=2)[1].rpartition(":")[2], 16) for line in lines})


@lru_cache(maxsize=1)
def _own_block() -> int:
    """The number of the first block that no other process has; it is ours until this process ends.

    With more processes than blocks some share one.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _BLOCKS
    for step in range(_BLOCKS):
        number = (worker + step) % _BLOCKS
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # An abstract name: the kernel forgets it with the process.
            claim.bind(f"\0cordboard-test-ports-{number}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return number
    return worker


_claims: list[socket.socket] = []


def program(name: str) -> str:
    """The path of a real peer; without it the test is skipped on a laptop and fails in CI."""
    found = shutil.which(name)
    if found:
        return found
    hint = f"{name} is not installed: {INSTALL[name]}"
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)

"""What really goes over the wire: dumpcap catches it on the loopback, tshark reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .peers import program

_SECONDS, _PACKETS = 60, 20_000
"""It ends by itself then, so that none outlives a test run that was killed."""
_SETTLES = 0.3
"""Seconds after which the kernel has handed over the last packets."""


class Capture:
    """Caught packets in a file; read it after the `async with` of `capturing`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def rows(self, *fields: str, only: str = "udp", options: Sequence[str] = ()) -> list[list[str]]:
        """A row for each packet that the display filter `only` lets through; fields are named as by tshark.

        A field that a packet does not have is empty, one that it has twice is joined by commas.
        """
        process = await asyncio.create_subprocess_exec(
            *(program("tshark"), "-r", str(self.path), "-Y", only, "-T", "fields", *options),
            *(part for field in fields for part in ("-e", field)),
            stdout=PIPE,
            stderr=PIPE,
        )
        said, errors = await process.communicate()
        assert process.returncode == 0, errors
        return [line.split("\t") for line in said.decode().splitlines()]


@asynccontextmanager
async def capturing(path: Path, what: str) -> AsyncIterator[Capture]:
    """`what`: a capture filter such as `udp portrange 20000-20015`."""
    process = await asyncio.create_subprocess_exec(
        *(program("dumpcap"), "-i", "lo", "-p", "-f", what, "-w", str(path)),
        *("-a", f"duration:{_SECONDS}", "-c", str(_PACKETS)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        await _begun(process)
        yield Capture(path)
        await asyncio.sleep(_SETTLES)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def _begun(process: Process) -> None:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(20.0):
        while b"File: " not in said:
            data = await process.stderr.read(4_096)
            if not data:
                _may_not(said.decode())
            said += data


def _may_not(said: str) -> None:
    hint = "packets of the loopback cannot be captured "
    hint += f"(setcap cap_net_raw+ep dumpcap, or be root): {said.strip()}"
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)

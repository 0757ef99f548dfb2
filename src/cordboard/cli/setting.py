"""What the commands share: reading the configuration, logging, running until a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import typer
import uvloop

from cordboard.cli.printing import printable
from cordboard.server import config as configuration
from cordboard.server.config import Config, ConfigError

_MAX_LINE = 2_000

_GC_THRESHOLDS = (50_000, 20, 50)
"""A call makes some thousand objects and nearly all go by reference count: collect rarely."""

EXIT_FAILED = 1
"""The document did not do its job."""
EXIT_UNUSABLE = 2
"""The configuration or the document cannot be used."""
EXIT_NO_START = 3
"""The server cannot start."""


def read_config(path: Path) -> Config:
    """The configuration.  Leaves with `EXIT_UNUSABLE` and the mistakes."""
    try:
        return configuration.load(path)
    except ConfigError as error:
        fail(str(error), EXIT_UNUSABLE)


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error, and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def set_up_logging(level: str) -> None:
    """To standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneEntry("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("aiohttp").setLevel(logging.WARNING)


class _OneEntry(logging.Formatter):
    """Far ends have a say in what is logged; none of it can look like an entry or steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n    ".join(printable(line, _MAX_LINE) for line in super().format(record).splitlines())


def run_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end on uvloop; what start-up has made is no work for the garbage collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def until_signal() -> None:
    """Wait for SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    try:
        await asked.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

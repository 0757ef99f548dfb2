"""Real sockets on loopback, and the event loop that servers run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from .tls_papers import Papers
from .transport_bench import Bench, FarEnd, Make


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes benches, and closes them in the end."""
    made: list[Bench] = []

    def one(**settings: Any) -> Bench:
        made.append(Bench(**settings))
        return made[-1]

    yield one
    for bench in made:
        await bench.close()


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    started = await FarEnd().start()
    yield started
    await started.stop()


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)

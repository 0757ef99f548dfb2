"""Real servers, real phones, real web services, all on loopback."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import uvloop
from aiohttp import web

import cordboard.server.server as server_module
from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.sip.stack import SipStack
from cordboard.sip.timers import Timers

from .papers import Papers
from .peers import Sipps, free_ports
from .peers import program as program
from .sdk.programs import ALL, Sdk

if TYPE_CHECKING:
    from .sdk.lab import RelayCase, RelayLab


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On the event loop of the product."""
    return {"uvloop": _new_loop}


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(_stop_at_timeout)
    return loop


def _stop_at_timeout(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """pytest-timeout raises wherever the program happens to be; in a callback uvloop would only log that."""
    if isinstance(context.get("exception"), pytest.fail.Exception):
        loop.stop()
    loop.default_exception_handler(context)


@pytest.fixture(params=ALL, ids=lambda sdk: sdk.name)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """Each SDK in turn; a test that some of them cannot do names those that can."""
    one: Sdk = request.param
    one.check()
    return one


@pytest_asyncio.fixture(loop_scope="module")
async def case(lab: RelayLab) -> AsyncIterator[RelayCase]:
    """For modules whose lab is for programs; the others make their own."""
    made = lab.case()
    yield made
    await made.close()


StartServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """`await start_server(document, **sections)`: a server on free ports that answers every number.

    `document` is the text of a SWML document, or a path.  Keyword arguments are sections of the
    configuration, merged over what tests need; None takes a key out.
    """
    async with AsyncExitStack() as stack:

        async def start(document: str | Path, **sections: Any) -> Server:
            path = document if isinstance(document, Path) else tmp_path / "document.yaml"
            if isinstance(document, str):
                path.write_text(document)
            settings: dict[str, Any] = {
                "server": {"data_directory": str(tmp_path / "data")},
                "sip": {"port": 0},
                "http": {"port": 0},
                "media": {"workers": 1, "port_min": free_ports(400, busy=100), "port_max": 0},
                "routes": {"*": str(path)},
            }
            for name, values in sections.items():
                merged = {**settings.get(name, {}), **values}
                settings[name] = {key: value for key, value in merged.items() if value is not None}
            if not settings["media"]["port_max"]:
                settings["media"]["port_max"] = settings["media"]["port_min"] + 399
            server = Server(Config.model_validate(settings), directory=tmp_path)
            return await stack.enter_async_context(server)

        yield start


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> Timers:
    """Servers of this test run on a fifth of the usual T1: what takes 64*T1 takes 6.4 s."""
    timers = Timers(t1=0.1, t2=0.8, t4=1.0)
    monkeypatch.setattr(server_module, "SipStack", functools.partial(SipStack, timers=timers))
    return timers


class Receiver:
    """A web service that keeps what is posted to it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.events.append((request.path, await request.json()))
        self.headers.append(dict(request.headers))
        self._came.set()
        return web.Response()

    async def until(self, done: Callable[[Receiver], bool], within: float = 20.0) -> None:
        """Wait until `done(self)`; TimeoutError if that does not happen."""
        async with asyncio.timeout(within):
            while not done(self):
                self._came.clear()
                await self._came.wait()

    def states(self, path: str) -> list[str]:
        """The states posted to a path, in order of arrival."""
        bodies = [body["params"] for where, body in self.events if where == path]
        return [params.get("connect_state") or params["call_state"] for params in bodies]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    taker = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", taker.take)
    async with serving(app) as url:
        taker.url = url
        yield taker


class serving:  # noqa: N801 - reads as a verb in `async with`
    """Serve an aiohttp application on a free loopback port; the value is its base URL."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def sipps(tmp_path: Path) -> AsyncIterator[Sipps]:
    running = Sipps(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)

"""`cordboard run DOCUMENT`: one call through a document, between simulated phones, on real SIP and RTP."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.development import development_config
from cordboard.cli.ladder import Ladder
from cordboard.cli.serve import announce
from cordboard.cli.setting import (
    EXIT_FAILED,
    EXIT_NO_START,
    EXIT_UNUSABLE,
    fail,
    read_config,
    run_loop,
    set_up_logging,
    until_signal,
)
from cordboard.cli.verdict import Verdict
from cordboard.server.config import Config, Route
from cordboard.server.routes import RouteError
from cordboard.server.server import Server
from cordboard.server.store import StoreError
from cordboard.sip.uri import Uri
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

CALLER_TONE = 350.0
_LONGEST_CALL = 120.0
_EVERYTHING = "*"


def run(
    document: Annotated[Path, typer.Argument(help="SWML document (YAML or JSON).")],
    to: Annotated[str, typer.Option(help="Number or name that the caller dials.")] = "+15551230000",
    from_: Annotated[str, typer.Option("--from", help="Number or name of the caller.")] = "+15557770001",
    hold: Annotated[float, typer.Option(help="Seconds that a connected call lasts.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Stop after the call.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="TOML file in place of the development profile.")
    ] = None,
) -> None:
    """Start the server and simulated phones, place one call, show it, and keep serving.

    The exit code of --once is 0 when the document ran to its end and its last connect, if it has one, was
    connected with audio both ways; 1 when not; 2 when the document cannot be used; 3 when the server
    cannot start.
    """
    set_up_logging("warning")
    # A store of its own: a server may be running beside.
    with tempfile.TemporaryDirectory(prefix="cordboard-run-") as directory:
        settings = _config(document, config, Path(directory))
        try:
            code = run_loop(_run(settings, config, to, from_, hold, once))
        except RouteError as error:
            # The only route is one that nobody wrote.
            fail(str(error).removeprefix(f"route {_EVERYTHING!r}: "), EXIT_UNUSABLE)
        except (OSError, StoreError) as error:
            fail(f"the server cannot start: {error}", EXIT_NO_START)
    raise typer.Exit(code)


def _config(document: Path, path: Path | None, directory: Path) -> Config:
    if path is None:
        return development_config(directory, document)
    settings = read_config(path)
    routes = {_EVERYTHING: Route(document=str(document.resolve()))}
    return settings.model_copy(update={"routes": routes})


async def _run(settings: Config, path: Path | None, to: str, from_: str, hold: float, once: bool) -> int:
    server = await _started(settings, path)
    try:
        announce(server)
        verdict = await _place_call(server, to, from_, hold)
        for line in verdict.lines():
            typer.echo(line)
        if once:
            return 0 if verdict.good else EXIT_FAILED
        typer.echo(f"still serving: call sip:{to}@{server.socket.local.host_port}, or press Ctrl-C")
        await until_signal()
        return 0
    finally:
        await server.stop()


async def _started(settings: Config, path: Path | None) -> Server:
    """The server on its port, or on a free one when some other program has it."""
    server = Server(settings, path=None, directory=path.parent if path else None)
    try:
        await server.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE or path is not None:
            raise
        free = settings.sip.model_copy(update={"port": 0})
        server = Server(settings.model_copy(update={"sip": free}))
        await server.start()
    return server


async def _place_call(server: Server, to: str, from_: str, hold: float) -> Verdict:
    verdict = Verdict()
    loop = asyncio.get_running_loop()
    server.exchange.taps.append(Ladder(typer.echo, loop.time).tap)
    server.recorder.listeners.append(verdict.happened)
    async with SimulatedPhone(Behaviour(tone_hz=CALLER_TONE), name=from_ or "anonymous") as caller:
        local = server.socket.local
        call = await caller.call(str(Uri(user=to or None, host=local.address, port=local.port)))
        conversation = loop.create_task(_converse(server, verdict, call, hold))
        try:
            verdict.caller = await call.ended(within=_LONGEST_CALL)
        except TimeoutError:
            call.hang_up()
            verdict.caller = await call.ended()
        conversation.cancel()
        await asyncio.gather(conversation, return_exceptions=True)
    server.exchange.taps.clear()
    server.recorder.listeners.remove(verdict.happened)
    return verdict


async def _converse(server: Server, verdict: Verdict, call: PhoneCall, hold: float) -> None:
    """Whenever two are connected, let them talk, measure, and let the far end hang up."""
    while True:
        await verdict.connected.wait()
        verdict.connected.clear()
        await asyncio.sleep(hold)
        far = [other for other in (server.phones.calls if server.phones else []) if other.report.answered_at]
        verdict.measure(call.report, [other.report for other in far])
        for other in far:
            other.hang_up()
        if not far:
            call.hang_up()

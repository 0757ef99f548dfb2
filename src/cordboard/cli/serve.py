"""`cordboard serve [CONFIG]`: run the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.development import development_config, development_directory
from cordboard.cli.setting import (
    EXIT_NO_START,
    EXIT_UNUSABLE,
    fail,
    read_config,
    run_loop,
    set_up_logging,
    until_signal,
)
from cordboard.server.config import Config
from cordboard.server.projects import development_credentials
from cordboard.server.routes import RouteError
from cordboard.server.server import Server
from cordboard.server.store import StoreError


def serve(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file; without it the development profile runs on loopback.")
    ] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    try:
        settings = read_config(config) if config else development_config(development_directory())
        set_up_logging(settings.server.log_level)
        code = run_loop(_serve(settings, config))
    except RouteError as error:
        fail(str(error), EXIT_UNUSABLE)
    except (OSError, StoreError) as error:
        fail(f"the server cannot start: {error}", EXIT_NO_START)
    raise typer.Exit(code)


async def _serve(settings: Config, path: Path | None) -> int:
    async with Server(settings, path=path) as server:
        announce(server)
        await until_signal()
        typer.echo("stopping")
    return 0


def announce(server: Server) -> None:
    """Say where it listens; the first line is one that scripts can wait for."""
    first, *others = server.transports.local
    typer.echo(f"cordboard is ready: SIP on {first.transport} {first.host_port}")
    also = [*(f"{local.transport} {local.host_port}" for local in others), f"HTTP {server.http.base_url}"]
    if server.http.tls_base_url:
        also.append(f"HTTPS {server.http.tls_base_url}")
    typer.echo(f"also: {', '.join(also)}")
    if (credentials := development_credentials(server.config)) is not None:
        project, token = credentials
        typer.echo(f"programs: {_websocket(server)}, project {project}, token {token}")
    if server.phones is not None:
        typer.echo("simulated phones: +15550100 to +15550109, sip:alice@phones.test and others")


def _websocket(server: Server) -> str:
    return server.http.base_url.replace("http", "ws", 1)

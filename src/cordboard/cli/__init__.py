"""The command line: thin, a file for each command."""

from __future__ import annotations

import typer

from cordboard.cli.check import check
from cordboard.cli.deliveries import deliveries
from cordboard.cli.explain import explain
from cordboard.cli.lint import lint
from cordboard.cli.run import run
from cordboard.cli.schema import schema
from cordboard.cli.serve import serve
from cordboard.cli.trunk import trunk

app = typer.Typer(
    name="cordboard",
    help="A self-hosted server that connects phone calls, driven by SWML documents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(run)
app.command()(check)
app.command()(lint)
app.command()(schema)
app.command()(deliveries)
app.command()(explain)
app.add_typer(trunk, name="trunk")


def main() -> None:
    """Entry point of the `cordboard` command."""
    app()

"""`cordboard trunk`: list the trunks, and find out why one does not work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.printing import printable
from cordboard.cli.setting import EXIT_FAILED, EXIT_UNUSABLE, fail, read_config
from cordboard.server.trunk_check import Finding, TrunkCheck

trunk = typer.Typer(help="List and test the SIP trunks.", no_args_is_help=True)

_MARKS = {True: "ok     ", False: "FAILED ", None: "-      "}
_WIDTH = 400

Configuration = Annotated[Path, typer.Option("--config", "-c", help="The configuration.", dir_okay=False)]
_DEFAULT = Path("cordboard.toml")


@trunk.command("list")
def list_trunks(config: Configuration = _DEFAULT) -> None:
    """The trunks of a configuration, in the order of trying."""
    trunks = read_config(config).trunks
    for name, one in sorted(trunks.items(), key=lambda entry: (entry[1].priority, entry[0])):
        prefixes = ",".join(one.allowed_prefixes) or "(no prefix allowed)"
        transport = one.transport or "by DNS"
        typer.echo(
            f"{name}  priority {one.priority}  weight {one.weight}  {one.address}  {transport}  {prefixes}"
        )
    if not trunks:
        typer.echo("no trunks are configured")


@trunk.command("test")
def examine(
    name: Annotated[str, typer.Argument(help="Of a trunk in the configuration.")],
    config: Configuration = _DEFAULT,
) -> None:
    """Check DNS, connection, OPTIONS, authentication, codecs, NAT, a test call; exit code 1 on a failure."""
    settings = read_config(config)
    if name not in settings.trunks:
        known = ", ".join(sorted(settings.trunks)) or "none"
        fail(f"{config}: there is no trunk {name!r}; known are: {known}", EXIT_UNUSABLE)
    try:
        findings = asyncio.run(TrunkCheck(settings, name, config.parent).run())
    except OSError as error:
        fail(str(error), EXIT_FAILED)
    for finding in findings:
        typer.echo(_line(finding))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _line(finding: Finding) -> str:
    line = f"{_MARKS[finding.ok]} {finding.step:<15} {printable(finding.text, _WIDTH)}"
    return f"{line}\n        {'fix:':<15} {printable(finding.fix, _WIDTH)}" if finding.fix else line

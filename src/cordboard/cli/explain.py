"""`cordboard explain CALL`: why a call went the way it did, from its record in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cordboard.cli.explanation import as_lines
from cordboard.cli.setting import EXIT_FAILED, fail, read_config
from cordboard.server.config import Config
from cordboard.server.store import StoreError
from cordboard.server.store_file import StoreFile
from cordboard.server.story import as_data, read_story

_DEFAULT_FILE = Path("cordboard.toml")


def explain(
    call: Annotated[str, typer.Argument(help="Id of a call or of one of its legs; `last`: the latest.")],
    config: Annotated[Path | None, typer.Option(help="TOML file of the server.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell what became of a call: the reason in one sentence, its events, and the SIP ladder of all legs."""
    try:
        with StoreFile(_store_path(config)) as store:
            call_id = store.latest_call() if call == "last" else call
            story = read_story(store, call_id) if call_id else None
    except StoreError as error:
        fail(str(error), EXIT_FAILED)
    if story is None:
        fail(f"there is no call {call} in the store; `cordboard explain last` shows the latest", EXIT_FAILED)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_data(story))).decode())
        return
    for line in as_lines(story):
        typer.echo(line)


def _store_path(config: Path | None) -> Path:
    file = config or (_DEFAULT_FILE if _DEFAULT_FILE.exists() else None)
    settings = read_config(file) if file is not None else Config()
    directory = (file.parent if file is not None else Path()) / settings.server.data_directory
    return directory / "cordboard.sqlite3"

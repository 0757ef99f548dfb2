"""`cordboard deliveries`: what became of the callbacks, and sending dead ones again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.printing import printable
from cordboard.cli.setting import EXIT_FAILED, fail, read_config
from cordboard.server.store import DeliveryRecord, StoreError
from cordboard.server.store_file import StoreFile
from cordboard.webhooks.target import shown

_LONGEST_URL = 60


def deliveries(
    config: Annotated[Path, typer.Argument(help="TOML file of the server.")],
    state: Annotated[str | None, typer.Option(help="Only: pending, delivered or dead.")] = None,
    call: Annotated[str | None, typer.Option(help="Only those of this call and its legs.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    resend: Annotated[list[int] | None, typer.Option(help="Send this dead one again (repeatable).")] = None,
) -> None:
    """List callbacks, the latest first; with --resend ask the server to send dead ones again."""
    directory = config.parent / read_config(config).server.data_directory
    try:
        with StoreFile(directory / "cordboard.sqlite3") as store:
            if resend:
                _request(store, resend)
            else:
                for record in store.deliveries(state=state, call_id=call, limit=limit):
                    typer.echo(_line(record))
    except StoreError as error:
        fail(str(error), EXIT_FAILED)


def _request(store: StoreFile, numbers: list[int]) -> None:
    taken = store.request_resend(numbers)
    for number in numbers:
        said = "will be sent again" if number in taken else "is not dead: nothing to do"
        typer.echo(f"delivery {number} {said}")


def _line(record: DeliveryRecord) -> str:
    made = datetime.fromtimestamp(record.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    last = f"last status {record.last_status}" if record.last_status else record.last_error
    tries = "1 try" if record.attempts == 1 else f"{record.attempts} tries"
    url = printable(shown(record.url), _LONGEST_URL)
    text = f"{record.number:>8}  {made}  {record.state:<9}  {tries:<8}  {url}"
    return f"{text}  {printable(last, _LONGEST_URL)}".rstrip()

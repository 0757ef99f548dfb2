"""`cordboard check`: say what is wrong with a configuration or a document before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.setting import EXIT_UNUSABLE, fail
from cordboard.server import config as configuration
from cordboard.server.config import ConfigError
from cordboard.server.routes import RouteError, Routes
from cordboard.swml.document import DocumentError, load


def check(
    files: Annotated[list[Path], typer.Argument(help="Configurations (.toml) and documents (YAML, JSON).")],
) -> None:
    """Check files; the exit code is 2 when one of them cannot be used."""
    mistakes = [mistake for path in files if (mistake := _mistake_in(path))]
    if mistakes:
        fail("\n".join(mistakes), EXIT_UNUSABLE)
    typer.echo(f"{len(files)} checked, nothing wrong")


def _mistake_in(path: Path) -> str:
    try:
        if path.suffix == ".toml":
            Routes(configuration.load(path).routes, path.parent)
        else:
            load(path.read_bytes(), source=str(path))
    except (ConfigError, DocumentError, RouteError) as error:
        return str(error)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    return ""

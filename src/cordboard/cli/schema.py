"""`cordboard schema`: the JSON Schema of SWML documents, for editors."""

from __future__ import annotations

import json

import typer

from cordboard.swml.json_schema import json_schema


def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of SWML documents, for editors that complete and check them."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))

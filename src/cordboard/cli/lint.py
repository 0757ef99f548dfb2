"""`cordboard lint`: everything that can be said of documents before a call runs through them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cordboard.cli.printing import printable
from cordboard.cli.setting import EXIT_FAILED
from cordboard.server.javascript import syntax_problem
from cordboard.swml import codes
from cordboard.swml.lint import lint as findings_in
from cordboard.swml.problems import Finding

_MAX_LINE = 1_000


def lint(
    documents: Annotated[
        list[str], typer.Argument(help="SWML documents (YAML or JSON); - for standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list of all findings.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Check documents: each line is file:line:column, what is wrong and what is allowed.

    The exit code is 1 when there is an error (with --strict also a warning), else 0.
    """
    found = [finding for name in documents for finding in _findings(name)]
    errors = sum(finding.severity == "error" for finding in found)
    if as_json:
        typer.echo(json.dumps([_as_data(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        for finding in found:
            typer.echo(printable(_line(finding), _MAX_LINE))
        typer.echo(_summary(len(documents), errors, len(found) - errors))
    if errors or (strict and found):
        raise typer.Exit(EXIT_FAILED)


def _findings(name: str) -> list[Finding]:
    source = "<stdin>" if name == "-" else name
    try:
        text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        return [Finding(code=codes.PARSE_ERROR, message=message, source=source, severity="error")]
    return findings_in(text, source=source, check_expression=syntax_problem)


def _line(finding: Finding) -> str:
    where = f"{finding.source}:{finding.line}:{finding.column}"
    return f"{where}: {finding.severity}: {finding.said()}"


def _as_data(finding: Finding) -> dict[str, str | int]:
    return {
        "file": finding.source,
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
        "path": finding.path,
        "found": finding.found,
        "allowed": finding.allowed,
        "nearest": finding.nearest,
    }


def _summary(documents: int, errors: int, warnings: int) -> str:
    checked = f"{documents} document{'s' * (documents != 1)} checked"
    if not errors and not warnings:
        return f"{checked}, nothing wrong"
    return f"{checked}: {errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"

"""`load`: the text of a SWML document, YAML or JSON, → a checked `Document` (swml.md 1)."""

from __future__ import annotations

from cordboard.swml import codes, json_tree, yaml_tree
from cordboard.swml.compiler import Compiler
from cordboard.swml.limits import MAX_DOCUMENT
from cordboard.swml.nodes import Node
from cordboard.swml.problems import DocumentError, Finding
from cordboard.swml.program import Document
from cordboard.swml.reporter import CheckExpression

__all__ = ["Document", "DocumentError", "Finding", "load"]


def load(text: bytes | str, *, source: str, check_expression: CheckExpression | None = None) -> Document:
    """Read and check a document; `source` names it in messages (a path or a URL).

    With `check_expression` also what does not matter for running it is found, and a step that cannot be read
    is left out: such a document is for its warnings only.  The result is immutable and can be shared by any
    number of scripts.  Raises `DocumentError`, and nothing else.
    """
    try:
        compiler = Compiler(source, _load_inline, check_expression=check_expression)
        return compiler.document(_tree(_decoded(text, source), source))
    except RecursionError:  # the caller's own stack was nearly used up
        message = "the document is nested too deep"
        raise DocumentError(Finding(code=codes.NESTED_TOO_DEEP, message=message, source=source)) from None


def _load_inline(text: str) -> Document:
    return load(text, source="inline document")


def _decoded(text: bytes | str, source: str) -> str:
    if len(text) > MAX_DOCUMENT:
        raise _parse_error(source, "the document is larger than 1 MiB")
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        decoded.encode("utf-8")
    except UnicodeError:
        raise _parse_error(source, "the document is not UTF-8") from None
    return decoded.removeprefix("\ufeff")


def _parse_error(source: str, message: str) -> DocumentError:
    return DocumentError(Finding(code=codes.PARSE_ERROR, message=message, source=source))


def _tree(text: str, source: str) -> Node | None:
    """JSON where the text looks like JSON; flow-style YAML begins with a brace too."""
    start = text.lstrip(" \t\r\n")
    if not start.startswith("{"):
        return yaml_tree.compose(text, source)
    try:
        return json_tree.compose(text, source)
    except DocumentError as error:
        if error.code != codes.PARSE_ERROR or start[1:].lstrip(" \t\r\n").startswith('"'):
            raise
    return yaml_tree.compose(text, source)

"""`when` conditions: bare JavaScript, in which placeholders are inserted as text first (swml.md 3.2).

A string is inserted raw, as `%{area_code} == 321` expects; if the result cannot be evaluated it is tried once
more with the strings quoted, as `${call.type} == 'phone'` needs.  What the far end controls (everything under
`call`) is never inserted as code: outside a literal it is quoted unless it is a number, inside a literal its
quotes are escaped.  So a caller's display name cannot choose a branch.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cordboard.swml import expressions
from cordboard.swml.expressions import Lookup, PathPart, Placeholder
from cordboard.swml.values import to_json, to_text

_LITERAL = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z|true\Z|false\Z|null\Z")
_MAX_SOURCE = 4_096


class Hole(msgspec.Struct, frozen=True):
    """A placeholder in a condition, and the quote character it stands in, if any."""

    placeholder: Placeholder
    quote: str

    def is_foreign(self) -> bool:
        """Whether the value comes from the far end."""
        return isinstance(self.placeholder, Lookup) and self.placeholder.path[0] == "call"


class Condition(msgspec.Struct, frozen=True):
    """One compiled `when`."""

    source: str
    path: tuple[PathPart, ...] | None = None
    """Set when the whole condition is a plain path."""
    parts: tuple[str | Hole, ...] = ()
    """Empty when there is no placeholder: `source` is the expression."""
    problem: str | None = None


def compile_condition(source: str) -> Condition:
    """A condition from its source text."""
    source = source.strip()
    if len(source) > _MAX_SOURCE:
        return Condition(source[:80], problem=f"the condition is longer than {_MAX_SOURCE:,} characters")
    split = expressions.split(source)
    if all(isinstance(part, str) for part in split):
        compiled = expressions.expression(source)
        return Condition(source, expressions.parse_path(source), problem=compiled.problem)
    return Condition(source, parts=_with_quotes(split))


def _with_quotes(split: list[str | Placeholder]) -> tuple[str | Hole, ...]:
    before = ""
    parts: list[str | Hole] = []
    for part in split:
        if isinstance(part, str):
            before += part
            parts.append(part)
        else:
            parts.append(Hole(part, expressions.quote_at(before)))
    return tuple(parts)


def fill(parts: tuple[str | Hole, ...], values: list[Any], *, quoted: bool) -> str:
    """The expression with the values (one for each hole, in order) in their places."""
    remaining = iter(values)
    texts = [part if isinstance(part, str) else _inserted(part, next(remaining), quoted) for part in parts]
    return "".join(texts)


def _inserted(hole: Hole, value: Any, quoted: bool) -> str:
    if hole.quote:
        return _escaped(to_text(value), hole.quote)
    if not isinstance(value, str):
        return '""' if value is None else to_json(value)
    if _LITERAL.match(value) or not (quoted or hole.is_foreign()):
        return value
    return to_json(value)


def _escaped(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    text = (
        text.replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )
    return text.replace("${", "\\${") if quote == "`" else text

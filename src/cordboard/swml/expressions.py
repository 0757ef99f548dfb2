"""Finds `${…}` and `%{…}` in texts, and tells look-ups from JavaScript (swml.md 3.2).

A placeholder whose body is a plain path is looked up here, in Python; everything else is JavaScript and
becomes an `Evaluate`.  Nothing is evaluated in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from cordboard.swml.limits import MAX_EXPRESSION

PathPart: TypeAlias = str | int


class Lookup(msgspec.Struct, frozen=True):
    """A plain path: `vars.items[0].name`."""

    path: tuple[PathPart, ...]
    source: str


class Expression(msgspec.Struct, frozen=True):
    """A JavaScript expression; `problem` says why it cannot be evaluated at all."""

    source: str
    problem: str | None = None


Placeholder: TypeAlias = Lookup | Expression


class Template(msgspec.Struct, frozen=True):
    """Text with placeholders in it."""

    parts: tuple[str | Placeholder, ...]


class ListTemplate(msgspec.Struct, frozen=True):
    """A list with placeholders somewhere inside."""

    items: tuple[Any, ...]


class MapTemplate(msgspec.Struct, frozen=True):
    """A mapping with placeholders somewhere inside its values."""

    items: tuple[tuple[str, Any], ...]


TEMPLATES = (Template, Lookup, Expression, MapTemplate, ListTemplate)

_SEGMENT = r"[A-Za-z_][A-Za-z0-9_-]*"
_STEP = rf"""\.({_SEGMENT}|[0-9]+)|\[([0-9]+)\]|\["([^"\\]*)"\]|\['([^'\\]*)'\]"""
_PATH = re.compile(rf"({_SEGMENT})((?:{_STEP})*)\Z")
_STEPS = re.compile(_STEP)
_OPENING = re.compile(r"[$%]\{")
_INTERESTING = re.compile(r"""[{}"'`/]""")
_QUOTE = re.compile(r"""["'`/]""")
_BEFORE_REGEX = re.compile(r"(?:^|[(,=:\[!&|?{};+\-*%~^<>]|\b(?:return|typeof|in|of|void))\s*\Z")
_FORBIDDEN = re.compile(r"(?<![.\w$])(function|async|await|class|while|for|do|import|yield)\b(?!\s*:)")


def parse_path(text: str) -> tuple[PathPart, ...] | None:
    """The parts of a plain path, None if the text is not one."""
    match = _PATH.match(text)
    if match is None:
        return None
    if not match.group(2):
        return (text,)
    parts: list[PathPart] = [match.group(1)]
    for step in _STEPS.finditer(match.group(2)):
        name, index, double, single = step.groups()
        named = next((part for part in (name, double, single) if part is not None), "")
        parts.append(named if index is None else int(index[:9]))
    return tuple(parts)


def placeholder(body: str) -> Placeholder:
    """What the body of a `${…}` is."""
    body = body.strip()
    path = parse_path(body)
    return Lookup(path, body) if path is not None else expression(body)


def expression(source: str) -> Expression:
    """A JavaScript expression, refused here if it is too long or is more than an expression."""
    if not source:
        return Expression(source, "the expression is empty")
    if len(source) > MAX_EXPRESSION:
        return Expression(source[:80], f"the expression is longer than {MAX_EXPRESSION:,} characters")
    word = _FORBIDDEN.search(_without_literals(source)) if _FORBIDDEN.search(source) else None
    return Expression(source, f"`{word.group(1)}` cannot be used in an expression" if word else None)


def variable_named(text: str) -> Any:
    """What `switch.variable` names: a look-up; a placeholder there gives the value itself."""
    compiled = compile_text(text)
    return Lookup(parse_path(text.strip()) or (text,), text) if isinstance(compiled, str) else compiled


def compile_text(text: str) -> Any:
    """The text itself if it has no placeholder, else a template."""
    if "{" not in text:
        return text
    parts = split(text)
    if all(isinstance(part, str) for part in parts):
        return text
    if len(parts) == 1:
        return parts[0]
    return Template(tuple(parts))


def compile_value(value: Any) -> Any:
    """Any plain value; what contains no placeholder comes back as it is."""
    if isinstance(value, str):
        return compile_text(value)
    if isinstance(value, list):
        items = tuple(compile_value(item) for item in value)
        return ListTemplate(items) if any(isinstance(item, TEMPLATES) for item in items) else value
    if isinstance(value, dict):
        pairs = tuple((key, compile_value(item)) for key, item in value.items())
        return MapTemplate(pairs) if any(isinstance(item, TEMPLATES) for _, item in pairs) else value
    return value


def expressions_of(
    template: Any, path: tuple[PathPart, ...] = ()
) -> Iterator[tuple[tuple[PathPart, ...], Expression]]:
    """All the JavaScript in a compiled value, with the path of the text that it stands in."""
    if isinstance(template, Expression):
        yield path, template
    elif isinstance(template, Template):
        yield from ((path, part) for part in template.parts if isinstance(part, Expression))
    elif isinstance(template, MapTemplate):
        for key, item in template.items:
            yield from expressions_of(item, (*path, key))
    elif isinstance(template, ListTemplate):
        for index, item in enumerate(template.items):
            yield from expressions_of(item, (*path, index))


def split(text: str) -> list[str | Placeholder]:
    """Literal parts and placeholders in order.  From a `${` without its `}` on, all is literal."""
    parts: list[str | Placeholder] = []
    start = 0
    while (opening := _OPENING.search(text, start)) is not None:
        end = closing(text, opening.end())
        if end is None:
            break
        if opening.start() > start:
            parts.append(text[start : opening.start()])
        parts.append(placeholder(text[opening.end() : end]))
        start = end + 1
    if start < len(text):
        parts.append(text[start:])
    return parts


def unclosed(text: str) -> bool:
    """Whether a placeholder is opened and never closed."""
    start = 0
    while (opening := _OPENING.search(text, start)) is not None:
        end = closing(text, opening.end())
        if end is None:
            return True
        start = end + 1
    return False


def closing(text: str, start: int) -> int | None:
    """Where the `}` is that closes a placeholder whose body begins at `start`."""
    depth = 1
    index = start
    while (match := _INTERESTING.search(text, index)) is not None:
        char, index = match.group(), match.end()
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return match.start()
        else:
            past = _past_literal(text, match.start(), start)
            if past is None:
                return None
            index = past
    return None


def _past_literal(text: str, at: int, start: int) -> int | None:
    """The index after the literal that begins at `at`, `at + 1` after a division, None if it never ends."""
    char = text[at]
    if char == "/" and not _BEFORE_REGEX.search(text, max(start, at - 16), at):
        return at + 1
    return _literal_end(text, at + 1, char)


def _literal_end(text: str, index: int, quote: str) -> int | None:
    in_class = False
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char == "\n" and quote != "`":
            return None
        elif quote == "/" and char in "[]":
            in_class = char == "["
        elif char == quote and not in_class:
            return index + 1
        index += 1
    return None


def _without_literals(source: str) -> str:
    """The source with its string, template and regex literals blanked out."""
    kept: list[str] = []
    index = 0
    while (match := _QUOTE.search(source, index)) is not None:
        kept.append(source[index : match.start()])
        past = _past_literal(source, match.start(), 0)
        if past is None:
            return "".join(kept)
        kept.append('""' if past > match.end() else match.group())
        index = past
    kept.append(source[index:])
    return "".join(kept)


def quote_at(text: str) -> str:
    """The quote character of the literal that is open at the end of `text`, or an empty string."""
    index = 0
    while (match := _QUOTE.search(text, index)) is not None:
        past = _past_literal(text, match.start(), 0)
        if past is None:
            return match.group()
        index = past
    return ""

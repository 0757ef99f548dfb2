"""A document's values with their places: what the YAML and the JSON reader both produce."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import msgspec


class Position(NamedTuple):
    """Both count from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """A string, number, boolean or null."""

    value: str | int | float | bool | None
    position: Position
    text: str | None = None
    """The source text of a plain YAML scalar; None where the text fixes the type (JSON, quotes)."""


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    position: Position


class Mapping(msgspec.Struct, frozen=True):
    """A mapping; keys are their source text."""

    entries: dict[str, Node]
    keys: dict[str, Position]
    position: Position


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(item) for key, item in node.entries.items()}


def below(node: Node, path: tuple[str | int, ...]) -> Node:
    """The node at `path`, or the last one on the way that exists."""
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
            node = node.entries[part]
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            break
    return node


def key_position(node: Node, path: tuple[str | int, ...]) -> Position:
    """Where the key at the end of `path` stands; where its value stands if it has none (a list item)."""
    holder = below(node, path[:-1]) if path else node
    key = path[-1] if path else None
    if isinstance(holder, Mapping) and isinstance(key, str) and key in holder.keys:
        return holder.keys[key]
    return below(node, path).position

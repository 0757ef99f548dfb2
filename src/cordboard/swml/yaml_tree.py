"""YAML text → nodes, from the parser's events, so that depth, aliases and size are bounded while reading.

Types: `null`, booleans as in YAML 1.1 (`yes`, `off` …), decimal integers and floats.  A number written with a
plus sign, a leading zero or underscores stays text: it is a telephone number or a PIN, not a quantity.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from cordboard.swml import codes
from cordboard.swml.limits import MAX_ALIASES, MAX_DEPTH, MAX_DOCUMENT, MAX_NODES
from cordboard.swml.nodes import Mapping, Node, Position, Scalar, Sequence
from cordboard.swml.problems import DocumentError, Finding

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_BOOLEAN = re.compile(r"(?:[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)\Z")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?|[eE][-+]?[0-9]{1,3})\Z")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PREFIX = "tag:yaml.org,2002:"
_MERGE = "<<"
_NODE_COST = 16


class _Open:
    """A list or mapping whose end has not been read."""

    __slots__ = ("anchor", "cost", "is_mapping", "key", "keys", "nodes", "position", "values")

    def __init__(self, *, is_mapping: bool, anchor: str | None, position: Position) -> None:
        self.is_mapping = is_mapping
        self.anchor = anchor
        self.position = position
        self.values: list[Node] = []
        self.keys: list[tuple[str, Position]] = []
        self.key: tuple[str, Position] | None = None
        self.cost = _NODE_COST
        self.nodes = 1


class _Composer:
    """Builds one document's tree, event by event."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.aliases = 0
        self.root: Node | None = None
        self.documents = 0

    def refuse(self, message: str, at: Position, code: str = codes.PARSE_ERROR) -> DocumentError:
        finding = Finding(code=code, message=message, source=self.source, line=at.line, column=at.column)
        return DocumentError(finding)

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open(event, is_mapping=kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                raise self.refuse("more than one YAML document in the text", _place(event))

    def _scalar(self, event: Any) -> None:
        position = _place(event)
        node = self._typed(event, position)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, len(event.value) + _NODE_COST, 1)
        if self.stack and self.stack[-1].is_mapping and self.stack[-1].key is None:
            self.stack[-1].key = (event.value, position)
            return
        self._add(node, len(event.value) + 1, 1)

    def _typed(self, event: Any, position: Position) -> Scalar:
        text: str = event.value
        if event.tag is not None and event.tag != "!":
            return self._tagged(event.tag, text, position)
        if not event.implicit[0] or event.tag == "!":
            return Scalar(text, position)
        return Scalar(plain_value(text), position, text)

    def _tagged(self, tag: str, text: str, position: Position) -> Scalar:
        value = plain_value(text)
        kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
        name = tag.removeprefix(_PREFIX)
        if name == "str":
            return Scalar(text, position)
        if name == "null" or (name in kinds and isinstance(value, kinds[name])):
            return Scalar(value if name != "null" else None, position)
        raise self.refuse(f"the YAML tag {tag[:80]} cannot be used here", position)

    def _open(self, event: Any, *, is_mapping: bool) -> None:
        position = _place(event)
        if len(self.stack) >= MAX_DEPTH:
            raise self.refuse("lists and mappings are nested too deep", position, codes.NESTED_TOO_DEEP)
        if event.tag not in (None, "!", _PREFIX + ("map" if is_mapping else "seq")):
            raise self.refuse(f"the YAML tag {event.tag[:80]} cannot be used here", position)
        if self.stack and self.stack[-1].is_mapping and self.stack[-1].key is None:
            raise self.refuse("a key must be text", position, codes.WRONG_TYPE)
        self.stack.append(_Open(is_mapping=is_mapping, anchor=event.anchor, position=position))

    def _close(self) -> None:
        done = self.stack.pop()
        node: Node = self._mapping(done) if done.is_mapping else Sequence(tuple(done.values), done.position)
        if done.anchor is not None:
            self.anchors[done.anchor] = (node, done.cost, done.nodes)
        self._add(node, done.cost, done.nodes)

    def _alias(self, event: Any) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self.refuse(f"more than {MAX_ALIASES} aliases", _place(event))
        if event.anchor not in self.anchors:
            raise self.refuse(f"the alias *{event.anchor} has no anchor before it", _place(event))
        node, cost, nodes = self.anchors[event.anchor]
        if self.stack and self.stack[-1].is_mapping and self.stack[-1].key is None:
            if not isinstance(node, Scalar) or not isinstance(node.value, str):
                raise self.refuse("a key must be text", _place(event), codes.WRONG_TYPE)
            self.stack[-1].key = (node.value, _place(event))
            return
        self._add(node, cost, nodes)

    def _add(self, node: Node, cost: int, nodes: int) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.cost += cost
        parent.nodes += nodes
        if parent.cost > MAX_DOCUMENT and self.aliases:
            raise self.refuse(
                "the document is larger than 1 MiB once its aliases are expanded", node.position
            )
        if parent.nodes > MAX_NODES:
            raise self.refuse(f"the document has more than {MAX_NODES} values", node.position)
        parent.values.append(node)
        if parent.key is not None:
            parent.keys.append(parent.key)
            parent.key = None

    def _mapping(self, done: _Open) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        merges: list[Node] = []
        for (key, position), value in zip(done.keys, done.values, strict=True):
            if key == _MERGE:
                merges.append(value)
            elif key in entries:
                raise self.refuse(f'the key "{key[:80]}" occurs twice', position, codes.DUPLICATED)
            else:
                entries[key] = value
                keys[key] = position
        for value in merges:
            self._merge(value, entries, keys)
        return Mapping(entries, keys, done.position)

    def _merge(self, value: Node, entries: dict[str, Node], keys: dict[str, Position]) -> None:
        parts = value.items if isinstance(value, Sequence) else (value,)
        for part in parts:
            if not isinstance(part, Mapping):
                raise self.refuse("`<<` merges mappings only", part.position, codes.WRONG_TYPE)
            for key, item in part.entries.items():
                entries.setdefault(key, item)
                keys.setdefault(key, part.keys[key])


def plain_value(text: str) -> str | int | float | bool | None:
    """The typed value of a plain (unquoted) scalar."""
    first = text[:1]
    if first.isdigit() or first == "-":
        if _INTEGER.match(text):
            return int(text)
        return float(text) if _FLOAT.match(text) else text
    if text in _NULLS:
        return None
    return _BOOLEANS[text.lower()] if _BOOLEAN.match(text) else text


def compose(text: str, source: str) -> Node | None:
    """The tree of a YAML text, None for an empty one.  Raises `DocumentError`."""
    composer = _Composer(source)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
        raise composer.refuse(f"not valid YAML: {_problem(error, text, at)}", at) from None
    except yaml.reader.ReaderError as error:
        raise composer.refuse("not valid YAML: " + _reader_problem(error), _offset(text, error)) from None
    except yaml.YAMLError:
        raise composer.refuse("not valid YAML", Position(1, 1)) from None
    return composer.root


def _place(event: Any) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _problem(error: yaml.MarkedYAMLError, text: str, at: Position) -> str:
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "the line begins with a tab; YAML is indented with spaces"
    return error.problem or "cannot be read"


def _reader_problem(error: yaml.reader.ReaderError) -> str:
    return str(getattr(error, "reason", "") or "a character that may not occur in a document")


def _offset(text: str, error: yaml.reader.ReaderError) -> Position:
    position = getattr(error, "position", 0)
    before = text.encode("utf-8", "replace")[: position if isinstance(position, int) else 0]
    return Position(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))

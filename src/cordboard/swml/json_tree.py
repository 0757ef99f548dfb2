"""JSON text → nodes with their places."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from cordboard.swml import codes
from cordboard.swml.limits import MAX_DEPTH, MAX_NODES
from cordboard.swml.nodes import Mapping, Node, Position, Scalar, Sequence
from cordboard.swml.problems import DocumentError, Finding

_SPACE = re.compile(r"[ \t\r\n]*")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_scalars = json.JSONDecoder(parse_constant=_no_constant)


class _Reader:
    """One pass over the text; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.nodes = 0
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Position:
        line = bisect_right(self.lines, offset)
        return Position(line, offset - self.lines[line - 1] + 1)

    def refuse(self, message: str, offset: int, code: str = codes.PARSE_ERROR) -> DocumentError:
        at = self.place(offset)
        return DocumentError(
            Finding(code=code, message=message, source=self.source, line=at.line, column=at.column)
        )

    def skip(self, offset: int) -> int:
        match = _SPACE.match(self.text, offset)
        return match.end() if match is not None else offset

    def peek(self, offset: int) -> str:
        return self.text[offset : offset + 1]

    def value(self, offset: int, depth: int) -> tuple[Node, int]:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.refuse(f"the document has more than {MAX_NODES} values", offset)
        if depth > MAX_DEPTH:
            raise self.refuse("lists and mappings are nested too deep", offset, codes.NESTED_TOO_DEEP)
        first = self.peek(offset)
        if first == "{":
            return self.mapping(offset, depth)
        if first == "[":
            return self.sequence(offset, depth)
        return self.scalar(offset)

    def scalar(self, offset: int) -> tuple[Scalar, int]:
        try:
            value, end = _scalars.raw_decode(self.text, offset)
        except json.JSONDecodeError as error:
            raise self.refuse(f"not valid JSON: {error.msg}", min(error.pos, len(self.text))) from None
        except ValueError as error:
            raise self.refuse(f"not valid JSON: {str(error)[:80]}", offset) from None
        return Scalar(_whole(value) if isinstance(value, str) else value, self.place(offset)), end

    def sequence(self, start: int, depth: int) -> tuple[Sequence, int]:
        items: list[Node] = []
        offset = self.skip(start + 1)
        while self.peek(offset) != "]":
            item, offset = self.value(offset, depth + 1)
            items.append(item)
            offset = self.separator(offset, "]")
        return Sequence(tuple(items), self.place(start)), offset + 1

    def mapping(self, start: int, depth: int) -> tuple[Mapping, int]:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        offset = self.skip(start + 1)
        while self.peek(offset) != "}":
            key_offset = offset
            key, offset = self.key(offset)
            if key in entries:
                raise self.refuse(f'the key "{key[:80]}" occurs twice', key_offset, codes.DUPLICATED)
            entries[key], offset = self.value(offset, depth + 1)
            keys[key] = self.place(key_offset)
            offset = self.separator(offset, "}")
        return Mapping(entries, keys, self.place(start)), offset + 1

    def key(self, offset: int) -> tuple[str, int]:
        if self.peek(offset) != '"':
            raise self.refuse("not valid JSON: expected a key in double quotes", offset)
        node, offset = self.scalar(offset)
        offset = self.skip(offset)
        if self.peek(offset) != ":":
            raise self.refuse("not valid JSON: expected `:` after the key", offset)
        return str(node.value), self.skip(offset + 1)

    def separator(self, offset: int, end: str) -> int:
        """Past a comma, or at the closing bracket."""
        offset = self.skip(offset)
        if self.peek(offset) == end:
            return offset
        if self.peek(offset) != ",":
            raise self.refuse(f"not valid JSON: expected `,` or `{end}`", offset)
        after = self.skip(offset + 1)
        if self.peek(after) == end:
            raise self.refuse("not valid JSON: a comma before the closing bracket", offset)
        return after


def _whole(text: str) -> str:
    """Half a surrogate pair (`"\\ud800"`) cannot be encoded for anyone: it becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def compose(text: str, source: str) -> Node:
    """The tree of a JSON text.  Raises `DocumentError`."""
    reader = _Reader(text, source)
    node, offset = reader.value(reader.skip(0), 1)
    offset = reader.skip(offset)
    if offset != len(text):
        raise reader.refuse("not valid JSON: something follows the document", offset)
    return node

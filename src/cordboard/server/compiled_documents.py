"""Fetched documents, compiled once: callers of one number mostly get the same bytes."""

from __future__ import annotations

from collections import OrderedDict

from cordboard.swml.document import Document, load

MAX_KEPT = 256
MAX_SIZE = 64 * 1024
"""Longer documents are compiled each time rather than kept."""


class CompiledDocuments:
    """The latest ones, by content and source; documents are immutable, so calls share them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Document] = OrderedDict()

    def __call__(self, body: bytes, source: str) -> Document:
        """Raises `DocumentError`."""
        if len(body) > MAX_SIZE:
            return load(body, source=source)
        key = (body, source)
        document = self._kept.get(key)
        if document is None:
            document = self._kept[key] = load(body, source=source)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return document

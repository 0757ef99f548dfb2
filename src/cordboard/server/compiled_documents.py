"""Fetched documents, compiled once: callers of one number mostly get the same bytes."""

from __future__ import annotations

from collections import OrderedDict

from cordboard.swml.document import Document, load

MAX_KEPT = 256
MAX_SIZE = 64 * 1024
"""Longer documents are compiled each time rather than kept."""
MAX_TOTAL = 2 << 20
"""Bytes of all that is kept together: compiled, a document takes several times its size."""


class CompiledDocuments:
    """The latest ones, by content and source; documents are immutable, so calls share them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Document] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, body: bytes, source: str) -> Document:
        """Raises `DocumentError`."""
        if len(body) > MAX_SIZE:
            return load(body, source=source)
        key = (body, source)
        document = self._kept.get(key)
        if document is None:
            document = load(body, source=source)
            self._keep(key, document)
        else:
            self._kept.move_to_end(key)
        return document

    def _keep(self, key: tuple[bytes, str], document: Document) -> None:
        self._kept[key] = document
        self._total += len(key[0])
        while len(self._kept) > MAX_KEPT or self._total > MAX_TOTAL:
            (body, _), _ = self._kept.popitem(last=False)
            self._total -= len(body)

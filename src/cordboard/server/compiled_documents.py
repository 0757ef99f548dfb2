"""Fetched documents, compiled once: callers of one number mostly get the same bytes."""

from __future__ import annotations

from collections import OrderedDict

from cordboard.server.long_documents import MAX_AT_ONCE, beside_calls
from cordboard.swml.document import Document, DocumentError, load

MAX_KEPT = 256
MAX_SIZE = 64 * 1024
"""Longer documents are compiled each time rather than kept."""
MAX_TOTAL = 2 << 20
"""Bytes of all that is kept together: compiled, a document takes several times its size."""
MAX_READY = 8
"""Documents that are compiled ahead and not used yet; a call may end before it uses its own."""


class CompiledDocuments:
    """The latest ones, by content and source; documents are immutable, so calls share them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Document] = OrderedDict()
        self._total = 0
        self._ready: OrderedDict[tuple[bytes, str], Document | DocumentError] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, body: bytes, source: str) -> Document:
        """Raises `DocumentError`."""
        key = (body, source)
        document = self._kept.get(key)
        if document is not None:
            self._kept.move_to_end(key)
            return document
        document = self._take_ready(key)
        if document is None:
            document = load(body, source=source)
        if len(body) <= MAX_SIZE:
            self._keep(key, document)
        return document

    async def prepare(self, body: bytes, source: str) -> None:
        """Compile a long document beside the calls; who asks for it next need not wait for that."""
        key = (body, source)
        if len(body) <= MAX_AT_ONCE or key in self._kept:
            return

        def compiled() -> Document | DocumentError:
            try:
                return load(body, source=source)
            except DocumentError as error:
                return error

        self._ready[key] = await beside_calls(len(body), compiled)
        while len(self._ready) > MAX_READY:
            self._ready.popitem(last=False)

    def _take_ready(self, key: tuple[bytes, str]) -> Document | None:
        ready = self._ready.pop(key, None)
        if isinstance(ready, DocumentError):
            raise ready
        return ready

    def _keep(self, key: tuple[bytes, str], document: Document) -> None:
        self._kept[key] = document
        self._total += len(key[0])
        while len(self._kept) > MAX_KEPT or self._total > MAX_TOTAL:
            (body, _), _ = self._kept.popitem(last=False)
            self._total -= len(body)

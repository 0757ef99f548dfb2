"""Documents that come again are compiled once, within bounds."""

from __future__ import annotations

import threading

import pytest

from cordboard.server import compiled_documents
from cordboard.server.compiled_documents import (
    MAX_KEPT,
    MAX_READY,
    MAX_SIZE,
    MAX_TOTAL,
    CompiledDocuments,
)
from cordboard.server.long_documents import MAX_AT_ONCE
from cordboard.swml.document import Document, DocumentError, load

TEXT = "version: 1.0.0\nsections:\n  main:\n    - answer: {{}}\n# {}\n"


def body(number: int, *, size: int = 0) -> bytes:
    return TEXT.format(number).encode().ljust(size, b"\n")


def test_the_same_bytes_from_the_same_place_are_compiled_once() -> None:
    compiled = CompiledDocuments()
    assert compiled(body(1), "u") is compiled(body(1), "u")
    assert compiled(body(1), "u") is not compiled(body(2), "u")
    assert compiled(body(1), "u") is not compiled(body(1), "v")
    assert compiled(body(1), "v").source == "v"


def test_a_mistake_is_found_each_time() -> None:
    compiled = CompiledDocuments()
    for _ in range(2):
        with pytest.raises(DocumentError):
            compiled(b"nonsense: [", "u")
    assert len(compiled) == 0


def test_the_one_that_was_not_used_for_longest_goes_first() -> None:
    compiled = CompiledDocuments()
    first, second = compiled(body(0), "u"), compiled(body(1), "u")
    for number in range(2, MAX_KEPT):
        compiled(body(number), "u")
    assert compiled(body(0), "u") is first
    compiled(body(MAX_KEPT), "u")
    assert len(compiled) == MAX_KEPT
    assert compiled(body(0), "u") is first
    assert compiled(body(1), "u") is not second


def test_long_documents_are_not_kept_and_many_middling_ones_not_all() -> None:
    compiled = CompiledDocuments()
    assert compiled(body(0, size=MAX_SIZE + 1), "u") is not compiled(body(0, size=MAX_SIZE + 1), "u")
    for number in range(40):
        compiled(body(number, size=MAX_SIZE), "u")
    assert len(compiled) == MAX_TOTAL // MAX_SIZE


@pytest.mark.parametrize("size", [MAX_AT_ONCE + 1, MAX_SIZE + 1])
async def test_a_long_document_is_compiled_before_it_is_asked_for(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def watched(text: bytes, *, source: str) -> Document:
        threads.append(threading.get_ident())
        return load(text, source=source)

    monkeypatch.setattr(compiled_documents, "load", watched)
    compiled = CompiledDocuments()
    await compiled.prepare(body(0, size=size), "u")
    assert compiled(body(0, size=size), "u").source == "u"
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_a_mistake_in_a_long_document_is_found_when_it_is_asked_for() -> None:
    compiled = CompiledDocuments()
    wrong = b"nonsense: [".ljust(MAX_AT_ONCE + 1, b"\n")
    for _ in range(2):
        await compiled.prepare(wrong, "u")
        with pytest.raises(DocumentError, match="u:"):
            compiled(wrong, "u")


async def test_documents_that_nobody_asks_for_any_more_do_not_pile_up() -> None:
    compiled = CompiledDocuments()
    for number in range(MAX_READY + 3):
        await compiled.prepare(body(number, size=MAX_SIZE + 1), "u")
    assert len(compiled._ready) == MAX_READY

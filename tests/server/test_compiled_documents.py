"""Documents that come again are compiled once, within bounds."""

from __future__ import annotations

import pytest

from cordboard.server.compiled_documents import MAX_KEPT, MAX_SIZE, MAX_TOTAL, CompiledDocuments
from cordboard.swml.document import DocumentError

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

"""Identifiers are random, of the right form, and each is handed out once."""

from __future__ import annotations

import uuid
from itertools import chain, islice

from cordboard.server.random_ids import RandomBytes, hex_digits, new_id, new_token


def test_an_id_is_a_version_4_uuid() -> None:
    for _ in range(300):
        parsed = uuid.UUID(new_id())
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


def test_no_two_are_alike() -> None:
    assert len({new_id() for _ in range(5_000)}) == 5_000
    assert len({new_token() for _ in range(5_000)}) == 5_000


def test_a_token_has_64_bits() -> None:
    assert all(len(new_token()) == 16 for _ in range(600))


def test_digits_are_never_handed_out_twice_across_blocks() -> None:
    taken = list(islice(chain.from_iterable(hex_digits(24)), 2_000))
    assert all(len(digits) == 24 for digits in taken)
    assert len(set(taken)) == 2_000


def test_bytes_are_never_handed_out_twice_across_blocks() -> None:
    source = RandomBytes()
    taken = [source.take(30) for _ in range(2_000)]
    assert all(len(key) == 30 for key in taken)
    assert len(set(taken)) == 2_000


def test_more_bytes_than_a_block() -> None:
    source = RandomBytes()
    assert len(source.take(10)) == 10
    assert len(source.take(10_000)) == 10_000
    assert len(source.take(10)) == 10

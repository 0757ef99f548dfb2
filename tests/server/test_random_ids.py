"""Identifiers are random, of the right form, and each is handed out once."""

from __future__ import annotations

import uuid

from cordboard.server.random_ids import RandomHex, new_id, new_token


def test_an_id_is_a_version_4_uuid() -> None:
    for _ in range(300):
        parsed = uuid.UUID(new_id())
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


def test_no_two_are_alike() -> None:
    assert len({new_id() for _ in range(5_000)}) == 5_000
    assert len({new_token() for _ in range(5_000)}) == 5_000


def test_digits_are_never_handed_out_twice_across_blocks() -> None:
    source = RandomHex()
    taken = [source.take(24) for _ in range(2_000)]
    assert all(len(digits) == 24 for digits in taken)
    assert len(set(taken)) == 2_000

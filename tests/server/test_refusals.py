"""Callers who are turned away are logged, but a flood of them is not."""

from __future__ import annotations

import logging

import pytest

from cordboard.call.reasons import ending
from cordboard.legs.outputs import CallRefused
from cordboard.server.refusals import MAX_ADDRESSES, QUIET, Refusals
from cordboard.sip.endpoint import Endpoint


def refused(address: str, status: int = 403) -> CallRefused:
    end = ending("source_refused", who=address)
    return CallRefused(source=Endpoint("UDP", address, 5060), status=status, ending=end)


def test_an_address_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            refusals.note(refused("192.0.2.1"), now=float(number))
        refusals.note(refused("192.0.2.2"), now=10.0)
        refusals.note(refused("192.0.2.1", 404), now=10.0)
        refusals.note(refused("192.0.2.1"), now=QUIET + 1.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert "403" in lines[0]
    assert "192.0.2.1 is not allowed to call in" in lines[0]
    assert refusals.count == 13


def test_many_addresses_do_not_grow_the_memory() -> None:
    refusals = Refusals()
    for number in range(MAX_ADDRESSES + 50):
        refusals.note(refused(f"10.{number >> 8}.{number & 255}.1"), now=0.0)
    assert len(refusals._until) == MAX_ADDRESSES

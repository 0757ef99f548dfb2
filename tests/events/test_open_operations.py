"""Which operations have an end that must be told: all that clients begin, and no others."""

from __future__ import annotations

from cordboard.events.open_operations import OPERATIONS
from cordboard.relay.event_params import _OPERATIONS as TOLD


def test_whatever_clients_are_told_of_has_a_last_event_but_a_hold() -> None:
    assert set(OPERATIONS) == {kind for kind, _ in TOLD.values()} - {"calling.call.hold"}


def test_nothing_goes_on_after_the_last_event() -> None:
    for operation in OPERATIONS.values():
        assert not operation.goes_on(
            {"detect": {"type": "fax"}} | operation.last({"detect": {"type": "fax"}})
        )

"""`calling.hold` and `calling.unhold` (relay-protocol.md 8.1)."""

from __future__ import annotations

from cordboard.call.actions import Hold
from cordboard.call.commands import Command
from cordboard.relay.methods.method import Reader, on_call
from cordboard.relay.params import Params


def _hold(given: Params) -> Command:
    return Hold(on=True)


def _unhold(given: Params) -> Command:
    return Hold(on=False)


METHODS: dict[str, Reader] = {"hold": on_call(_hold), "unhold": on_call(_unhold)}

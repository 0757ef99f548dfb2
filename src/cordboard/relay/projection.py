"""What happens to calls → the events of one client, in the order and with the tags that its SDK can bear."""

from __future__ import annotations

from typing import Any

from cordboard.call.effects import Happening
from cordboard.call.info import CallInfo

Event = tuple[str, dict[str, Any]]
"""`event_type` and inner `params` of a `signalwire.event`."""


class Projection:
    """One client session's view of its calls.  Pure; bounded by the calls that are alive."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id

    def offer(self, info: CallInfo, context: str) -> Event:
        """`calling.call.receive`: from now on the events of this inbound call are this client's."""
        return "calling.call.receive", {}

    def begun(self, tag: str) -> None:
        """Say before `Control.dial` that this tag is of a `calling.begin`: no dial events for it."""

    def events(self, info: CallInfo, happening: Happening, body: dict[str, Any]) -> list[Event]:
        """The events that follow from what happened.  `body`: the envelope that all listeners get."""
        return []

    def forget(self, call_id: str) -> None:
        """The call is no longer this client's (`calling.pass`, another owner): nothing more about it."""

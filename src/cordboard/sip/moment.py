"""The one input that is being handled: its time, and what has come of it so far."""

from __future__ import annotations

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Output, SendMessage


class Moment:
    """Shared by all parts of one stack, so that outputs keep the order in which they were decided."""

    __slots__ = ("now", "outputs")

    def __init__(self) -> None:
        self.now = 0.0
        self.outputs: list[Output] = []

    def begin(self, now: float) -> list[Output]:
        """A new input: returns the list that its outputs will be put into."""
        self.now = now
        self.outputs = []
        return self.outputs

    def send(self, data: bytes, destination: Endpoint) -> None:
        self.outputs.append(SendMessage(data, destination))

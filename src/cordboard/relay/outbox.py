"""The events of a client that it is not known to have: kept in order until that is proven, within bounds.

A proof covers all that was sent before it, because a socket keeps the order: a response to one event, or a
pong to a ping that went out behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Outbox:
    """Numbered from 1 on, never numbered twice."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._kept: deque[tuple[str, bytes]] = deque()
        self._numbers: dict[str, int] = {}
        self._bytes = 0
        self.last = 0
        """The number of the newest."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._bytes

    @property
    def proven(self) -> int:
        """The client has everything up to this number."""
        return self.last - len(self._kept)

    def add(self, event_id: str, frame: bytes) -> bool:
        """Keep one more; False when that would be too much, and nothing is kept."""
        if len(self._kept) >= self._max_events or self._bytes + len(frame) > self._max_bytes:
            return False
        self.last += 1
        self._kept.append((event_id, frame))
        self._numbers[event_id] = self.last
        self._bytes += len(frame)
        return True

    def acknowledged(self, event_id: str) -> bool:
        """The client has answered this event; one that is not kept has no effect: False."""
        number = self._numbers.get(event_id)
        if number is None:
            return False
        self.prove(number)
        return True

    def prove(self, number: int) -> None:
        """The client has everything up to `number`."""
        for _ in range(min(number, self.last) - self.proven):
            event_id, frame = self._kept.popleft()
            del self._numbers[event_id]
            self._bytes -= len(frame)

    def take_over(self, kept: Iterable[tuple[str, bytes]], last: int) -> None:
        """What an earlier run of the server had; `last`: the number of the newest of all."""
        for event_id, frame in kept:
            self._kept.append((event_id, frame))
            self._bytes += len(frame)
        self.last = last
        first = last - len(self._kept) + 1
        self._numbers = {event_id: first + at for at, (event_id, _) in enumerate(self._kept)}

    def frames(self) -> list[bytes]:
        """All that may be missing, oldest first."""
        return [frame for _, frame in self._kept]

"""What waits for one origin: its queues, in memory as far as they fit."""

from __future__ import annotations

from collections import deque

import msgspec

DOWN_AFTER = 5
"""Failures in a row after which the receiver counts as down."""


class Item(msgspec.Struct, kw_only=True):
    """What the delivery machine knows of a delivery."""

    number: int
    """Rises in the order of making."""
    queue: tuple[str, str]
    """(session, URL)"""
    origin: str
    created_at: float
    due: float
    """When it may be tried; in the past for at once."""
    attempts: int = 0
    payload: object = None
    """What the sender needs; the machine does not look at it."""


class Queue:
    """Deliveries of one session to one URL.  Only the head is tried."""

    __slots__ = ("due", "items", "key", "lane")

    def __init__(self, key: tuple[str, str], lane: Lane) -> None:
        self.key = key
        self.lane = lane
        self.items: deque[Item] = deque()
        self.due: float | None = None
        """When the head is tried again, while it waits."""


class Lane:
    """All queues to one origin."""

    __slots__ = (
        "failures",
        "is_listed",
        "is_loading",
        "is_spilled",
        "numbers",
        "origin",
        "queues",
        "ready",
        "running",
        "watermark",
    )

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.queues: dict[tuple[str, str], Queue] = {}
        self.numbers: set[int] = set()
        self.ready: deque[Queue] = deque()
        self.is_listed = False
        """In the machine's round of lanes that have something to try."""
        self.running = 0
        self.failures = 0
        """In a row, over all queues."""
        self.is_spilled = False
        """There are pending deliveries in the store that are not held: those above the watermark."""
        self.is_loading = False
        self.watermark = 0
        """Highest number that was ever held."""

    @property
    def held(self) -> int:
        return len(self.numbers)

    @property
    def is_down(self) -> bool:
        return self.failures >= DOWN_AFTER

    def hold(self, item: Item) -> Queue | None:
        """Put it at the end of its queue; None if it is held already."""
        if item.number in self.numbers:
            return None
        self.numbers.add(item.number)
        self.watermark = max(self.watermark, item.number)
        queue = self.queues.get(item.queue)
        if queue is None:
            queue = self.queues[item.queue] = Queue(item.queue, self)
        queue.items.append(item)
        return queue

    def let_go(self, queue: Queue) -> None:
        """The head is settled for good."""
        self.numbers.discard(queue.items.popleft().number)

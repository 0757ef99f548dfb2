"""When to try which callback: a machine over deliveries, without clock, network or disk.

Deliveries of one session to one URL form a *queue*: the next is not tried before the one ahead of it was
delivered or given up, so a receiver sees the events of a call in their order.  Queues to one origin
(`scheme://host:port`) form a *lane*: a lane has its own limits, so a receiver that is slow or dead holds up
nobody else.  A lane whose receiver fails again and again is tried by few at a time; the first success after
that brings all that wait for it forward, so that a receiver that comes back catches up at once.

Memory is bounded: a lane holds a limited number of deliveries.  The others stay in the store, where every
delivery is before it gets here; while that is so the lane is *spilled*, and takes from the store, in the
order of their numbers, and from nowhere else.  After a restart every lane begins spilled.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

import msgspec

from cordboard.webhooks.lane import Item, Lane, Queue


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    first_pause: float = 1.0
    longest_pause: float = 900.0
    lifetime: float = 86_400.0
    """After this a failure is the last one."""
    at_once: int = 256
    """Attempts running at the same time."""
    at_once_per_lane: int = 16
    at_once_when_down: int = 2
    held_per_lane: int = 2000
    loaded_at_once: int = 500


# ------------------------------------------------------------------ inputs


class Offered(msgspec.Struct, frozen=True):
    """A new delivery, safe in the store.  Come in the order of their numbers."""

    item: Item


class Reoffered(msgspec.Struct, frozen=True):
    """A dead delivery that is to be tried again, on request.  Held whatever the limits."""

    item: Item


class Stored(msgspec.Struct, frozen=True):
    """After a restart: there are pending deliveries of this origin in the store."""

    origin: str


class Loaded(msgspec.Struct, frozen=True):
    """Answer to `Load`; fewer than asked for means that there are no more."""

    origin: str
    items: tuple[Item, ...]
    asked: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt is over."""

    number: int
    delivered: bool
    hopeless: bool = False
    """Trying again cannot help (the URL cannot be requested at all)."""


Input = Offered | Reoffered | Stored | Loaded | Tried

# ------------------------------------------------------------------ outputs


class Try(msgspec.Struct, frozen=True):
    """Send it now; `Tried` must follow, always."""

    item: Item
    attempt: int
    """1 for the first."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Keep this: what became of the delivery after an attempt."""

    item: Item
    state: str
    """pending, delivered, dead"""
    attempts: int
    due: float
    """When it is tried again, if pending."""


class Load(msgspec.Struct, frozen=True):
    """Read pending deliveries of this origin with numbers above `after` from the store."""

    origin: str
    after: int
    limit: int


Output = Try | Settled | Load


class DeliveryMachine:
    """`random()` gives floats from 0 to 1, for the jitter."""

    def __init__(self, *, random: Callable[[], float], limits: DeliveryLimits | None = None) -> None:
        self._limits = limits or DeliveryLimits()
        self._random = random
        self._lanes: dict[str, Lane] = {}
        self._round: deque[Lane] = deque()
        self._trying: dict[int, Queue] = {}
        self._waiting: list[tuple[float, int, Queue]] = []
        self._entries = 0

    # ------------------------------------------------------------ what can be seen

    @property
    def held(self) -> int:
        """Deliveries in memory."""
        return sum(lane.held for lane in self._lanes.values())

    @property
    def running(self) -> int:
        """Attempts under way."""
        return len(self._trying)

    def origins(self) -> dict[str, bool]:
        """Origins that something is held for, and whether their receiver is down."""
        return {origin: lane.is_down for origin, lane in self._lanes.items()}

    # ------------------------------------------------------------ the machine

    def handle(self, given: Input, now: float) -> list[Output]:
        out: list[Output] = []
        lane = self._take(given, now, out)
        self._pump(out)
        if lane is not None:
            self._refill(lane, out)
            self._drop_if_idle(lane)
        return out

    def next_timeout(self) -> float | None:
        while self._waiting:
            due, _, queue = self._waiting[0]
            if queue.due == due:
                return due
            heapq.heappop(self._waiting)
        return None

    def handle_timeout(self, now: float) -> list[Output]:
        while (due := self.next_timeout()) is not None and due <= now:
            self._make_ready(heapq.heappop(self._waiting)[2])
        out: list[Output] = []
        self._pump(out)
        return out

    # ------------------------------------------------------------ inputs

    def _take(self, given: Input, now: float, out: list[Output]) -> Lane | None:
        if isinstance(given, Tried):
            return self._tried(given, now, out)
        if isinstance(given, Offered):
            return self._offered(given.item, now)
        if isinstance(given, Loaded):
            return self._loaded(given, now)
        if isinstance(given, Reoffered):
            lane = self._lane(given.item.origin)
            self._hold(lane, given.item, now)
            return lane
        lane = self._lane(given.origin)
        lane.is_spilled = True
        return lane

    def _offered(self, item: Item, now: float) -> Lane:
        lane = self._lane(item.origin)
        if lane.is_spilled or lane.held >= self._limits.held_per_lane:
            lane.is_spilled = True
        else:
            self._hold(lane, item, now)
        return lane

    def _loaded(self, given: Loaded, now: float) -> Lane:
        lane = self._lane(given.origin)
        lane.is_loading = False
        lane.is_spilled = len(given.items) >= given.asked
        for item in given.items:
            self._hold(lane, item, now)
        return lane

    def _tried(self, given: Tried, now: float, out: list[Output]) -> Lane | None:
        queue = self._trying.pop(given.number, None)
        if queue is None:
            return None
        lane = queue.lane
        lane.running -= 1
        item = queue.items[0]
        item.attempts += 1
        if given.delivered:
            self._delivered(lane)
        elif not given.hopeless:
            lane.failures += 1
        self._settle(queue, item, given, now, out)
        self._list(lane)
        return lane

    def _settle(self, queue: Queue, item: Item, given: Tried, now: float, out: list[Output]) -> None:
        state = "delivered" if given.delivered else "pending"
        if not given.delivered and (given.hopeless or now >= item.created_at + self._limits.lifetime):
            state = "dead"
        if state == "pending":
            item.due = min(now + self._pause(item.attempts), item.created_at + self._limits.lifetime)
            self._wait(queue, item.due)
        else:
            queue.lane.let_go(queue)
            self._next_of(queue, now)
        out.append(Settled(item=item, state=state, attempts=item.attempts, due=item.due))

    def _delivered(self, lane: Lane) -> None:
        was_down, lane.failures = lane.is_down, 0
        if was_down:
            for queue in lane.queues.values():
                if queue.due is not None:
                    self._make_ready(queue)

    # ------------------------------------------------------------ queues

    def _lane(self, origin: str) -> Lane:
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = Lane(origin)
        return lane

    def _hold(self, lane: Lane, item: Item, now: float) -> None:
        queue = lane.hold(item)
        if queue is not None and len(queue.items) == 1:
            self._next_of(queue, now)

    def _next_of(self, queue: Queue, now: float) -> None:
        """The head of the queue has changed."""
        if not queue.items:
            del queue.lane.queues[queue.key]
        elif queue.items[0].due > now:
            self._wait(queue, queue.items[0].due)
        else:
            self._make_ready(queue)

    def _wait(self, queue: Queue, due: float) -> None:
        queue.due = due
        self._entries += 1
        heapq.heappush(self._waiting, (due, self._entries, queue))

    def _make_ready(self, queue: Queue) -> None:
        queue.due = None
        queue.lane.ready.append(queue)
        self._list(queue.lane)

    def _list(self, lane: Lane) -> None:
        """Into the round, if the lane has something to try and may."""
        if not lane.is_listed and lane.ready and lane.running < self._allowed(lane):
            lane.is_listed = True
            self._round.append(lane)

    def _allowed(self, lane: Lane) -> int:
        return self._limits.at_once_when_down if lane.is_down else self._limits.at_once_per_lane

    def _pump(self, out: list[Output]) -> None:
        while self._round and len(self._trying) < self._limits.at_once:
            lane = self._round.popleft()
            lane.is_listed = False
            if lane.running < self._allowed(lane):
                out.append(self._try(lane.ready.popleft()))
                self._list(lane)

    def _try(self, queue: Queue) -> Try:
        item = queue.items[0]
        queue.lane.running += 1
        self._trying[item.number] = queue
        return Try(item, item.attempts + 1)

    def _refill(self, lane: Lane, out: list[Output]) -> None:
        limits = self._limits
        if lane.is_spilled and not lane.is_loading and lane.held <= limits.held_per_lane // 2:
            lane.is_loading = True
            room = min(limits.loaded_at_once, limits.held_per_lane - lane.held)
            out.append(Load(lane.origin, lane.watermark, room))

    def _drop_if_idle(self, lane: Lane) -> None:
        if not lane.queues and not lane.is_spilled and not lane.is_loading:
            self._lanes.pop(lane.origin, None)

    def _pause(self, attempts: int) -> float:
        full = min(self._limits.first_pause * 2.0 ** min(attempts - 1, 40), self._limits.longest_pause)
        return full * (0.5 + 0.5 * self._random())

"""A network in virtual time: loses, delays, reorders and duplicates datagrams, the same way for each seed.

    wire = Wire(seed=7, conditions=Conditions(loss=0.1))
    wire.attach(alice, ALICE)
    wire.attach(bob, BOB, on_event=answer)
    wire.put(ALICE, alice.bye(session, now=wire.now))
    wire.run_until_quiet()

No clock and no sleeping: `now` jumps from one delivery or timer to the next.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple, Protocol

import msgspec

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event, Output, SendMessage

Reaction = Callable[[Event, float], list[Output]]
"""What a node does about an event: returns the outputs of the calls that it makes into its stack."""


class Node(Protocol):
    """One machine on the wire, for instance a `SipStack`."""

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[Output]: ...

    def next_timeout(self) -> float | None: ...

    def handle_timeout(self, now: float) -> list[Output]: ...


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How bad the wire is.  Probabilities are 0 to 1, delays in seconds; datagrams overtake each other
    where the delays differ."""

    loss: float = 0.0
    duplication: float = 0.0
    shortest_delay: float = 0.0
    longest_delay: float = 0.0


class Datagram(NamedTuple):
    """One that was sent, with what became of it."""

    sent_at: float
    source: Endpoint
    destination: Endpoint
    data: bytes
    copies: int
    """Delivered: 0 if it was lost, 2 if it was duplicated."""

    @property
    def first_line(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode(errors="replace")


class Wire:
    """The wire, its time, and what has happened on it."""

    def __init__(self, *, seed: int = 0, conditions: Conditions = Conditions()) -> None:  # noqa: B008 - frozen
        self.now = 0.0
        self.conditions = conditions
        self.sent: list[Datagram] = []
        self.events: list[tuple[float, Endpoint, Event]] = []
        self.drop: Callable[[Datagram], bool] = lambda datagram: False
        """Loses further datagrams, for tests that lose a certain one."""
        self._random = Random(seed)
        self._nodes: dict[Endpoint, tuple[Node, Reaction | None]] = {}
        self._under_way: list[tuple[float, int, Endpoint, Endpoint, bytes]] = []
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    def attach(self, node: Node, address: Endpoint, on_event: Reaction | None = None) -> None:
        """Let `node` receive what is sent to `address`."""
        self._nodes[address] = (node, on_event)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call `action` at a time to come."""
        self._serial += 1
        heapq.heappush(self._plans, (when, self._serial, action))

    # ------------------------------------------------------------ sending

    def put(self, source: Endpoint, outputs: Iterable[Output]) -> None:
        """Carry out what a node has returned: send its messages, record and answer its events."""
        for output in outputs:
            if isinstance(output, SendMessage):
                self.send(source, output.destination, output.data)
            else:
                self._tell(source, output)

    def send(self, source: Endpoint, destination: Endpoint, data: bytes) -> None:
        copies = self._copies()
        datagram = Datagram(self.now, source, destination, data, copies)
        if self.drop(datagram):
            datagram = datagram._replace(copies=0)
        self.sent.append(datagram)
        for _ in range(datagram.copies):
            self._serial += 1
            due = self.now + self._delay()
            heapq.heappush(self._under_way, (due, self._serial, source, destination, data))

    def _copies(self) -> int:
        if self._random.random() < self.conditions.loss:
            return 0
        return 2 if self._random.random() < self.conditions.duplication else 1

    def _delay(self) -> float:
        return self._random.uniform(self.conditions.shortest_delay, self.conditions.longest_delay)

    def _tell(self, address: Endpoint, event: Event) -> None:
        self.events.append((self.now, address, event))
        reaction = self._nodes[address][1]
        if reaction is not None:
            self.put(address, reaction(event, self.now))

    # ------------------------------------------------------------ time

    def next_time(self) -> float | None:
        """When something happens next; None: never."""
        times = [when for node, _ in self._nodes.values() if (when := node.next_timeout()) is not None]
        if self._under_way:
            times.append(self._under_way[0][0])
        if self._plans:
            times.append(self._plans[0][0])
        return min(times, default=None)

    def step(self) -> bool:
        """Go on to the next thing and let it happen; False if there is none."""
        when = self.next_time()
        if when is None:
            return False
        self.now = max(self.now, when)
        if not (self._deliver_one() or self._carry_out_plan()):
            self._run_timers()
        return True

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        end = self.now + seconds
        while (when := self.next_time()) is not None and when <= end:
            self.step()
        self.now = end

    def run_until_quiet(self, *, most_steps: int = 100_000) -> None:
        """Until nothing is under way and no timer runs.  Raises RuntimeError if it does not come to rest."""
        for _ in range(most_steps):
            if not self.step():
                return
        raise RuntimeError("the nodes on the wire do not come to rest")

    def _deliver_one(self) -> bool:
        if not self._under_way or self._under_way[0][0] > self.now:
            return False
        _, _, source, destination, data = heapq.heappop(self._under_way)
        found = self._nodes.get(destination)
        if found is not None:
            self.put(destination, found[0].receive(data, source, self.now))
        return True

    def _carry_out_plan(self) -> bool:
        if not self._plans or self._plans[0][0] > self.now:
            return False
        heapq.heappop(self._plans)[2]()
        return True

    def _run_timers(self) -> None:
        for address, (node, _) in list(self._nodes.items()):
            when = node.next_timeout()
            if when is not None and when <= self.now:
                self.put(address, node.handle_timeout(self.now))

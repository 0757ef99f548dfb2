"""The timers of RFC 3261 (appendix A) and RFC 6026, and the one queue that they all wait in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import Any, Protocol

import msgspec


class Timer(StrEnum):
    """Each timer under the name that the RFC gives it; those in words are ours."""

    A = "A"
    """INVITE request is sent again."""
    B = "B"
    """INVITE transaction gives up."""
    D = "D"
    """Wait for retransmitted INVITE responses."""
    E = "E"
    """Non-INVITE request is sent again."""
    F = "F"
    """Non-INVITE transaction gives up."""
    G = "G"
    """INVITE response is sent again."""
    H = "H"
    """Wait for the ACK."""
    I = "I"  # noqa: E741
    """Wait for retransmitted ACKs."""
    J = "J"
    """Wait for retransmitted non-INVITE requests."""
    K = "K"
    """Wait for retransmitted non-INVITE responses."""
    L = "L"
    """Wait for retransmitted INVITEs after a 2xx (RFC 6026)."""
    M = "M"
    """Wait for retransmitted and forked 2xx (RFC 6026)."""
    REMINDER = "reminder"
    """A ringing INVITE gets its provisional response again (RFC 3261 section 13.3.1.1)."""
    UNANSWERED = "unanswered"
    """Nobody above answered a non-INVITE request; its client has given up by now."""
    ANSWER = "answer"
    """A 2xx is sent again until its ACK comes (RFC 3261 section 13.3.1.4)."""
    NO_ACK = "no_ack"
    """The ACK to a 2xx never came."""
    CANCELLED = "cancelled"
    """A cancelled INVITE never got its final response (RFC 3261 section 9.1)."""
    PATIENCE = "patience"
    """A re-INVITE got provisional responses only."""
    RETRY = "retry"
    """A request that met one of the other side (491) is sent again (RFC 3261 section 14.1)."""
    TURN = "turn"
    """An offer of ours goes out once what has just happened is known to whoever makes it."""
    RELIABLE = "reliable"
    """A reliable provisional response is sent again (RFC 3262)."""
    NO_PRACK = "no_prack"
    """The PRACK to it never came."""
    REFRESH = "refresh"
    """The session is to be refreshed (RFC 4028)."""
    EXPIRY = "expiry"
    """Nobody has refreshed the session."""


REMINDER_INTERVAL = 60.0
REINVITE_PATIENCE = 180.0


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """The base values, in seconds (RFC 3261 section 17.1.1.1)."""

    t1: float = 0.5
    """Estimate of the round trip."""
    t2: float = 4.0
    """Longest pause between retransmissions."""
    t4: float = 5.0
    """Longest time that a message stays in the network."""

    @property
    def patience(self) -> float:
        """64*T1: when a transaction gives up."""
        return 64 * self.t1

    def durations(self, *, reliable: bool) -> dict[Timer, float]:
        """How long each timer runs at first.  Those that are missing are not started at all."""
        linger = 0.0 if reliable else 1.0
        always = {
            Timer.B: self.patience,
            Timer.D: linger * max(32.0, self.patience),
            Timer.F: self.patience,
            Timer.H: self.patience,
            Timer.I: linger * self.t4,
            Timer.J: linger * self.patience,
            Timer.K: linger * self.t4,
            Timer.L: self.patience,
            Timer.M: self.patience,
            Timer.REMINDER: REMINDER_INTERVAL,
            Timer.UNANSWERED: self.patience,
        }
        again = {} if reliable else {Timer.A: self.t1, Timer.E: self.t1, Timer.G: self.t1}
        return {**always, **again}


class Waiting(Protocol):
    """What a timer can be started for."""

    def fire(self, timer: Timer) -> None:
        """The timer has run out."""


Started = list[Any]
"""A running timer: [when, serial, target, timer].  Target None: it runs no more.  Only `TimerQueue` looks
inside."""

STEP = 0.125
"""Seconds by which a timer of five seconds or more may be late."""
_LONG = 5.0
_NEVER: Started = [math.inf, 0, None, None]


class TimerQueue:
    """All timers, in one lane for each duration.

    Time goes on, so in a lane each timer is due after those before it, and starting one is an append.  There
    are about a dozen durations, hence lanes.  Durations that peers or chance decide wait apart, in a heap.
    A timer that is stopped is only marked; it goes when its turn comes, or when more than half of all are
    marked.
    """

    __slots__ = ("_apart", "_first", "_held", "_lanes", "_running", "_serial", "due")

    def __init__(self) -> None:
        self._lanes: dict[float, deque[Started]] = {}
        self._apart: list[Started] = []
        self._serial = 0
        self._running = 0
        self._held = 0
        """In the lanes, running or not."""
        self._first = _NEVER
        """No running timer is due before this one, which may have been stopped meanwhile."""
        self.due = math.inf
        """When that one is due: to be looked at after each message, where `next_timeout` costs too much."""

    def __len__(self) -> int:
        return self._running

    def start(self, now: float, seconds: float, target: Waiting, timer: Timer) -> Started:
        """Let `target.fire(timer)` be called in `seconds`; keep what is returned to stop it.

        Timers that run for long only forget or give up: they may be late by a `STEP`, so that all that has
        ended within one is forgotten in one wake-up.
        """
        self._serial += 1
        self._running += 1
        self._held += 1
        when = now + seconds
        if seconds >= _LONG:
            when = math.ceil(when / STEP) * STEP
        started: Started = [when, self._serial, target, timer]
        lane = self._lanes.get(seconds)
        if lane is None:
            lane = self._lanes[seconds] = deque()
        lane.append(started)
        if when < self.due:
            self._first, self.due = started, when
        return started

    def start_apart(self, now: float, seconds: float, target: Waiting, timer: Timer) -> Started:
        """The same for a duration that may be any."""
        self._serial += 1
        self._running += 1
        self._held += 1
        when = now + seconds
        started: Started = [when, self._serial, target, timer]
        heappush(self._apart, started)
        if when < self.due:
            self._first, self.due = started, when
        return started

    def stop(self, started: Started) -> None:
        """Forget a timer; harmless if it has fired already."""
        if started[2] is None:
            return
        started[2] = None
        self._running -= 1
        if self._held > 2 * self._running + 64:
            self._sweep()

    def _sweep(self) -> None:
        for seconds, lane in self._lanes.items():
            self._lanes[seconds] = deque([started for started in lane if started[2] is not None])
        self._apart = [started for started in self._apart if started[2] is not None]
        heapify(self._apart)
        self._held = sum(map(len, self._lanes.values())) + len(self._apart)

    def next_timeout(self) -> float | None:
        """When the first running timer is due."""
        first = self._first
        if first[2] is None:
            self._first = first = self._find_first()
            self.due = first[0]
        return None if first is _NEVER else first[0]

    def _find_first(self) -> Started:
        first = _NEVER
        for lane in self._lanes.values():
            while lane and lane[0][2] is None:
                lane.popleft()
                self._held -= 1
            if lane and lane[0] < first:
                first = lane[0]
        apart = self._apart
        while apart and apart[0][2] is None:
            heappop(apart)
            self._held -= 1
        return min(apart[0], first) if apart else first

    def take_due(self, now: float) -> Iterator[tuple[Waiting, Timer]]:
        """Take out the timers that are due at `now`, in the order of their time.

        One that is stopped before its turn does not come, and one that is started meanwhile comes next time.
        """
        due: list[Started] = []
        for lane in self._lanes.values():
            while lane and lane[0][0] <= now:
                due.append(lane.popleft())
                self._held -= 1
        while self._apart and self._apart[0][0] <= now:
            due.append(heappop(self._apart))
            self._held -= 1
        due.sort()
        for started in due:
            _, _, target, timer = started
            if target is not None:
                started[2] = None
                self._running -= 1
                yield target, timer

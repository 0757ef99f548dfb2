"""The worker's own loop: readable sockets and one tick of 20 ms.

It is not asyncio because a packet must cost next to nothing beyond the kernel's share.  Under load it rests
between turns, so that one wake-up serves many packets: whoever wakes up finds nothing in the caches any more,
and has to wake those it sends to, so that the first packet of a turn costs as much as ten of those after it.
The price is a delay of at most `_LONGEST_REST` seconds.  What the control process says is not kept waiting.
"""

from __future__ import annotations

import contextlib
import logging
import math
import select
import socket
import time
from collections.abc import Callable

from cordboard.media.clock import Clock
from cordboard.media.fastpath import FastPath, Kind, Lane, Passenger
from cordboard.media.srtp import Protection

TICK = 0.020
_LONGEST_STALL = 5
"""Ticks that are made up for after a stall; what is older is left out."""
_MOST_ROUNDS = 16
"""Packets of one socket that are taken in before a rest, or before ticks that are late."""
_LONGEST_REST = 0.010
_REST_A_PACKET = 0.00005
"""Seconds of rest for each packet of a tick: a worker with few calls can afford more turns."""
_BATCH = 100
"""Packets that are worth a turn: one with many calls rests for no longer than so many take to come."""
_BUSY = 20
"""Packets in a tick from which on the loop rests between turns."""
_MOST_READY = 1024
_IDLE = 1.0
_TICKS_REMEMBERED = 512
_MOST_LOGGED = 20

_logger = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody watches this any more."""


class Loop:
    """`run` until `stop`.  A handler that raises is counted and logged; the loop goes on."""

    def __init__(
        self,
        *,
        clock: Clock,
        tick: Callable[[], None],
        after: Callable[[], None],
        is_idle: Callable[[], bool],
        fastpath: FastPath | None = None,
    ) -> None:
        """`fastpath`: the compiled one, if it is to be used."""
        self._clock = clock
        self._tick = tick
        self._after = after
        self._is_idle = is_idle
        self._fastpath = fastpath
        self._epoll = select.epoll()
        self._urgent = select.epoll()
        """Of all that is watched, what ends a rest."""
        self._handlers: list[Callable[[], None]] = []
        """By file number."""
        self._running = True
        self._next_tick = 0.0
        self._handled = 0
        self._rest = 0.0
        """Seconds between turns; 0 = there is too little to do."""
        self._late: list[float] = []
        self.defects = 0

    def watch_urgently(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        """As `watch`, also in the middle of a rest."""
        self.watch(readable, handler)
        self._urgent.register(readable.fileno(), select.EPOLLIN)

    def watch(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        """Call `handler` whenever the socket has something."""
        number = readable.fileno()
        while number >= len(self._handlers):
            self._handlers.append(_nothing)
        self._handlers[number] = handler
        self._epoll.register(number, select.EPOLLIN)

    def hand_over(self, watched: socket.socket, handler: Callable[[], None]) -> None:
        """Another handler for a socket that is watched."""
        self._handlers[watched.fileno()] = handler

    def forget(self, readable: socket.socket) -> None:
        """No more; before the socket is closed."""
        number = readable.fileno()
        if 0 <= number < len(self._handlers):
            self._handlers[number] = _nothing
            with contextlib.suppress(OSError):
                self._epoll.unregister(number)

    def lane(self, readable: socket.socket, passenger: Passenger, protection: Protection) -> Lane | None:
        """A socket that is watched gets a lane of the compiled fast path; None if there is none."""
        return self._fastpath.lane(readable, passenger, protection) if self._fastpath is not None else None

    def await_writable(self, one: socket.socket, wanted: bool) -> None:
        """Also call its handler when it can be written to again."""
        self._epoll.modify(one.fileno(), select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def stop(self) -> None:
        """After this turn."""
        self._running = False

    def run(self) -> None:
        """Until `stop`."""
        self._clock.now = time.monotonic()
        self._next_tick = self._clock.now + TICK
        while self._running:
            self._turn()
        self._epoll.close()
        self._urgent.close()

    def tick_late_p99_ms(self) -> float:
        """Over the last ten seconds of ticks."""
        if not self._late:
            return 0.0
        return sorted(self._late)[len(self._late) * 99 // 100] * 1000

    def guard(self, handler: Callable[[], None]) -> bool:
        """The last line of defence: what nobody foresaw ends one event, not all calls.  False = it raised."""
        try:
            handler()
        except Exception:
            self._defect()
            return False
        return True

    def _turn(self) -> None:
        clock = self._clock
        idle = self._is_idle()
        wait = _IDLE if idle else max(0.0, self._next_tick - time.monotonic())
        self._handled += self._look(wait)
        if self._rest or clock.now >= self._next_tick + TICK:
            self._take_what_waits()
        if clock.now >= self._next_tick:
            self._do_ticks(idle)
        self.guard(self._after)
        if self._rest:
            left = self._next_tick - time.monotonic()
            if left > 0:
                # All turns up to the tick are to be of one length.
                self._urgent.poll(left / math.ceil(left / self._rest))

    def _take_what_waits(self) -> None:
        """Before a rest, or after a stall, when each socket has as many packets as ticks were missed."""
        for _ in range(_MOST_ROUNDS):
            taken = self._look(0)
            if not taken:
                return
            self._handled += taken

    def _look(self, wait: float) -> int:
        """Serve what is readable within so many seconds; how many sockets were."""
        if self._fastpath is not None:
            return self._look_fast(self._fastpath, wait)
        ready = self._epoll.poll(wait, _MOST_READY)
        self._clock.now = time.monotonic()
        handlers = self._handlers
        for number, _ in ready:
            # It may be `_nothing`: closed by a handler of this very turn.
            try:
                handlers[number]()
            except Exception:
                self._defect()
        return len(ready)

    def _look_fast(self, fastpath: FastPath, wait: float) -> int:
        taken = fastpath.turn(self._epoll.fileno(), wait)
        self._clock.now = fastpath.now
        for number, kind, data in fastpath.happened():
            try:
                if kind == Kind.READABLE:
                    self._handlers[number]()
                elif (lane := fastpath.lane_of(number)) is not None:
                    lane.tell(kind, data)
            except Exception:
                self._defect()
        return taken

    def _defect(self) -> None:
        self.defects += 1
        if self.defects <= _MOST_LOGGED:
            _logger.exception("a defect in the media worker (number %d)", self.defects)

    def _do_ticks(self, idle: bool) -> None:
        now = self._clock.now
        due = int((now - self._next_tick) / TICK) + 1
        self._late.append(0.0 if idle else now - self._next_tick)
        if len(self._late) > _TICKS_REMEMBERED:
            del self._late[: _TICKS_REMEMBERED // 2]
        packets, self._handled = self._handled / due, 0
        self._rest = _rest_for(packets) if packets >= _BUSY else 0.0
        self._next_tick += due * TICK
        for _ in range(min(due, _LONGEST_STALL)):
            self.guard(self._tick)


def _rest_for(packets: float) -> float:
    """Seconds between turns while so many packets come in a tick."""
    return min(_LONGEST_REST, packets * _REST_A_PACKET, TICK * _BATCH / packets)

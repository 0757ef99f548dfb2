"""Reliable provisional responses (RFC 3262): sent again until their PRACK comes, one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.rack import RAck
from cordboard.sip.message import Request
from cordboard.sip.timers import Started, Timer
from cordboard.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.session_server import ServerSession

MAX_WAITING = 16


class Ringing(NamedTuple):
    """A provisional response."""

    status: int
    reason: str | None
    extra: str
    body: bytes


class ReliableRinging:
    """Those of one INVITE."""

    __slots__ = (
        "_again",
        "_end",
        "_interval",
        "_number",
        "_pending",
        "_session",
        "_transaction",
        "_waiting",
        "settled",
    )

    def __init__(self, session: ServerSession, transaction: ServerTransaction) -> None:
        self._session = session
        self._transaction = transaction
        self._number = 1 + int(session.core.chance() * 2**30)
        self._pending: Ringing | None = None
        self._waiting: deque[Ringing] = deque()
        self._interval = 0.0
        self._again: Started | None = None
        self._end: Started | None = None
        self.settled = False
        """A description of ours has been acknowledged: offer and answer are complete."""

    @property
    def describes(self) -> bool:
        """An answer must wait: a description of ours is not acknowledged (section 3)."""
        return self._pending is not None and bool(self._pending.body)

    def send(self, ringing: Ringing) -> None:
        """In its turn: the next only after the PRACK for the one before."""
        if self._pending is None:
            self._begin(ringing)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(ringing)

    def _begin(self, ringing: Ringing) -> None:
        layer = self._transaction.layer
        self._pending = ringing
        extra = f"Require: 100rel\r\nRSeq: {self._number}\r\n{ringing.extra}"
        self._transaction.respond(ringing.status, ringing.reason, extra, ringing.body)
        self._interval = layer.timers.t1
        self._again = layer.start_timer(self._interval, self, Timer.RELIABLE)
        self._end = layer.start_timer(layer.timers.patience, self, Timer.NO_PRACK)

    def fire(self, timer: Timer) -> None:
        if timer is Timer.NO_PRACK:
            self.stop()
            self._session.ringing_unacknowledged()
            return
        layer = self._transaction.layer
        layer.moment.send(self._transaction.message, self._transaction.destination)
        self._interval *= 2
        self._again = layer.start_timer(self._interval, self, Timer.RELIABLE)

    def acknowledge(self, prack: Request) -> bool:
        """Whether this PRACK is for the response that waits for one."""
        ringing = self._pending
        value = prack.headers.get("RAck")
        try:
            rack = None if value is None else RAck.parse(value)
        except HeaderError:
            rack = None
        if ringing is None or rack != RAck(self._number, self._transaction.request.cseq.number, "INVITE"):
            return False
        self._stop_timers()
        self._pending = None
        self._number += 1
        self.settled = self.settled or bool(ringing.body)
        return True

    def go_on(self) -> None:
        """The next one, after the PRACK has been answered."""
        if self._pending is None and self._waiting:
            self._begin(self._waiting.popleft())

    def stop(self) -> None:
        """There is a final response, or no session any more."""
        self._stop_timers()
        self._pending = None
        self._waiting.clear()

    def _stop_timers(self) -> None:
        for started in (self._again, self._end):
            if started is not None:
                self._transaction.layer.queue.stop(started)
        self._again = self._end = None

"""A 2xx to an INVITE is sent again until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.timers import Timer
from cordboard.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.session import Session


class Answer:
    """Our 2xx, from its first copy to its ACK.  The session retransmits it, not the transaction, because
    the ACK is end to end."""

    __slots__ = ("_again", "_end", "_interval", "_session", "transaction")

    def __init__(self, session: Session, transaction: ServerTransaction) -> None:
        layer = transaction.layer
        self._session = session
        self.transaction = transaction
        self._interval = layer.timers.t1
        self._again = layer.start_timer(self._interval, self, Timer.ANSWER)
        self._end = layer.start_timer(layer.timers.patience, self, Timer.NO_ACK)

    @property
    def cseq(self) -> int:
        return self.transaction.request.cseq.number

    def fire(self, timer: Timer) -> None:
        if timer is Timer.NO_ACK:
            self.stop()
            self._session.answer_unacknowledged(self)
            return
        layer = self.transaction.layer
        layer.moment.send(self.transaction.message, self.transaction.destination)
        self._interval = min(self._interval * 2, layer.timers.t2)
        self._again = layer.start_timer(self._interval, self, Timer.ANSWER)

    def stop(self) -> None:
        queue = self.transaction.layer.queue
        queue.stop(self._again)
        queue.stop(self._end)

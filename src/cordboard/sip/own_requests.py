"""Our requests inside a dialog: one at a time, so that they arrive in the order of their CSeq."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cordboard.sip.auth_client import Tries
from cordboard.sip.dialog import Dialog
from cordboard.sip.events import RequestDone
from cordboard.sip.message import Response
from cordboard.sip.timers import REINVITE_PATIENCE, Started, Timer
from cordboard.sip.transaction.table import State
from cordboard.sip.transaction.transaction import ClientTransaction

if TYPE_CHECKING:
    from cordboard.sip.session import Session

MAX_WAITING = 32


class OwnRequest:
    """One request of ours: the user of its transaction."""

    __slots__ = (
        "_acknowledgement",
        "_owner",
        "_patience",
        "body",
        "extra",
        "method",
        "transaction",
        "tries",
    )

    def __init__(self, owner: OwnRequests, method: str, extra: str, body: bytes) -> None:
        self._owner = owner
        self.method = method
        self.extra = extra
        self.body = body
        self.transaction: ClientTransaction | None = None
        self.tries = Tries()
        self._acknowledgement = b""
        self._patience: Started | None = None

    @property
    def is_offer(self) -> bool:
        """It stands in the way of an offer from the other side (RFC 3261 section 14, RFC 3311)."""
        return self.method == "INVITE" or (self.method == "UPDATE" and bool(self.body))

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        if response.status < 200:
            self._wait(self._owner.patience)
            return
        self._stop_waiting()
        if response.status < 300:
            self._succeeded(transaction, response)
        elif self._owner.send_again(self, transaction, response):
            return
        self._owner.done(self, response, response.status)

    def _succeeded(self, transaction: ClientTransaction, response: Response) -> None:
        dialog = self._owner.dialog
        if self.method in ("INVITE", "UPDATE") and not self._acknowledgement:
            dialog.refresh_target(response)
        if self.method == "INVITE":
            if not self._acknowledgement:
                self._acknowledgement = self._owner.acknowledge(transaction)
            self._owner.send(self._acknowledgement)

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        self._owner.done(self, None, status)

    def fire(self, timer: Timer) -> None:
        """An INVITE that only gets provisional responses is given up: nothing may pend for ever."""
        self._patience = None
        if self.transaction is not None:
            self.transaction.terminate()
        self._owner.done(self, None, 408)

    def abandon(self) -> None:
        """The session is over.  The transaction may end by itself, but not later than 64*T1."""
        if self.transaction is not None and self.transaction.state is State.PROCEEDING:
            self._stop_waiting()
            self._wait(self._owner.patience)

    def _wait(self, seconds: float) -> None:
        if self._patience is None and self.method == "INVITE" and self.transaction is not None:
            self._patience = self.transaction.layer.start_timer(seconds, self, Timer.PATIENCE)

    def _stop_waiting(self) -> None:
        if self._patience is not None and self.transaction is not None:
            self.transaction.layer.queue.stop(self._patience)
            self._patience = None


class OwnRequests:
    """The queue of one session."""

    __slots__ = ("_current", "_session", "_waiting")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._current: OwnRequest | None = None
        self._waiting: deque[OwnRequest] = deque()

    @property
    def dialog(self) -> Dialog:
        dialog = self._session.dialog
        assert dialog is not None  # nothing is added before there is one
        return dialog

    @property
    def patience(self) -> float:
        """How long an INVITE may get provisional responses only, in seconds."""
        return self._session.core.timers.patience if self._session.over else REINVITE_PATIENCE

    @property
    def offering(self) -> bool:
        """An offer of ours is under way: one from the other side is glare."""
        return self._current is not None and self._current.is_offer

    def add(self, method: str, extra: str, body: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._report(method, None)
            return
        self._waiting.append(OwnRequest(self, method, extra, body))
        self.pump()

    def pump(self) -> None:
        """Send the next one, if its turn has come."""
        if self._current is not None or not self._waiting:
            return
        if self._waiting[0].is_offer and self._their_offer_pends():
            return
        self._current = request = self._waiting.popleft()
        self._send(request)

    def _send(self, request: OwnRequest) -> None:
        extra = self._about(request.method) + request.extra
        sent = self._session.build(self.dialog, request.method, extra, request.body)
        request.transaction = self._session.core.layer.start_client(sent, request)

    def _about(self, method: str) -> str:
        """Who we are, and what we can do where that may change."""
        if method in ("INVITE", "UPDATE"):
            return self._session.offering(self.dialog)
        return self._session.core.agent

    def _their_offer_pends(self) -> bool:
        """Section 14.1: no INVITE while another, in either direction, is in progress."""
        session = self._session
        return session.invite_pending or bool(session.answers) or session.their.offering

    def done(self, request: OwnRequest, response: Response | None, status: int) -> None:
        """A final response, or none.  Retransmitted ones, and those after the session's end, are not told."""
        if self._current is not request:
            return
        self._current = None
        self._report(request.method, response)
        if response is None or status in (408, 481):
            self._session.lost(status)
        else:
            self.pump()

    def abandon(self) -> None:
        """The session is over."""
        pending, self._current = self._current, None
        if pending is not None:
            self._report(pending.method, None)
            pending.abandon()
        while self._waiting:
            self._report(self._waiting.popleft().method, None)

    def send_again(self, request: OwnRequest, transaction: ClientTransaction, response: Response) -> bool:
        """Whether the request has been sent again because of this refusal."""
        if self._current is not request or request.transaction is not transaction:
            return False
        if not self._session.challenged(response, transaction.request, request.tries):
            return False
        self._send(request)
        return True

    def acknowledge(self, transaction: ClientTransaction) -> bytes:
        """The ACK for a 2xx to our re-INVITE (section 13.2.2.4)."""
        sent = transaction.request
        return self._session.build_ack(self.dialog, sent.cseq, sent.added).data

    def send(self, data: bytes) -> None:
        self._session.core.moment.send(data, self.dialog.destination)

    def _report(self, method: str, response: Response | None) -> None:
        self._session.core.report(RequestDone(self._session.id, method, response))

"""Our requests inside a dialog: one at a time, so that they arrive in the order of their CSeq."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from cordboard.sip.auth_client import CHALLENGED, Authenticator, Tries
from cordboard.sip.credentials import Credentials
from cordboard.sip.dialog import Dialog
from cordboard.sip.events import RequestDone
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.retry_after import RetryAfter
from cordboard.sip.message import Response
from cordboard.sip.session_timer import agree_as_client, min_se
from cordboard.sip.timers import REINVITE_PATIENCE, Started, Timer
from cordboard.sip.transaction.table import State
from cordboard.sip.transaction.transaction import ClientTransaction

if TYPE_CHECKING:
    from cordboard.sip.session import Session

Body = bytes | Callable[[], bytes]
"""What makes one is asked each time that the request leaves: an offer must not be older than what the far end
has offered while ours had to wait."""

MAX_WAITING = 32
MAX_RESTS = 8
_LONGEST_PAUSE = 10
"""Seconds: what a user agent whose answer is not out yet may ask for (RFC 3261 section 14.2)."""
_APART = frozenset({"NOTIFY", "REFER"})
"""What becomes of these says nothing about the INVITE's usage of the dialog (RFC 5057)."""


class OwnRequest:
    """One request of ours: the user of its transaction."""

    __slots__ = (
        "_acknowledgement",
        "_owner",
        "_patience",
        "_rest",
        "_rests",
        "authenticator",
        "body",
        "credentials",
        "extra",
        "mark",
        "method",
        "transaction",
        "tries",
    )

    def __init__(
        self,
        owner: OwnRequests,
        method: str,
        extra: str,
        body: Body,
        credentials: Credentials | None = None,
        mark: str = "",
    ) -> None:
        self._owner = owner
        self.method = method
        self.extra = extra
        self.body = body
        self.credentials = credentials
        """Of this request alone, in place of the session's."""
        self.authenticator: Authenticator | None = None
        """For `credentials`, once there was a challenge."""
        self.mark = mark
        self.transaction: ClientTransaction | None = None
        self.tries = Tries()
        self._acknowledgement = b""
        self._patience: Started | None = None
        self._rest: Started | None = None
        self._rests = 0

    @property
    def is_resting(self) -> bool:
        """It met a request of the other side, and waits before it is sent again."""
        return self._rest is not None

    def rest(self, seconds: float) -> bool:
        """False: it has done so too often."""
        self._rests += 1
        if self._rests > MAX_RESTS or self.transaction is None:
            return False
        layer = self.transaction.layer
        self._rest = layer.queue.start_apart(layer.moment.now, seconds, self, Timer.RETRY)
        return True

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
        if timer is Timer.RETRY:
            self._rest = None
            self._owner.pump()
            return
        self._patience = None
        if self.transaction is not None:
            self.transaction.terminate()
        self._owner.done(self, None, 408)

    def abandon(self) -> None:
        """The session is over.  The transaction may end by itself, but not later than 64*T1."""
        if self._rest is not None and self.transaction is not None:
            self.transaction.layer.queue.stop(self._rest)
            self._rest = None
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

    def add(
        self, method: str, extra: str, body: Body, credentials: Credentials | None = None, mark: str = ""
    ) -> None:
        request = OwnRequest(self, method, extra, body, credentials, mark)
        if len(self._waiting) >= MAX_WAITING:
            self._report(request, None, 503)
            return
        self._waiting.append(request)
        self.pump()

    def pump(self) -> None:
        """Send the next one, if its turn has come."""
        if self._current is not None:
            return
        request = self._next()
        if request is not None:
            self._waiting.remove(request)
            self._current = request
            self._send(request)

    def go_on(self) -> None:
        """Something has happened that is reported: an offer that is made when it leaves waits for the layer
        above to have heard of it."""
        if not self._waiting:
            return
        if all(isinstance(request.body, bytes) for request in self._waiting):
            self.pump()
        else:
            core = self._session.core
            core.queue.start_apart(core.moment.now, 0.0, self, Timer.TURN)

    def fire(self, timer: Timer) -> None:
        self.pump()

    def _next(self) -> OwnRequest | None:
        """The first that may go.  Offers keep their order; what is none does not wait for them."""
        held = False
        for request in self._waiting:
            if request.is_resting or (request.is_offer and (held or self._their_offer_pends(request))):
                held = held or request.is_offer
            else:
                return request
        return None

    def _send(self, request: OwnRequest) -> None:
        extra = self._about(request.method) + request.extra
        body = request.body if isinstance(request.body, bytes) else request.body()
        sent = self._session.build(self.dialog, request.method, extra, body, request.authenticator)
        request.transaction = self._session.core.layer.start_client(sent, request)

    def _about(self, method: str) -> str:
        """Who we are, and what we can do where that may change."""
        if method in ("INVITE", "UPDATE"):
            timer = self._session.timer
            return self._session.offering(self.dialog) + ("" if timer is None else timer.lines())
        if method in _APART:
            # Both need a Contact (RFC 3515 section 2.2, RFC 6665 section 8.2.1).
            return self._session.offering(self.dialog)
        return self._session.core.agent

    def _their_offer_pends(self, request: OwnRequest) -> bool:
        """Section 14.1: no INVITE while another, in either direction, is in progress."""
        session = self._session
        settled = request.method == "UPDATE" and session.is_settled(self.dialog)
        pending = session.invite_pending and not settled
        return pending or bool(session.answers) or session.their.offering

    def done(self, request: OwnRequest, response: Response | None, status: int) -> None:
        """A final response, or none.  Retransmitted ones, and those after the session's end, are not told."""
        if self._current is not request:
            return
        self._current = None
        if response is not None and request.method in ("INVITE", "UPDATE"):
            self._settle_timer(request.method, response)
        self._report(request, response, status)
        if request.method not in _APART and (response is None or status in (408, 481)):
            self._session.lost(status)
        else:
            self.go_on()

    def _settle_timer(self, method: str, response: Response) -> None:
        """Each INVITE and UPDATE inside the dialog is a refresh, if it succeeds (RFC 4028 section 7.2)."""
        session = self._session
        if response.status >= 300:
            if session.timer is not None:
                session.timer.refused(method, response.status)
        elif session.timer is not None or response.headers.get("Session-Expires") is not None:
            agree_as_client(session, response, None if session.timer is None else session.timer.interval)

    def hurry(self) -> None:
        """A BYE follows: a NOTIFY that waits goes now, for it may be the last word on a transfer."""
        for request in [one for one in self._waiting if one.method == "NOTIFY"]:
            self._send(request)

    def abandon(self) -> None:
        """The session is over."""
        pending, self._current = self._current, None
        if pending is not None:
            self._report(pending, None, 0)
            pending.abandon()
        while self._waiting:
            request = self._waiting.popleft()
            self._report(request, None, 0)
            request.abandon()

    def send_again(self, request: OwnRequest, transaction: ClientTransaction, response: Response) -> bool:
        """Whether the request has been sent again because of this refusal."""
        if self._current is not request or request.transaction is not transaction:
            return False
        if response.status == 422 and self._wish_for_more(request, response):
            self._send(request)
            return True
        if self._challenged(request, transaction, response):
            self._send(request)
            return True
        return self._retry_later(request, response)

    def _challenged(self, request: OwnRequest, transaction: ClientTransaction, response: Response) -> bool:
        """Whether to send it again with what its challenge asks for."""
        sent = transaction.request
        if request.credentials is None:
            return self._session.challenged(response, sent, request.tries)
        if response.status not in CHALLENGED:
            return False
        if request.authenticator is None:
            token = self._session.core.token
            request.authenticator = Authenticator(request.credentials, sent.destination, token)
        return request.authenticator.accept(response, sent, request.tries)

    def _wish_for_more(self, request: OwnRequest, response: Response) -> bool:
        """422 to a refresh: once more with their minimum."""
        timer = self._session.timer
        if timer is None or request.method not in ("INVITE", "UPDATE") or min_se(response) <= timer.interval:
            return False
        timer.raise_minimum(response)
        return True

    def _retry_later(self, request: OwnRequest, response: Response) -> bool:
        """Glare (section 14.1): who made the Call-ID waits longer, so that the two do not meet again."""
        pause = self._pause(response)
        if pause is None or request.method not in ("INVITE", "UPDATE") or not request.rest(pause):
            return False
        self._current = None
        self._waiting.appendleft(request)
        self.pump()
        return True

    def _pause(self, response: Response) -> float | None:
        """Seconds, in steps of 10 ms; None if it is final."""
        if response.status == 491:
            share = self._session.core.chance()
            return round(2.1 + 1.9 * share if self._session.owns_call_id else 2.0 * share, 2)
        if response.status == 500 and response.headers.get("Retry-After") is not None:
            return _retry_after(response)
        return None

    def acknowledge(self, transaction: ClientTransaction) -> bytes:
        """The ACK for a 2xx to our re-INVITE (section 13.2.2.4)."""
        sent = transaction.request
        return self._session.build_ack(self.dialog, sent.cseq, sent.added).data

    def send(self, data: bytes) -> None:
        self._session.core.moment.send(data, self.dialog.destination)

    def _report(self, request: OwnRequest, response: Response | None, status: int) -> None:
        done = RequestDone(self._session.id, request.method, response, status, request.mark)
        self._session.core.report(done)


def _retry_after(response: Response) -> float | None:
    try:
        seconds = RetryAfter.parse(response.headers.get("Retry-After") or "").seconds
    except HeaderError:
        return None
    return float(seconds) if seconds <= _LONGEST_PAUSE else None

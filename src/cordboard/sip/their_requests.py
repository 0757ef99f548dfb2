"""The far end's requests inside a dialog (RFC 3261 sections 12.2.2, 14.2; UPDATE: RFC 3311)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.core import ACCEPT, ALLOW, SUPPORTED
from cordboard.sip.dialog import Dialog
from cordboard.sip.events import ReinviteReceived, RequestReceived
from cordboard.sip.message import Request
from cordboard.sip.refusal import (
    Refusal,
    refuse_body,
    refuse_extensions,
    refuse_interval,
    refuse_method,
)
from cordboard.sip.session_timer import agree_as_server
from cordboard.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.session import Session

MAX_TRANSACTIONS = 512
"""Of one session at a time; a far end that asks for more gets 503.  Over UDP each is kept for 32 seconds
after its answer (timer J): so many are sixteen keys a second by INFO, more than the fastest dialler has."""
_RETRY_WITHIN = 11
"""Section 14.2: a random time of 0 to 10 seconds."""


class TheirRequests:
    """Those of one session: which ones wait for an answer from above."""

    __slots__ = ("_alive", "_dialogs", "_session", "pending")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._alive = 0
        self.pending: dict[str, ServerTransaction] = {}
        self._dialogs: dict[str, Dialog] = {}

    @property
    def full(self) -> bool:
        return self._alive >= MAX_TRANSACTIONS

    @property
    def offering(self) -> bool:
        """An offer of theirs waits for its answer."""
        return any(_is_offer(transaction.request) for transaction in self.pending.values())

    def receive(self, dialog: Dialog, transaction: ServerTransaction) -> None:
        """A new request that is neither ACK, BYE nor CANCEL."""
        self._alive += 1
        transaction.user = self._session
        request = transaction.request
        refusal = self._refuse(request, dialog)
        if refusal is not None:
            transaction.respond(refusal.status, refusal.reason, refusal.extra)
        elif request.method == "OPTIONS":
            transaction.respond(200, None, ALLOW + SUPPORTED + ACCEPT)
        elif request.method == "PRACK":
            self._session.pracked(transaction)
            if not transaction.answered:
                self._hand_up(dialog, transaction)
        else:
            self._hand_up(dialog, transaction)

    def _refuse(self, request: Request, dialog: Dialog) -> Refusal | None:
        refusal = refuse_method(request) or refuse_extensions(request)
        if refusal is None and request.method in ("INVITE", "UPDATE"):
            refusal = refuse_interval(request) or refuse_body(request) or self._refuse_offer(request, dialog)
        return refusal

    def _refuse_offer(self, request: Request, dialog: Dialog) -> Refusal | None:
        """Glare: an offer meets one of ours (491), or one of theirs that is not answered yet (500)."""
        if not _is_offer(request):
            return None
        session = self._session
        settled = request.method == "UPDATE" and session.is_settled(dialog)
        if session.own.offering or (session.offer_sent and not settled):
            return Refusal(491)
        if (session.invite_pending and not settled) or self.offering:
            return Refusal(500, None, f"Retry-After: {self._retry_after()}\r\n")
        return None

    def _retry_after(self) -> int:
        return sum(self._session.core.token().encode()) % _RETRY_WITHIN

    def _hand_up(self, dialog: Dialog, transaction: ServerTransaction) -> None:
        self.pending[transaction.key] = transaction
        self._dialogs[transaction.key] = dialog
        event = ReinviteReceived if transaction.request.method == "INVITE" else RequestReceived
        self._session.core.report(event(self._session.id, transaction.key, transaction.request))

    def respond(self, key: str, status: int, reason: str | None, extra: str, body: bytes) -> None:
        """The answer from above.  One to a request that is over, or answered, is ignored."""
        transaction = self.pending.get(key)
        if transaction is None:
            return
        if status < 300 and transaction.request.method in ("INVITE", "UPDATE"):
            extra = self._session.offering(self._dialogs[key]) + self._refreshed(transaction, status) + extra
        transaction.respond(status, reason, extra, body)
        if status >= 200:
            self._answered(transaction, status)

    def _refreshed(self, transaction: ServerTransaction, status: int) -> str:
        """A 2xx settles the session timer anew: its header lines."""
        session, request = self._session, transaction.request
        if status < 200 or session.invite_pending:
            return ""
        if session.timer is None and request.headers.get("Session-Expires") is None:
            return ""
        return agree_as_server(session, request, None if session.timer is None else session.timer.interval)

    def _answered(self, transaction: ServerTransaction, status: int) -> None:
        del self.pending[transaction.key]
        dialog = self._dialogs.pop(transaction.key)
        if status < 300 and transaction.request.method in ("INVITE", "UPDATE"):
            dialog.refresh_target(transaction.request)
        if status < 300 and transaction.request.method == "INVITE":
            self._session.await_ack(transaction)
        else:
            self._session.own.pump()

    def withdraw(self, transaction: ServerTransaction) -> None:
        """They cancelled an INVITE of theirs inside the dialog."""
        if self.pending.pop(transaction.key, None) is not None:
            self._dialogs.pop(transaction.key, None)
            transaction.respond(487)
            self._session.own.pump()

    def abandon(self) -> None:
        """The session is over: what still waits gets 487 (section 15.1.2)."""
        pending, self.pending = self.pending, {}
        self._dialogs.clear()
        for transaction in pending.values():
            transaction.respond(487)

    def over(self, transaction: ServerTransaction) -> None:
        self._alive -= 1
        self.pending.pop(transaction.key, None)
        self._dialogs.pop(transaction.key, None)


def _is_offer(request: Request) -> bool:
    """An INVITE always: without a body it asks for an offer."""
    return request.method == "INVITE" or (request.method == "UPDATE" and bool(request.body))

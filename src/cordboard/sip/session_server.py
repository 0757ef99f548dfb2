"""The server's side of a session: ringing, answering, refusing an INVITE (RFC 3261 sections 9.2, 13.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import CancelReceived, EndCause
from cordboard.sip.message import Request
from cordboard.sip.reliable import ReliableRinging, Ringing
from cordboard.sip.session import ESTABLISHED, INVITED, Session
from cordboard.sip.session_timer import agree_as_server, names
from cordboard.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.core import UserAgentCore


class ServerSession(Session):
    """They called."""

    __slots__ = ("_held_answer", "_reliable", "_source", "transaction")

    def __init__(self, core: UserAgentCore, transaction: ServerTransaction, source: Endpoint) -> None:
        super().__init__(core, transaction.reply.to_tag, INVITED)
        self.transaction = transaction
        self._source = source
        self._reliable: ReliableRinging | None = None
        self._held_answer: tuple[str, bytes, int | None] | None = None
        """An answer that waits for a PRACK."""
        transaction.user = self

    @property
    def host(self) -> Endpoint:
        return self._source

    # ------------------------------------------------------------ responses

    def ring(self, status: int, reason: str | None, extra: str, body: bytes) -> None:
        """A provisional response; it makes the early dialog."""
        if self.state is not INVITED or self._held_answer is not None:
            return
        extra = self.offering(self._begin_dialog()) + extra
        if (body or self.transaction.request.headers.get("Require")) and self._wants_reliable(body):
            if self._reliable is None:
                self._reliable = ReliableRinging(self, self.transaction)
            self._reliable.send(Ringing(status, reason, extra, body))
        else:
            self.transaction.respond(status, reason, extra, body)

    def _wants_reliable(self, body: bytes) -> bool:
        """Where the caller insists, or where a description depends on it and the caller can (RFC 3262
        section 3)."""
        request = self.transaction.request
        if request.headers.get("Require") is not None and names(request, "Require", "100rel"):
            return True
        return bool(body) and names(request, "Supported", "100rel")

    def accept(self, extra: str, body: bytes, session_expires: int | None = None) -> None:
        """200, sent again until the ACK comes."""
        if self.state is not INVITED:
            return
        if self._reliable is not None:
            if self._reliable.describes:
                self._held_answer = (extra, body, session_expires)
                return
            self._reliable.stop()
        dialog = self._begin_dialog()
        self.state = ESTABLISHED
        request = self.transaction.request
        if session_expires is not None or request.headers.get("Session-Expires") is not None:
            extra = agree_as_server(self, request, session_expires) + extra
        self.transaction.respond(200, None, self.offering(dialog) + extra, body)
        self.await_ack(self.transaction)

    # ------------------------------------------------------------ reliable provisional responses

    def is_settled(self, dialog: Dialog) -> bool:
        return self._reliable is not None and self._reliable.settled

    def pracked(self, transaction: ServerTransaction) -> None:
        """RFC 3262 section 3.  One with a body is for the layer above to answer."""
        reliable = self._reliable
        if reliable is None or not reliable.acknowledge(transaction.request):
            transaction.respond(481)
            return
        if not transaction.request.body:
            transaction.respond(200)
        held, self._held_answer = self._held_answer, None
        if held is not None:
            self.accept(*held)
        elif self.state is INVITED:
            reliable.go_on()

    def ringing_unacknowledged(self) -> None:
        """64*T1 without a PRACK."""
        if self.state is INVITED:
            self.transaction.respond(504)
            self.end("no_ack", 504)

    def end(self, cause: EndCause, status: int = 0, request: Request | None = None) -> None:
        if self._reliable is not None:
            self._reliable.stop()
        super().end(cause, status, request)

    def _begin_dialog(self) -> Dialog:
        if self.dialog is None:
            request = self.transaction.request
            local = f"{request.headers.get('To')};tag={self.id}"
            self.dialog = Dialog.of_request(request, local=local, local_tag=self.id, peer=self._source)
            self.core.register(self, self.dialog)
        return self.dialog

    def reject(self, status: int, reason: str | None, extra: str) -> None:
        if self.state is INVITED:
            self.transaction.respond(status, reason, extra)
            self.end("rejected", status)

    # ------------------------------------------------------------ the end

    def bye(self, extra: str) -> None:
        """Only the caller may send BYE before the answer (section 15); we refuse instead."""
        if self.state is INVITED:
            self.reject(480, None, extra)
        else:
            super().bye(extra)

    def cancelled(self, transaction: ServerTransaction, request: Request) -> None:
        """CANCEL has been answered with 200; it means nothing after a final response."""
        if transaction is not self.transaction:
            super().cancelled(transaction, request)
        elif self.state is INVITED:
            self.core.report(CancelReceived(self.id, request))
            transaction.respond(487)
            self.end("cancelled", 487, request)

    def bye_received(self, request: Request) -> None:
        if self.state is INVITED:
            self.transaction.respond(487)
            self.end("bye_received", 487, request)
        else:
            super().bye_received(request)

    @property
    def waits_for_first_ack(self) -> bool:
        return self.transaction.request.cseq.number in self.answers

    @property
    def offer_sent(self) -> bool:
        return self.waits_for_first_ack and not self.transaction.request.body

    def transaction_over(self, transaction: ServerTransaction) -> None:
        if transaction is not self.transaction:
            super().transaction_over(transaction)

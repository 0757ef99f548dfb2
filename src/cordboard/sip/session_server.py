"""The server's side of a session: ringing, answering, refusing an INVITE (RFC 3261 sections 9.2, 13.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import CancelReceived
from cordboard.sip.message import Request
from cordboard.sip.session import ESTABLISHED, INVITED, Session
from cordboard.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.core import UserAgentCore


class ServerSession(Session):
    """They called."""

    __slots__ = ("_source", "transaction")

    def __init__(self, core: UserAgentCore, transaction: ServerTransaction, source: Endpoint) -> None:
        super().__init__(core, transaction.reply.to_tag, INVITED)
        self.transaction = transaction
        self._source = source
        transaction.user = self

    @property
    def host(self) -> Endpoint:
        return self._source

    # ------------------------------------------------------------ responses

    def ring(self, status: int, reason: str | None, extra: str, body: bytes) -> None:
        """A provisional response; it makes the early dialog."""
        if self.state is not INVITED:
            return
        dialog = self._begin_dialog()
        self.transaction.respond(status, reason, self.offering(dialog) + extra, body)

    def accept(self, extra: str, body: bytes) -> None:
        """200, sent again until the ACK comes."""
        if self.state is not INVITED:
            return
        dialog = self._begin_dialog()
        self.state = ESTABLISHED
        self.transaction.respond(200, None, self.offering(dialog) + extra, body)
        self.await_ack(self.transaction)

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

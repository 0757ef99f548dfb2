"""Our requests outside any dialog: OPTIONS, REGISTER."""

from __future__ import annotations

from cordboard.sip.auth_client import CHALLENGED, Authenticator, Tries
from cordboard.sip.core import UserAgentCore
from cordboard.sip.credentials import Credentials
from cordboard.sip.events import ResponseReceived
from cordboard.sip.message import Response
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.transaction.transaction import ClientTransaction


class OutsideRequest:
    """One of them, the user of its transactions: of more than one if it is challenged."""

    __slots__ = ("_authenticator", "_core", "_credentials", "_transaction", "_tries", "id")

    def __init__(self, core: UserAgentCore, request_id: str, credentials: Credentials | None) -> None:
        self.id = request_id
        self._core = core
        self._credentials = credentials
        self._authenticator: Authenticator | None = None
        self._tries = Tries()
        self._transaction: ClientTransaction | None = None

    def send(self, request: OutgoingRequest) -> None:
        self._transaction = self._core.layer.start_client(request, self)

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        if response.status < 200 or transaction is not self._transaction:
            return
        if not self._send_again(transaction.request, response):
            self._core.report(ResponseReceived(self.id, response, response.status, "response"))

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        if transaction is self._transaction:
            timeout = status == 408
            self._core.report(ResponseReceived(self.id, None, status, "timeout" if timeout else "transport"))

    def _send_again(self, sent: OutgoingRequest, response: Response) -> bool:
        """Whether it has been sent again with the credentials that were asked for."""
        core = self._core
        if self._credentials is None or response.status not in CHALLENGED:
            return False
        if self._authenticator is None:
            self._authenticator = Authenticator(self._credentials, sent.destination, core.token)
        if not self._authenticator.accept(response, sent, self._tries):
            return False
        branch = core.new_branch()
        added = self._authenticator.lines(sent.method, sent.uri, sent.body, sent.destination)
        self.send(sent.again(via=core.via(branch, sent.destination), branch=branch, added=added))
        return True

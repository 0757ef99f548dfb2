"""A request of ours inside a dialog that nobody waits for: BYE, PRACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.auth_client import Tries
from cordboard.sip.dialog import Dialog
from cordboard.sip.message import Response
from cordboard.sip.transaction.transaction import NOBODY, ClientTransaction, ClientUser

if TYPE_CHECKING:
    from cordboard.sip.session import Session


class Errand:
    """The user of its transaction, where a challenge must be answered; without credentials `NOBODY` is."""

    __slots__ = ("_dialog", "_extra", "_method", "_session", "_tries")

    def __init__(self, session: Session, dialog: Dialog, method: str, extra: str) -> None:
        self._session = session
        self._dialog = dialog
        self._method = method
        self._extra = extra
        self._tries = Tries()

    def send(self) -> None:
        user: ClientUser = NOBODY if self._session.credentials is None else self
        sent = self._session.build(self._dialog, self._method, self._extra)
        self._session.core.layer.start_client(sent, user)

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        if self._session.challenged(response, transaction.request, self._tries):
            self.send()

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        """It was worth no more than that."""

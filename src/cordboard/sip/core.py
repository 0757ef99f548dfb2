"""What the sessions of one stack share: who we are, the tables, the transactions, and the current moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cordboard.sip.dialog import Dialog, DialogKey
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event
from cordboard.sip.headers.fields import check_sendable
from cordboard.sip.headers.via import MAGIC_COOKIE
from cordboard.sip.moment import Moment
from cordboard.sip.timers import TimerQueue, Timers
from cordboard.sip.transaction.layer import TransactionLayer

if TYPE_CHECKING:
    from cordboard.sip.session import Session

ALLOWED_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")
ALLOW = f"Allow: {', '.join(ALLOWED_METHODS)}\r\n"
ACCEPT = "Accept: application/sdp\r\n"


class UserAgentCore:
    """The "core" of RFC 3261 section 5: everything above the transactions."""

    __slots__ = (
        "_sent_by",
        "agent",
        "contact",
        "dialogs",
        "layer",
        "local",
        "moment",
        "offering",
        "queue",
        "sessions",
        "timers",
        "token",
    )

    def __init__(self, *, local: Endpoint, token: Callable[[], str], user_agent: str, timers: Timers) -> None:
        self.local = local
        self.token = token
        self.timers = timers
        self.moment = Moment()
        self.queue = TimerQueue()
        self.layer = TransactionLayer(self.moment, self.queue, timers)
        self.sessions: dict[str, Session] = {}
        self.dialogs: dict[DialogKey, tuple[Session, Dialog]] = {}
        transport = "" if local.transport == "UDP" else f";transport={local.transport.lower()}"
        self._sent_by = local.host_port
        self.agent = f"User-Agent: {check_sendable(user_agent)}\r\n"
        self.contact = f"Contact: <sip:{local.host_port}{transport}>\r\n"
        self.offering = f"{self.contact}{ALLOW}{self.agent}"
        """The header lines of what may make or change a dialog: INVITE, UPDATE, and their responses."""

    def report(self, event: Event) -> None:
        self.moment.outputs.append(event)

    def new_branch(self) -> str:
        return MAGIC_COOKIE + self.token()

    def via(self, branch: str, transport: str) -> str:
        """The value of our Via; we always ask for answers to the port that we send from (RFC 3581)."""
        return f"SIP/2.0/{transport} {self._sent_by};branch={branch};rport"

    def register(self, session: Session, dialog: Dialog) -> None:
        """Let requests inside this dialog find their session."""
        self.dialogs[dialog.key] = (session, dialog)

    def unregister(self, dialog: Dialog) -> None:
        self.dialogs.pop(dialog.key, None)

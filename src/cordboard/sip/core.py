"""What the sessions of one stack share: who we are, the tables, the transactions, and the current moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from cordboard.sip.dialog import Dialog, DialogKey
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event
from cordboard.sip.headers.fields import check_sendable
from cordboard.sip.headers.via import MAGIC_COOKIE
from cordboard.sip.identity import Identities, Identity
from cordboard.sip.moment import Moment
from cordboard.sip.timers import TimerQueue, Timers
from cordboard.sip.transaction.layer import TransactionLayer

if TYPE_CHECKING:
    from cordboard.sip.session import Session

ALLOWED_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY")
ALLOW = f"Allow: {', '.join(ALLOWED_METHODS)}\r\n"
ACCEPT = "Accept: application/sdp\r\n"
EXTENSIONS = ("100rel", "timer")
"""The option tags that we know (RFC 3262, RFC 4028)."""
SUPPORTED = f"Supported: {', '.join(EXTENSIONS)}\r\n"


class UserAgentCore:
    """The "core" of RFC 3261 section 5: everything above the transactions."""

    __slots__ = (
        "_identities",
        "agent",
        "dialogs",
        "layer",
        "local",
        "moment",
        "queue",
        "sessions",
        "timers",
        "token",
    )

    def __init__(
        self,
        *,
        local: Endpoint,
        also: Sequence[Endpoint],
        token: Callable[[], str],
        user_agent: str,
        timers: Timers,
    ) -> None:
        self.local = local
        self.token = token
        self.timers = timers
        self.moment = Moment()
        self.queue = TimerQueue()
        self.layer = TransactionLayer(self.moment, self.queue, timers)
        self.sessions: dict[str, Session] = {}
        self.dialogs: dict[DialogKey, tuple[Session, Dialog]] = {}
        self.agent = f"User-Agent: {check_sendable(user_agent)}\r\n"
        self._identities = Identities((local, *also), f"{ALLOW}{SUPPORTED}{self.agent}")

    def report(self, event: Event) -> None:
        self.moment.outputs.append(event)

    def chance(self) -> float:
        """A random number of 0 up to 1."""
        return crc32(self.token().encode()) / 2**32

    def new_branch(self) -> str:
        return MAGIC_COOKIE + self.token()

    def identity(self, peer: Endpoint) -> Identity:
        """What we call ourselves towards `peer`."""
        return self._identities[peer.transport, ":" in peer.address]

    def via(self, branch: str, destination: Endpoint) -> str:
        """The value of our Via; we always ask for answers to the port that we send from (RFC 3581)."""
        identity = self._identities[destination.transport, ":" in destination.address]
        return f"{identity.via}{branch};rport"

    def register(self, session: Session, dialog: Dialog) -> None:
        """Let requests inside this dialog find their session."""
        self.dialogs[dialog.key] = (session, dialog)

    def unregister(self, dialog: Dialog) -> None:
        self.dialogs.pop(dialog.key, None)

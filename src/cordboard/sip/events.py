"""What comes out of the stack: messages for the wire, and what happened to a session.

A session is one INVITE dialog usage, from the first INVITE to the end; its id is ours, never the peer's.
`SessionEnded` is the last event of each session, and comes exactly once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Request, Response

EndCause = Literal[
    "bye_received",
    "bye_sent",
    "cancelled",
    "rejected",
    "refused",
    "no_ack",
    "timeout",
    "transport",
    "timer_expired",
]
"""`refused`: the far end's final response to our INVITE.  `rejected`: ours to theirs.  `timeout`: no final
response to our INVITE (RFC 3261 Timer B), or none to a request inside the dialog (section 12.2.1.2).
`timer_expired`: nobody refreshed the session in time (RFC 4028 section 10)."""


class SendMessage(msgspec.Struct):
    """Put these bytes on the wire."""

    data: bytes
    destination: Endpoint


class InviteReceived(msgspec.Struct):
    """A new INVITE; 100 has been sent.  Answer with `ring`, `accept` or `reject`."""

    session: str
    request: Request
    source: Endpoint


class CancelReceived(msgspec.Struct):
    """The caller gave up; 200 (CANCEL) and 487 (INVITE) have been sent, `SessionEnded` follows."""

    session: str
    request: Request


class AckReceived(msgspec.Struct):
    """The first ACK to our 2xx; `body` is the answer if the 2xx carried the offer."""

    session: str
    body: bytes


class Provisional(msgspec.Struct):
    """101 to 199 to our INVITE.  Each fork has its own `dialog_tag` (the To tag, "" if there was none)."""

    session: str
    status: int
    reason: str
    response: Response
    body: bytes
    dialog_tag: str


class Answered(msgspec.Struct):
    """The first 2xx to our INVITE; it has been acknowledged.  Answers of other forks are ended unseen."""

    session: str
    response: Response
    body: bytes


class Refused(msgspec.Struct):
    """Our INVITE failed; `SessionEnded` follows.  `response` is None (status 408 or 503) if none came.

    A transport failure has no `reason` here: who knows it may put it in.
    """

    session: str
    response: Response | None
    status: int
    reason: str
    cause: Literal["response", "timeout", "transport"]


class ReinviteReceived(msgspec.Struct):
    """INVITE inside the dialog: answer `transaction` with `respond`."""

    session: str
    transaction: str
    request: Request


class RequestReceived(msgspec.Struct):
    """INFO, UPDATE, REFER or NOTIFY inside the dialog, or a PRACK with a body: answer `transaction` with
    `respond`."""

    session: str
    transaction: str
    request: Request


class RequestDone(msgspec.Struct):
    """The final response to a request of ours inside the dialog; None: none came, or the session ended."""

    session: str
    method: str
    response: Response | None
    status: int = 0
    """Of the response; 408 or 503 where none came, 0 where the session ended first."""
    mark: str = ""
    """What whoever asked for the request calls it."""


class RefreshDue(msgspec.Struct):
    """The session timer wants a refresh of ours (RFC 4028): call `refresh` with an offer of what holds."""

    session: str


class ResponseReceived(msgspec.Struct):
    """The outcome of a request outside any dialog (`send`).  `response` is None (status 408 or 503) if none
    came."""

    id: str
    response: Response | None
    status: int
    cause: Literal["response", "timeout", "transport"]

    @property
    def session(self) -> str:
        """It belongs to none."""
        return ""


class SessionEnded(msgspec.Struct):
    """The session is over, for the reason in `cause`; nothing about it follows.

    `status`: of the final response that ended it, 0 if none did.  `request`: the BYE or CANCEL received.
    """

    session: str
    cause: EndCause
    status: int = 0
    request: Request | None = None


Event = (
    InviteReceived
    | CancelReceived
    | AckReceived
    | Provisional
    | Answered
    | Refused
    | ReinviteReceived
    | RequestReceived
    | RequestDone
    | RefreshDue
    | ResponseReceived
    | SessionEnded
)
EVENTS = (
    InviteReceived,
    CancelReceived,
    AckReceived,
    Provisional,
    Answered,
    Refused,
    ReinviteReceived,
    RequestReceived,
    RequestDone,
    RefreshDue,
    ResponseReceived,
    SessionEnded,
)
"""The same as `Event`, for isinstance."""

Output = SendMessage | Event

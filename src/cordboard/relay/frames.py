"""What goes into and comes out of the machines of a client: `Connection` (a socket), `Session` (its calls).

A socket is a number here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.call.secrecy import printed
from cordboard.jsonrpc import Id, Request, Response
from cordboard.relay.handshake import Connect

# -------------------------------------------------- in


class Text(msgspec.Struct, frozen=True):
    """A text message has come over the socket."""

    data: str | bytes

    def __repr__(self) -> str:
        """It may hold a token."""
        return f"Text({len(self.data)} characters)"


class Pong(msgspec.Struct, frozen=True):
    """A pong has come over the socket."""

    payload: bytes


class LetIn(msgspec.Struct, frozen=True):
    """The credentials are right: the socket belongs to a session now."""


class TurnAway(msgspec.Struct, frozen=True):
    """They are not, or there is no room."""

    id: Id
    code: int
    message: str


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """A client of this session has connected, and waits for the result of its `signalwire.connect`."""

    socket: int
    id: Id
    connect: Connect
    timestamp: float
    """Seconds since the epoch."""


class Detached(msgspec.Struct, frozen=True, kw_only=True):
    """A socket is gone."""

    socket: int


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the client."""

    socket: int
    message: Request | Response


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a `Perform` came to: the `result` object."""

    ticket: int
    result: dict[str, Any]


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An event for the client.  `timestamp`: seconds since the epoch."""

    event_type: str
    params: dict[str, Any]
    timestamp: float


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """The client has all events up to `number`."""

    socket: int
    number: int


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """The server will stop."""

    restart: bool


# -------------------------------------------------- out


class Answer(bytes):
    """A text message that answers a request: it waits for nothing, and takes along what is before it."""

    __slots__ = ()


class Acceptance(Answer):
    """The request was carried out: what comes behind it waits for a moment."""

    __slots__ = ()


class Send(msgspec.Struct, frozen=True):
    """One text message.  The class of `data` says what it is to the socket."""

    socket: int
    data: bytes


class Ping(msgspec.Struct, frozen=True):
    """A WebSocket ping."""

    socket: int
    payload: bytes


class Close(msgspec.Struct, frozen=True):
    """Close the socket behind what has been sent."""

    socket: int
    code: int
    reason: str


class ConnectWanted(msgspec.Struct, frozen=True):
    """Check the credentials, then `LetIn` or `TurnAway`."""

    socket: int
    id: Id
    connect: Connect


class Deliver(msgspec.Struct, frozen=True):
    """For the session of the socket."""

    input: Received | Proven


class Perform(msgspec.Struct, frozen=True):
    """Carry out a `calling.*` request, then say `Answered`."""

    ticket: int
    method: str
    params: Any

    def __repr__(self) -> str:
        return printed(self, "params")


class Over(msgspec.Struct, frozen=True):
    """The session has ended: its calls have no client any more."""

    sentence: str


class Keep(msgspec.Struct, frozen=True):
    """An event that the client is not known to have: it must survive this process before it is sent."""

    frame: bytes


class Known(msgspec.Struct, frozen=True):
    """The client has all events up to `number`."""

    number: int


class Remember(msgspec.Struct, frozen=True):
    """A request was answered; the same one is answered so again, also by another process."""

    id: str | int
    digest: bytes
    """Of the method and the params: 16 bytes."""
    frame: bytes


Output = Keep | Known | Remember | Send | Ping | Close | ConnectWanted | Deliver | Perform | Over

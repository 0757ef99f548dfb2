"""What can go wrong, as exceptions with the reason."""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """All that this package raises."""


class AuthenticationError(ClientError):
    """The server does not know this project and token."""


class ConnectionLostError(ClientError):
    """The connection to the server broke before the answer came.

    What was asked may have happened.  The client connects again by itself.
    """


class RequestError(ClientError):
    """The server does not do what it was asked.  `code` and `message` are its own."""

    def __init__(self, method: str, code: str, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message


class DialError(ClientError):
    """Nobody answered.  `reason`: `busy`, `noAnswer`, `decline`, `cancel`, `error`, …"""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nobody answered: {reason}")
        self.reason = reason


class ConnectError(ClientError):
    """The call was not connected with anybody.  `reason` as in `DialError`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not connected: {reason}")
        self.reason = reason


class CallEndedError(ClientError):
    """The call is over, so that what was waited for cannot happen any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the call has ended: {reason or 'hangup'}")
        self.reason = reason


class OperationError(ClientError):
    """A play, a recording or the like ended with an error.  `event` is the last thing that was told of it."""

    def __init__(self, kind: str, event: dict[str, Any]) -> None:
        super().__init__(f"{kind} failed")
        self.kind = kind
        self.event = event

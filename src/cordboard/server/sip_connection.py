"""One TCP or TLS connection that carries SIP messages, whoever opened it (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from cordboard.server.tls import is_for_domain
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.framer import FramingError, KeepAlive, StreamFramer

_MAX_UNSENT = 64
"""Messages that wait while the connection is being opened."""
_MAX_BUFFERED = 1 << 20
"""Bytes that a far end may leave unread."""
_PING = b"\r\n\r\n"
_PONG = b"\r\n"


class Owner(Protocol):
    """What a connection tells."""

    def arrived(self, connection: SipConnection, data: bytes) -> None: ...
    def heard(self, connection: SipConnection) -> None:
        """Bytes came: look at `begun` and `spoken`."""
        ...

    def lost(self, connection: SipConnection, error: BaseException | None) -> None:
        """It is over; told once."""
        ...


class SipConnection(asyncio.Protocol):
    """`endpoint` is the far end: responses to its requests and requests for it go this way."""

    def __init__(self, endpoint: Endpoint, owner: Owner, *, is_inbound: bool) -> None:
        self.endpoint = endpoint
        self.is_inbound = is_inbound
        self.begun = False
        """A message has begun to arrive and is not complete."""
        self.spoken = False
        """The far end has sent a whole message, or a keep-alive."""
        self.last_heard = self.last_sent = self.last_ping = 0.0
        """Loop times: of the last whole message or keep-alive, of our last message, of our last ping."""
        self.answered = False
        """The far end has ever sent a whole message, or a keep-alive."""
        self.domain = self.doubt = ""
        """What the far end's certificate must be for as a SIP domain, and what is said if it is not."""
        self.closing = False
        self.reason = ""
        """Why this side closed it."""
        self._owner = owner
        self._framer = StreamFramer()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self.closing

    # ------------------------------------------------------------ out

    def send(self, data: bytes) -> bool:
        """Write, or keep until the connection is open.  False: there is no room, and it was not sent."""
        if self.closing:
            return False
        if self._transport is None:
            if len(self._unsent) >= _MAX_UNSENT:
                return False
            self._unsent.append(data)
            return True
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MAX_BUFFERED:
            self.abort("it does not read what is sent to it")
        return True

    def ping(self) -> None:
        """A keep-alive (RFC 5626 section 4.4.1)."""
        if self._transport is not None and not self.closing:
            self._transport.write(_PING)

    def close(self, reason: str = "") -> None:
        """After what is still to be written."""
        self._leave(reason)
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Now."""
        self._leave(reason)
        if self._transport is not None:
            self._transport.abort()

    def never_opened(self, error: BaseException | None) -> None:
        """The attempt to open it has failed."""
        self.closing = True
        self._owner.lost(self, error)

    def _leave(self, reason: str) -> None:
        if not self.closing:
            self.closing = True
            self.reason = reason

    # ------------------------------------------------------------ in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.closing:  # given up while it was being opened
            self._transport.abort()
            return
        if self.domain and not is_for_domain(transport.get_extra_info("peercert"), self.domain):
            self.abort(self.doubt)
            return
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self.send(data)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        try:
            for item in self._framer.feed(data):
                self._take(item)
                if self.closing:
                    return
        except FramingError as error:
            self._refuse(error)
            return
        self.begun = self._framer.begun
        self._owner.heard(self)

    def _take(self, item: bytes | KeepAlive) -> None:
        self.spoken = self.answered = True
        if isinstance(item, bytes):
            self._owner.arrived(self, item)
        elif item is KeepAlive.PING and self._transport is not None:
            self._transport.write(_PONG)

    def _refuse(self, error: FramingError) -> None:
        """Where a message ends is not known any more, so nothing after it can be read."""
        answer = error.response()
        if answer is not None:
            self.send(answer)
        self.close(f"what it sends is no SIP stream: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._transport = None
        self._owner.lost(self, exc)

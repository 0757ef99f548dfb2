"""The server's end of one WebSocket: what a turn of the loop wants to send leaves in one write.

Frames are written here (RFC 6455 section 5.2: a server does not mask, nothing is compressed), so that an
event for a thousand clients costs no task and no await; reading is left to the HTTP server's own reader.

Events behind the answer to a command wait for a moment.  SDKs take all that one packet has before they
go on with what was answered: they do not know yet what they have begun, and lose its events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cordboard.relay.frames import Acceptance, Answer

_log = logging.getLogger(__name__)

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
MAX_UNSENT = 8 << 20
"""Bytes that a client may leave unread before its socket is cut; more than a session keeps for it."""
BREATH = 0.01
"""Seconds between the answer to a command and the events behind it."""
_LAST_WORD = 2.0
"""Seconds that a far end has to close after our Close."""


class RelaySocket:
    """Send, ping, close; none of them waits."""

    def __init__(self, transport: asyncio.Transport, source: str, before: Callable[[], None]) -> None:
        """`before`: called before anything leaves."""
        self.source = source
        """IP address."""
        self._before = before
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._unsent: list[bytes] = []
        self._pause_behind = 0
        """So many of the unsent leave first; 0: all together."""
        self._hold_until = 0.0
        self._due: asyncio.Handle | None = None
        self._is_closing = False
        self._cut: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        """One text message; an `Answer` leaves at once, and events behind an `Acceptance` later."""
        self._add(_frame(_TEXT, data))
        if isinstance(data, Answer):
            self._leave_now(begun=isinstance(data, Acceptance))

    def ping(self, payload: bytes) -> None:
        self._add(_frame(_PING, payload))

    def pong(self, payload: bytes) -> None:
        self._add(_frame(_PONG, payload[:125]))

    def close(self, code: int, reason: str) -> None:
        """Behind what is on its way; the connection is cut soon if the far end does not close it."""
        if self._is_closing:
            return
        self._add(_frame(_CLOSE, code.to_bytes(2, "big") + reason.encode()[:123]))
        self._is_closing = True
        self._cut = self._loop.call_later(_LAST_WORD, self.cut)

    def finished(self) -> None:
        """The far end is gone."""
        self._is_closing = True
        if self._cut is not None:
            self._cut.cancel()
        self._cancel_due()
        leaving, self._unsent = self._unsent, []
        self._write(leaving)
        self._transport.close()

    def cut(self) -> None:
        """At once, whatever is on its way."""
        self._is_closing = True
        self._cancel_due()
        self._unsent.clear()
        self._transport.abort()

    # ------------------------------------------------------------ what waits

    def _add(self, frame: bytes) -> None:
        if self._is_closing:
            return
        self._unsent.append(frame)
        if self._due is None:
            self._wake()

    def _leave_now(self, *, begun: bool) -> None:
        """An answer waits for nothing, and takes along what is before it."""
        if self._is_closing:
            return
        self._cancel_due()
        if begun:
            self._pause_behind = len(self._unsent)
        self._due = self._loop.call_soon(self._flush)

    def _wake(self) -> None:
        if self._hold_until > self._loop.time():
            self._due = self._loop.call_at(self._hold_until, self._flush)
        else:
            self._due = self._loop.call_soon(self._flush)

    def _cancel_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _flush(self) -> None:
        """All up to the last answer to a command, or all where there is none."""
        self._due = None
        count = self._pause_behind or len(self._unsent)
        leaving, self._unsent = self._unsent[:count], self._unsent[count:]
        if self._pause_behind:
            self._pause_behind, self._hold_until = 0, self._loop.time() + BREATH
        self._write(leaving)
        if self._unsent:
            self._wake()

    def _write(self, frames: list[bytes]) -> None:
        if not frames:
            return
        self._before()
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(frames))
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            _log.warning("the RELAY client at %s does not read; its connection is cut", self.source)
            self.cut()


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 1 << 16:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload

"""Messages cut from a byte stream: TCP and TLS (RFC 3261 sections 7.5 and 18.3).

Where a message ends is said by `message.measure`, which reads the head with the code of the parser itself,
so the two cannot disagree.  What the parser would refuse for its content is a message all the same and is
handed on; only when the end of a message is not known, nothing after it can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from zlib import crc32

from cordboard.sip.message import MAX_MESSAGE_SIZE, MessageError, Request, measure

_END = b"\r\n\r\n"
_BREAK = b"\r\n"


class KeepAlive(StrEnum):
    """Line breaks between messages (RFC 5626 section 4.4.1).  A ping is two, so a pong is reported for its
    first half as well, however the bytes were split: that is harmless, since a pong wants no answer."""

    PING = "ping"
    """To be answered with CR LF."""
    PONG = "pong"


class FramingError(ValueError):
    """The stream cannot be read on: close it.  The text says why and holds nothing the peer sent."""

    def __init__(self, fault: MessageError) -> None:
        super().__init__(str(fault))
        self._fault = fault

    def response(self) -> bytes | None:
        """What to answer before closing; None if it was no request, or cannot be answered."""
        partial = self._fault.partial
        if not isinstance(partial, Request) or partial.method == "ACK":
            return None
        tag = f"{crc32(partial.call_id.encode(errors='replace')):08x}"
        return partial.response(self._fault.code, self._fault.reason, to_tag=tag).to_bytes()


class StreamFramer:
    """Of one connection.  Never holds more than one message of the largest size beyond what one `feed`
    brought."""

    __slots__ = ("_buffer", "_dead", "_half_ping", "_searched", "_wanted")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """No end of a head begins before this place."""
        self._wanted = 0
        """The length of the message in front, once its head is complete."""
        self._half_ping = False
        self._dead: FramingError | None = None

    @property
    def begun(self) -> bool:
        """A message has begun to arrive and is not complete."""
        return len(self._buffer) > 1 or (len(self._buffer) == 1 and self._buffer[0] != 13)

    def feed(self, data: bytes) -> Iterator[bytes | KeepAlive]:
        """What is complete now.  Raises FramingError, after what came before it, and from then on always."""
        self._buffer += data
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> bytes | KeepAlive | None:
        if self._dead is not None:
            raise self._dead
        try:
            return self._keep_alive() or self._message()
        except MessageError as fault:
            self._buffer.clear()
            self._dead = FramingError(fault)
            raise self._dead from None

    def _keep_alive(self) -> KeepAlive | None:
        buffer = self._buffer
        if not buffer.startswith(_BREAK):
            if buffer[:1] == b"\n" or (buffer[:1] == b"\r" and len(buffer) > 1):
                raise MessageError(400, "Bare CR or LF between messages")
            return None
        del buffer[:2]
        self._half_ping = not self._half_ping
        return KeepAlive.PONG if self._half_ping else KeepAlive.PING

    def _message(self) -> bytes | None:
        if not self._wanted and not self._find_head():
            return None
        if len(self._buffer) < self._wanted:
            return None
        message = bytes(self._buffer[: self._wanted])
        del self._buffer[: self._wanted]
        self._wanted = self._searched = 0
        self._half_ping = False
        return message

    def _find_head(self) -> bool:
        end = self._buffer.find(_END, self._searched)
        head = end + len(_END)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_END) + 1)
            head = len(self._buffer)
        if head > MAX_MESSAGE_SIZE:
            raise MessageError(513, f"Message over {MAX_MESSAGE_SIZE} bytes")
        if end < 0:
            return False
        self._wanted = measure(bytes(self._buffer[:head]))
        return True

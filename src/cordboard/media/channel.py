"""Messages on the stream between control process and worker: a 4-byte big-endian length, then msgpack."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from cordboard.media.protocol import MAX_MESSAGE, Command, Event

_LENGTH = struct.Struct("!I")
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


class ChannelError(Exception):
    """The stream is not what it should be: nothing that follows can be trusted."""


def frame(message: Command | Event) -> bytes:
    """One message as it goes over the stream."""
    return frames((message,))


def frames(messages: Iterable[Command | Event]) -> bytes:
    """Several messages, one after the other."""
    parts: list[bytes] = []
    for message in messages:
        body = _encoder.encode(message)
        parts += (_LENGTH.pack(len(body)), body)
    return b"".join(parts)


class Reader(Generic[T]):
    """Cuts a stream of bytes into messages of one type."""

    __slots__ = ("_buffer", "_decoder")

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._buffer = b""
        self._decoder = decoder

    def feed(self, data: bytes) -> Iterator[T]:
        """The messages that are complete now.  Raises `ChannelError`."""
        data = self._buffer + data if self._buffer else data
        start = 0
        while len(data) - start >= 4:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > MAX_MESSAGE:
                raise ChannelError(f"a message of {length} bytes")
            if len(data) - start - 4 < length:
                break
            body = data[start + 4 : start + 4 + length]
            start += 4 + length
            self._buffer = data[start:]
            yield self._decode(body)
        self._buffer = data[start:]

    def _decode(self, body: bytes) -> T:
        try:
            return self._decoder.decode(body)
        except msgspec.DecodeError as error:
            raise ChannelError(str(error)) from error


def command_reader() -> Reader[Command]:
    """For the worker's side."""
    return Reader(msgspec.msgpack.Decoder(Command))


def event_reader() -> Reader[Event]:
    """For the control process's side."""
    return Reader(msgspec.msgpack.Decoder(Event))

"""Bridges between two workers: RTP packets in records, on Unix datagram sockets.

Either worker turns its endpoint's stream into one with fixed payload types and sends it to the other, where
it is one more source of packets.  All that one turn of the loop has for another worker goes in one datagram.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator

from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.speaker import Speaker

LINK_TYPES = {
    0: g711.PCMU,
    8: g711.PCMA,
    9: "G722",
    18: "G729",
    96: "OPUS",
    97: "L16/8000",
    98: "L16/16000",
    99: "L16/24000",
    100: "L16/48000",
    101: EVENT,
    102: "L16/8000/2",
    103: "L16/16000/2",
    104: "L16/24000/2",
    105: "L16/48000/2",
}
"""Payload types on a link, where telephone events have a clock of 8000."""
_TYPE_OF = {name: payload_type for payload_type, name in LINK_TYPES.items()}

_LENGTHS = struct.Struct("!BBH")
_BIGGEST = 60_000
_MOST_WAITING = 1 << 20
_READS_A_TURN = 64


def pack(from_: bytes, to: bytes, packet: bytes | memoryview) -> bytes:
    """One record; the ids are at most 255 bytes long."""
    return _LENGTHS.pack(len(from_), len(to), len(packet)) + from_ + to + packet


def unpack(datagram: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The records; what is cut off at the end is left out."""
    start = 0
    while start + 4 <= len(datagram):
        from_, to, packet = _LENGTHS.unpack_from(datagram, start)
        middle, last = start + 4 + from_, start + 4 + from_ + to
        start = last + packet
        if start > len(datagram):
            return
        yield datagram[middle - from_ : middle], datagram[middle:last], datagram[last:start]


class _LinkOutgoing(Outgoing):
    """The other worker takes every codec; it translates where its far end needs it."""

    __slots__ = ()

    def takes(self, name: str) -> bool:
        """Whatever has a payload type there."""
        return name in _TYPE_OF and name != EVENT

    def relay(self, name: str, data: bytes, payload: bytes) -> bytes | None:
        if name != self.codec and name in _TYPE_OF and name != EVENT:
            self.speak(self.speech._replace(codec=codec(name), payload_type=_TYPE_OF[name]))
        return super().relay(name, data, payload)


class LinkEnd:
    """The far endpoint as this worker sees it: a party to join with."""

    __slots__ = ("incoming", "local", "outgoing", "remote", "remote_socket", "speaker")

    def __init__(
        self,
        local: str,
        remote: str,
        remote_socket: str,
        *,
        sender: RtpSender,
        clock: Clock,
        transmit: Callable[[str, bytes], None],
        ticking: set[Incoming] | None = None,
    ) -> None:
        self.local = local.encode()
        self.remote = remote.encode()
        self.remote_socket = remote_socket
        self.incoming = Incoming(clock, ticking=ticking)
        self.incoming.expect(LINK_TYPES)
        self.outgoing = _LinkOutgoing(sender, clock)
        self.outgoing.speak(Speech(codec(g711.PCMU), 0, event_type=_TYPE_OF[EVENT]))

        self.speaker = Speaker(local, self.outgoing, lambda _: None)
        """Tells the other worker's far end keys that came as tones."""
        self.speaker.is_open = True

        # Not by way of `self`: the two would keep each other alive.
        here, there = self.local, self.remote

        def send(packet: bytes | memoryview) -> None:
            transmit(remote_socket, pack(here, there, packet))

        self.outgoing.send_by(send)

    @property
    def video(self) -> None:
        """Legs that shall see each other are on one worker."""
        return None

    @property
    def may_be_heard(self) -> bool:
        """The other worker does not send what shall not be heard."""
        return True

    @property
    def may_be_told(self) -> bool:
        """The other worker knows whether its far end is on hold."""
        return not self.speaker.stands_alone


class LinkSocket:
    """The worker's datagram socket, and what waits to be sent to others."""

    def __init__(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o600)
        self.socket.setblocking(False)
        self._waiting: dict[str, list[bytes]] = {}
        self._ends: dict[tuple[bytes, bytes], LinkEnd] = {}
        self.lost = 0
        """Records that the other worker did not take."""

    def add(self, end: LinkEnd) -> None:
        """Records for it are its from now on."""
        self._ends[end.remote, end.local] = end

    def remove(self, end: LinkEnd) -> None:
        """No more."""
        self._ends.pop((end.remote, end.local), None)

    def transmit(self, path: str, record: bytes) -> None:
        """With the next `flush`."""
        self._waiting.setdefault(path, []).append(record)

    def receive(self) -> None:
        """The socket is readable."""
        for _ in range(_READS_A_TURN):
            try:
                datagram = self.socket.recv(1 << 16)
            except OSError:
                return
            for from_, to, packet in unpack(datagram):
                end = self._ends.get((from_, to))
                if end is not None:
                    end.incoming.accept(packet)

    def flush(self) -> None:
        """Send what waits.  What the other side cannot take now waits for the next turn, within limits."""
        for path in list(self._waiting):
            left = self._send(path, self._waiting.pop(path))
            if left and sum(map(len, left)) <= _MOST_WAITING:
                self._waiting[path] = left
            else:
                self.lost += len(left)

    def _send(self, path: str, records: list[bytes]) -> list[bytes]:
        """What could not be sent."""
        while records:
            count, size = 0, 0
            while count < len(records) and size + len(records[count]) <= _BIGGEST:
                size += len(records[count])
                count += 1
            try:
                self.socket.sendto(b"".join(records[:count]), path)
            except BlockingIOError:
                return records
            except OSError:
                # The other worker is dead or not yet there; its calls are over.
                self.lost += len(records)
                return []
            del records[:count]
        return []

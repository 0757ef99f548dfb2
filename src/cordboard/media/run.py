"""The run: packets of one stream that follow each other without a surprise, each passed on in a few steps.

A packet belongs to the run if it is the next one in every respect: a plain header, the same payload type and
SSRC, the next sequence number, a timestamp that has gone on by the length of a packet, the same length.  The
first eight bytes of such a header are one number, which grows by a constant: one comparison tells.  What goes
out grows by a constant as well, so a packet is changed by writing one number over its header, and where the
far end wants another codec, by one call of `convert`.

Nothing else is done for it.  What counts packets, measures jitter or looks at the order learns of the run
afterwards, from its length and from the time at which every eighth packet came (`marks`).  Everything that
could make a difference to the way of a packet ends the run (`disarm`), and the next packet goes the careful
way.

The fields are ordered, named and kept apart from those of the careful way so that a packet touches little
memory: between two packets of a stream, hundreds of others have passed through the caches.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from operator import methodcaller

from cordboard.media import rtp
from cordboard.media.clock import Clock
from cordboard.media.codecs.codec import CodecError
from cordboard.media.fastpath import Heads, Lane
from cordboard.media.outgoing import Transmit, nowhere
from cordboard.media.srtp import Way

DATAGRAM = 2048
"""Larger datagrams are cut: no telephone sends them."""

_buffer = bytearray(DATAGRAM)
"""Every packet of the process passes through this one piece of memory, which so stays in the cache."""
_views = [memoryview(_buffer)[:length] for length in range(DATAGRAM + 1)]
_payloads = [memoryview(_buffer)[rtp.HEADER_LENGTH : length] for length in range(DATAGRAM + 1)]

_HEADER = struct.Struct("!QI")
"""(first two bytes, sequence number and timestamp as one number: the head; ssrc)"""
_pack_into = _HEADER.pack_into
_unpack = _HEADER.unpack_from

_PACKET = 1 << 32
"""A step of the sequence number within a head."""
_MARKER = 0x80 << 48
_EIGHTH = 7 << 32
"""Zero in every eighth head."""
_BETWEEN_MARKS = 8
_MOST_MARKS = 32
"""After which a run is counted and another begins."""
NEVER = -1
"""No head."""

Convert = Callable[[bytes], bytes]
"""A payload as the far end wants it; may raise `CodecError`."""


def _no_socket(_: bytearray) -> int:
    raise BlockingIOError


class Run:
    """What the fast path knows of a stream; the careful way is that of `Incoming`."""

    __slots__ = (
        "_clock",
        "_convert",
        "_counted",
        "_expected",
        "_left",
        "_length",
        "_marks",
        "_octets",
        "_out",
        "_out_ssrc",
        "_out_step",
        "_ssrc",
        "_step",
        "_transmit",
        "lane",
        "receive",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.receive: Callable[[bytearray], int] = _no_socket
        """Takes one datagram of the latched source out of its socket; its length."""
        self._expected = NEVER
        """Head of the next packet; `NEVER` = there is no run."""
        self._ssrc = 0
        self._length = 0
        self._step = _PACKET
        self._out = 0
        """Head of the next packet that goes out."""
        self._out_ssrc = 0
        self._out_step = _PACKET
        self._convert: Convert | None = None
        self._transmit: Transmit = nowhere
        # Of what was not counted yet.
        self._counted = NEVER
        """Head of its first packet."""
        self._octets = 0
        """Of payload that `convert` has made."""
        self._marks: list[tuple[int, float]] = []
        """(head, arrival) of every eighth packet."""
        self._left = 0
        """Marks until it ends, which is before any number runs over."""
        self.lane: Lane | None = None
        """That of the latched source's socket, where the fast path is compiled."""

    @property
    def is_armed(self) -> bool:
        """There is a run."""
        return self._expected != NEVER

    def receive_and_forward(self) -> None:
        """The socket is readable.  Never raises."""
        # Callables are fetched before they are called: that way the interpreter reads them fastest.
        receive = self.receive
        try:
            length = receive(_buffer)
        except OSError:
            return
        # A short datagram leaves old bytes where the header should be: the length must be the run's as well.
        head, ssrc = _unpack(_buffer)
        if head != self._expected or ssrc != self._ssrc or length != self._length:
            self.accept(bytes(_views[length]))
            return
        convert = self._convert
        if convert is not None:
            try:
                made = convert(bytes(_payloads[length]))
            except CodecError:
                self.accept(bytes(_views[length]))
                return
            size = len(made)
            self._octets += size
            length = rtp.HEADER_LENGTH + size
            _buffer[rtp.HEADER_LENGTH : length] = made
        self._expected = head + self._step
        out = self._out
        self._out = out + self._out_step
        _pack_into(_buffer, 0, out, self._out_ssrc)
        transmit = self._transmit
        try:
            transmit(_views[length])
        except OSError:
            self.not_sent()
        if not head & _EIGHTH:
            self._mark(head)

    def _mark(self, head: int) -> None:
        self._marks.append((head, self._clock.now))
        self._left -= 1
        if self._left <= 0:
            self.disarm()

    def begin(
        self,
        came: bytes,
        samples: int,
        out: bytes,
        out_samples: int,
        *,
        transmit: Transmit,
        convert: Convert | None = None,
        way: Way | None = None,
        table: bytes | None = None,
    ) -> None:
        """`came` lasts for so many ticks of its clock and went out as `out`: what follows does the same.

        `way`: that of `transmit`, if it is no more than a socket.  `table`: of 256 octets, by which a payload
        is translated, in place of `convert`.
        """
        head, ssrc = _unpack(came)
        out_head, out_ssrc = _unpack(out)
        packets = min(_packets_before_wrap(head, samples), _packets_before_wrap(out_head, out_samples))
        left = min(_MOST_MARKS, packets // _BETWEEN_MARKS)
        if left <= 0 or samples <= 0:
            return
        self._step = _step(samples)
        self._expected = self._counted = (head & ~_MARKER) + self._step
        self._ssrc, self._length = ssrc, len(came)
        self._out_step = _step(out_samples)
        self._out = (out_head & ~_MARKER) + self._out_step
        self._out_ssrc = out_ssrc
        self._convert = convert if table is None else _by_table(table)
        self._transmit = transmit
        self._octets = 0
        self._left = left
        lane = self.lane
        if lane is not None and way is not None and convert is None:
            theirs = Heads(self._expected, self._step, ssrc)
            ours = Heads(self._out, self._out_step, out_ssrc)
            if lane.arm(theirs, len(came), ours, sink=way, marks=left, table=table):
                # A table leaves the length as it is.
                self._convert = None

    def catch_up(self) -> None:
        """With what has passed through the lane."""
        lane = self.lane
        if lane is None or not lane.is_armed:
            return
        self._expected, self._out = lane.heads()
        self._marks += lane.take_marks()
        for _ in range(lane.take_unsent()):
            self.not_sent()

    def accept(self, data: bytes) -> None:
        """The careful way of one packet.  Never raises."""
        raise NotImplementedError

    def settle(self) -> None:
        """Count the run, in the middle of it."""
        raise NotImplementedError

    def not_sent(self) -> None:
        """The system did not take a packet."""
        raise NotImplementedError

    def disarm(self) -> None:
        """The run is over: the next packet takes the careful way."""
        self.settle()
        if self.lane is not None:
            self.lane.disarm()
        self._expected = NEVER


@lru_cache(maxsize=8)
def _by_table(table: bytes) -> Convert:
    return methodcaller("translate", table)


@lru_cache(maxsize=64)
def _step(samples: int) -> int:
    """Of heads whose packets last so long; one number for all streams, which so stays in the cache."""
    return _PACKET + samples


def _packets_before_wrap(head: int, samples: int) -> int:
    """That can follow before the sequence number or the timestamp would run over."""
    return min(0xFFFF - (head >> 32 & 0xFFFF), (0xFFFFFFFF - (head & 0xFFFFFFFF)) // max(1, samples))

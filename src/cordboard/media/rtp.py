"""RTP (RFC 3550): read headers, write packets, and keep count of what arrives.

The readers work on the bytes of a datagram and build no object.  They may be called on anything of at least
`HEADER_LENGTH` bytes; `payload` and `is_rtp` accept every length, so one of them comes first.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

HEADER_LENGTH = 12
MARKER = 0x80

_HEADER = struct.Struct("!BBHII")
_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_SOURCE = struct.Struct("!2xHII")

_pack = _HEADER.pack
_unpack = _HEADER.unpack_from
_read_u16 = _U16.unpack_from
_read_u32 = _U32.unpack_from
_read_source = _SOURCE.unpack_from

# ------------------------------------------------------------------ reading


def is_rtp(data: bytes) -> bool:
    """A version 2 header is there and the second byte is not that of RTCP (RFC 5761 section 4)."""
    return len(data) >= HEADER_LENGTH and data[0] & 0xC0 == 0x80 and not 192 <= data[1] <= 223


def payload_type(data: bytes) -> int:
    """0 to 127."""
    return data[1] & 0x7F


def marker(data: bytes) -> bool:
    """The first packet of a talk spurt, or of a telephone event."""
    return data[1] >= MARKER


def sequence(data: bytes) -> int:
    """16 bits."""
    value: int = _read_u16(data, 2)[0]
    return value


def timestamp(data: bytes) -> int:
    """32 bits, in units of the payload's clock rate."""
    value: int = _read_u32(data, 4)[0]
    return value


def ssrc(data: bytes) -> int:
    """32 bits."""
    value: int = _read_u32(data, 8)[0]
    return value


def header(data: bytes) -> tuple[int, int, int, int, int]:
    """(first byte, second byte, sequence, timestamp, ssrc), for those who need most of it at once."""
    return _unpack(data)


def payload(data: bytes) -> bytes | None:
    """What the packet carries, without CSRC list, extension and padding; None if it is malformed or empty."""
    if len(data) <= HEADER_LENGTH:
        return None
    first = data[0]
    if first == 0x80:
        return data[HEADER_LENGTH:]
    return _payload_of_uncommon(data, first)


def _payload_of_uncommon(data: bytes, first: int) -> bytes | None:
    if first & 0xC0 != 0x80:
        return None
    start = HEADER_LENGTH + 4 * (first & 0x0F)
    end = len(data)
    if first & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * int(_read_u16(data, start + 2)[0])
    if first & 0x20:
        # A count of 0 is malformed too: the count includes itself (section 5.1).
        end = end - data[-1] if data[-1] else 0
    return data[start:end] if start < end else None


# ------------------------------------------------------------------ writing


class RtpSender:
    """The packets of one stream that is sent: one SSRC, whatever feeds it.

    `packet` is for audio that is made here, `event` for telephone events, `forward` for packets that another
    party sent.  They may alternate: sequence numbers and timestamps go on where the last packet left them.
    """

    __slots__ = (
        "_event_timestamp",
        "_fresh",
        "_sequence_shift",
        "_source",
        "_timestamp_shift",
        "octets",
        "packets",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, *, ssrc: int, sequence: int = 0, timestamp: int = 0) -> None:
        self.ssrc = ssrc & 0xFFFFFFFF
        self.sequence = sequence & 0xFFFF
        """Of the next packet."""
        self.timestamp = timestamp & 0xFFFFFFFF
        """Of the next audio sample."""
        self.packets = 0
        self.octets = 0
        """Of payload, as a sender report counts them."""
        self._fresh = True
        self._event_timestamp = self.timestamp
        self._source: int | None = None
        self._sequence_shift = 0
        self._timestamp_shift = 0

    def packet(self, payload: bytes, payload_type: int, samples: int) -> bytes:
        """The next audio packet, `samples` long.  The first after a pause has the marker."""
        if self._fresh:
            payload_type |= MARKER
            self._fresh = False
        data = _pack(0x80, payload_type, self.sequence, self.timestamp, self.ssrc) + payload
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
        self._sent(payload)
        return data

    def event(self, payload: bytes, payload_type: int, samples: int, *, start: bool, ahead: int = 0) -> bytes:
        """One packet of a telephone event: all of one event carry the timestamp of its start (RFC 4733).

        It starts now, or `ahead` samples from now; the stream's time goes on by `samples`.
        """
        if start:
            self._event_timestamp = (self.timestamp + ahead) & 0xFFFFFFFF
            payload_type |= MARKER
        data = _pack(0x80, payload_type, self.sequence, self._event_timestamp, self.ssrc) + payload
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
        self._sent(payload)
        return data

    def go_on_with_event(self, timestamp: int) -> None:
        """What `event` says next, unless it starts, belongs to the event that was forwarded with this."""
        self._event_timestamp = timestamp

    def _sent(self, payload: bytes) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        self._source = None

    def skip(self, samples: int) -> None:
        """Time passes in which nothing is sent (a pause, silence suppression)."""
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
        self._fresh = True
        self._source = None

    def forward(self, data: bytes, payload: bytes, payload_type: int, samples: int) -> bytes:
        """A packet of another stream as part of this one; `data` supplies marker, order and time.

        Gaps and changes of order stay visible to the receiver, so that its loss and jitter are those of
        the whole way.  A new source, or one that jumps, goes on where this stream is.
        """
        _, second, sequence, timestamp, ssrc = _unpack(data)
        ahead = (sequence + self._sequence_shift - self.sequence) & 0xFFFF
        if ssrc != self._source or 3000 < ahead < 65436:
            self._follow(ssrc, sequence, timestamp)
            ahead = 0
        timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if ahead < 0x8000:
            self.sequence = (self.sequence + ahead + 1) & 0xFFFF
            self.timestamp = (timestamp + samples) & 0xFFFFFFFF
        if self._fresh:
            second |= MARKER
            self._fresh = False
        self.packets += 1
        self.octets += len(payload)
        out = (sequence + self._sequence_shift) & 0xFFFF
        return _pack(0x80, second & MARKER | payload_type, out, timestamp, self.ssrc) + payload

    def _follow(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self._source = ssrc
        self._sequence_shift = (self.sequence - sequence) & 0xFFFF
        self._timestamp_shift = (self.timestamp - timestamp) & 0xFFFFFFFF
        self._fresh = True


# ------------------------------------------------------------------ counting what arrives

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_MAX_TRANSIT_STEP = 2.0
"""Seconds; a larger step of the transit time is a new timestamp base, not jitter."""


class LossCounts(NamedTuple):
    """What the report block of RFC 3550 section 6.4.1 says about loss."""

    fraction: int
    """Lost since the last report, in 1/256 of what was expected."""
    cumulative: int
    """Expected minus received since the start of this source; may be negative (duplicates)."""


class ReceptionStatistics:
    """Loss and jitter of one stream that is received (RFC 3550 A.1, A.3, A.8).

    Give every packet to `update`.  Where even that is too dear, count packets outside and give every n-th to
    `sample` together with the count since the last: loss stays exact as of the last sample, and jitter is
    computed over the sampled packets only.  It converges n times as slowly, and to the same value as long as
    the delay of a packet does not depend on that of the one before.

    A change of SSRC, or two successive packets after a jump of the sequence number, start a new source;
    what the earlier ones lost remains in `lost`.  Nothing in a packet can raise.
    """

    __slots__ = (
        "_bad",
        "_base",
        "_clock_rate",
        "_cycles",
        "_jitter",
        "_longest_step",
        "_next",
        "_past_lost",
        "_received_before",
        "_reported_expected",
        "_reported_received",
        "_timestamp",
        "_transit",
        "octets",
        "received",
        "ssrc",
    )

    def __init__(self, clock_rate: int = 8000) -> None:
        self.ssrc = -1
        """Of the stream that is counted now; -1 before the first packet."""
        self.received = 0
        """Packets, duplicates included, over all sources."""
        self.octets = 0
        """Whole packets from the RTP header on, over all sources."""
        self._clock_rate = clock_rate
        self._longest_step = clock_rate * _MAX_TRANSIT_STEP
        self._jitter = 0.0
        self._past_lost = 0
        self._begin(0)

    def _begin(self, sequence: int) -> None:
        self._base = self._next = sequence
        self._cycles = 0
        self._bad = -1
        self._received_before = self.received
        self._reported_expected = self._reported_received = 0
        self._timestamp = -1
        self._transit = math.nan

    def tick_at(self, clock_rate: int) -> None:
        """The clock of the timestamps from now on."""
        if clock_rate != self._clock_rate:
            self._jitter = self._jitter * clock_rate / self._clock_rate
            self._clock_rate = clock_rate
            self._longest_step = clock_rate * _MAX_TRANSIT_STEP
            self._transit = math.nan

    def update(self, data: bytes, arrival: float) -> None:
        """Count one packet that arrived at `arrival` (monotonic seconds).  Too short for RTP: ignored."""
        try:
            sequence, timestamp, ssrc = _read_source(data)
        except struct.error:
            return
        if sequence == self._next and ssrc == self.ssrc:
            self._next = sequence + 1
        else:
            self._place(sequence, ssrc)
        self.received += 1
        self.octets += len(data)
        self._measure(timestamp, arrival)

    def _measure(self, timestamp: int, arrival: float) -> None:
        """The jitter, by one more packet."""
        # A repeated timestamp (telephone events) says nothing about the delay of its packet.
        if timestamp != self._timestamp:
            self._timestamp = timestamp
            transit = arrival * self._clock_rate - timestamp
            step = transit - self._transit
            self._transit = transit
            if step < 0.0:
                step = -step
            if step < self._longest_step:
                self._jitter += (step - self._jitter) * 0.0625
            # A longer step is a new timestamp base, or the 32 bits' wrap; the first packet's is NaN.

    def sample(self, sequence: int, timestamp: int, arrival: float, packets: int, octets: int) -> None:
        """Count `packets` (of `octets` in all) of the source that came since the last call; the last of them
        had these numbers."""
        self.advance(sequence, packets, octets)
        self._measure(timestamp, arrival)

    def advance(self, sequence: int, packets: int, octets: int) -> None:
        """As `sample`, where only the last packet's number is known: jitter stays as it is."""
        self.received += packets
        self.octets += octets
        if sequence != self._next:
            self._place(sequence, self.ssrc)
        else:
            self._next = sequence + 1

    def _place(self, sequence: int, ssrc: int) -> None:
        """Another packet than the next one: lost, late, doubled, wrapped, or of a new source (A.1)."""
        if ssrc != self.ssrc:
            self._restart(sequence, ssrc)
            return
        ahead = (sequence - self._next) & 0xFFFF
        if ahead < _MAX_DROPOUT:
            # `_next` may be 0x10000: a wrap is counted when the packet after it has come.
            if sequence + 1 < self._next:
                self._cycles += 0x10000
            self._next = sequence + 1
        elif ahead < 0x10000 - _MAX_MISORDER:
            if sequence == self._bad:
                self._restart(sequence, ssrc)
            else:
                self._bad = (sequence + 1) & 0xFFFF
                self._received_before += 1

    def _restart(self, sequence: int, ssrc: int) -> None:
        self._past_lost += max(0, self._expected() - self._received())
        self.ssrc = ssrc
        self._begin(sequence)
        self._next = sequence + 1

    def _expected(self) -> int:
        return self._cycles + self._next - self._base

    def _received(self) -> int:
        return self.received - self._received_before

    @property
    def lost(self) -> int:
        """Expected minus received over all sources, never negative."""
        return self._past_lost + max(0, self._expected() - self._received())

    @property
    def expected(self) -> int:
        """Packets that all sources together must have sent."""
        return self.received + self.lost

    @property
    def jitter(self) -> int:
        """Interarrival jitter in timestamp units, as a report block carries it."""
        return int(self._jitter)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self._jitter * 1000.0 / self._clock_rate

    @property
    def highest(self) -> int:
        """Extended highest sequence number received: cycles in the upper 16 bits."""
        return (self._cycles + self._next - 1) & 0xFFFFFFFF

    def take_loss(self) -> LossCounts:
        """Loss for the next report block; the fraction counts from the previous call on."""
        expected, received = self._expected(), self._received()
        expected_since = expected - self._reported_expected
        lost_since = expected_since - (received - self._reported_received)
        self._reported_expected, self._reported_received = expected, received
        fraction = 0 if lost_since <= 0 else min(255, (lost_since << 8) // expected_since)
        return LossCounts(fraction, max(-0x800000, min(0x7FFFFF, expected - received)))

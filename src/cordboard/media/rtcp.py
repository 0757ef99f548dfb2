"""RTCP (RFC 3550 section 6): sender and receiver reports, written and read.

The NTP timestamps here are the monotonic clock's seconds.  RFC 3550 section 4 allows any clock, as only
differences are used: the far end sends ours back, and the round trip is what lies between.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from cordboard.media.rtp import ReceptionStatistics, RtpSender

INTERVAL = 5.0
"""Seconds between reports on average (6.2): two parties never send so much RTCP that it had to be longer."""

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203

_MAX_PACKETS = 32
"""Of one compound packet that are looked at."""
_MAX_BLOCKS = 31
_HEAD = struct.Struct("!BBHI")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")


def wait(draw: float, *, first: bool = False) -> float:
    """Seconds to the next report; `draw` is random, from 0 to 1.

    From half to one and a half of the interval, so that reports of many legs do not fall together, and half
    of that before the first (6.2, 6.3.1).  There is no reconsideration (6.3.3): a leg has two members.
    """
    return (0.5 + draw) * (INTERVAL / 2 if first else INTERVAL)


class SenderInfo(NamedTuple):
    """What a sender report says of its own stream (6.4.1)."""

    ntp: int
    """64 bits, seconds in the upper 32."""
    rtp_timestamp: int
    packets: int
    octets: int


class ReportBlock(NamedTuple):
    """What a report says of one stream that it receives (6.4.1)."""

    ssrc: int
    fraction: int
    """Lost since the last report, in 1/256."""
    cumulative: int
    """Lost since the start, signed 24 bits."""
    highest: int
    jitter: int
    """In timestamp units."""
    last_report: int
    """Middle 32 bits of the NTP timestamp of the last sender report; 0 = none yet."""
    delay: int
    """Since that report came, in 1/65536 s."""


class Report(NamedTuple):
    """A sender report, or (without `sender`) a receiver report."""

    ssrc: int
    sender: SenderInfo | None
    blocks: tuple[ReportBlock, ...]


class Goodbye(NamedTuple):
    """These streams end (6.6)."""

    ssrcs: tuple[int, ...]


# ------------------------------------------------------------------ text of the wire


def build(report: Report, cname: str, *, goodbye: bool = False) -> bytes:
    """A compound packet: the report, the CNAME, and if it is the last one, BYE."""
    out = _build_report(report) + _build_description(report.ssrc, cname)
    return out + _HEAD.pack(0x81, GOODBYE, 1, report.ssrc) if goodbye else out


def _build_report(report: Report) -> bytes:
    blocks = b"".join(_build_block(block) for block in report.blocks[:_MAX_BLOCKS])
    body = (_SENDER.pack(*report.sender) if report.sender else b"") + blocks
    kind = SENDER_REPORT if report.sender else RECEIVER_REPORT
    count = len(blocks) // _BLOCK.size
    return _HEAD.pack(0x80 | count, kind, 1 + len(body) // 4, report.ssrc) + body


def _build_block(block: ReportBlock) -> bytes:
    loss = (block.fraction & 0xFF) << 24 | block.cumulative & 0xFFFFFF
    return _BLOCK.pack(block.ssrc, loss, block.highest, block.jitter, block.last_report, block.delay)


def _build_description(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    item = bytes((1, len(text))) + text
    padded = item + bytes(4 - len(item) % 4)
    return _HEAD.pack(0x81, SOURCE_DESCRIPTION, 1 + len(padded) // 4, ssrc) + padded


def parse(data: bytes) -> list[Report | Goodbye]:
    """The reports and goodbyes of a compound packet; other kinds are passed over.

    Never raises: reading stops where the lengths do not fit any more.
    """
    found: list[Report | Goodbye] = []
    at = 0
    for _ in range(_MAX_PACKETS):
        if at + 8 > len(data) or data[at] & 0xC0 != 0x80:
            break
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            break
        packet = _parse_one(data[at:end])
        if packet is not None:
            found.append(packet)
        at = end
    return found


def _parse_one(packet: bytes) -> Report | Goodbye | None:
    if len(packet) < 8:
        return None
    first, kind, _, ssrc = _HEAD.unpack_from(packet)
    count = first & 0x1F
    if kind == RECEIVER_REPORT:
        return Report(ssrc, None, _parse_blocks(packet, 8, count))
    if kind == SENDER_REPORT and len(packet) >= 8 + _SENDER.size:
        info = SenderInfo(*_SENDER.unpack_from(packet, 8))
        return Report(ssrc, info, _parse_blocks(packet, 8 + _SENDER.size, count))
    if kind == GOODBYE:
        there = min(count, len(packet) // 4 - 1)
        return Goodbye(struct.unpack_from(f"!{there}I", packet, 4))
    return None


def _parse_blocks(packet: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    there = min(count, (len(packet) - start) // _BLOCK.size)
    return tuple(_parse_block(packet, start + n * _BLOCK.size) for n in range(there))


def _parse_block(packet: bytes, at: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last_report, delay = _BLOCK.unpack_from(packet, at)
    cumulative = loss & 0xFFFFFF
    if cumulative & 0x800000:
        cumulative -= 0x1000000
    return ReportBlock(ssrc, loss >> 24, cumulative, highest, jitter, last_report, delay)


def ntp(now: float) -> int:
    """Seconds as a 64-bit NTP timestamp."""
    return int(now * 0x100000000) & 0xFFFFFFFFFFFFFFFF


# ------------------------------------------------------------------ one leg's reports


class Reporting:
    """RTCP with one far end: what we report, and what its reports say of us."""

    __slots__ = (
        "_clock_rate",
        "_cname",
        "_heard_at",
        "_heard_report",
        "_packets_reported",
        "goodbye",
        "heard_at",
        "remote_fraction_lost",
        "remote_jitter_ms",
        "remote_lost",
        "round_trip_ms",
    )

    def __init__(self, *, cname: str, clock_rate: int = 8000) -> None:
        self._cname = cname
        self._clock_rate = clock_rate
        self._heard_report = 0
        self._heard_at = 0.0
        self._packets_reported = 0
        self.remote_lost = 0
        """Packets of ours that the far end missed; never negative."""
        self.remote_fraction_lost = 0.0
        """In the far end's last reporting interval, 0 to 1."""
        self.remote_jitter_ms = 0.0
        self.round_trip_ms: float | None = None
        self.goodbye = False
        """The far end said that it leaves."""
        self.heard_at = -1.0
        """When its last report came; -1.0 = never."""

    def report(
        self, sender: RtpSender, reception: ReceptionStatistics, now: float, *, goodbye: bool = False
    ) -> bytes:
        """The compound packet to send now: a sender report if anything was sent since the last one."""
        sent = sender.packets != self._packets_reported
        self._packets_reported = sender.packets
        return build(
            Report(sender.ssrc, _sender_info(sender, now) if sent else None, self._blocks(reception, now)),
            self._cname,
            goodbye=goodbye,
        )

    def _blocks(self, reception: ReceptionStatistics, now: float) -> tuple[ReportBlock, ...]:
        if reception.ssrc < 0:
            return ()
        fraction, cumulative = reception.take_loss()
        jitter = min(reception.jitter, 0xFFFFFFFF)
        delay = int((now - self._heard_at) * 0x10000) if self._heard_report else 0
        heard = self._heard_report
        block = ReportBlock(
            reception.ssrc, fraction, cumulative, reception.highest, jitter, heard, min(delay, 0xFFFFFFFF)
        )
        return (block,)

    def handle(self, data: bytes, ssrc: int, now: float) -> None:
        """Take a compound packet of the far end; `ssrc` is ours.  Nonsense is ignored."""
        for packet in parse(data):
            self.heard_at = now
            if isinstance(packet, Goodbye):
                self.goodbye = True
                continue
            if packet.sender is not None:
                self._heard_report = packet.sender.ntp >> 16 & 0xFFFFFFFF
                self._heard_at = now
            for block in packet.blocks:
                if block.ssrc == ssrc:
                    self._learn(block, now)

    def _learn(self, block: ReportBlock, now: float) -> None:
        self.remote_lost = max(0, block.cumulative)
        self.remote_fraction_lost = block.fraction / 256
        self.remote_jitter_ms = block.jitter * 1000 / self._clock_rate
        trip = round_trip(block, now)
        if trip is not None:
            self.round_trip_ms = trip * 1000


def _sender_info(sender: RtpSender, now: float) -> SenderInfo:
    return SenderInfo(ntp(now), sender.timestamp, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF)


def round_trip(block: ReportBlock, now: float) -> float | None:
    """Seconds, from LSR and DLSR (6.4.1); None if it has none, or one that cannot be true (over a minute)."""
    if not block.last_report:
        return None
    trip = ((ntp(now) >> 16) - block.last_report - block.delay) & 0xFFFFFFFF
    if trip >= 0xFFFFFF00:
        # Both clocks are read a little off: just below zero is zero.
        return 0.0
    return trip / 0x10000 if trip < 60 * 0x10000 else None

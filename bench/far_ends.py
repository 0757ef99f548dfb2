"""Phones that send and hear real RTP: all legs of a load in one process, paced by absolute deadlines.

Each G.711 packet carries the time of its sending in a spelling that survives PCMU-PCMA translation: eight
hexadecimal digits, each spelt as one of sixteen loudnesses that no translation confuses.  Packets of other
codecs hold a second of speech-like sound, encoded beforehand, and are only counted.  With keys (SDES) a far
end speaks SRTP.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any, NamedTuple

import numpy
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from bench.machine import LOOPBACK
from cordboard.media import rtcp
from cordboard.media.codecs import catalogue, g711
from cordboard.media.codecs.codec import Wish


class Format(NamedTuple):
    """How a codec stands in SDP and RTP."""

    payload_type: int
    rtpmap: str
    ticks: int
    """Of the RTP clock, a packet of 20 ms."""


FORMATS = {
    g711.PCMU: Format(0, "PCMU/8000", 160),
    g711.PCMA: Format(8, "PCMA/8000", 160),
    "G722": Format(9, "G722/8000", 160),
    "OPUS": Format(96, "opus/48000/2", 960),
}
KEY = bytes(range(30))
"""Of every SRTP stream that the load sends: a bench has no secrets."""
SUITE = "AES_CM_128_HMAC_SHA1_80"
FRAME = 0.020
REPORT_EVERY = 5.0
"""Seconds between a phone's RTCP reports."""
_DRAIN = 0.3
_HEADER = struct.Struct("!BBHII")
_DIGITS = b"0123456789abcdef"
_MASK = 0xFFFFFFFF


def _spellings(codec: str) -> tuple[bytes, bytes]:
    """(hexadecimal digit → code, code → hexadecimal digit) as tables for `bytes.translate`."""
    loudness = [sign * (128 << exponent) for sign in (1, -1) for exponent in range(8)]
    samples = struct.pack("<16h", *loudness)
    spell, read = bytearray(256), bytearray(b"?" * 256)
    for digit, code in zip(_DIGITS, g711.encode(codec, samples), strict=True):
        spell[digit] = code
    heard = struct.unpack("<256h", g711.decode(codec, bytes(range(256))))
    for code, sample in enumerate(heard):
        # The nearest: a translation may move a loudness by a step.
        nearest = min(range(16), key=lambda index: abs(loudness[index] - sample))
        read[code] = _DIGITS[nearest]
    return bytes(spell), bytes(read)


_SPELLINGS = {codec: _spellings(codec) for codec in (g711.PCMU, g711.PCMA)}


def _frames(codec: str) -> list[bytes]:
    """A second of sound in packets of 20 ms, for codecs that carry no stamp."""
    known = catalogue.codec(codec)
    rate = known.rate_for(16_000)
    assert known.make_encoder is not None
    encoder = known.make_encoder(rate, Wish())
    at = numpy.arange(rate) / rate
    swell = 0.5 + 0.5 * numpy.sin(2 * numpy.pi * 4 * at)
    sound = swell * sum(numpy.sin(2 * numpy.pi * 140 * n * at) / n for n in range(1, 20))
    samples = (3000 * sound).astype("<i2").tobytes()
    step = 2 * rate // 50
    return [encoder.encode(samples[n : n + step]) for n in range(0, len(samples), step)]


class Exchanged(NamedTuple):
    """What all legs together have sent and heard."""

    sent: int
    received: int
    foreign: int
    """Packets that carry no time of the window: none are expected."""
    delays_ms: list[float]
    """Sorted."""
    late_ms: float
    """How much the load itself was behind its plan, 99th percentile."""
    cpu_share: float
    """Of one core, by the load."""


class FarEnd:
    """One leg's phone: a socket for RTP and one for RTCP."""

    __slots__ = (
        "_format",
        "_frames",
        "_inbound",
        "_outbound",
        "_read",
        "_rest",
        "_sequence",
        "_spell",
        "_ssrc",
        "packets",
        "port",
        "rtcp",
        "rtp",
    )

    def __init__(self, port: int, codec: str, *, secure: bool = False) -> None:
        """`port`: even, and the next one free as well.  Raises OSError."""
        self.port = port
        self.rtp = _bound(port)
        try:
            self.rtcp = _bound(port + 1)
        except OSError:
            self.rtp.close()
            raise
        self.packets = 0
        self._format = FORMATS[codec]
        self._frames: list[bytes] = []
        if codec in _SPELLINGS:
            self._spell, self._read = _SPELLINGS[codec]
            self._rest = g711.silence(codec, 152)
        else:
            self._frames = _frames_of(codec)
        self._sequence = port * 7
        self._ssrc = 0x10000 + port
        self._outbound: Any = _srtp(KEY, Policy.SSRC_ANY_OUTBOUND) if secure else None
        self._inbound: Any = None

    def connect(self, port: int) -> None:
        """Where the other side wants its packets."""
        self.rtp.connect((LOOPBACK, port))
        self.rtcp.connect((LOOPBACK, port + 1))

    def hear_with(self, key: bytes) -> None:
        """The key of the other side."""
        self._inbound = _srtp(key, Policy.SSRC_ANY_INBOUND)

    def send(self, now_us: int) -> None:
        """The next packet."""
        sequence = self._sequence = self._sequence + 1
        self.packets += 1
        number, _, ticks = self._format
        packet = _HEADER.pack(0x80, number, sequence & 0xFFFF, sequence * ticks & _MASK, self._ssrc)
        if self._frames:
            packet += self._frames[sequence % len(self._frames)]
        else:
            packet += (b"%08x" % (now_us & _MASK)).translate(self._spell) + self._rest
        self.rtp.send(packet if self._outbound is None else self._outbound.protect(packet))

    def receive(self) -> int:
        """When the packet was sent, in microseconds modulo 2**32; -1: it does not say."""
        data = self.rtp.recv(2048)
        try:
            if self._inbound is not None:
                data = self._inbound.unprotect(data)
            if self._frames:
                return -1
            return int(data[12:20].translate(self._read), 16)
        except (ValueError, SrtpError):
            return -1

    def report(self) -> None:
        """A sender report."""
        sender = rtcp.SenderInfo(
            rtcp.ntp(time.time()), self._sequence * 160 & _MASK, self.packets, self.packets * 160
        )
        report = rtcp.build(rtcp.Report(self._ssrc, sender, ()), "load@127.0.0.1")
        self.rtcp.send(report if self._outbound is None else self._outbound.protect_rtcp(report))

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


_made: dict[str, list[bytes]] = {}


def _frames_of(codec: str) -> list[bytes]:
    if codec not in _made:
        catalogue.load()
        _made[codec] = _frames(codec)
    return _made[codec]


def _srtp(key: bytes, direction: int) -> Session:
    return Session(policy=Policy(key=key, ssrc_type=direction))


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.bind((LOOPBACK, port))
    except OSError:
        made.close()
        raise
    return made


def open_far_ends(codecs: list[tuple[str, bool]], *, first_port: int) -> list[FarEnd]:
    """One for each (codec, whether it speaks SRTP), on the next free ports.  Raises OSError without any."""
    ends: list[FarEnd] = []
    port = first_port
    for codec, secure in codecs:
        while True:
            if port > 65_000:
                raise OSError("no ports are left for the load")
            try:
                ends.append(FarEnd(port, codec, secure=secure))
                break
            except OSError:
                port += 2
        port += 2
    return ends


def exchange(ends: list[FarEnd], seconds: float) -> Exchanged:
    """All send 50 packets a second for so long, spread over the 20 ms, and hear what arrives."""
    poll = select.epoll()
    by_number = {end.rtp.fileno(): end for end in ends}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    try:
        return _exchange(ends, poll, by_number, seconds)
    finally:
        poll.close()


def _exchange(
    ends: list[FarEnd], poll: select.epoll, by_number: dict[int, FarEnd], seconds: float
) -> Exchanged:
    delays: list[int] = []
    late: list[float] = []
    count = len(ends)
    step = FRAME / count
    frames, reports = int(seconds / FRAME) * count, 0
    report_step = REPORT_EVERY / count
    sent = foreign = 0
    longest_us = int((seconds + 10) * 1e6)
    clock, began, used = time.monotonic, time.monotonic(), time.process_time()
    while sent < frames or clock() - began < seconds + _DRAIN:
        now = clock()
        due = min(frames, int((now - began) / step))
        if sent < due:
            late.append(now - began - sent * step)
            while sent < due:
                ends[sent % count].send(int(clock() * 1e6))
                sent += 1
        while (reports + 1) * report_step < now - began and sent < frames:
            ends[reports % count].report()
            reports += 1
        # One millisecond of the plan at a time, unless something arrives before.
        for number, _ in poll.poll(0.001, 256):
            stamp = by_number[number].receive()
            delay = (int(clock() * 1e6) - stamp) & _MASK
            if stamp >= 0 and delay < longest_us:
                delays.append(delay)
            else:
                foreign += 1
    delays.sort()
    late.sort()
    return Exchanged(
        sent=sent,
        received=len(delays),
        foreign=foreign,
        delays_ms=[delay / 1000 for delay in delays],
        late_ms=late[len(late) * 99 // 100] * 1000 if late else 0.0,
        cpu_share=(time.process_time() - used) / (clock() - began),
    )

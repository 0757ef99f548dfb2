"""Microseconds of the worker for one packet, from the socket to the socket: `python bench/media_paths.py`.

Without sockets and in virtual time: `receive` and `transmit` are stand-ins, whose own cost is the first line.
So these figures are the worker's own share, with warm caches; `bench/media_relay.py` measures it all.
Two states of the source are compared by running both in turn, several times, with `PYTHONPATH`.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable
from itertools import count

from cordboard.media.clock import Clock
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import Wish
from cordboard.media.hearing import Hearings
from cordboard.media.outgoing import EVENT, Outgoing, Speech
from cordboard.media.protocol import Srtp, SrtpKeys
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.srtp import Protection

ROUNDS = 15
PACKETS = 2_000
SUITE = "AES_CM_128_HMAC_SHA1_80"
TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 96}
_HEADER = struct.Struct("!BBHII")


class Listening:
    """Somebody who listens: a recording, without its file."""

    rate = 8000

    def hear(self, frame: bytes | None) -> None:
        """Nothing is done with it."""


class Path:
    """One direction of a call, and packets for it."""

    def __init__(self, source: str, sink: str, *, secure: str = "", heard: bool = False) -> None:
        """`secure`: "in" or "out", where the packets are SRTP."""
        self.clock = Clock(10.0)
        self._ticking: set[Incoming] = set()
        self._hearings: Hearings = {}
        self._incoming = Incoming(self.clock, ticking=self._ticking, hearings=self._hearings)
        self._incoming.expect({TYPES[source]: source, 101: EVENT})
        outgoing = Outgoing(RtpSender(ssrc=99, sequence=500), self.clock, self._hearings)
        outgoing.speak(Speech(catalogue.codec(sink), TYPES[sink], ptime_ms=20, event_type=101))
        outgoing.send_by(_protection().protecting(len) if secure == "out" else len)
        self._incoming.feed(outgoing)
        self._protect = _protection().protect if secure == "in" else bytes
        if heard:
            self._incoming.attach(Listening())
        self._payloads = _payloads(source)
        self._ticks = catalogue.codec(source).clock_rate // 50
        self._numbers = count(1)
        self._packets: list[bytes] = []
        receive = self._receive
        self._incoming.receive = _protection().unprotecting(receive) if secure == "in" else receive
        self._outgoing = outgoing

    def _receive(self, buffer: bytearray) -> int:
        packet = self._packets.pop()
        length = len(packet)
        buffer[:length] = packet
        return length

    def _fill(self) -> None:
        payloads, ticks = self._payloads, self._ticks
        made = []
        for _ in range(PACKETS):
            number = next(self._numbers)
            header = _HEADER.pack(0x80, self._type, number & 0xFFFF, number * ticks & 0xFFFFFFFF, 7)
            made.append(self._protect(header + payloads[number % len(payloads)]))
        self._packets = made[::-1]

    @property
    def _type(self) -> int:
        return next(iter(self._incoming.types))

    def run(self) -> float:
        """Seconds of all packets, each with its share of the ticks."""
        self._fill()
        clock, take = self.clock, self._incoming.receive_and_forward
        ticking, hearings = self._ticking, self._hearings
        began = time.perf_counter()
        for _ in range(PACKETS):
            clock.now += 0.02
            take()
            if ticking or hearings:
                for incoming in list(ticking):
                    incoming.tick()
                for hearing in list(hearings):
                    hearing.tick()
        took = time.perf_counter() - began
        sent = self._outgoing
        sent.settle()
        if sent.sender.packets < PACKETS * 0.99 or sent.unsent:
            raise RuntimeError("packets did not come through")
        return took


def _protection() -> Protection:
    keys = SrtpKeys(suite=SUITE, key=bytes(range(30)))
    protection = Protection(Clock())
    protection.use(Srtp(send=keys, receive=keys))
    return protection


def _payloads(name: str) -> list[bytes]:
    """A second of harmonics, loud and soft."""
    codec = catalogue.codec(name)
    assert codec.make_encoder is not None
    rate = codec.rate_for(16_000)
    encoder = codec.make_encoder(rate, Wish())
    made = []
    for start in range(0, rate, rate // 50):
        times = [n / rate for n in range(start, start + rate // 50)]
        swell = [0.2 + 0.8 * math.sin(9 * t) ** 2 for t in times]
        tone = [sum(math.sin(2 * math.pi * 140 * k * t) / k for k in range(1, 9)) for t in times]
        samples = [round(5000 * s * t) for s, t in zip(swell, tone, strict=True)]
        made.append(encoder.encode(struct.pack(f"<{len(samples)}h", *samples)))
    return made


class StandIn(Path):
    """Only what stands in for the sockets."""

    def run(self) -> float:
        """As of a path."""
        self._fill()
        clock, receive, transmit, buffer = self.clock, self._receive, len, bytearray(2048)
        view = memoryview(buffer)[:172]
        began = time.perf_counter()
        for _ in range(PACKETS):
            clock.now += 0.02
            receive(buffer)
            transmit(view)
            if self._ticking or self._hearings:
                raise AssertionError
        return time.perf_counter() - began


PATHS: dict[str, Callable[[], Path]] = {
    "the stand-ins alone": lambda: StandIn("PCMU", "PCMU"),
    "PCMU relayed": lambda: Path("PCMU", "PCMU"),
    "PCMU to PCMA": lambda: Path("PCMU", "PCMA"),
    "PCMU, from SRTP": lambda: Path("PCMU", "PCMU", secure="in"),
    "PCMU, to SRTP": lambda: Path("PCMU", "PCMU", secure="out"),
    "PCMU to G722": lambda: Path("PCMU", "G722"),
    "G722 to PCMU": lambda: Path("G722", "PCMU"),
    "PCMU to OPUS": lambda: Path("PCMU", "OPUS"),
    "OPUS to PCMU": lambda: Path("OPUS", "PCMU"),
    "PCMU relayed and listened to": lambda: Path("PCMU", "PCMU", heard=True),
}


def main() -> None:
    """Print the table: the best of several rounds, all paths in turn."""
    catalogue.load()
    paths = {name: make() for name, make in PATHS.items()}
    best = dict.fromkeys(paths, math.inf)
    for _ in range(ROUNDS):
        for name, path in paths.items():
            best[name] = min(best[name], path.run())
    for name, seconds in best.items():
        print(f"{name:<30} {seconds / PACKETS * 1e6:7.2f} us")


if __name__ == "__main__":
    main()

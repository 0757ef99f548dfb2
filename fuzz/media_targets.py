"""Packets and samples: what a media worker takes from anybody."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator

from cordboard.media import rtcp as rtcp_reports
from cordboard.media import websocket as ws
from cordboard.media.clock import Clock
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import CodecError
from cordboard.media.outgoing import Outgoing
from cordboard.media.protocol import Srtp, SrtpKeys
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.srtp import SUITES, Protection
from cordboard.media.wav import WavError, WavReader

_TICK = 0.02


def _packets(data: bytes) -> Iterator[bytes]:
    """Packets of the lengths that the data itself says."""
    place = 0
    while place + 2 <= len(data):
        length = int.from_bytes(data[place : place + 2], "big") % 1600
        yield data[place + 2 : place + 2 + length]
        place += 2 + length


def rtp() -> Callable[[bytes], None]:
    """A joined stream gets any packets; time passes."""
    types = {0: "PCMU", 8: "PCMA", 101: "telephone-event", 13: "CN"}

    def run(data: bytes) -> None:
        clock = Clock(0.0)
        ticking: set[Incoming] = set()
        incoming = Incoming(clock, lambda digit: None, lambda report: None, ticking)
        incoming.expect(types)
        outgoing = Outgoing(RtpSender(ssrc=1, timestamp=0, sequence=0), clock)
        outgoing.send_by(lambda packet: None)
        incoming.feed(outgoing)
        for packet in _packets(data):
            incoming.accept(packet)
            clock.now += _TICK
            for one in list(ticking):
                one.tick()
        incoming.settle()

    return run


def srtp() -> Callable[[bytes], None]:
    """Under every suite, what is not authentic is never taken."""
    protections = []
    for suite, (_, _, length) in SUITES.items():
        keys = SrtpKeys(suite=suite, key=bytes(range(length)))
        protection = Protection(Clock(0.0))
        assert protection.use(Srtp(send=keys, receive=keys))
        protections.append(protection)

    def run(data: bytes) -> None:
        for protection in protections:
            for packet in _packets(data):
                assert protection.open(packet) is None
                assert protection.open_rtcp(packet) is None

    return run


def rtcp(data: bytes) -> None:
    """Reports are read as far as they can be."""
    rtcp_reports.parse(data)
    reporting = rtcp_reports.Reporting(cname="fuzz")
    reporting.handle(data, 1, 1.0)


def codecs() -> Callable[[bytes], None]:
    """Every decoder gets any payload."""
    catalogue.load()
    decoders = []
    for encoding in ("PCMU", "PCMA", "G722", "OPUS", "L16/8000/1", "L16/48000/1"):
        known = catalogue.codec(encoding)
        if known.make_decoder is not None:
            decoders.append((known, known.make_decoder(known.rate_for(8000))))

    def run(data: bytes) -> None:
        for known, decoder in decoders:
            for payload in _packets(data):
                known.samples(payload)
                try:
                    decoder.decode(payload)
                except CodecError:
                    decoder.conceal(160, payload)

    return run


def wav(data: bytes) -> None:
    """A file is read to its end, or refused."""
    try:
        reader = WavReader(io.BytesIO(data))
        for _ in range(100):
            if reader.next_frame() is None:
                break
    except WavError:
        return


def websocket(data: bytes) -> None:
    """A far end answers the handshake with anything, then sends anything."""
    try:
        ws.read_answer(data, b"0123456789abcdef")
        receiver = ws.Receiver()
        for packet in _packets(data):
            receiver.feed(packet)
    except ws.WebSocketError:
        return


def wav_seeds() -> Iterator[bytes]:
    """A file of 16 bits, one of 8, one of mu-law."""
    for kind, bits in ((1, 16), (1, 8), (7, 8)):
        audio = bytes(range(200))
        form = struct.pack("<HHIIHH", kind, 1, 8000, 8000 * bits // 8, bits // 8, bits)
        chunks = (
            b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(audio)) + audio
        )
        yield b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks

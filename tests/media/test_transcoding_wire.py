"""Every pairing of codecs through a worker of its own: real sockets, real time, level, gaps and delay."""

from __future__ import annotations

import math
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import msgspec
import pytest

from cordboard.media.channel import event_reader, frame
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.playout import Playout
from cordboard.media.protocol import EndpointOpened, Format, JoinEndpoints, OpenEndpoint, SetRemote
from cordboard.media.tones import level
from cordboard.media.worker import WorkerSettings

FORMATS = {
    "PCMU": (Format(name="PCMU", payload_type=0), Format(name="PCMU", payload_type=0)),
    "PCMA": (Format(name="PCMA", payload_type=8), Format(name="PCMA", payload_type=8)),
    "G722": (Format(name="G722", payload_type=9), Format(name="G722", payload_type=9)),
    "OPUS": (
        Format(name="opus", payload_type=96, clock_rate=48000, channels=2),
        Format(name="opus", payload_type=111, clock_rate=48000, channels=2),
    ),
    "L16": (
        Format(name="L16", payload_type=97, clock_rate=16000),
        Format(name="L16", payload_type=112, clock_rate=16000),
    ),
}
"""As the speaking and as the hearing side number them."""
TONE_BEGINS = 20
"""Packets of near silence before the tone: when it is heard tells the delay."""
PACKETS = 90
LEVEL = 20 * math.log10(8000 / math.sqrt(2) / 32768)


class Phone:
    """A far end that speaks (silence, then a tone) or hears."""

    def __init__(self, format_: Format) -> None:
        self.format = format_
        encoding = catalogue.encoding_of(format_.name, format_.clock_rate)
        self.codec = catalogue.codec(encoding)
        self.rate = self.codec.rate_for(16000)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.arrived: list[tuple[float, bytes]] = []

    def packets(self) -> list[bytes]:
        assert self.codec.make_encoder is not None
        encoder = self.codec.make_encoder(self.rate, Wish())
        size = self.rate // 50
        made = []
        for number in range(PACKETS):
            loud = 8000 if number >= TONE_BEGINS else 0
            step = 2 * math.pi * 1000 / self.rate
            samples = [round(loud * math.sin(step * (number * size + n))) for n in range(size)]
            stamp = 77 + number * self.format.clock_rate // 50
            header = struct.pack("!BBHII", 0x80, self.format.payload_type, 500 + number, stamp, 7)
            made.append(header + encoder.encode(struct.pack(f"<{size}h", *samples)))
        return made

    def listen(self) -> None:
        while True:
            try:
                self.arrived.append((time.monotonic(), self.socket.recv(2048)))
            except BlockingIOError:
                return

    def pcm(self) -> bytes:
        """All that arrived, one after the other, at 8 kHz."""
        playout = Playout(self.codec, 8000, start_ms=20, spare=9)
        frames = []
        for _, data in self.arrived:
            playout.put(data, data[12:])
            frames.append(playout.next_frame() or bytes(playout.rate // 25))
        pcm = b"".join(frames)
        return pcm if playout.rate == 8000 else RateConverter(playout.rate, 8000).convert(pcm)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    settings = WorkerSettings(
        control_fd=theirs.fileno(),
        link_path=str(tmp_path / "link"),
        address="127.0.0.1",
        first_port=33601,
        last_port=33799,
    )
    with theirs:
        command = [sys.executable, "-m", "cordboard.media.worker", msgspec.json.encode(settings).decode()]
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
    ours.settimeout(10)
    yield ours
    ours.close()
    process.wait(5)


def _open(control: socket.socket, name: str, phone: Phone) -> None:
    control.sendall(frame(OpenEndpoint(endpoint_id=name)))
    (opened,) = event_reader().feed(control.recv(1 << 16))
    assert isinstance(opened, EndpointOpened)
    phone.socket.connect(("127.0.0.1", opened.port))
    remote = SetRemote(
        endpoint_id=name,
        address="127.0.0.1",
        port=phone.socket.getsockname()[1],
        rtcp_port=9,
        send=phone.format,
        accepted=((phone.format.payload_type, phone.format.name),),
        receive=(phone.format,),
    )
    control.sendall(frame(remote))


def _talk(control: socket.socket, calls: list[tuple[Phone, Phone]]) -> list[list[float]]:
    """When each packet of each call was sent."""
    for number, (mouth, ear) in enumerate(calls):
        _open(control, f"{number}a", mouth)
        _open(control, f"{number}b", ear)
        control.sendall(frame(JoinEndpoints(a=f"{number}a", b=f"{number}b")))
    spoken = [mouth.packets() for mouth, _ in calls]
    sent: list[list[float]] = [[] for _ in calls]
    begin = time.monotonic() + 0.1
    steps = [
        (begin + 0.02 * n + 0.02 * index / len(calls), n, index)
        for n in range(PACKETS)
        for index in range(len(calls))
    ]
    for due, n, index in [*steps, (begin + 0.02 * PACKETS + 0.3, -1, 0)]:
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, 0.002))
            for _, ear in calls:
                ear.listen()
        if n >= 0:
            sent[index].append(time.monotonic())
            calls[index][0].socket.send(spoken[index][n])
    return sent


def test_level_gaps_and_delay_of_all_pairings_on_the_wire(control: socket.socket) -> None:
    pairs = list(product(FORMATS, FORMATS))
    calls = [(Phone(FORMATS[a][0]), Phone(FORMATS[b][1])) for a, b in pairs]
    sent = _talk(control, calls)
    for pair, (_, ear), times in zip(pairs, calls, sent, strict=True):
        assert {data[1] & 0x7F for _, data in ear.arrived} == {ear.format.payload_type}, pair
        assert len(ear.arrived) >= PACKETS - 2, pair
        heard = ear.pcm()
        sizes = [level(heard[at : at + 320]) for at in range(0, len(heard) - 319, 320)]
        # What of the packets' delay is in the codecs and the converters: the tone begins so much later.
        quiet = next(n for n, one in enumerate(sizes) if one > LEVEL - 6)
        inside = (quiet - TONE_BEGINS - (len(sizes) - PACKETS) - 1) * 0.02
        steady = sizes[TONE_BEGINS + 10 : PACKETS - 8]
        assert min(steady) > LEVEL - 2.0, pair
        assert level(heard[320 * (TONE_BEGINS + 10) : 320 * (PACKETS - 8)]) == pytest.approx(LEVEL, abs=1.0)
        late = sorted(at - then for (at, _), then in zip(ear.arrived, times, strict=False))
        limit = 0.025 if pair[0] == pair[1] else 0.045
        assert late[len(late) // 2] + max(0.0, inside) < limit, (pair, late[len(late) // 2], inside)
    for mouth, ear in calls:
        mouth.socket.close()
        ear.socket.close()

"""An endpoint with real sockets on loopback, its loop driven by hand, and the phone that it talks to."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable

from cordboard.media.clock import Clock
from cordboard.media.endpoint import Endpoint
from cordboard.media.latching import DEFAULT_POLICY
from cordboard.media.ports import PortPair, bind_pair
from cordboard.media.protocol import Event, Format, SetRemote
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender


def some_ports() -> PortPair:
    """A pair that nobody has, whatever other tests run at the same time."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1] & ~1
        pair = bind_pair("127.0.0.1", port)
        if pair is not None:
            return pair
    raise OSError("no free pair of ports")


class ByHand:
    """Serves what is readable when it is asked to."""

    def __init__(self) -> None:
        self.handlers: dict[socket.socket, Callable[[], None]] = {}

    def watch(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        self.handlers[readable] = handler

    def hand_over(self, watched: socket.socket, handler: Callable[[], None]) -> None:
        assert watched in self.handlers
        self.handlers[watched] = handler

    def forget(self, readable: socket.socket) -> None:
        del self.handlers[readable]

    def serve(self) -> None:
        for _ in range(500):
            ready, _, _ = select.select(list(self.handlers), [], [], 0)
            if not ready:
                return
            for one in ready:
                if one in self.handlers:
                    self.handlers[one]()


class Leg:
    """An endpoint and its phone."""

    def __init__(self, *, video: bool = False) -> None:
        pair = some_ports()
        pictures = some_ports() if video else None
        self.clock = Clock(50.0)
        self.loop = ByHand()
        self.loop.watch(pair.rtp, pair.discard_rtp)
        self.loop.watch(pair.rtcp, pair.discard_rtcp)
        if pictures is not None:
            self.loop.watch(pictures.rtp, pictures.discard_rtp)
            self.loop.watch(pictures.rtcp, pictures.discard_rtcp)
        self.events: list[Event] = []
        self.ticking: set[Incoming] = set()
        self.endpoint = Endpoint(
            "leg",
            address="127.0.0.1",
            ports=pair,
            sender=RtpSender(ssrc=1),
            clock=self.clock,
            readiness=self.loop,
            report=self.events.append,
            policy=DEFAULT_POLICY,
            ticking=self.ticking,
            video=pictures,
        )
        self.server = ("127.0.0.1", pair.port)
        self.phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.phone.bind(("127.0.0.1", 0))
        self.phone.setblocking(False)

    def set_remote(self, **changes: object) -> None:
        fields: dict[str, object] = {
            "endpoint_id": "leg",
            "address": "127.0.0.1",
            "port": self.phone.getsockname()[1],
            "rtcp_port": 9,
            "send": Format(name="PCMU", payload_type=0),
            "accepted": ((0, "PCMU"), (8, "PCMA")),
            "dtmf_send_type": 101,
            "dtmf_receive_type": 101,
        }
        self.endpoint.set_remote(SetRemote(**(fields | changes)))  # type: ignore[arg-type]

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.phone.sendto(data, self.server)
            self.loop.serve()
            self.clock.now += 0.02

    def heard(self) -> list[bytes]:
        packets = []
        while select.select([self.phone], [], [], 0)[0]:
            packets.append(self.phone.recv(2048))
        return packets

    def close(self) -> None:
        self.endpoint.close()
        self.endpoint.ports.close()
        if self.endpoint.video is not None:
            self.endpoint.video.ports.close()
        self.phone.close()


def rtp(sequence: int, payload: bytes = b"\xff" * 160, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 160, 7) + payload

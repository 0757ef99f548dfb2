"""An endpoint with real sockets on loopback, its loop driven by hand, and the phone that it talks to."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable

import pytest

from cordboard.media import fastpath
from cordboard.media.clock import Clock
from cordboard.media.endpoint import Endpoint
from cordboard.media.fastpath import FastPath, Kind, Lane, Passenger
from cordboard.media.latching import DEFAULT_POLICY
from cordboard.media.ports import PortPair, bind_pair
from cordboard.media.protocol import Event, Format, SetRemote
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.srtp import Protection

WAYS = ("python", "compiled")
"""How packets of a run may pass; a test that is given both must see the same."""


def compiled() -> FastPath:
    """The compiled fast path; without it the test is skipped on a laptop and fails in CI."""
    found = fastpath.load()
    if found is not None:
        return found
    hint = "the fast path is not compiled: install a C compiler (apt-get install gcc libc6-dev), then "
    hint += "pip install --editable ."
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)


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
    """Serves what is readable when it is asked to, in Python or by the compiled fast path."""

    def __init__(self, way: str = "python") -> None:
        self.clock = Clock(50.0)
        """What the compiled fast path has noted by the system's time is put on it."""
        self.handlers: dict[socket.socket, Callable[[], None]] = {}
        self.fastpath = compiled() if way == "compiled" else None
        self._epoll = select.epoll() if self.fastpath is not None else None

    def watch(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        self.handlers[readable] = handler
        if self._epoll is not None:
            self._epoll.register(readable.fileno(), select.EPOLLIN)

    def hand_over(self, watched: socket.socket, handler: Callable[[], None]) -> None:
        assert watched in self.handlers
        self.handlers[watched] = handler

    def forget(self, readable: socket.socket) -> None:
        del self.handlers[readable]
        if self._epoll is not None:
            self._epoll.unregister(readable.fileno())

    def lane(self, readable: socket.socket, passenger: Passenger, protection: Protection) -> Lane | None:
        assert readable in self.handlers
        return self.fastpath.lane(readable, passenger, protection) if self.fastpath is not None else None

    def serve(self) -> None:
        """Until nothing is readable any more."""
        for _ in range(500):
            if not self.look():
                return

    def look(self) -> int:
        """Serve once what is readable now; how many sockets were."""
        if self.fastpath is not None and self._epoll is not None:
            return self._look_fast(self.fastpath, self._epoll)
        ready, _, _ = select.select(list(self.handlers), [], [], 0)
        for one in ready:
            if one in self.handlers:
                self.handlers[one]()
        return len(ready)

    def _look_fast(self, fast: FastPath, epoll: select.epoll) -> int:
        """As the worker's loop does it."""
        taken = fast.turn(epoll.fileno(), 0)
        self._put_marks_on_the_clock(fast)
        for number, kind, data in fast.happened():
            if kind == Kind.READABLE:
                self._handle(number)
            elif (lane := fast.lane_of(number)) is not None:
                lane.tell(kind, data)
        return taken

    def _handle(self, number: int) -> None:
        for one, handler in self.handlers.items():
            if one.fileno() == number:
                handler()
                return

    def _put_marks_on_the_clock(self, fast: FastPath) -> None:
        """A lane notes at most one packet a turn."""
        for lane in fast._lanes.values():
            noted = lane._c
            if noted.marked and noted.times[noted.marked - 1] == fast.now:
                noted.times[noted.marked - 1] = self.clock.now

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()


class Leg:
    """An endpoint and its phone."""

    def __init__(
        self, way: str = "python", *, video: bool = False, loop: ByHand | None = None, ssrc: int = 1
    ) -> None:
        """`way`: one of `WAYS`; `loop`: one that others have as well."""
        self.loop = loop if loop is not None else ByHand(way)
        self._owns_loop = loop is None
        self.clock = self.loop.clock
        pair = some_ports()
        pictures = some_ports() if video else None
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
            sender=RtpSender(ssrc=ssrc),
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
        self.phone_port = self.phone.getsockname()[1]
        """Also when the phone is gone."""

    def set_remote(self, **changes: object) -> None:
        fields: dict[str, object] = {
            "endpoint_id": "leg",
            "address": "127.0.0.1",
            "port": self.phone_port,
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
        if self._owns_loop:
            self.loop.close()
        self.phone.close()


def rtp(sequence: int, payload: bytes = b"\xff" * 160, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 160, 7) + payload

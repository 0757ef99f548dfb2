"""Video that is passed on from one far end to the other as it is: packets, and the reports that go with them.

Sequence numbers, timestamps and SSRCs stay, so that the far ends' feedback (PLI, FIR, NACK) means the same on
either side; only payload types are translated where the two legs differ.
"""

from __future__ import annotations

import contextlib

from cordboard.media.clock import Clock
from cordboard.media.latching import Address, Latch, LatchingPolicy, Verdict
from cordboard.media.ports import PortPair
from cordboard.media.protocol import VideoRemote
from cordboard.media.readiness import Readiness
from cordboard.media.reports import ReportSocket
from cordboard.media.srtp import Protection, SrtpError

_DATAGRAM = 2048
_READS_A_TURN = 32
"""A picture comes in many packets at once."""
_MARKER = 0x80


class Video:
    """One leg's.  `feed` says whose video it is shown to."""

    __slots__ = (
        "_clock",
        "_heard_at",
        "_numbers",
        "_protection",
        "_receiving",
        "_reports",
        "_sending",
        "_types",
        "latch",
        "packets_received",
        "packets_sent",
        "peer",
        "ports",
    )

    def __init__(
        self, ports: PortPair, *, clock: Clock, readiness: Readiness, policy: LatchingPolicy
    ) -> None:
        self.ports = ports
        self._clock = clock
        self._protection = Protection(clock, repeats=True)
        self.latch = Latch(policy)
        self._reports = ReportSocket(ports.rtcp, self.latch, self._protection)
        self._types: dict[int, str] = {}
        """Name by payload type of what may arrive."""
        self._numbers: dict[str, int] = {}
        """Payload type by name of what the far end takes."""
        self._sending = self._receiving = False
        self._heard_at = -1.0
        self.peer: Video | None = None
        self.packets_received = 0
        self.packets_sent = 0
        readiness.hand_over(ports.rtp, self.receive)
        readiness.hand_over(ports.rtcp, self.receive_report)

    @property
    def refused(self) -> int:
        """Packets of others."""
        return self.latch.refused + self._protection.refused

    @property
    def was_heard(self) -> bool:
        """Somebody has sent to its ports."""
        return bool(self.packets_received or self.refused)

    def set_remote(self, remote: VideoRemote | None, address: str | None, *, follow: bool) -> None:
        """What was agreed for this stream; None = it is off.  `address`: None = nothing may be sent."""
        if remote is None:
            self._sending = self._receiving = False
            self.latch.signal(None, self._clock.now, follow=follow)
            return
        self._protection.use(remote.srtp)
        self._types = dict(remote.accepted)
        self._numbers = {name: number for number, name in reversed(remote.send or remote.accepted)}
        target = (address, remote.port) if address is not None and remote.port else None
        self._sending, self._receiving = remote.sending and target is not None, remote.receiving
        self._reports.signal(remote.rtcp_port if target is not None else 0)
        self.latch.signal(target, self._clock.now, follow=follow)

    def feed(self, peer: Video | None) -> None:
        """What comes goes to `peer` from now on."""
        self.peer = peer

    def close(self) -> None:
        """Stop; the ports may rest."""
        self.peer = None
        self._sending = self._receiving = False

    # ------------------------------------------------------------ in

    def receive(self) -> None:
        """The media socket is readable."""
        for _ in range(_READS_A_TURN):
            try:
                sealed, source = self.ports.rtp.recvfrom(_DATAGRAM)
            except OSError:
                return
            data = self._protection.open(sealed)
            if data is not None:
                self._take(data, source[:2])

    def _take(self, data: bytes, source: Address) -> None:
        if len(data) > 1 and 191 < data[1] < 224:
            if source in (self.latch.latched, self.latch.signalled):
                self._pass_report(data)
            return
        now = self._clock.now
        secure = self._protection.is_on
        verdict = self.latch.judge(source, data, self._types, now, self._heard_at, authentic=secure)
        if verdict is Verdict.ACCEPTED or verdict is Verdict.LATCHED:
            self._heard_at = now
            self.packets_received += 1
            name = self._types.get(data[1] & 0x7F)
            if self.peer is not None and self._receiving and name is not None:
                self.peer.show(name, data)

    def receive_report(self) -> None:
        """The RTCP socket is readable."""
        data = self._reports.receive()
        if data is not None:
            self._pass_report(data)

    def _pass_report(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.tell(data)

    # ------------------------------------------------------------ out

    def show(self, name: str, data: bytes) -> None:
        """Send a packet of that encoding, if the far end takes it."""
        number, target = self._numbers.get(name), self.latch.target
        if number is None or target is None or not self._sending:
            return
        if number != data[1] & 0x7F:
            data = bytes((data[0], data[1] & _MARKER | number)) + data[2:]
        with contextlib.suppress(OSError):
            self.ports.rtp.sendto(self._protection.protect(data), target)
            self.packets_sent += 1

    def tell(self, data: bytes) -> None:
        """Send a report, also where pictures go one way only: feedback comes back."""
        self._reports.send(data, self._put)

    def _put(self, packet: bytes | memoryview) -> object:
        target = self.latch.target
        if target is None:
            raise SrtpError("nobody is there yet")
        return self.ports.rtp.sendto(packet, target)

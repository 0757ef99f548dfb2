"""RTCP with one far end: the second socket of the pair, and whom its reports go to."""

from __future__ import annotations

import socket

from cordboard.media import rtp
from cordboard.media.latching import Address, Latch
from cordboard.media.outgoing import Transmit
from cordboard.media.rtcp import Reporting
from cordboard.media.srtp import Protection

_DATAGRAM = 1500


class ReportSocket:
    """Reports follow the media: to where RTCP comes from, if that is where RTP comes from too."""

    __slots__ = ("_heard_from", "_latch", "_protection", "_signalled_port", "_socket")

    def __init__(self, rtcp: socket.socket, latch: Latch, protection: Protection) -> None:
        self._socket = rtcp
        self._latch = latch
        self._protection = protection
        self._signalled_port = 0
        self._heard_from: Address | None = None

    def signal(self, port: int) -> None:
        """The SDP says where RTCP goes; 0 = nowhere."""
        if port != self._signalled_port:
            self._heard_from = None
        self._signalled_port = port

    @property
    def is_multiplexed(self) -> bool:
        """RTCP shares the port of RTP (RFC 5761)."""
        signalled = self._latch.signalled
        return signalled is not None and signalled[1] == self._signalled_port

    @property
    def target(self) -> Address | None:
        """Where reports go; None = nowhere yet."""
        media, signalled = self._latch.target, self._latch.signalled
        if media is None or signalled is None or not self._signalled_port:
            return None
        if self._heard_from is not None and self._heard_from[0] == media[0]:
            return self._heard_from
        if media == signalled:
            return signalled[0], self._signalled_port
        # Behind NAT: the neighbour of the port that media comes from is the best guess (RFC 3550 section 11).
        return (media[0], media[1] + 1) if media[1] < 0xFFFF else None

    def receive(self) -> bytes | None:
        """The socket is readable: a report of the far end's own hosts, unprotected; None if it is none."""
        try:
            data, source = self._socket.recvfrom(_DATAGRAM)
        except OSError:
            return None
        media, signalled = self._latch.target, self._latch.signalled
        if media is None or signalled is None or source[0] not in (media[0], signalled[0]):
            return None
        plain = self._protection.open_rtcp(data)
        if plain is not None:
            self._heard_from = source[:2]
        return plain

    def send(self, report: bytes, put: Transmit) -> None:
        """To wherever reports go, protected; `put` sends from the port of the media."""
        target = self.target
        if target is None:
            return
        try:
            packet = self._protection.protect_rtcp(report)
            if self.is_multiplexed:
                put(packet)
            else:
                self._socket.sendto(packet, target)
        except OSError:
            # The next report says the same and more.
            return


class Reports:
    """One leg's reports about its audio."""

    __slots__ = ("_sent", "_socket", "reporting", "signal")

    def __init__(self, rtcp: socket.socket, latch: Latch, cname: str, protection: Protection) -> None:
        self._socket = ReportSocket(rtcp, latch, protection)
        self.signal = self._socket.signal
        self._sent = False
        self.reporting = Reporting(cname=cname)

    def receive(self, ssrc: int, now: float) -> None:
        """The socket is readable."""
        data = self._socket.receive()
        if data is not None:
            self.reporting.handle(data, ssrc, now)

    def send(
        self,
        sender: rtp.RtpSender,
        reception: rtp.ReceptionStatistics,
        now: float,
        put: Transmit,
        *,
        goodbye: bool = False,
    ) -> None:
        """A report, if there is anything to tell and anybody to tell it; `put` sends it from the port of RTP.

        `goodbye`: the last one; only who has ever sent anything takes leave (RFC 3550 section 6.3.7).
        """
        said = sender.packets or (self._sent if goodbye else reception.received)
        if self._socket.target is None or not said:
            return
        self._sent = True
        self._socket.send(self.reporting.report(sender, reception, now, goodbye=goodbye), put)

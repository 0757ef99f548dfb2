"""One leg's media: its ports, who it believes, what comes in, what goes out."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache

import msgspec

from cordboard.media import mos, rtp
from cordboard.media.clock import Clock
from cordboard.media.dtmf import Digit
from cordboard.media.hearing import Hearings
from cordboard.media.latching import Address, Latch, LatchingPolicy, Verdict
from cordboard.media.negotiated import speech_of, types_of
from cordboard.media.outgoing import Outgoing, Transmit, nowhere
from cordboard.media.ports import PortPair, connected_socket
from cordboard.media.protocol import DigitHeard, Event, LegStatistics, SetRemote
from cordboard.media.readiness import Readiness
from cordboard.media.relay import Incoming
from cordboard.media.reports import Reports
from cordboard.media.run import DATAGRAM
from cordboard.media.speaker import Speaker
from cordboard.media.srtp import Protection, is_usable
from cordboard.media.video import Video

_MOST_EARLY = 64


@lru_cache(maxsize=4096)
def reachable(address: str) -> str | None:
    """The address as `recvfrom` spells it; None where nothing may be sent (RFC 3264 5.1: 0.0.0.0 is hold)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return None if parsed.is_unspecified or parsed.is_multicast else str(parsed)


class Endpoint:
    """Lives from `OpenEndpoint` to `CloseEndpoint`.  Whom it is joined with is the graph's affair."""

    __slots__ = (
        "_clock",
        "_connected",
        "_local",
        "_protection",
        "_put",
        "_readiness",
        "_report",
        "endpoint_id",
        "incoming",
        "latch",
        "outgoing",
        "ports",
        "receiving",
        "report_slot",
        "reports",
        "speaker",
        "video",
    )

    def __init__(
        self,
        endpoint_id: str,
        *,
        address: str,
        ports: PortPair,
        sender: rtp.RtpSender,
        clock: Clock,
        readiness: Readiness,
        report: Callable[[Event], None],
        policy: LatchingPolicy,
        ticking: set[Incoming],
        hearings: Hearings | None = None,
        video: PortPair | None = None,
    ) -> None:
        self.endpoint_id = endpoint_id
        self.ports = ports
        self._local = (address, ports.port)
        self.report_slot = 0
        """Where the worker keeps it until its next report is due."""
        self._clock = clock
        self._readiness = readiness
        self._report = report
        self._connected: socket.socket | None = None
        self._put: Transmit = nowhere
        """Puts a datagram on the wire as it is."""
        self._protection = Protection(clock)
        self.latch = Latch(policy)
        self.incoming = Incoming(clock, self._digit_heard, self._take_report, ticking, hearings)
        self.outgoing = Outgoing(sender, clock, hearings)
        self.speaker = Speaker(endpoint_id, self.outgoing, report)
        self.receiving = True
        self.reports = Reports(ports.rtcp, self.latch, f"{sender.ssrc:08x}@{address}", self._protection)
        self.video = (
            Video(video, clock=clock, readiness=readiness, policy=policy) if video is not None else None
        )
        """None = it was opened without."""
        readiness.hand_over(ports.rtp, self.receive)
        readiness.hand_over(ports.rtcp, self.receive_report)

    @property
    def may_be_heard(self) -> bool:
        """What the far end says goes to its peer."""
        return self.receiving

    @property
    def may_be_told(self) -> bool:
        """The far end can be sent something, and hears nothing in place of its peer."""
        return self.speaker.is_open and not self.speaker.stands_alone

    @property
    def was_heard(self) -> bool:
        """Somebody has sent to its ports, whoever it was."""
        refused = self.latch.refused + self._protection.refused
        return bool(self.incoming.statistics.received or self.incoming.unexpected or refused)

    # -------------------------------------------------------------- commands

    def set_remote(self, command: SetRemote) -> None:
        """The SDP says where the far end is and what it speaks."""
        if not is_usable(command.srtp):
            # Whoever wanted encryption gets it or silence.
            command = msgspec.structs.replace(command, port=0, srtp=None, receiving=False)
        rekeyed = self._protection.use(command.srtp)
        address = reachable(command.address) if 0 < command.port < 0x10000 else None
        target = (address, command.port) if address is not None else None
        self.receiving = command.receiving
        self.speaker.is_open = command.sending and target is not None
        self.incoming.expect(types_of(command), event_clock=command.dtmf_clock_rate)
        self.incoming.hear_tones(command.dtmf_mode == "inband")
        self.outgoing.speak(speech_of(command))
        self.reports.signal(command.rtcp_port if target is not None else 0)
        before = self.latch.target
        self.latch.signal(target, self._clock.now, follow=command.latch)
        if self.latch.target != before:
            self._turn_to(None if command.latch else target)
        elif rekeyed:
            self._wire()
        self._set_video(command)

    def _set_video(self, command: SetRemote) -> None:
        if self.video is None:
            return
        remote = command.video
        if remote is not None and not is_usable(remote.srtp):
            remote = None
        address = reachable(remote.address or command.address) if remote is not None else None
        self.video.set_remote(remote, address, follow=command.latch)

    def close(self) -> LegStatistics:
        """Stop; the ports are free to rest, and whoever takes them hands their sockets over."""
        if self.video is not None:
            self.video.close()
        self.speaker.end()
        self.incoming.feed(None)
        self.incoming.let_go()
        self.report(goodbye=True)
        self._disconnect()
        return self.statistics()

    def statistics(self) -> LegStatistics:
        """Up to now."""
        self.incoming.settle()
        self.outgoing.settle()
        received = self.incoming.statistics
        remote = self.reports.reporting
        latched, signalled = self.latch.latched, self.latch.signalled
        return LegStatistics(
            packets_sent=self.outgoing.sender.packets,
            packets_received=received.received,
            bytes_received=received.octets,
            packets_lost=received.lost,
            jitter_ms=received.jitter_ms,
            remote_lost=remote.remote_lost,
            remote_jitter_ms=remote.remote_jitter_ms,
            round_trip_ms=remote.round_trip_ms,
            mos=self._mos(),
            packets_refused=self.latch.refused,
            packets_unauthentic=self._protection.refused,
            video_packets_sent=self.video.packets_sent if self.video is not None else 0,
            video_packets_received=self.video.packets_received if self.video is not None else 0,
            latched_to="" if latched in (None, signalled) else _spell(latched),
        )

    def _mos(self) -> float | None:
        """Of what is heard from the far end; None if nothing was."""
        received = self.incoming.statistics
        if not received.received:
            return None
        return mos.estimate(
            loss=received.lost / received.expected,
            jitter_ms=received.jitter_ms,
            round_trip_ms=self.reports.reporting.round_trip_ms,
        )

    # -------------------------------------------------------------- reports

    def report(self, *, goodbye: bool = False) -> None:
        """Some seconds have passed: tell the far end how it is heard, and what was sent.

        There is no other keepalive.  Empty or comfort packets on a leg that says nothing (RFC 6263) would
        open a stream that the far end has to play, and legs that wait are played something or are on hold.
        With RTCP on the port of RTP the reports keep a NAT binding open anyway.
        """
        self.incoming.settle()
        self.outgoing.settle()
        self.reports.send(
            self.outgoing.sender,
            self.incoming.statistics,
            self._clock.now,
            self._put,
            goodbye=goodbye,
        )

    def receive_report(self) -> None:
        """The RTCP socket is readable."""
        self.reports.receive(self.outgoing.sender.ssrc, self._clock.now)

    def _take_report(self, data: bytes) -> None:
        self.reports.reporting.handle(data, self.outgoing.sender.ssrc, self._clock.now)

    # -------------------------------------------------------------- packets

    def receive(self) -> None:
        """The unconnected socket is readable: the far end before it is latched, and strangers."""
        self._receive_from(self.ports.rtp)

    def _receive_from(self, one: socket.socket) -> bool:
        """Judge and take one datagram; False if there is none."""
        try:
            sealed, source = one.recvfrom(DATAGRAM)
        except OSError:
            return False
        data = self._protection.open(sealed)
        if data is not None:
            self._judge(data, source[:2])
        return True

    def _judge(self, data: bytes, source: Address) -> None:
        verdict = self.latch.judge(
            source,
            data,
            self.incoming.types,
            self._clock.now,
            self.incoming.heard_at,
            authentic=self._protection.is_on,
        )
        if verdict is Verdict.LATCHED:
            self._turn_to(self.latch.latched)
        if verdict is Verdict.LATCHED or verdict is Verdict.ACCEPTED:
            self.incoming.accept(data)
            if verdict is Verdict.LATCHED and self._connected is not None:
                self._judge_what_came_before(self._connected)

    def _judge_what_came_before(self, connected: socket.socket) -> None:
        """What waits is the far end's older packets on the first socket, then anybody's on the second.

        The second may have been given anything that came between its bind and its connect.
        """
        for one in (self.ports.rtp, connected):
            for _ in range(_MOST_EARLY):
                if self._connected is not connected or not self._receive_from(one):
                    break

    def _digit_heard(self, digit: Digit) -> None:
        self._report(
            DigitHeard(endpoint_id=self.endpoint_id, digit=digit.digit, duration_ms=digit.duration_ms)
        )

    # -------------------------------------------------------------- sockets

    def _turn_to(self, source: Address | None) -> None:
        """Media comes from `source` (None: nobody yet, send where the SDP says)."""
        self._disconnect()
        if source is not None:
            self._connected = connected_socket(self.ports.rtp, self._local, source)
        if self._connected is not None:
            self._readiness.watch(self._connected, self.incoming.receive_and_forward)
            self.incoming.lane = self._readiness.lane(self._connected, self.incoming, self._protection)
        self._wire()

    def _wire(self) -> None:
        """Packets come and go by way of the sockets and the keys that hold now."""
        target = self.latch.target
        way = None
        self.incoming.disarm()
        if self._connected is not None:
            self.incoming.receive = self._protection.unprotecting(self._connected.recv_into)
            self._put = self._connected.send
            way = self._protection.way_out(self._connected.fileno())
        else:
            self._put = _sending_to(self.ports.rtp, target) if target is not None else nowhere
        self.outgoing.send_by(self._protection.protecting(self._put), way)

    def _disconnect(self) -> None:
        if self._connected is None:
            return
        self._put = nowhere
        self.outgoing.send_by(nowhere)
        self.incoming.disarm()
        if self.incoming.lane is not None:
            self.incoming.lane.close()
            self.incoming.lane = None
        self._readiness.forget(self._connected)
        with contextlib.suppress(OSError):
            self._connected.close()
        self._connected = None


def _sending_to(one: socket.socket, target: Address) -> Transmit:
    def send(packet: bytes | memoryview) -> object:
        return one.sendto(packet, target)

    return send


def _spell(address: Address | None) -> str:
    if address is None:
        return ""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

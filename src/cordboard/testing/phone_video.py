"""The camera and the screen of a simulated phone: numbered packets out and in, and the feedback between them.

There are no pictures: each payload carries its encoding's name and a number, so that a test sees which
packets passed, and under which payload type.
"""

from __future__ import annotations

import itertools
import struct
from collections import deque

from cordboard.media import rtp
from cordboard.sdp import Codec, VideoOffer, VideoParameters
from cordboard.sdp.video_section import FEEDBACK, label
from cordboard.testing.phone_sockets import Address, RtpSockets, open_rtp

_TYPES = {
    "VP8": Codec("VP8", 102, 90_000),
    "H264": Codec("H264", 104, 90_000, 1, "profile-level-id=42e01f;packetization-mode=1"),
}
_SAMPLES = 90_000 // 50
_MOST_KEPT = 5_000
_SSRCS = itertools.count(0x51D0)
_PSFB = 206
_PLI = 1


class PhoneVideo:
    """One call's.  It sends one packet a tick once a stream is agreed on."""

    def __init__(self, address: str, names: tuple[str, ...]) -> None:
        self._address = address
        self._codecs = tuple(_TYPES[name] for name in names)
        self._sockets: RtpSockets | None = None
        self._sender = rtp.RtpSender(ssrc=next(_SSRCS))
        self.agreed: VideoParameters | None = None
        """None = there is no video."""
        self.heard: deque[tuple[int, bytes]] = deque(maxlen=_MOST_KEPT)
        """(payload type, payload) of what came."""
        self.feedback: deque[tuple[int, int]] = deque(maxlen=_MOST_KEPT)
        """(type, format) of the RTCP feedback that came."""

    @property
    def ssrc(self) -> int:
        """Of what it sends."""
        return self._sender.ssrc

    def offer(self) -> VideoOffer:
        """What it would have."""
        return VideoOffer(port=self._port(), codecs=self._codecs, feedback=FEEDBACK)

    def agree(self, agreed: VideoParameters | None) -> None:
        """What was negotiated; may come again."""
        self.agreed = agreed

    @property
    def numbers(self) -> list[int]:
        """Of the packets that came, in order of arrival."""
        return [int.from_bytes(payload[-4:], "big") for _, payload in self.heard]

    def tick(self) -> None:
        """20 ms have passed."""
        agreed = self.agreed
        if agreed is None or self._sockets is None or not agreed.sending or not agreed.port:
            return
        codec = agreed.codecs[0]
        payload = label(codec).encode() + b" " + struct.pack("!I", self._sender.packets)
        packet = self._sender.packet(payload, codec.payload_type, _SAMPLES)
        self._sockets.send(packet, (agreed.address, agreed.port))

    def ask_for_picture(self) -> None:
        """RTCP PLI (RFC 4585 6.3.1)."""
        agreed = self.agreed
        if agreed is None or self._sockets is None or not agreed.rtcp_port:
            return
        report = struct.pack("!BBHI", 0x80, 201, 1, self.ssrc)
        request = struct.pack("!BBHII", 0x80 | _PLI, _PSFB, 2, self.ssrc, 1)
        self._sockets.send_rtcp(report + request, (agreed.address, agreed.rtcp_port))

    def close(self) -> None:
        """Let go of the ports."""
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def _port(self) -> int:
        if self._sockets is None:
            self._sockets = open_rtp(self._address, self._receive, self._receive_report)
        return self._sockets.port

    def _receive(self, data: bytes, source: Address) -> None:
        payload = rtp.payload(data) if rtp.is_rtp(data) else None
        if payload is not None:
            self.heard.append((rtp.payload_type(data), payload))

    def _receive_report(self, data: bytes, source: Address) -> None:
        while len(data) >= 8:
            self.feedback.append((data[1], data[0] & 0x1F))
            data = data[4 * (1 + int.from_bytes(data[2:4], "big")) :]

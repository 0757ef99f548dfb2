"""The media of one call of a simulated phone: its ports, its descriptions, its voice and ears."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.sdp import (
    PCMA,
    PCMU,
    SessionDescription,
    answer_offer,
    make_offer,
    parse,
    read_answer,
)
from cordboard.testing.pacer import Pacer
from cordboard.testing.phone_audio import PhoneAudio
from cordboard.testing.phone_sockets import RtpSockets, open_rtp

CODECS = (PCMU, PCMA)

_REPORT_TICKS = 250
_FIRST_REPORT_TICK = 25
"""RTCP half a second after the start, so that short calls have a report, and then every 5 s."""


class PhoneMedia:
    """Ports are taken when the first description is made; packets flow once both sides have said theirs.

    The methods that read descriptions raise `SdpError`, those that make the first one `OSError` when no ports
    are free.
    """

    def __init__(
        self,
        audio: PhoneAudio,
        *,
        address: str,
        session_id: int,
        pacer: Pacer,
        clock: Callable[[], float],
    ) -> None:
        self.audio = audio
        self._address = address
        self._session_id = session_id
        self._pacer = pacer
        self._clock = clock
        self._version = 0
        self._ticks = 0
        self._sockets: RtpSockets | None = None
        self._answered = b""
        self._offered: SessionDescription | None = None

    def offer(self, direction: str = "sendrecv") -> bytes:
        """Ours, a new version each time."""
        self._version += 1
        body = make_offer(
            address=self._address,
            port=self._port(),
            codecs=CODECS,
            direction=direction,
            session_id=self._session_id,
            version=self._version,
        )
        self._offered = parse(body)
        return body

    def answer_first(self, offer: bytes) -> bytes:
        """Answer the INVITE; the same in 183 and 200 (RFC 3261 section 13.2.1).  No offer: we make one."""
        if not self._answered:
            self._answered = self.answer(offer) if offer else self.offer()
        return self._answered

    def answer(self, offer: bytes) -> bytes:
        """Answer a new offer."""
        self._version += 1
        answer = answer_offer(
            parse(offer),
            address=self._address,
            port=self._port(),
            codecs=CODECS,
            session_id=self._session_id,
            version=self._version,
        )
        self.audio.agree(answer.media)
        self._pacer.add(self)
        return answer.body

    def read(self, answer: bytes) -> None:
        """The far end's answer to our offer; ignored if we made none."""
        if self._offered is not None:
            self.audio.agree(read_answer(self._offered, parse(answer)))
            self._pacer.add(self)

    def tick(self, now: float) -> None:
        """20 ms of audio."""
        packet, destination = self.audio.next_packet(), self.audio.destination
        if packet is not None and destination is not None and self._sockets is not None:
            self._sockets.send(packet, destination)
        self.audio.release_keys(now)
        self._ticks += 1
        if self._ticks % _REPORT_TICKS == _FIRST_REPORT_TICK:
            self._send_report(now)

    def close(self) -> None:
        """Let go of the ports, with an RTCP BYE."""
        self._pacer.remove(self)
        if self._sockets is not None:
            self._send_report(self._clock(), last=True)
            self._sockets.close()

    def _send_report(self, now: float, *, last: bool = False) -> None:
        packet, destination = self.audio.next_report(now, last=last), self.audio.report_destination
        if packet is not None and destination is not None and self._sockets is not None:
            self._sockets.send_rtcp(packet, destination)

    def _port(self) -> int:
        if self._sockets is None:
            self._sockets = open_rtp(self._address, self._receive, self._receive_report)
        return self._sockets.port

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        self.audio.receive(data, source, self._clock())

    def _receive_report(self, data: bytes, source: tuple[str, int]) -> None:
        self.audio.receive_report(data, self._clock())

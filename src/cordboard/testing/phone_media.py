"""The media of one call of a simulated phone: its ports, its descriptions, its voice and ears."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from cordboard.media.clock import Clock
from cordboard.media.protocol import Srtp, SrtpKeys
from cordboard.media.srtp import Protection
from cordboard.sdp import (
    CryptoAttribute,
    MediaDescription,
    MediaParameters,
    SessionDescription,
    VideoOffer,
    answer_offer,
    make_offer,
    new_keys,
    parse,
    read_answer,
    serialise,
)
from cordboard.sdp.codec import TELEPHONE_EVENT
from cordboard.sdp.crypto import OFFERED
from cordboard.sdp.media import RECEIVING, SENDING
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.pacer import Pacer
from cordboard.testing.phone_audio import PhoneAudio
from cordboard.testing.phone_codecs import offered
from cordboard.testing.phone_sockets import RtpSockets, open_rtp
from cordboard.testing.phone_video import PhoneVideo

_REPORT_TICKS = 250
_MOST_KEPT = 10_000
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
        behaviour: Behaviour,
        keep_wire: bool = False,
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
        self._behaviour = behaviour
        self._codecs = offered(behaviour.codecs)
        self._encryption = behaviour.encryption
        self._agreed: MediaParameters | None = None
        self._fresh = False
        self._wanted = "sendrecv"
        """The direction that the phone would have: `sendonly` while it holds."""
        self.is_held = False
        """The far end does not listen, as its last description says."""
        self._time = Clock(clock())
        self._protection = Protection(self._time)
        self._transmit = self._protection.protecting(self._put)
        self.video = PhoneVideo(address, behaviour.video) if behaviour.video else None
        """None = it has no camera."""
        self.wire: deque[bytes] | None = deque(maxlen=_MOST_KEPT) if keep_wire else None
        """Datagrams of either port as they came, not yet unprotected; None = they are not kept."""

    def offer(self, direction: str | None = None) -> bytes:
        """Ours, a new version each time; the direction is that of the one before unless it is given."""
        self._wanted = direction or self._wanted
        self._version += 1
        body = make_offer(
            address=self._address,
            port=self._port(),
            codecs=self._codecs,
            dtmf=self._behaviour.telephone_events,
            ptime_ms=self._behaviour.ptime_ms,
            direction=self._wanted,
            session_id=self._session_id,
            version=self._version,
            crypto=self._new_keys(),
            profile="RTP/SAVP" if self._encryption == "mandatory" else "RTP/AVP",
            video=self._video_offer(),
            sections=self._agreed.sections if self._agreed is not None else (),
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
            self._understood(offer),
            address=self._address,
            port=self._port(),
            codecs=self._codecs,
            ptime_ms=self._behaviour.ptime_ms,
            session_id=self._session_id,
            version=self._version,
            direction=self._wanted,
            encryption=self._encryption,
            new_key=os.urandom,
            keep=self._agreed,
            video=self._video_offer(),
        )
        self._agree(answer.media)
        self.is_held = is_hold(offer)
        return answer.body

    def read(self, answer: bytes) -> None:
        """The far end's answer to our offer; ignored if we made none."""
        if self._offered is not None:
            self._agree(read_answer(self._offered, parse(answer), encryption=self._encryption))
            if self._wanted in SENDING:
                self.is_held = is_hold(answer)

    def _understood(self, offer: bytes) -> SessionDescription:
        description = parse(offer)
        for section in description.media:
            if not self._behaviour.telephone_events:
                section.formats = [text for text in section.formats if not _is_event(section, text)]
            if self._behaviour.suites:
                section.attributes = [one for one in section.attributes if self._knows(*one)]
        return parse(serialise(description))

    def _knows(self, name: str, value: str) -> bool:
        """False for a key of a suite that is not its own."""
        return name != "crypto" or value.split(" ")[1] in self._behaviour.suites

    def _video_offer(self) -> VideoOffer | None:
        return self.video.offer() if self.video is not None else None

    def change_keys(self) -> None:
        """The next offer has new ones."""
        self._fresh = True

    def prefer(self, codecs: tuple[str, ...]) -> None:
        """The next offer has these, in this order."""
        self._codecs = offered(codecs)

    def move(self) -> None:
        """Other ports; the next description names them."""
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    @property
    def is_secure(self) -> bool:
        """SRTP was agreed on."""
        return self._protection.is_on

    @property
    def packets_unauthentic(self) -> int:
        """Packets that were plain, replayed or of another key while SRTP was agreed on."""
        return self._protection.refused

    def _new_keys(self) -> tuple[CryptoAttribute, ...]:
        if self._encryption == "forbidden":
            return ()
        pair = self._agreed.crypto if self._agreed is not None and not self._fresh else None
        self._fresh = False
        keep = pair.send if pair is not None else None
        return new_keys(os.urandom, self._behaviour.suites or OFFERED, keep=keep)

    def _agree(self, media: MediaParameters) -> None:
        self._agreed = media
        self._protection.use(_srtp(media))
        self._transmit = self._protection.protecting(self._put)
        self.audio.agree(media)
        if self.video is not None:
            self.video.agree(media.video)
        self._pacer.add(self)

    def tick(self, now: float) -> None:
        """20 ms of audio, and of video."""
        for packet in self.audio.next_packets(now):
            self._transmit(packet)
        if self.video is not None:
            self.video.tick()
        self.audio.release_keys(now)
        self._ticks += 1
        if self._ticks % _REPORT_TICKS == _FIRST_REPORT_TICK:
            self._send_report(now)

    def _put(self, packet: bytes | memoryview) -> object:
        destination = self.audio.destination
        if destination is not None and self._sockets is not None:
            self._sockets.send(bytes(packet), destination)
        return None

    def close(self) -> None:
        """Let go of the ports, with an RTCP BYE."""
        self._pacer.remove(self)
        if self._sockets is not None:
            self._send_report(self._clock(), last=True)
            self._sockets.close()
        if self.video is not None:
            self.video.close()

    def _send_report(self, now: float, *, last: bool = False) -> None:
        packet, destination = self.audio.next_report(now, last=last), self.audio.report_destination
        if packet is not None and destination is not None and self._sockets is not None:
            self._sockets.send_rtcp(self._protection.protect_rtcp(packet), destination)

    def _port(self) -> int:
        if self._sockets is None:
            self._sockets = open_rtp(self._address, self._receive, self._receive_report)
        return self._sockets.port

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        self._time.now = self._clock()
        plain = self._protection.open(self._keep(data))
        if plain is not None:
            self.audio.receive(plain, source, self._time.now)

    def _receive_report(self, data: bytes, source: tuple[str, int]) -> None:
        plain = self._protection.open_rtcp(self._keep(data))
        if plain is not None:
            self.audio.receive_report(plain, self._clock())

    def _keep(self, data: bytes) -> bytes:
        if self.wire is not None:
            self.wire.append(data)
        return data


def is_hold(body: bytes) -> bool:
    """Whoever describes itself so does not listen.  Raises SdpError."""
    description = parse(body)
    audio = [section for section in description.media if section.kind == "audio" and section.port]
    return bool(audio) and description.direction_of(audio[0]) not in RECEIVING


def _is_event(section: MediaDescription, number: str) -> bool:
    return any(
        codec.name == TELEPHONE_EVENT and str(codec.payload_type) == number for codec in section.codecs()
    )


def _srtp(media: MediaParameters) -> Srtp | None:
    if media.crypto is None:
        return None
    send, receive = media.crypto.send, media.crypto.receive
    return Srtp(
        send=SrtpKeys(suite=send.suite, key=send.key),
        receive=SrtpKeys(suite=receive.suite, key=receive.key),
    )

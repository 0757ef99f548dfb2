"""What one far end is sent: one RTP stream, whoever feeds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cordboard.media import rtp
from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec
from cordboard.media.codecs.codec import Codec, Encoder, Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.hearing import Hearing, Hearings, Listener

if TYPE_CHECKING:
    from cordboard.media.relay import Incoming
    from cordboard.media.srtp import Way

EVENT = "telephone-event"
"""Encoding name of RFC 4733 in `SetRemote.accepted`."""

_G711 = (g711.PCMU, g711.PCMA)
_TICKS_A_SECOND = 50
_OPUS_LENGTHS = (60, 40, 20, 10)
"""Milliseconds of a packet that an encoder of whole packets can make."""


Transmit = Callable[[bytes | memoryview], object]
"""Puts a packet on the wire before it returns (the memory is used again); may raise OSError."""


def nowhere(_: bytes | memoryview) -> object:
    """Transmits to nobody."""
    return None


class Overlay(Protocol):
    """Something that is laid over all that a far end is sent."""

    def accompany(self, pcm: bytes, rate: int) -> None:
        """Say this with what is laid over it."""
        ...


class Speech(NamedTuple):
    """What a far end wants to hear, and in packets of what length."""

    codec: Codec
    payload_type: int
    ptime_ms: int = 0
    """0 = packets of any length"""
    max_rate: int = 0
    """Of the audio it can play; 0 = whatever the codec can"""
    wish: Wish = Wish()
    event_type: int | None = None
    """Of telephone events; None = it does not know them."""
    event_clock: int = 8000
    digits: str = "rfc4733"
    """How it wants keys: `rfc4733`, `inband` or `info` (see `SetRemote.dtmf_mode`)."""

    @property
    def frame(self) -> int:
        """Ticks of the codec's clock of one packet; 0 = any."""
        return self.codec.clock_rate * self.ptime_ms // 1000

    @property
    def rates(self) -> tuple[int, ...]:
        """At which audio for it can be encoded."""
        rates = self.codec.rates
        return tuple(rate for rate in rates if not self.max_rate or rate <= self.max_rate) or rates[:1]


class Outgoing:
    """One SSRC, with sequence numbers and timestamps that go on when the feeding source changes.

    `transmit` puts a packet on the wire and may raise OSError.  An `Incoming` that feeds this stream copies
    some of these values for its fast path: change them through the methods, which make it look again.
    """

    __slots__ = (
        "_clock",
        "_converter",
        "_encoder",
        "_hearings",
        "_interrupted",
        "_pending",
        "_pending_pcm",
        "_rate",
        "_unit",
        "clock_rate",
        "codec",
        "event_type",
        "feeder",
        "frame",
        "hearing",
        "last",
        "overlay",
        "payload_type",
        "sender",
        "sent_at",
        "speech",
        "transmit",
        "unsent",
        "way",
    )

    def __init__(self, sender: rtp.RtpSender, clock: Clock, hearings: Hearings | None = None) -> None:
        self._clock = clock
        self._hearings = hearings if hearings is not None else {}
        self.hearing: Hearing | None = None
        """Who listens to all that the far end is sent."""
        self._interrupted = False
        self.sender = sender
        self._pending = b""
        """Audio made here, encoded, that does not fill a packet yet."""
        self._pending_pcm = b""
        """The same where packets are encoded as a whole."""
        self.transmit: Transmit = nowhere
        self.way: Way | None = None
        """That of `transmit`, if it is no more than a socket with its protection."""
        self.last = b""
        """The packet that was put on the wire last (a feeder's run is not seen here)."""
        self.feeder: Incoming | None = None
        self.overlay: Overlay | None = None
        """While it is there, audio of others passes through it and the stream's time is its affair."""
        self.sent_at = clock.now
        self.unsent = 0
        """Packets that the system did not take."""
        self._adopt(Speech(codec(g711.PCMU), 0))

    def _adopt(self, speech: Speech) -> None:
        """Its parts are copied: they are looked at for every packet."""
        self.speech = speech
        self.codec = speech.codec.encoding
        self._unit = speech.codec.unit
        self.clock_rate = speech.codec.clock_rate
        self.payload_type = speech.payload_type
        self.event_type = speech.event_type if speech.digits == "rfc4733" else None
        self.frame = speech.frame
        """Samples of a packet, as the far end wants them; 0 = it takes packets of any length."""
        self._encoder: Encoder | None = None
        self._converter: RateConverter | None = None
        self._rate = 0
        """Of the audio that the encoder was made for."""

    def speak(self, speech: Speech) -> None:
        """What the far end wants to hear from now on."""
        if not speech.codec.unit and speech.ptime_ms:
            ptime = next((length for length in _OPUS_LENGTHS if length <= speech.ptime_ms), 10)
            speech = speech._replace(ptime_ms=ptime) if speech.codec.can_encode else speech
        if speech != self.speech:
            self._begin_anew()
            if self.feeder is not None:
                self.feeder.disarm()
            self._adopt(speech)

    def send_by(self, transmit: Transmit, way: Way | None = None) -> None:
        """How packets leave from now on; `way`: the same for compiled callers."""
        if self.feeder is not None:
            # It must not rely on what it has copied.
            self.feeder.disarm()
        self.transmit, self.way = transmit, way

    def attach(self, listener: Listener) -> None:
        """Let it hear what the far end hears, whatever says it."""
        if self.hearing is None:
            self.hearing = Hearing(self._hearings)
            if self.feeder is not None:
                self.feeder.disarm()
        self.hearing.attach(listener)

    def detach(self, listener: Listener) -> None:
        """No more."""
        if self.hearing is not None:
            self.hearing.detach(listener)
            if self.hearing.is_over:
                self.hearing = None

    def settle(self) -> None:
        """Bring the counts up to date."""
        if self.feeder is not None:
            self.feeder.settle()

    def is_fed(self, seconds: float) -> bool:
        """Somebody's packets have come to be sent here within the last so many seconds."""
        self.settle()
        return self.feeder is not None and self._clock.now - self.feeder.heard_at < seconds

    def lay_over(self, overlay: Overlay | None) -> None:
        """From the next packet on; None: nothing any more, and packets may be passed on as they are."""
        if overlay is None:
            self.flush()
        elif self.feeder is not None:
            self.feeder.disarm()
        self.overlay = overlay

    def _begin_anew(self) -> None:
        self._pending = self._pending_pcm = b""
        if self.feeder is not None:
            self.feeder.start_over()

    def interrupt(self) -> None:
        """The source changes or pauses: the next packet goes on by the clock, with the next number."""
        self._begin_anew()
        self._interrupted = self._interrupted or self.overlay is None

    def go_on_by_clock(self) -> None:
        """The source begins anew in the middle: as `interrupt`, but it feeds on."""
        if self.overlay is None:
            self._pending = self._pending_pcm = b""
            self._interrupted = True

    # -------------------------------------------------------------- packets of others

    def takes(self, name: str) -> bool:
        """Packets of that encoding can be passed on as they are, or nearly so (the two laws of G.711)."""
        return name == self.codec or (name in _G711 and self.codec in _G711)

    def relay(self, name: str, data: bytes, payload: bytes) -> bytes | None:
        """Pass on a packet of the encoding `name`.  What was sent, or None if this far end cannot have it."""
        if self.takes(name):
            samples = self.speech.codec.samples(payload)
            if name != self.codec:
                payload = payload.translate(g711.translation(name, self.codec))
            return self._forward(data, payload, self.payload_type, samples)
        if name == EVENT and self.event_type is not None:
            packet = self._forward(data, payload, self.event_type, 0)
            self.sender.go_on_with_event(rtp.timestamp(packet))
            return packet
        self._interrupted = True
        return None

    def _forward(self, data: bytes, payload: bytes, payload_type: int, samples: int) -> bytes:
        if self._interrupted:
            self._catch_up()
        packet = self.sender.forward(data, payload, payload_type, samples)
        self.put(packet)
        return packet

    # -------------------------------------------------------------- audio made here

    def pass_pcm(self, pcm: bytes, rate: int) -> None:
        """Audio of another party."""
        if self.overlay is not None:
            self.overlay.accompany(pcm, rate)
        else:
            self.say_pcm(pcm, rate)

    def say_pcm(self, pcm: bytes, rate: int) -> None:
        """Audio made here, `rate` samples a second; nothing if it cannot be encoded for this far end."""
        encoder = self._encoder
        if encoder is None or rate != self._rate:
            encoder = self._prepare(rate)
            if encoder is None:
                return
        if self._converter is not None:
            pcm = self._converter.convert(pcm)
        if self._unit:
            self.say(encoder.encode(pcm))
        else:
            self._say_whole(encoder, pcm)

    def encoding(self, rate: int) -> Callable[[bytes], bytes] | None:
        """What makes the next packet's payload of a packet's length of audio at `rate`; None while something
        else has to be done first, or besides."""
        waits = self._interrupted or self._pending or self._pending_pcm
        encoder = self._encoder
        if waits or encoder is None or rate != self._rate or self.overlay is not None:
            return None
        encode, converter = encoder.encode, self._converter
        return encode if converter is None else lambda pcm: encode(converter.convert(pcm))

    def _prepare(self, rate: int) -> Encoder | None:
        speech = self.speech
        if speech.codec.make_encoder is None:
            return None
        rates = speech.rates
        wanted = next((one for one in rates if one >= rate), rates[-1])
        if self._encoder is None or self._encoder.rate != wanted:
            self._encoder = speech.codec.make_encoder(wanted, speech.wish)
            self._pending_pcm = b""
        self._rate = rate
        self._converter = RateConverter(rate, wanted) if rate != wanted else None
        return self._encoder

    def _say_whole(self, encoder: Encoder, pcm: bytes) -> None:
        """For an encoder that makes packets, not samples."""
        if self._interrupted:
            self._catch_up()
        frame = self.frame or self.clock_rate // _TICKS_A_SECOND
        size = 2 * (frame * encoder.rate // self.clock_rate)
        pending = self._pending_pcm + pcm if self._pending_pcm else pcm
        while len(pending) >= size:
            packet = self.sender.packet(encoder.encode(pending[:size]), self.payload_type, frame)
            pending = pending[size:]
            self.put(packet)
        self._pending_pcm = pending

    def say(self, payload: bytes) -> None:
        """Audio made here, in this stream's codec (one with a `unit`); packets leave as they get full."""
        if self._interrupted:
            self._catch_up()
        size = self.frame * self._unit
        if self._pending or 0 != size != len(payload):
            self._say_pieces(payload, size)
        else:
            self.put(self.sender.packet(payload, self.payload_type, len(payload) // self._unit))

    def _say_pieces(self, payload: bytes, size: int) -> None:
        pending = self._pending + payload
        while len(pending) >= size:
            piece, pending = pending[:size], pending[size:]
            self.put(self.sender.packet(piece, self.payload_type, self.frame))
        self._pending = pending

    def flush(self) -> None:
        """What does not fill a packet goes out in a shorter one: something else follows."""
        pending, self._pending = self._pending, b""
        if pending:
            self.put(self.sender.packet(pending, self.payload_type, len(pending) // self._unit))
        if self._pending_pcm and self._encoder is not None:
            frame = self.frame or self.clock_rate // _TICKS_A_SECOND
            size = 2 * (frame * self._encoder.rate // self.clock_rate)
            self._say_whole(self._encoder, bytes(size - len(self._pending_pcm)))

    def rest(self, seconds: float = 1 / _TICKS_A_SECOND) -> None:
        """For so long no audio is sent; the stream's time goes on."""
        if self.overlay is not None:
            return
        self.flush()
        self.sender.skip(round(seconds * self.clock_rate))
        self.sent_at = self._clock.now

    # -------------------------------------------------------------- keys

    def say_event(self, payload: bytes, *, start: bool) -> None:
        """One packet of a telephone event made here; nothing if the far end does not know them."""
        self._put_event(payload, self.clock_rate // _TICKS_A_SECOND, start=start, ahead=0)

    def pass_event(self, payload: bytes, *, start: bool, ahead: float) -> None:
        """One packet of another party's event among audio made here: it starts `ahead` seconds from now."""
        self._put_event(payload, 0, start=start, ahead=round(ahead * self.clock_rate))

    def _put_event(self, payload: bytes, samples: int, *, start: bool, ahead: int) -> None:
        if self.event_type is None:
            return
        self.flush()
        if self._interrupted:
            self._catch_up()
        self.put(self.sender.event(payload, self.event_type, samples, start=start, ahead=ahead))

    # -------------------------------------------------------------- the wire

    def put(self, packet: bytes) -> None:
        """Onto the wire."""
        self.last = packet
        self.sent_at = self._clock.now
        if self.hearing is not None:
            self._overhear(self.hearing, packet)
        try:
            self.transmit(packet)
        except OSError:
            self.unsent += 1

    def _overhear(self, hearing: Hearing, packet: bytes) -> None:
        payload_type = packet[1] & 0x7F
        if payload_type == self.payload_type:
            hearing.take(self.codec, packet, packet[rtp.HEADER_LENGTH :])
        elif payload_type == self.event_type:
            hearing.take_event(packet, packet[rtp.HEADER_LENGTH :])

    def _catch_up(self) -> None:
        """Timestamps follow the clock over the pause, so that the far end's jitter buffer does too."""
        self._interrupted = False
        passed = int((self._clock.now - self.sent_at) * self.clock_rate)
        self.sender.skip(max(0, passed - (self.frame or self.clock_rate // _TICKS_A_SECOND)))

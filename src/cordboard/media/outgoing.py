"""What one far end is sent: one RTP stream, whoever feeds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cordboard.media import rtp
from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.hearing import Hearing, Hearings, Listener

if TYPE_CHECKING:
    from cordboard.media.relay import Incoming

EVENT = "telephone-event"
"""Encoding name of RFC 4733 in `SetRemote.accepted`."""

_AUDIO = (g711.PCMU, g711.PCMA)
_FRAME = 160


Transmit = Callable[[bytes | memoryview], object]
"""Puts a packet on the wire before it returns (the memory is used again); may raise OSError."""


def nowhere(_: bytes | memoryview) -> object:
    """Transmits to nobody."""
    return None


class Outgoing:
    """One SSRC, with sequence numbers and timestamps that go on when the feeding source changes.

    `transmit` puts a packet on the wire and may raise OSError.  An `Incoming` that feeds this stream copies
    some of these values for its fast path: change them through the methods, which make it look again.
    """

    __slots__ = (
        "_clock",
        "_hearings",
        "_interrupted",
        "_pending",
        "codec",
        "event_type",
        "feeder",
        "frame",
        "hearing",
        "payload_type",
        "sender",
        "sent_at",
        "transmit",
        "unsent",
    )

    def __init__(self, sender: rtp.RtpSender, clock: Clock, hearings: Hearings | None = None) -> None:
        self._clock = clock
        self._hearings = hearings if hearings is not None else {}
        self.hearing: Hearing | None = None
        """Who listens to all that the far end is sent."""
        self._interrupted = False
        self.sender = sender
        self.codec = g711.PCMU
        self.payload_type = 0
        self.frame = 0
        """Samples of a packet, as the far end wants them; 0 = it takes packets of any length."""
        self._pending = b""
        """Audio made here that does not fill a packet yet."""
        self.event_type: int | None = None
        """Of telephone events; None = the far end does not know them."""
        self.transmit: Transmit = nowhere
        self.feeder: Incoming | None = None
        self.sent_at = clock.now
        self.unsent = 0
        """Packets that the system did not take."""

    def speak(self, codec: str, payload_type: int, event_type: int | None, ptime_ms: int = 0) -> None:
        """What the far end wants to hear from now on, and in packets of what length."""
        wanted = (codec, payload_type, event_type, 8 * ptime_ms)
        if wanted != (self.codec, self.payload_type, self.event_type, self.frame):
            self._begin_anew()
            self.codec, self.payload_type, self.event_type, self.frame = wanted

    def send_by(self, transmit: Transmit) -> None:
        """How packets leave from now on."""
        if self.feeder is not None:
            # It must not rely on what it has copied.
            self.feeder.disarm()
        self.transmit = transmit

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

    def _begin_anew(self) -> None:
        self._pending = b""
        if self.feeder is not None:
            self.feeder.start_over()

    def interrupt(self) -> None:
        """The source changes or pauses: the next packet goes on by the clock, with the next number."""
        self._begin_anew()
        self._interrupted = True

    def relay(self, name: str, data: bytes, payload: bytes) -> bytes | None:
        """Pass on a packet of the encoding `name`.  What was sent, or None if this far end cannot have it."""
        if name in _AUDIO:
            table = g711.translation(name, self.codec)
            if table is not None:
                payload = payload.translate(table)
            return self._forward(data, payload, self.payload_type, len(payload))
        if name == EVENT and self.event_type is not None:
            return self._forward(data, payload, self.event_type, 0)
        self._interrupted = True
        return None

    def _forward(self, data: bytes, payload: bytes, payload_type: int, samples: int) -> bytes:
        if self._interrupted:
            self._catch_up()
        packet = self.sender.forward(data, payload, payload_type, samples)
        self.put(packet)
        return packet

    def say(self, payload: bytes) -> None:
        """Audio made here, in this stream's codec; packets leave as they get full."""
        if self._interrupted:
            self._catch_up()
        frame = self.frame
        if self._pending or 0 != frame != len(payload):
            self._say_pieces(payload, frame)
        else:
            self.put(self.sender.packet(payload, self.payload_type, len(payload)))

    def _say_pieces(self, payload: bytes, frame: int) -> None:
        pending = self._pending + payload
        while len(pending) >= frame:
            piece, pending = pending[:frame], pending[frame:]
            self.put(self.sender.packet(piece, self.payload_type, frame))
        self._pending = pending

    def flush(self) -> None:
        """What does not fill a packet goes out in a shorter one: something else follows."""
        pending, self._pending = self._pending, b""
        if pending:
            self.put(self.sender.packet(pending, self.payload_type, len(pending)))

    def rest(self, samples: int) -> None:
        """For so long no audio is sent; the stream's time goes on."""
        self.flush()
        self.sender.skip(samples)
        self.sent_at = self._clock.now

    def say_event(self, payload: bytes, *, start: bool) -> None:
        """One packet of a telephone event made here; nothing if the far end does not know them."""
        self._put_event(payload, _FRAME, start=start, ahead=0)

    def pass_event(self, payload: bytes, *, start: bool, ahead: int) -> None:
        """One packet of another party's event among audio made here: it starts `ahead` samples from now."""
        self._put_event(payload, 0, start=start, ahead=ahead)

    def _put_event(self, payload: bytes, samples: int, *, start: bool, ahead: int) -> None:
        if self.event_type is None:
            return
        self.flush()
        if self._interrupted:
            self._catch_up()
        self.put(self.sender.event(payload, self.event_type, samples, start=start, ahead=ahead))

    def put(self, packet: bytes) -> None:
        """Onto the wire."""
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
        passed = int((self._clock.now - self.sent_at) * 8000)
        self.sender.skip(max(0, passed - (self.frame or _FRAME)))

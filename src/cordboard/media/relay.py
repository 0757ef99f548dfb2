"""What comes from one far end, and its way to the one it talks to.

Almost every packet is the next one of a stream that is already understood: it belongs to the run (`run`),
which is the hot path of the worker.  Everything else (the first packet, a gap, another payload type, another
length, a digit, a header extension, a change at the sink) goes through `accept`, which counts and forwards it
with care and then begins the run anew.

Where the far end wants another codec, or something is played over what it hears, packets are decoded and
encoded one by one as they come (`transcoding`).  Where it wants them longer or shorter, or where they would
have to be transcoded and come in disorder, the stream goes through a jitter buffer and leaves on the tick
(`paced`); `_is_to_be_paced` alone chooses.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media import rtp
from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec
from cordboard.media.codecs.codec import Codec
from cordboard.media.dtmf import Digit, duration_of, rescale
from cordboard.media.hearing import Hearing, Hearings, Listener
from cordboard.media.outgoing import EVENT, Outgoing, nowhere
from cordboard.media.paced import Paced
from cordboard.media.run import DATAGRAM, Run
from cordboard.media.srtp import Way
from cordboard.media.their_keys import TheirKeys
from cordboard.media.tone_ear import ToneEar, wants_no_tones
from cordboard.media.transcoding import Order, Transcoder, can_transcode

_NEVER = -1
_NO_WAY = Way(-1)
_ODD = 3
"""Packets in succession of another length than the far end wants, after which the stream is paced."""
_EVEN = 100
"""Packets in succession of the length that it wants, after which it is relayed again."""


class Incoming(Run):
    """The stream of one far end.  `sink` (set by `feed`) is where it goes; None = it is only counted."""

    __slots__ = (
        "_arrived",
        "_clock_rate",
        "_event",
        "_event_apart",
        "_hearings",
        "_odd",
        "_order",
        "_paced",
        "_take_report",
        "_ticking",
        "_tone_ear",
        "_transcoder",
        "hearing",
        "keys",
        "malformed",
        "sink",
        "statistics",
        "types",
        "unexpected",
    )

    def __init__(
        self,
        clock: Clock,
        hear: Callable[[Digit], None] | None = None,
        take_report: Callable[[bytes], None] | None = None,
        ticking: set[Incoming] | None = None,
        hearings: Hearings | None = None,
    ) -> None:
        super().__init__(clock)
        self.keys = TheirKeys(clock, hear)
        self._take_report = take_report
        """Takes RTCP that comes among the media (RFC 5761)."""
        self._ticking = ticking if ticking is not None else set()
        """This stream puts itself in while it is paced or a key is held: call `tick` every 20 ms."""
        self._hearings = hearings if hearings is not None else {}
        self.hearing: Hearing | None = None
        """Who listens to all that the far end says."""
        self._tone_ear: ToneEar | None = None
        self._paced: Paced | None = None
        self._transcoder: Transcoder | None = None
        self._order = Order()
        self._event = _NEVER
        """Timestamp of the key's event that was passed on last."""
        self._event_apart = False
        """It has a timestamp of its own at the sink, not the one that the relay would give it."""
        self._odd = 0
        """Packets in succession that speak against the way the stream goes; below 0 = it has not begun."""
        self._clock_rate = 8000
        """Of the audio that comes."""
        self.types: dict[int, str] = {}
        """Encoding name by payload type of all that may arrive."""
        self.sink: Outgoing | None = None
        self.statistics = rtp.ReceptionStatistics()
        self.malformed = 0
        self.unexpected = 0
        """Packets of a payload type that was not negotiated."""
        self._arrived = _NEVER * 1.0

    def let_go(self) -> None:
        """Tell nobody any more: what listens owns this stream, and the two would keep each other alive."""
        self.hear_tones(False)
        self.keys.let_go()
        self._take_report = None

    @property
    def heard_at(self) -> float:
        """When the last packet came, as of the last sample of the run; -1.0 = never."""
        self.catch_up()
        return self._marks[-1][1] if self._marks else self._arrived

    # -------------------------------------------------------------- the run

    def settle(self) -> None:
        """Count the run in the statistics of both sides, in the middle of it."""
        self.catch_up()
        first, following = self._counted, self._expected
        packets = (following - first) // self._step
        if following < 0 or not packets:
            return
        marks, self._marks = self._marks, []
        for head, arrival in marks:
            came = (head - self._counted) // self._step + 1
            self._counted = head + self._step
            self._arrived = arrival
            self.statistics.sample(*_numbers(head), arrival, came, came * self._length)
        rest = (following - self._counted) // self._step
        if rest:
            # When its last packet came is not known, only when it must have been sent.
            spoken = rest * _numbers(self._step)[1] / self._clock_rate
            self._arrived = min(self._clock.now, self._arrived + spoken)
            self.statistics.advance(_numbers(following - self._step)[0], rest, rest * self._length)
        self._counted = following
        if self._convert is not None and self._transcoder is not None:
            self._transcoder.went_on(*_numbers(following))
            self._order.went_on(_numbers(following)[0], packets)
        self._settle_sink(packets)

    def _settle_sink(self, packets: int) -> None:
        octets, self._octets = self._octets, 0
        sink = self.sink
        if sink is not None:
            sender = sink.sender
            sender.sequence, sender.timestamp = _numbers(self._out)
            sender.packets += packets
            unchanged = self._convert is None
            sender.octets += packets * (self._length - rtp.HEADER_LENGTH) if unchanged else octets
            sink.sent_at = self._arrived

    def not_sent(self) -> None:
        """The system did not take a packet."""
        if self.sink is not None:
            self.sink.unsent += 1

    def start_over(self) -> None:
        """What waits is not said any more; the next packet decides which way the stream goes on."""
        self.disarm()
        self._odd = _NEVER
        self._paced = None
        self._transcoder = None

    def _is_steady(self, spoken: Codec, data: bytes) -> bool:
        """Nobody listens, nothing is out of the ordinary: what follows in order can go as this packet did."""
        length, self._length = self._length, len(data)
        if not spoken.unit and len(data) != length:
            # Packets of any length: the next one will have another.
            return False
        if self.hearing is not None or (self.sink is not None and self.sink.hearing is not None):
            return False
        return data[0] == 0x80 and rtp.sequence(data) == self.statistics.highest & 0xFFFF

    # -------------------------------------------------------------- listeners

    def attach(self, listener: Listener) -> None:
        """Let it hear what the far end says, on hold as well."""
        if self.hearing is None:
            self.hearing = Hearing(self._hearings)
            self.disarm()
        self.hearing.attach(listener)

    def detach(self, listener: Listener) -> None:
        """No more."""
        if self.hearing is not None:
            self.hearing.detach(listener)
            if self.hearing.is_over:
                self.hearing = None

    # -------------------------------------------------------------- the careful way

    def feed(self, sink: Outgoing | None) -> None:
        """From now on the stream goes to `sink`, in place of whatever fed it."""
        if sink is self.sink:
            return
        self.start_over()
        if self.sink is not None:
            self.sink.feeder = None
        self.sink = sink
        if sink is None:
            return
        sink.interrupt()
        if sink.feeder is not None:
            sink.feeder.sink = None
        sink.feeder = self

    def expect(self, types: dict[int, str], *, event_clock: int = 8000) -> None:
        """What may arrive from now on."""
        if types != self.types:
            self.disarm()
            self.types = types
        self.keys.tick_at(event_clock)

    def accept(self, data: bytes) -> None:
        """One datagram from the source that is believed.  Never raises."""
        self.disarm()
        payload = rtp.payload(data)
        if payload is None:
            self.malformed += 1
            return
        name = self.types.get(data[1] & 0x7F)
        if name is None:
            self._turn_away(data)
            return
        self._arrived = self._clock.now
        self.statistics.update(data, self._arrived)
        if name == EVENT:
            self._take_event(data, payload)
        else:
            self._take_audio(name, data, payload)

    def _take_audio(self, name: str, data: bytes, payload: bytes) -> None:
        if self.hearing is not None:
            self.hearing.take(name, data, payload)
        spoken = codec(name)
        if spoken.clock_rate != self._clock_rate:
            self._clock_rate = spoken.clock_rate
            self.statistics.tick_at(spoken.clock_rate)
        samples = spoken.samples(payload)
        sink = self.sink
        if sink is None:
            if self._is_steady(spoken, data):
                self.begin(data, samples, data, samples, transmit=nowhere, way=_NO_WAY)
        elif self.keys.is_down and sink.event_type is None:
            # The key is told in another way: what sounds beside its event must not be heard as a second one.
            sink.interrupt()
        elif self._tone_ear is not None and wants_no_tones(sink):
            # The ear says it, without its tones.
            self._order.note(rtp.sequence(data))
        elif self._is_to_be_paced(sink, spoken, data, samples):
            self._begin_pacing(sink, spoken).hear(spoken, data, payload)
        else:
            self._pass_on(sink, spoken, data, payload, samples)

    def _pass_on(self, sink: Outgoing, spoken: Codec, data: bytes, payload: bytes, samples: int) -> None:
        """At once."""
        if self._paced is not None:
            self._paced.drain()
            self._paced = None
        name = spoken.encoding
        if (sink.overlay is not None or not sink.takes(name)) and can_transcode(spoken, sink):
            self._transcode(sink, spoken, data, payload, samples)
            return
        self._transcoder = None
        packet = sink.relay(name, data, payload)
        if packet is not None and self._odd <= 0 and self._is_steady(spoken, data):
            table = g711.translation(name, sink.codec) if name != sink.codec else None
            self.begin(data, samples, packet, samples, transmit=sink.transmit, way=sink.way, table=table)

    def _transcode(self, sink: Outgoing, spoken: Codec, data: bytes, payload: bytes, samples: int) -> None:
        transcoder = self._transcoder
        if transcoder is None or transcoder.codec is not spoken:
            transcoder = self._transcoder = Transcoder(spoken, sink, event=self._event)
        sender = sink.sender
        packets = sender.packets
        transcoder.take(data, payload)
        if sender.packets != packets + 1 or self._odd > 0 or not self._is_steady(spoken, data):
            return
        convert = transcoder.steady()
        if convert is None:
            return
        packet = sink.last
        lasts = (sender.timestamp - rtp.timestamp(packet)) & 0xFFFFFFFF
        if lasts * spoken.clock_rate == samples * sink.clock_rate and len(packet) <= DATAGRAM:
            self.begin(data, samples, packet, lasts, convert=convert, transmit=sink.transmit)

    def _is_to_be_paced(self, sink: Outgoing, spoken: Codec, data: bytes, samples: int) -> bool:
        """One packet of another length changes nothing: senders begin and end with what they have."""
        paced = self._paced is not None
        if not sink.frame or not can_transcode(spoken, sink):
            return False
        if sink.overlay is not None or not sink.takes(spoken.encoding):
            self._order.note(rtp.sequence(data))
            if self._order.is_bad:
                return True
        elif not spoken.unit:
            # Who takes such packets takes them at any length.
            return False
        if (samples * sink.clock_rate != sink.frame * spoken.clock_rate) == paced:
            self._odd = 0
            return paced
        begins, self._odd = self._odd < 0, max(0, self._odd) + 1
        if begins or self._odd >= (_EVEN if paced else _ODD):
            self._odd = 0
            return not paced
        return paced

    def _begin_pacing(self, sink: Outgoing, spoken: Codec) -> Paced:
        if self._paced is None:
            self._paced = Paced(sink, spoken)
            self._transcoder = None
            self._ticking.add(self)
        return self._paced

    def _turn_away(self, data: bytes) -> None:
        if self._take_report is not None and 192 <= data[1] <= 223:
            self._take_report(data)
        else:
            self.unexpected += 1

    # -------------------------------------------------------------- keys

    def _take_event(self, data: bytes, payload: bytes) -> None:
        self.keys.take_event(payload, rtp.timestamp(data))
        if self.keys.are_told:
            self._ticking.add(self)
        sink = self.sink
        if sink is None or sink.event_type is None:
            return
        duration = duration_of(payload, self.keys.clock_rate)
        payload = rescale(payload, self.keys.clock_rate, sink.speech.event_clock)
        goes_on, self._event = rtp.timestamp(data) == self._event, rtp.timestamp(data)
        apart = goes_on and self._event_apart
        self._event_apart = True
        if self._paced is not None:
            self._paced.hear_event(data, payload, duration)
        elif self._transcoder is not None:
            self._transcoder.pass_event(data, payload)
        elif apart or sink.overlay is not None:
            # Audio made here goes out between its packets, or did: they must stay one event.
            sink.pass_event(payload, start=not goes_on, ahead=0.0)
        else:
            self._event_apart = False
            sink.relay(EVENT, data, payload)

    def hear_tones(self, wanted: bool) -> None:
        """Whether its keys come as tones."""
        if wanted and self._tone_ear is None:
            self._tone_ear = ToneEar(self.keys.take_tone, lambda: self.sink)
            self.attach(self._tone_ear)
        elif not wanted and self._tone_ear is not None:
            self.detach(self._tone_ear)
            self._tone_ear = None

    def tick(self) -> None:
        """20 ms have passed: say the next frame if the stream is paced, report a key whose end was lost."""
        paced = self._paced
        if paced is not None:
            paced.tick()
            if paced.is_silent and self.sink is not None:
                self.sink.interrupt()
        if self.keys.is_down:
            self.keys.tick()
        elif self._paced is None:
            self._ticking.discard(self)


def _numbers(head: int) -> tuple[int, int]:
    """(sequence number, timestamp)"""
    return head >> 32 & 0xFFFF, head & 0xFFFFFFFF

"""What comes from one far end, and its way to the one it talks to: the hot path of the worker.

Almost every packet is the next one of a stream that is already understood: same payload type, same SSRC, the
next sequence number, a plain header.  `receive_and_forward` does such a packet in one comparison, rewrites
the header by constant shifts, and puts it on the wire.  Everything else (the first packet, a gap, another
payload type, another length, a digit, a header extension, a change at the sink) goes through `accept`, which
counts and forwards it with care and then arms the fast path anew.

Where the far end wants another codec, or something is played over what it hears, packets are decoded and
encoded one by one as they come (`transcoding`).  Where it wants them longer or shorter, or where they would
have to be transcoded and come in disorder, the stream goes through a jitter buffer and leaves on the tick
(`paced`); `_is_to_be_paced` alone chooses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from cordboard.media import rtp
from cordboard.media.clock import Clock
from cordboard.media.codecs import g711
from cordboard.media.codecs.catalogue import codec
from cordboard.media.codecs.codec import Codec
from cordboard.media.dtmf import Digit, duration_of, rescale
from cordboard.media.hearing import Hearing, Hearings, Listener
from cordboard.media.outgoing import EVENT, Outgoing, Transmit, nowhere
from cordboard.media.paced import Paced
from cordboard.media.their_keys import TheirKeys
from cordboard.media.tone_ear import ToneEar, wants_no_tones
from cordboard.media.transcoding import Order, Transcoder, can_transcode

DATAGRAM = 2048
"""Larger datagrams are cut: no telephone sends them."""

_buffer = bytearray(DATAGRAM)
"""Every packet of the process passes through this one piece of memory, which so stays in the cache."""
_views = [memoryview(_buffer)[:length] for length in range(DATAGRAM + 1)]

_HEADER = struct.Struct("!HHII")
_pack_into = _HEADER.pack_into
_unpack = _HEADER.unpack_from
"""(the first two bytes, sequence, timestamp, ssrc)"""

_NEVER = -1
_ODD = 3
"""Packets in succession of another length than the far end wants, after which the stream is paced."""
_EVEN = 100
"""Packets in succession of the length that it wants, after which it is relayed again."""
_NO_MARKER = 0xFF7F


def _no_socket(_: bytearray) -> int:
    raise BlockingIOError


class Incoming:
    """The stream of one far end.  `sink` (set by `feed`) is where it goes; None = it is only counted."""

    __slots__ = (
        "_arrived",
        "_clock",
        "_clock_rate",
        "_event",
        "_event_apart",
        "_folded",
        "_hearings",
        "_kind",
        "_length",
        "_next",
        "_order",
        "_out_kind",
        "_out_ssrc",
        "_paced",
        "_run",
        "_samples",
        "_sequence_shift",
        "_ssrc",
        "_table",
        "_take_report",
        "_ticking",
        "_timestamp",
        "_timestamp_shift",
        "_tone_ear",
        "_transcoder",
        "_transmit",
        "hearing",
        "keys",
        "malformed",
        "receive",
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
        self._clock = clock
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
        self._run = 0
        """Packets in succession that speak against the way the stream goes; below 0 = it has not begun."""
        self._clock_rate = 8000
        """Of the audio that comes."""
        self.receive: Callable[[bytearray], int] = _no_socket
        """Takes one datagram of the latched source out of its socket; its length."""
        self.types: dict[int, str] = {}
        """Encoding name by payload type of all that may arrive."""
        self.sink: Outgoing | None = None
        self.statistics = rtp.ReceptionStatistics()
        self.malformed = 0
        self.unexpected = 0
        """Packets of a payload type that was not negotiated."""
        self._arrived = _NEVER * 1.0
        # The run: packets that the fast path has passed on and not yet counted.
        self._kind = _NEVER
        """The first two bytes of a packet of the run: version and nothing else, no marker, payload type."""
        self._ssrc = _NEVER
        self._next = 0
        self._folded = 0
        self._length = 0
        self._samples = 0
        """Ticks of the clock that a packet of the run lasts."""
        self._timestamp = 0
        # What the fast path does to a header.
        self._out_kind = 0
        self._out_ssrc = 0
        self._sequence_shift = 0
        self._timestamp_shift = 0
        self._table: bytes | None = None
        self._transmit: Transmit = nowhere

    def let_go(self) -> None:
        """Tell nobody any more: what listens owns this stream, and the two would keep each other alive."""
        self.hear_tones(False)
        self.keys.let_go()
        self._take_report = None

    @property
    def heard_at(self) -> float:
        """When the last packet came, as of the last sample of the run; -1.0 = never."""
        return self._arrived

    # -------------------------------------------------------------- the fast path

    def receive_and_forward(self) -> None:
        """The socket is readable.  Never raises."""
        # Callables are fetched before they are called: that way the interpreter reads them fastest.
        receive, transmit = self.receive, self._transmit
        try:
            length = receive(_buffer)
        except OSError:
            return
        # A short datagram leaves old bytes where the header should be: the length must be the run's as well.
        kind, sequence, timestamp, ssrc = _unpack(_buffer)
        if sequence == self._next and kind == self._kind and ssrc == self._ssrc and length == self._length:
            self._next = sequence + 1
            self._timestamp = timestamp
            if not sequence & 7:
                self._sample(bytes(_views[12]))
            table = self._table
            if table is not None:
                _buffer[12:length] = _buffer[12:length].translate(table)
            _pack_into(
                _buffer,
                0,
                self._out_kind,
                (sequence + self._sequence_shift) & 0xFFFF,
                (timestamp + self._timestamp_shift) & 0xFFFFFFFF,
                self._out_ssrc,
            )
            try:
                transmit(_views[length])
            except OSError:
                if self.sink is not None:
                    self.sink.unsent += 1
        else:
            self.accept(bytes(_views[length]))

    def _sample(self, header: bytes) -> None:
        """Count the run up to the packet that came just now: from time to time, so that it costs little."""
        packets = self._next - self._folded
        self._arrived = self._clock.now
        self.statistics.sample(header, self._arrived, packets, packets * self._length)
        self._fold(packets)

    def settle(self) -> None:
        """Count the run in the statistics of both sides, in the middle of it."""
        packets = self._next - self._folded
        if packets:
            # When its last packet came is not known, only when it must have been sent.
            spoken = packets * self._samples / self._clock_rate
            self._arrived = min(self._clock.now, self._arrived + spoken)
            self.statistics.advance(self._next - 1, packets, packets * self._length)
            self._fold(packets)

    def _fold(self, packets: int) -> None:
        self._folded = self._next
        sink = self.sink
        if sink is not None:
            sender = sink.sender
            sender.sequence = (self._next + self._sequence_shift) & 0xFFFF
            sender.timestamp = (self._timestamp + self._timestamp_shift + self._samples) & 0xFFFFFFFF
            sender.packets += packets
            sender.octets += packets * (self._length - rtp.HEADER_LENGTH)
            sink.sent_at = self._arrived

    def disarm(self) -> None:
        """The next packet takes the careful way."""
        self.settle()
        self._kind = _NEVER

    def start_over(self) -> None:
        """What waits is not said any more; the next packet decides which way the stream goes on."""
        self.disarm()
        self._run = _NEVER
        self._paced = None
        self._transcoder = None

    def _arm(self, data: bytes, packet: bytes, samples: int, table: bytes | None, transmit: Transmit) -> None:
        """`data` went out as `packet`; what follows in order can go the same way without another thought."""
        if self.hearing is not None or (self.sink is not None and self.sink.hearing is not None):
            return
        kind, sequence, timestamp, ssrc = _unpack(data)
        if kind >> 8 != 0x80 or sequence != self.statistics.highest & 0xFFFF:
            return
        out_kind, out_sequence, out_timestamp, out_ssrc = _unpack(packet)
        self._kind = kind & _NO_MARKER
        self._ssrc = ssrc
        self._length = len(data)
        self._samples = samples
        self._next = self._folded = sequence + 1
        self._out_kind = out_kind & _NO_MARKER
        self._out_ssrc = out_ssrc
        self._sequence_shift = out_sequence - sequence
        self._timestamp_shift = out_timestamp - timestamp
        self._table = table
        self._transmit = transmit

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
        self.settle()
        self._kind = _NEVER
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
            self._arm(data, data, samples, None, nowhere)
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
            transcoder = self._transcoder
            if transcoder is None or transcoder.codec is not spoken:
                transcoder = self._transcoder = Transcoder(spoken, sink, event=self._event)
            transcoder.take(data, payload)
            return
        self._transcoder = None
        packet = sink.relay(name, data, payload)
        if packet is not None and self._run <= 0:
            table = g711.translation(name, sink.codec) if name != sink.codec else None
            self._arm(data, packet, samples, table, sink.transmit)

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
            self._run = 0
            return paced
        begins, self._run = self._run < 0, max(0, self._run) + 1
        if begins or self._run >= (_EVEN if paced else _ODD):
            self._run = 0
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

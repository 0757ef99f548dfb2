"""From one codec to another, packet by packet as they come.

A steady stream whose packets have the length that the far end wants needs no jitter buffer on the way, as a
relayed one needs none: every packet is decoded and encoded when it comes, and the jitter of the whole way is
left to the far end's buffer.  So transcoding adds no more delay than the codecs themselves do.  What is lost
is made up (codecs go on from what they said last, so the far end must not miss a packet that it was not
told of); what comes too late is left out.  A stream in disorder is paced instead (`Order` tells).
"""

from __future__ import annotations

from cordboard.media import rtp
from cordboard.media.codecs.codec import Codec, CodecError
from cordboard.media.outgoing import Outgoing
from cordboard.media.run import Convert

_MOST_CONCEALED = 3
"""Packets in succession; more is a pause."""
_LONGEST_PAUSE = 10.0
"""Seconds; a greater step of the timestamps is another time base."""
_NEAR = 1.0
"""Seconds; an event this far from the audio has another time base."""
_LATE = 25
_BAD = 60
_WORST = 500
_FARTHEST_BACK = 100


class Order:
    """Do the packets of a stream come in the order in which they were sent?"""

    __slots__ = ("_badness", "_next", "is_bad")

    def __init__(self) -> None:
        self._next = -1
        self._badness = 0
        self.is_bad = False
        """Three packets in short succession were late; not bad again after `_WORST` in order."""

    def note(self, sequence: int) -> None:
        """One packet came."""
        behind = (self._next - sequence) & 0xFFFF
        if 0 < behind <= _FARTHEST_BACK and self._next >= 0:
            self._badness += _LATE
            if self._badness >= _BAD:
                self.is_bad = True
                self._badness = _WORST
            return
        self._next = (sequence + 1) & 0xFFFF
        if self._badness:
            self._badness -= 1
            self.is_bad = self.is_bad and self._badness > 0

    def went_on(self, following: int, packets: int) -> None:
        """So many came in order; the next one is `following`."""
        self._next = following
        if self._badness:
            self._badness = max(0, self._badness - packets)
            self.is_bad = self.is_bad and self._badness > 0


def common_rate(codec: Codec, sink: Outgoing) -> int:
    """At which a codec is decoded so that nothing the far end can hear is lost, and no more is done."""
    return codec.rate_for(min(codec.rates[-1], sink.speech.rates[-1]))


def can_transcode(codec: Codec, sink: Outgoing) -> bool:
    """It can be decoded here, and what the far end hears can be encoded."""
    return codec.can_decode and sink.speech.codec.can_encode


class Transcoder:
    """One stream on its way to `sink`."""

    __slots__ = ("_decoder", "_event", "_last", "_next", "_sink", "_ssrc", "_timestamp", "codec")

    def __init__(self, codec: Codec, sink: Outgoing, *, event: int = -1) -> None:
        assert codec.make_decoder is not None
        self.codec = codec
        self._sink = sink
        self._decoder = codec.make_decoder(common_rate(codec, sink))
        self._ssrc = -1
        self._next = 0
        """Sequence number and timestamp of the packet that follows."""
        self._timestamp = 0
        self._last = b""
        self._event = event
        """Source's timestamp of the event that is being passed on."""

    def take(self, data: bytes, payload: bytes) -> None:
        """One packet; never raises."""
        _, _, sequence, timestamp, ssrc = rtp.header(data)
        samples = self.codec.samples(payload)
        if not samples:
            return
        in_order = sequence == self._next and timestamp == self._timestamp and ssrc == self._ssrc
        if not (in_order or self._make_up(sequence, timestamp, ssrc, samples, payload)):
            return
        self._next = (sequence + 1) & 0xFFFF
        self._timestamp = (timestamp + samples) & 0xFFFFFFFF
        try:
            pcm = self._last = self._decoder.decode(payload)
        except CodecError:
            return
        self._sink.pass_pcm(pcm, self._decoder.rate)

    def steady(self) -> Convert | None:
        """All that `take` does with a packet that follows the last one, if that makes one packet at once."""
        decoder = self._decoder
        encode = self._sink.encoding(decoder.rate)
        if encode is None:
            return None
        decode = decoder.decode

        def convert(payload: bytes) -> bytes:
            pcm = self._last = decode(payload)
            return encode(pcm)

        return convert

    def went_on(self, following: int, timestamp: int) -> None:
        """Packets in order have gone the way of `steady`; these are the numbers of the next."""
        self._next, self._timestamp = following, timestamp

    def _make_up(self, sequence: int, timestamp: int, ssrc: int, samples: int, payload: bytes) -> bool:
        """What lies between the last packet and this one; False if this one is of the past."""
        lost = (sequence - self._next) & 0xFFFF
        ahead = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if ssrc != self._ssrc or not -_LONGEST_PAUSE < ahead / self.codec.clock_rate < _LONGEST_PAUSE:
            self._ssrc = ssrc
            self._sink.go_on_by_clock()
            return True
        if lost >= 0x10000 - _FARTHEST_BACK:
            return False
        if 0 < lost <= _MOST_CONCEALED and ahead == lost * samples:
            for missing in range(lost, 0, -1):
                self._conceal(samples, payload if missing == 1 else None)
        elif ahead > 0:
            self._sink.rest(ahead / self.codec.clock_rate)
        return True

    def pass_event(self, data: bytes, payload: bytes) -> None:
        """One packet of a telephone event, in the order in which it comes among the audio."""
        _, _, sequence, timestamp, ssrc = rtp.header(data)
        if ssrc == self._ssrc and sequence == self._next:
            # No audio is missing because of it.
            self._next = (sequence + 1) & 0xFFFF
        ahead = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        seconds = ahead / self.codec.clock_rate
        near = seconds if abs(seconds) < _NEAR else 0.0
        self._sink.pass_event(payload, start=timestamp != self._event, ahead=near)
        self._event = timestamp

    def _conceal(self, samples: int, following: bytes | None) -> None:
        decoder = self._decoder
        pcm = decoder.conceal(samples * decoder.rate // self.codec.clock_rate, following)
        self._sink.pass_pcm(self._last if pcm is None else pcm, decoder.rate)

"""A stream of packets as PCM, 20 ms on every tick: jitter buffer and decoder, whatever the codec.

What is missing is made up by the codec if it can do that, otherwise by the last frame, once; then it is
silence.  After `LONGEST_GAP` ticks without anything the source counts as silent: nothing is said until
it comes back.
"""

from __future__ import annotations

from cordboard.media import rtp
from cordboard.media.codecs.codec import Codec, CodecError
from cordboard.media.jitter import JitterBuffer

LONGEST_GAP = 10
"""Ticks without a frame after which the source counts as silent."""
_TICKS_A_SECOND = 50


class Playout:
    """One stream of a codec that can be decoded, at the sampling `rate` that suits those who listen."""

    __slots__ = (
        "_buffer",
        "_decoder",
        "_frame_bytes",
        "_gap",
        "_last",
        "_packet_samples",
        "_pcm",
        "_spare",
        "_ssrc",
        "_start_ms",
        "codec",
        "rate",
    )

    def __init__(self, codec: Codec, rate: int, *, start_ms: int = 40, spare: int = 2) -> None:
        assert codec.make_decoder is not None
        self.codec = codec
        self.rate = codec.rate_for(rate)
        self._decoder = codec.make_decoder(self.rate)
        self._frame_bytes = 2 * self.rate // _TICKS_A_SECOND
        self._start_ms = start_ms
        self._spare = spare
        self._packet_samples = 0
        """Of a codec whose packets cannot be cut: how long they are, in ticks of the RTP clock."""
        self._buffer = self._new_buffer(codec.clock_rate // _TICKS_A_SECOND)
        self._ssrc = -1
        self._pcm = b""
        self._last = b""
        self._gap = 0

    def _new_buffer(self, frame_samples: int) -> JitterBuffer:
        return JitterBuffer(
            frame_samples=frame_samples,
            filler=self.codec.filler,
            clock_rate=self.codec.clock_rate,
            start_ms=self._start_ms,
            spare=self._spare,
        )

    @property
    def position(self) -> int | None:
        """RTP timestamp of what the next tick says; None before the first packet."""
        position = self._buffer.position
        if position is None or not self._pcm:
            return position
        ahead = len(self._pcm) // 2 * self.codec.clock_rate // self.rate
        return (position - ahead) & 0xFFFFFFFF

    @property
    def is_empty(self) -> bool:
        """Nothing waits to be said."""
        return self._buffer.is_empty and not self._pcm

    @property
    def is_silent(self) -> bool:
        """Nothing has come for so long that there is nothing to play."""
        return self._gap > LONGEST_GAP

    @property
    def has_gap(self) -> bool:
        """The last frame was made up."""
        return self._gap > 0

    def put(self, data: bytes, payload: bytes) -> None:
        """One packet.  Nonsense is survived."""
        _, _, sequence, timestamp, ssrc = rtp.header(data)
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._buffer.restart()
        if not self.codec.unit:
            samples = self.codec.samples(payload)
            if not samples:
                return
            if samples != self._packet_samples:
                self._packet_samples = samples
                self._buffer = self._new_buffer(samples)
        self._buffer.put(sequence, timestamp, payload)

    def next_frame(self) -> bytes | None:
        """20 ms have passed: `rate` / 50 samples; None = nothing is said."""
        return self._next_cut() if self.codec.unit else self._next_whole()

    def _next_cut(self) -> bytes | None:
        payload = self._buffer.get()
        return self._heard(self._decode(payload)) if payload is not None else self._conceal()

    def _next_whole(self) -> bytes | None:
        """Packets of any length into frames."""
        real = bool(self._pcm)
        while len(self._pcm) < self._frame_bytes:
            payload = self._buffer.get()
            pcm = self._decode(payload) if payload is not None else self._made_up()
            if not pcm:
                break
            real = real or payload is not None
            self._pcm += pcm
        frame, self._pcm = self._pcm[: self._frame_bytes], self._pcm[self._frame_bytes :]
        if not frame:
            return self._conceal()
        frame = frame.ljust(self._frame_bytes, b"\0")
        if real:
            return self._heard(frame)
        self._gap += 1
        return frame

    def _made_up(self) -> bytes | None:
        """By the codec, as long as one packet."""
        if self.is_silent or not self._last:
            return None
        following = self._buffer.following
        samples = self._packet_samples * self.rate // self.codec.clock_rate
        return self._decoder.conceal(samples, bytes(following) if following is not None else None)

    def _decode(self, payload: bytes) -> bytes:
        try:
            return self._decoder.decode(payload)
        except CodecError:
            return b""

    def _heard(self, frame: bytes) -> bytes:
        self._last, self._gap = frame, 0
        return frame

    def _conceal(self) -> bytes | None:
        self._gap += 1
        if not self._last or self._gap > LONGEST_GAP:
            return None
        return self._last if self._gap == 1 else bytes(self._frame_bytes)

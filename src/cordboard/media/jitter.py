"""The jitter buffer: packets in as they come, one frame out on every tick.

**Time is the tick.**  `get` is called once every frame length and takes the frame at the play position; the
position then moves on by one.  A packet's *lead* is how many ticks lie between its arrival and its playing:
0 = it is played on the next tick, below 0 = it came too late and is dropped.

**Delay** is nothing but the lead.  Too many late packets in a window move the position back (one frame of
concealment each); a window in which even the slowest packets had lead to spare moves it forward (frames are
skipped, preferably those that are missing anyway).  So the delay follows the jitter in both directions, and
a burst that was held up for a second somewhere is dropped instead of making everything a second late.

**Timestamps decide**, not sequence numbers: silence suppression, packets longer or shorter than the tick and
sequence jumps need no case of their own.  A timestamp far away from the play position is believed at once if
its sequence number is the next one (the sender changed its base), otherwise when a second packet agrees with
it (a new sender, not a stray packet).
"""

from __future__ import annotations

_WINDOW = 100
"""Packets after which the leads are looked at."""
_OUTLIERS = 2
"""Packets of a window that may be late, or are left out of account when the delay shrinks."""
_SPARE = 2
"""Frames of lead of the slowest packets at which the delay shrinks."""
_FAR_MS = 3000
"""A timestamp this far from the play position belongs to another time base."""
_LATE_TICKS = 5
"""Ticks with late packets, and none in time between them, after which the stream is followed back."""
_SKIP_INTERVAL = 5
"""Ticks between two skips of frames that are there."""


class JitterBuffer:
    """One stream's buffer, for payloads with a fixed number of bytes a sample (G.711: 1, PCM: 2).

    `frame_samples` is the length of a tick; packets may be longer, shorter and unaligned.  What is missing
    of a frame that is partly there is made of `filler`, one sample of silence.  With an empty `filler`
    packets are never cut: each is a frame as it is.  The delay shrinks when even slow packets have `spare`
    frames of lead.
    """

    __slots__ = (
        "_candidate",
        "_counts",
        "_far",
        "_filler",
        "_frame_bytes",
        "_frame_ms",
        "_frame_samples",
        "_frames",
        "_hold",
        "_last_sequence",
        "_late_in_window",
        "_late_this_tick",
        "_late_ticks",
        "_max",
        "_origin",
        "_position",
        "_sample_bytes",
        "_seen",
        "_since_skip",
        "_skip",
        "_spare",
        "_start",
        "_top",
        "delay_ms",
        "duplicates",
        "late",
        "missing",
        "played",
        "resyncs",
        "skipped",
    )

    def __init__(
        self,
        *,
        frame_samples: int = 160,
        filler: bytes = b"\xff",
        clock_rate: int = 8000,
        start_ms: int = 40,
        max_ms: int = 200,
        spare: int = _SPARE,
    ) -> None:
        frames_per_ms = clock_rate / frame_samples / 1000
        self._frame_samples = frame_samples
        self._filler = filler
        self._sample_bytes = len(filler)
        self._frame_bytes = frame_samples * len(filler)
        self._frame_ms = 1000 * frame_samples / clock_rate
        self._spare = spare
        self._start = max(1, round(start_ms * frames_per_ms))
        self._max = max(self._start, round(max_ms * frames_per_ms))
        self._far = max(self._max + 1, round(_FAR_MS * frames_per_ms))
        self.played = 0
        self.missing = 0
        """Ticks since the first packet that had nothing to play."""
        self.late = 0
        self.duplicates = 0
        self.skipped = 0
        """Frames that were left out to shorten the delay."""
        self.resyncs = 0
        """How often the stream was followed to another time base."""
        self.delay_ms = float(start_ms)
        """Mean time in the buffer over the last window."""
        self._begin()

    def restart(self) -> None:
        """Forget the stream (another SSRC or sender); the next packet starts afresh."""
        self._begin()

    def _begin(self) -> None:
        self._frames: dict[int, bytes | bytearray] = {}
        self._origin: int | None = None
        """RTP timestamp of the frame at the play position."""
        self._position = 0
        self._hold = 0
        self._skip = 0
        self._since_skip = 0
        self._candidate: int | None = None
        self._last_sequence = -1
        self._late_ticks = 0
        self._late_this_tick = False
        self._top = 0
        self._new_window()

    def _new_window(self) -> None:
        self._seen = 0
        self._late_in_window = 0
        self._counts = [0] * (self._max + 1)
        """Packets by lead."""

    @property
    def position(self) -> int | None:
        """RTP timestamp of the frame that the next `get` takes; None before the first packet."""
        return self._origin

    @property
    def following(self) -> bytes | bytearray | None:
        """What the next `get` takes, as far as one knows now."""
        return self._frames.get(self._position)

    @property
    def is_empty(self) -> bool:
        """Nothing waits to be played."""
        return not self._frames

    # -------------------------------------------------------------- in

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take what one packet carries.  Any numbers and lengths are survived."""
        origin = self._origin
        if origin is None:
            origin = self._origin = (timestamp - self._start * self._frame_samples) & 0xFFFFFFFF
        # A signed distance, so that the 32-bit timestamp may wrap as often as it likes.
        ahead = ((timestamp - origin + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        lead, offset = divmod(ahead, self._frame_samples)
        if not 0 <= lead <= self._max:
            lead, offset = self._place_unexpected(lead, offset, sequence, timestamp)
            if lead < 0:
                # Of a long packet the end may still be in time.
                if lead > -self._far and self._sample_bytes:
                    self._put_pieces(self._position + lead, offset, payload)
                return
        self._last_sequence = sequence
        self._candidate = None
        self._late_ticks = 0
        place = self._position + lead
        if (offset or len(payload) != self._frame_bytes) and self._sample_bytes:
            self._put_pieces(place, offset, payload)
        elif place in self._frames:
            self.duplicates += 1
            return
        else:
            self._frames[place] = payload
        self._counts[lead] += 1
        self._seen += 1
        if self._seen >= _WINDOW:
            self._adapt()

    def _put_pieces(self, place: int, offset: int, payload: bytes) -> None:
        """Cut a payload that is not just one frame over the frames that it touches."""
        at = offset * self._sample_bytes
        done = 0
        while done < len(payload):
            piece = payload[done : done + self._frame_bytes - at]
            if place >= self._position:
                frame = self._frames.get(place)
                if not isinstance(frame, bytearray):
                    frame = bytearray(frame or self._filler * self._frame_samples)
                    self._frames[place] = frame
                frame[at : at + len(piece)] = piece
            done += len(piece)
            place += 1
            at = 0

    def _place_unexpected(self, lead: int, offset: int, sequence: int, timestamp: int) -> tuple[int, int]:
        """Lead and offset of a packet outside the buffer's range; below 0 if it is not to be played."""
        if -self._far < lead < 0:
            self._count_late()
            if self._late_ticks < _LATE_TICKS:
                return lead, offset
        elif not self._believed(sequence, timestamp):
            return -self._far, 0
        if self._max < lead < self._far:
            self._leave_out(lead - self._max)
            return self._max, offset
        self._follow(timestamp)
        return self._start, 0

    def _count_late(self) -> None:
        """Once a tick: a burst that was held up says nothing about the jitter to come."""
        self.late += 1
        if self._late_this_tick:
            return
        self._late_this_tick = True
        self._late_ticks += 1
        self._late_in_window += 1
        if self._late_in_window > _OUTLIERS and self._top + self._hold < self._max:
            self._hold += 1
            self._skip = 0

    def _believed(self, sequence: int, timestamp: int) -> bool:
        """Is a timestamp out of range the stream's, or a stray packet's?"""
        if sequence == (self._last_sequence + 1) & 0xFFFF:
            return True
        candidate, self._candidate = self._candidate, timestamp
        if candidate is None:
            return False
        apart = (timestamp - candidate) & 0xFFFFFFFF
        return min(apart, 0x100000000 - apart) < self._far * self._frame_samples

    def _follow(self, timestamp: int) -> None:
        """Another time base: what is buffered belongs to the old one."""
        self.resyncs += 1
        self._frames.clear()
        self._origin = (timestamp - self._start * self._frame_samples) & 0xFFFFFFFF
        self._hold = self._skip = 0
        self._new_window()

    # -------------------------------------------------------------- out

    def get(self) -> bytes | None:
        """The frame of this tick; None = conceal: it is missing, or the delay grows, or nothing came yet."""
        if self._origin is None:
            return None
        self._late_this_tick = False
        if self._hold:
            self._hold -= 1
            self.missing += 1
            return None
        frame = self._take()
        if self._skip:
            frame = self._skip_one(frame)
        if frame is None:
            self.missing += 1
            return None
        self.played += 1
        return frame if isinstance(frame, bytes) else bytes(frame)

    def _take(self) -> bytes | bytearray | None:
        frame = self._frames.pop(self._position, None)
        self._move_on(1)
        return frame

    def _move_on(self, frames: int) -> None:
        assert self._origin is not None
        self._position += frames
        self._origin = (self._origin + frames * self._frame_samples) & 0xFFFFFFFF

    def _leave_out(self, frames: int) -> None:
        for place in range(self._position, self._position + frames):
            self._frames.pop(place, None)
        self.skipped += frames
        self._move_on(frames)

    def _skip_one(self, frame: bytes | bytearray | None) -> bytes | bytearray | None:
        """Leave out a frame if it is missing anyway, or if the last one that was not is long enough ago."""
        self._since_skip += 1
        if frame is not None and self._since_skip < _SKIP_INTERVAL:
            return frame
        self._since_skip = 0
        self._skip -= 1
        self.skipped += 1
        return self._take()

    # -------------------------------------------------------------- the delay

    def _adapt(self) -> None:
        """A window is full: is there lead to spare, or none at all?"""
        counts = self._counts
        self._top = max(lead for lead, count in enumerate(counts) if count)
        mean = sum(lead * count for lead, count in enumerate(counts)) / self._seen
        self.delay_ms = (mean + 0.5) * self._frame_ms
        low = self._slowest()
        if low >= self._spare:
            self._skip = low - self._spare + 1
        elif counts[0] > self._seen // 2:
            # Steady, but always at the last moment: the clocks' drift will make it late.
            self._hold += 1
        self._new_window()

    def _slowest(self) -> int:
        """Lead of the slowest packets of the window, but for the outliers."""
        passed = self._late_in_window
        for lead, count in enumerate(self._counts):
            passed += count
            if passed > _OUTLIERS:
                return lead
        return 0

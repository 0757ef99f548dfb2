"""The voice and the ears of a simulated phone: RTP packets out and in, without sockets and clock.

It speaks a tone (or what it is given), presses keys, and measures what it hears, in any codec.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import msgspec

from cordboard.media import rtp
from cordboard.media.codecs import audio, g711
from cordboard.media.dtmf import Digit, DigitReceiver, DigitSender
from cordboard.media.inband import digit_frame
from cordboard.media.rtcp import Reporting
from cordboard.media.tones import (
    FRAME_BYTES,
    SILENT_FRAME,
    TONE_LEVEL,
    dominant_frequency,
    level,
    read_tone,
    tone_frames,
)
from cordboard.sdp import PCMU, Codec, MediaParameters
from cordboard.testing.phone_codecs import Ear, Mouth, with_codec
from cordboard.testing.phone_hearing import Timeline

_WINDOW_FRAMES = 5
_LOUD_RMS = 104
"""-50 dBov: louder is somebody speaking, not line noise."""
_MAX_SOURCES = 8


class AudioReport(msgspec.Struct, kw_only=True):
    """What went out and what was heard.  Times in seconds, of the clock that the phone runs on."""

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_unknown: int = 0
    """No RTP, or of a payload type that was not agreed on."""
    largest_gap: float = 0.0
    """Longest time between two packets, in seconds."""
    first_packet_at: float | None = None
    first_audio_at: float | None = None
    """First frame louder than -50 dBov."""
    remote_lost: int = 0
    """Packets of ours that the far end missed, by its last RTCP report."""
    round_trip_ms: float | None = None
    """By RTCP; None before the second report."""
    rtcp_received: int = 0
    sources: list[tuple[str, int]] = []
    """Where packets came from, in order of appearance."""
    encodings: list[str] = []
    """Names of the codecs that were heard, in order of appearance."""
    last_heard: bytes = b""
    """The last 100 ms in which something was heard, as 16-bit PCM at 8 kHz; empty if nothing was."""

    @property
    def frequency(self) -> float | None:
        """Dominant in `last_heard`, in Hz.  Takes milliseconds to find out."""
        return dominant_frequency(self.last_heard)

    @property
    def level(self) -> float | None:
        """dBov of `last_heard`."""
        return level(self.last_heard) if self.last_heard else None


class PhoneAudio:
    """One call's audio."""

    __slots__ = (
        "_digits",
        "_ears",
        "_event_rate",
        "_last_packet_at",
        "_loud",
        "_mouth",
        "_muted",
        "_position",
        "_pressing",
        "_recent",
        "_remote",
        "_report",
        "_reporting",
        "_script",
        "_sender",
        "_speech_types",
        "_statistics",
        "_tone_hz",
        "digits_heard",
        "heard",
        "recording",
        "said",
    )

    def __init__(
        self, *, ssrc: int, tone_hz: float | None, muted: bool = False, record: bool = False
    ) -> None:
        self._sender = rtp.RtpSender(ssrc=ssrc, sequence=ssrc & 0x7FFF, timestamp=ssrc)
        self._statistics = rtp.ReceptionStatistics()
        self._reporting = Reporting(cname=f"phone-{ssrc:x}")
        self._digits = DigitReceiver()
        self._pressing: DigitSender | None = None
        self._remote: MediaParameters | None = None
        self._speech_types: dict[int, str] = {}
        self._ears: dict[int, Ear] = {}
        self._mouth = Mouth(PCMU, 20)
        self._event_rate = 8000
        self._script: deque[bytes] = deque()
        """What is said in place of the tone, in frames of 20 ms."""
        self._tone_hz = tone_hz
        self._muted = muted
        self._position = 0
        self._recent: deque[bytes] = deque(maxlen=_WINDOW_FRAMES)
        self._loud: deque[bytes] = deque(maxlen=_WINDOW_FRAMES)
        self._last_packet_at = 0.0
        self._report = AudioReport()
        self.digits_heard: list[Digit] = []
        self.said = Timeline() if record else None
        self.heard = Timeline() if record else None
        """Audio packets with their times; None = not recorded."""
        self.recording: bytearray | None = bytearray() if record else None
        """All speech that arrived as 16-bit PCM at 8 kHz, in order of arrival; None = not recorded."""

    # ------------------------------------------------------------ agreed

    def agree(self, media: MediaParameters) -> None:
        """What was negotiated; may come again."""
        before, self._remote = self._remote, media
        if (self._mouth.codec, self._mouth.ptime_ms) != (media.codec, media.ptime_ms):
            self._mouth = Mouth(media.codec, media.ptime_ms, media.bit_rate)
        self._speech_types = dict(media.accepted)
        if before is None or before.formats != media.formats:
            self._ears = {}
        self._event_rate = media.dtmf_clock_rate
        self._digits.tick_at(self._event_rate)
        self._statistics.tick_at(media.codec.clock_rate)

    @property
    def destination(self) -> tuple[str, int] | None:
        """Where packets go; None while nothing may be sent."""
        remote = self._remote
        return (remote.address, remote.port) if remote is not None and remote.sending else None

    # ------------------------------------------------------------ mouth

    def speak(self, tone_hz: float | None) -> None:
        """Change the tone; None = silence."""
        self._tone_hz = tone_hz

    def play(self, pcm: bytes) -> None:
        """Say this (16-bit PCM at 8 kHz) after what waits, and then the tone again."""
        frames = (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
        self._script += [frame.ljust(FRAME_BYTES, b"\0") for frame in frames]

    @property
    def playing(self) -> bool:
        """Something waits to be said."""
        return bool(self._script)

    def press(self, digits: str, *, duration_ms: int = 160, gap_ms: int = 70) -> None:
        """Press keys (RFC 4733), in place of those that are being pressed."""
        self._pressing = DigitSender(
            digits, duration_ms=duration_ms, gap_ms=gap_ms, clock_rate=self._event_rate
        )

    def press_inband(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 80) -> None:
        """Press keys as tones."""
        down, up = max(1, duration_ms // 20), max(1, gap_ms // 20)
        for digit in digits:
            self._script += [digit_frame(digit, number) for number in range(down)]
            self._script += [SILENT_FRAME] * up

    @property
    def pressing(self) -> bool:
        """Keys are still being pressed."""
        return self._pressing is not None

    def next_packet(self) -> bytes | None:
        """For this tick of 20 ms, where packets last no less; None = nothing is sent."""
        return next(iter(self.next_packets()), None)

    def next_packets(self, now: float = 0.0) -> list[bytes]:
        """For this tick of 20 ms."""
        remote = self._remote
        if remote is None or not remote.sending:
            return []
        event = self._event(remote)
        return [event] if event is not None else self._speech(remote, now)

    def _event(self, remote: MediaParameters) -> bytes | None:
        if self._pressing is None:
            return None
        frame = self._pressing.next_frame()
        if self._pressing.finished:
            self._pressing = None
        if frame is None or remote.dtmf_send_type is None:
            return None
        if frame.start:
            self._sender.skip(self._mouth.drop())
        samples = remote.codec.clock_rate // 50
        return self._sender.event(frame.payload, remote.dtmf_send_type, samples, start=frame.start)

    def _speech(self, remote: MediaParameters, now: float) -> list[bytes]:
        codec = remote.codec
        if self._muted:
            self._sender.skip(codec.clock_rate // 50)
            return []
        plain = codec.name in _LAWS and self._mouth.ptime_ms == _TICK_MS and not self._script
        full = [self._plain_tone(codec.name)] if plain else self._mouth.say(self._next_frame())
        return [self._packet(payload, pcm, codec, now) for payload, pcm in full]

    def _packet(self, payload: bytes, pcm: bytes, codec: Codec, now: float) -> bytes:
        if self.said is not None:
            self.said.note(now, self._sender.timestamp, codec.clock_rate, pcm)
        return self._sender.packet(payload, codec.payload_type, self._mouth.samples)

    def _plain_tone(self, law: str) -> tuple[bytes, bytes]:
        """What costs nothing, for thousands of calls."""
        frames = _sound(self._tone_hz)
        self._position = (self._position + 1) % len(frames)
        return _voice(law, self._tone_hz)[self._position], frames[self._position]

    def _next_frame(self) -> bytes:
        if self._script:
            return self._script.popleft()
        frames = _sound(self._tone_hz)
        self._position = (self._position + 1) % len(frames)
        return frames[self._position]

    # ------------------------------------------------------------ ears

    def receive(self, data: bytes, source: tuple[str, int], now: float) -> None:
        """Take one datagram of any content."""
        payload = rtp.payload(data) if rtp.is_rtp(data) else None
        if payload is None:
            self._report.packets_unknown += 1
            return
        self._count(data, source, now)
        kind = rtp.payload_type(data)
        encoding = self._speech_types.get(kind)
        if encoding is not None:
            self._listen(kind, encoding, rtp.timestamp(data), payload, now)
        elif self._remote is not None and kind == self._remote.dtmf_receive_type:
            self.digits_heard += self._digits.handle(payload, rtp.timestamp(data), now)
        else:
            self._report.packets_unknown += 1

    def _listen(self, kind: int, encoding: str, timestamp: int, payload: bytes, now: float) -> None:
        if encoding not in self._report.encodings:
            self._report.encodings.append(encoding)
        rate = 8000
        if encoding in _LAWS:
            pcm = g711.decode(encoding, payload)
        else:
            codec = with_codec(self._remote.formats, kind) if self._remote is not None else None
            codec = codec or Codec(encoding, kind)
            pcm, rate = self._ear(codec).hear(payload), codec.clock_rate
        if self.heard is not None:
            self.heard.note(now, timestamp, rate, pcm)
        if pcm:
            self._hear(pcm, now)

    def _ear(self, codec: Codec) -> Ear:
        ear = self._ears.get(codec.payload_type)
        if ear is None:
            ear = self._ears[codec.payload_type] = Ear(codec)
        return ear

    def release_keys(self, now: float) -> None:
        """Take a key whose end was lost as released, if it is time."""
        self.digits_heard += self._digits.handle_timeout(now)

    def _count(self, data: bytes, source: tuple[str, int], now: float) -> None:
        self._statistics.update(data, now)
        report = self._report
        if report.first_packet_at is None:
            report.first_packet_at = now
        else:
            report.largest_gap = max(report.largest_gap, now - self._last_packet_at)
        self._last_packet_at = now
        if source not in report.sources and len(report.sources) < _MAX_SOURCES:
            report.sources.append(source)

    def _hear(self, pcm: bytes, now: float) -> None:
        self._recent.append(pcm)
        if self.recording is not None:
            self.recording += pcm
        if audio.rms(pcm, 2) < _LOUD_RMS:
            return
        if len(self._recent) > 1 and audio.rms(self._recent[-2], 2) < _LOUD_RMS:
            self._loud.clear()
        self._loud.append(pcm)
        if self._report.first_audio_at is None:
            self._report.first_audio_at = now

    # ------------------------------------------------------------ reports

    def next_report(self, now: float, *, last: bool = False) -> bytes | None:
        """An RTCP packet for the far end; None while there is nobody to report to."""
        if self._remote is None:
            return None
        return self._reporting.report(self._sender, self._statistics, now, goodbye=last)

    @property
    def report_destination(self) -> tuple[str, int] | None:
        """Where RTCP goes; None if the far end takes none."""
        remote = self._remote
        return (remote.address, remote.rtcp_port) if remote is not None and remote.rtcp_port else None

    def receive_report(self, data: bytes, now: float) -> None:
        """Take one RTCP datagram of any content."""
        self._report.rtcp_received += 1
        self._reporting.handle(data, self._sender.ssrc, now)

    def hears(self, frequency: float) -> bool:
        """That tone makes up most of the last 100 ms, of which all are there."""
        if len(self._recent) < _WINDOW_FRAMES:
            return False
        return read_tone(b"".join(self._recent), (frequency,), quiet=-50.0).share >= 0.5

    def report(self) -> AudioReport:
        """As of now."""
        return msgspec.structs.replace(
            self._report,
            packets_sent=self._sender.packets,
            packets_received=self._statistics.received,
            packets_lost=self._statistics.lost,
            remote_lost=self._reporting.remote_lost,
            round_trip_ms=self._reporting.round_trip_ms,
            sources=list(self._report.sources),
            encodings=list(self._report.encodings),
            last_heard=b"".join(self._loud),
        )


_LAWS = (g711.PCMU, g711.PCMA)
_TICK_MS = 20


@lru_cache(maxsize=128)
def _sound(tone_hz: float | None) -> tuple[bytes, ...]:
    """One second, after which the wave begins again where it ended (whole Hz)."""
    return (SILENT_FRAME,) if tone_hz is None else tone_frames((tone_hz,), 1000, TONE_LEVEL)


@lru_cache(maxsize=128)
def _voice(law: str, tone_hz: float | None) -> tuple[bytes, ...]:
    """The same in payloads."""
    return tuple(g711.encode(law, frame) for frame in _sound(tone_hz))

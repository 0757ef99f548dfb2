"""The voice and the ears of a simulated phone: RTP packets out and in, without sockets and clock.

It speaks a tone, presses keys, and measures what it hears.  20 ms frames whatever the far end asks for.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import msgspec

from cordboard.media import rtp
from cordboard.media.codecs import audio, g711
from cordboard.media.dtmf import Digit, DigitReceiver, DigitSender
from cordboard.media.rtcp import Reporting
from cordboard.media.tones import FRAME_SAMPLES, TONE_LEVEL, dominant_frequency, level, read_tone, tone_frames
from cordboard.sdp import MediaParameters

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
        "_last_packet_at",
        "_law",
        "_loud",
        "_muted",
        "_position",
        "_pressing",
        "_recent",
        "_remote",
        "_report",
        "_reporting",
        "_sender",
        "_speech_types",
        "_statistics",
        "_tone_hz",
        "digits_heard",
        "recording",
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
        self._law = g711.PCMU
        self._tone_hz = tone_hz
        self._muted = muted
        self._position = 0
        self._recent: deque[bytes] = deque(maxlen=_WINDOW_FRAMES)
        self._loud: deque[bytes] = deque(maxlen=_WINDOW_FRAMES)
        self._last_packet_at = 0.0
        self._report = AudioReport()
        self.digits_heard: list[Digit] = []
        self.recording: bytearray | None = bytearray() if record else None
        """All speech that arrived as 16-bit PCM at 8 kHz, in order of arrival; None = not recorded."""

    # ------------------------------------------------------------ agreed

    def agree(self, media: MediaParameters) -> None:
        """What was negotiated; may come again."""
        self._remote = media
        self._law = media.codec.name
        self._speech_types = dict(media.accepted)

    @property
    def destination(self) -> tuple[str, int] | None:
        """Where packets go; None while nothing may be sent."""
        remote = self._remote
        return (remote.address, remote.port) if remote is not None and remote.sending else None

    # ------------------------------------------------------------ mouth

    def speak(self, tone_hz: float | None) -> None:
        """Change the tone; None = silence."""
        self._tone_hz = tone_hz

    def press(self, digits: str) -> None:
        """Press keys, after those that are being pressed."""
        self._pressing = DigitSender(digits)

    @property
    def pressing(self) -> bool:
        """Keys are still being pressed."""
        return self._pressing is not None

    def next_packet(self) -> bytes | None:
        """For this tick of 20 ms; None = nothing is sent."""
        remote = self._remote
        if remote is None or not remote.sending:
            return None
        return self._event(remote) or self._speech(remote)

    def _event(self, remote: MediaParameters) -> bytes | None:
        if self._pressing is None:
            return None
        frame = self._pressing.next_frame()
        if self._pressing.finished:
            self._pressing = None
        if frame is None or remote.dtmf_send_type is None:
            return None
        return self._sender.event(frame.payload, remote.dtmf_send_type, FRAME_SAMPLES, start=frame.start)

    def _speech(self, remote: MediaParameters) -> bytes | None:
        if self._muted:
            self._sender.skip(FRAME_SAMPLES)
            return None
        frames = _voice(self._law, self._tone_hz)
        self._position = (self._position + 1) % len(frames)
        return self._sender.packet(frames[self._position], remote.codec.payload_type, FRAME_SAMPLES)

    # ------------------------------------------------------------ ears

    def receive(self, data: bytes, source: tuple[str, int], now: float) -> None:
        """Take one datagram of any content."""
        payload = rtp.payload(data) if rtp.is_rtp(data) else None
        if payload is None:
            self._report.packets_unknown += 1
            return
        self._count(data, source, now)
        kind = rtp.payload_type(data)
        law = self._speech_types.get(kind)
        if law is not None:
            self._hear(g711.decode(law, payload), now)
        elif self._remote is not None and kind == self._remote.dtmf_receive_type:
            self.digits_heard += self._digits.handle(payload, rtp.timestamp(data), now)
        else:
            self._report.packets_unknown += 1

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
            last_heard=b"".join(self._loud),
        )


@lru_cache(maxsize=128)
def _voice(law: str, tone_hz: float | None) -> tuple[bytes, ...]:
    """One second in payloads, after which the wave begins again where it ended (whole Hz)."""
    if tone_hz is None:
        return (g711.silence(law, FRAME_SAMPLES),)
    return tuple(g711.encode(law, frame) for frame in tone_frames((tone_hz,), 1000, TONE_LEVEL))

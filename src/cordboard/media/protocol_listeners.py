"""The messages of `protocol` about those who listen to a leg: recordings, taps, detectors."""

from __future__ import annotations

import msgspec

# ------------------------------------------------------------------ commands


class BeginRecording(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Record into a WAV file (16-bit, 8 kHz), which must not be there yet.

    `RecordingBegun` follows unless it cannot, `RecordingClosed` always, unless the worker dies.  It ends with
    its endpoint, whose `EndpointClosed` may come before the file is complete.
    """

    endpoint_id: str
    recording_id: str
    path: str
    direction: str = "speak"
    """speak, listen or both"""
    stereo: bool = False
    beep: bool = False
    terminators: str = ""
    input_sensitivity: float = 44.0
    initial_timeout_ms: int = 0
    end_silence_ms: int = 0
    max_length_ms: int = 0


class FinishRecording(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close the file."""

    endpoint_id: str
    recording_id: str


class PauseRecorder(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Write silence, or nothing at all (`skip`), until `ResumeRecorder`.  Silence then ends nothing."""

    endpoint_id: str
    recording_id: str
    skip: bool = False


class ResumeRecorder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Record again."""

    endpoint_id: str
    recording_id: str


class BeginTap(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Send a copy of the audio somewhere.  `TapBegun` or `TapClosed` follows.

    The address has passed the outbound policy; a name is only for TLS and the Host header.
    """

    endpoint_id: str
    tap_id: str
    scheme: str
    """rtp, ws or wss"""
    address: str
    port: int
    host: str = ""
    """ws(s): what the URL calls it, for Host and the server name of TLS."""
    path: str = "/"
    """ws(s): path and query."""
    authorization: str = ""
    direction: str = "speak"
    codec: str = "PCMU"
    """PCMU, PCMA or OPUS (mono, 8 kHz audio at a clock of 48 kHz)"""
    ptime_ms: int = 20


class FinishTap(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`TapClosed` follows."""

    endpoint_id: str
    tap_id: str


class BeginDetector(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Listen to what the far end says.  `DetectorTold`s and one `DetectorClosed` follow."""

    endpoint_id: str
    detector_id: str
    kind: str
    """machine or fax"""
    tone: str = "CED"
    """fax: CED or CNG"""
    initial_timeout_ms: int = 4500
    """machine: this and all that follow; what they mean is said in `machine_ear`."""
    end_silence_ms: int = 1000
    voice_ms: int = 1250
    words: int = 6
    ready_ms: int = 1000
    interruptions: bool = False
    message_end: bool = True


class FinishDetector(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`DetectorClosed` follows."""

    endpoint_id: str
    detector_id: str


ListenerCommand = (
    BeginRecording
    | FinishRecording
    | PauseRecorder
    | ResumeRecorder
    | BeginTap
    | FinishTap
    | BeginDetector
    | FinishDetector
)

# ------------------------------------------------------------------ events


class RecordingBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The file of a recording is there and grows."""

    endpoint_id: str
    recording_id: str


class RecordingClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A recording is over and its file closed."""

    endpoint_id: str
    recording_id: str
    outcome: str
    """finished, no_input or error"""
    duration_ms: int = 0
    sentence: str = ""


class TapBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A tap sends, from this address where it is RTP."""

    endpoint_id: str
    tap_id: str
    address: str = ""
    port: int = 0


class TapClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A tap is over, or could not begin; the sentence says why if nobody asked for it."""

    endpoint_id: str
    tap_id: str
    sentence: str = ""


class DetectorTold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A detector has heard something."""

    endpoint_id: str
    detector_id: str
    event: str
    """MACHINE, HUMAN, UNKNOWN, READY, NOT_READY; CED, CNG"""
    beep: bool = False


class DetectorClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A detector is over, or could not begin; the sentence says why if nobody ended it undecided."""

    endpoint_id: str
    detector_id: str
    sentence: str = ""


ListenerEvent = RecordingBegun | RecordingClosed | TapBegun | TapClosed | DetectorTold | DetectorClosed

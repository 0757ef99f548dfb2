"""The messages between the control process and a media worker.

Commands go in, events come out, over one Unix stream socket per worker; each message is one
msgpack-encoded tagged struct behind a 4-byte big-endian length.  An endpoint is one leg's media; its id is
the id of its call.  The worker never learns names, documents or credentials: only addresses and parameters.
"""

from __future__ import annotations

import msgspec

from cordboard.media.protocol_listeners import BeginDetector as BeginDetector
from cordboard.media.protocol_listeners import BeginRecording as BeginRecording
from cordboard.media.protocol_listeners import BeginTap as BeginTap
from cordboard.media.protocol_listeners import DetectorClosed as DetectorClosed
from cordboard.media.protocol_listeners import DetectorTold as DetectorTold
from cordboard.media.protocol_listeners import FinishDetector as FinishDetector
from cordboard.media.protocol_listeners import FinishRecording as FinishRecording
from cordboard.media.protocol_listeners import FinishTap as FinishTap
from cordboard.media.protocol_listeners import ListenerCommand, ListenerEvent
from cordboard.media.protocol_listeners import PauseRecorder as PauseRecorder
from cordboard.media.protocol_listeners import RecordingBegun as RecordingBegun
from cordboard.media.protocol_listeners import RecordingClosed as RecordingClosed
from cordboard.media.protocol_listeners import ResumeRecorder as ResumeRecorder
from cordboard.media.protocol_listeners import TapBegun as TapBegun
from cordboard.media.protocol_listeners import TapClosed as TapClosed

MAX_MESSAGE = 1 << 20


class Format(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One negotiated payload format of a leg, the one that is sent; others that may arrive are `accepted`."""

    name: str
    """PCMU, PCMA, G722, OPUS, L16, or one that is only passed through (G729)."""
    payload_type: int
    clock_rate: int = 8000
    """Of the RTP timestamps: 8000 for G722, 48000 for OPUS, whatever the audio is sampled at."""
    ptime_ms: int = 20
    channels: int = 1
    audio_rate: int = 0
    """Sampling rate to encode with where it is not the clock rate (OPUS narrower than 48 kHz); 0 = that."""
    bit_rate: int = 0
    """OPUS: bits a second; 0 = the encoder's choice."""


class SrtpKeys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Keys of one SRTP direction, as SDES carries them (RFC 4568)."""

    suite: str
    """AES_CM_128_HMAC_SHA1_80 and so on (swml.md 7.8)."""
    key: bytes
    """Master key followed by master salt."""


class Srtp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SRTP of a stream; without it the stream is plain."""

    send: SrtpKeys
    receive: SrtpKeys


class VideoRemote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A video stream that is passed on, with its RTCP, to the video of the joined endpoint."""

    port: int
    rtcp_port: int
    accepted: tuple[tuple[int, str], ...]
    """(payload type as negotiated here, name): types are translated where the legs differ."""
    send: tuple[tuple[int, str], ...] = ()
    """The same for what is sent, where the far end has other numbers than we."""
    address: str = ""
    """Empty = that of the audio."""
    sending: bool = True
    receiving: bool = True
    srtp: Srtp | None = None


# ------------------------------------------------------------------ commands


class OpenEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Take a port pair (RTP even, RTCP odd).  Reply: `EndpointOpened` or `EndpointRefused`."""

    endpoint_id: str
    video: bool = False
    """Take a second pair, for video."""


class SetRemote(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Say who the far end is and what is spoken with it.  May come again (re-INVITE, early to final)."""

    endpoint_id: str
    address: str
    port: int
    """0 = nothing may be sent."""
    rtcp_port: int
    send: Format
    accepted: tuple[tuple[int, str], ...]
    """(payload type, codec name) of everything that may arrive."""
    receive: tuple[Format, ...] = ()
    """The same with clock rates and channels; where it is given, `accepted` repeats it."""
    dtmf_send_type: int | None = None
    """Payload type of telephone-event towards the far end."""
    dtmf_receive_type: int | None = None
    dtmf_clock_rate: int = 8000
    """Of telephone-event: that of the codec it goes with (RFC 4733)."""
    dtmf_mode: str = "rfc4733"
    """`rfc4733` (where a type is negotiated), `inband` (tones are made and detected), `info` (keys of the
    joined far end are not put into the media: SIP carries them)."""
    srtp: Srtp | None = None
    video: VideoRemote | None = None
    sending: bool = True
    """We may send (our direction has `send`)."""
    receiving: bool = True
    latch: bool = True
    """Symmetric RTP: follow the source of the packets under the latching rule."""


class JoinEndpoints(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What either hears, the other says.  Replaces an earlier join of either."""

    a: str
    b: str


class UnjoinEndpoints(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Take both apart."""

    a: str
    b: str


class PlaySource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to play."""

    kind: str
    """`audio` (a local WAV file, already fetched), `silence`, `ring`, `tone`."""
    path: str = ""
    duration_ms: int = 0
    """silence, tone: length; ring: 0 = one cadence cycle."""
    country: str = "us"
    frequencies: tuple[float, ...] = ()


class StartPlay(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Play to the far end, over what the join sends and over other plays.

    A new one of the same id ends the old.
    """

    endpoint_id: str
    play_id: str
    sources: tuple[PlaySource, ...]
    volume_db: float = 0.0
    loop: int = 1
    """0 = for ever."""
    paused: bool = False
    """Not before a `ResumePlaying`."""
    alone: bool = False
    """In place of what the join sends: music on hold, which nobody shall be heard through."""


class StopPlaying(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`PlayEnded` follows."""

    endpoint_id: str
    play_id: str


class PausePlaying(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hold a play where it is."""

    endpoint_id: str
    play_id: str


class ResumePlaying(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Go on with it."""

    endpoint_id: str
    play_id: str


class SetGain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Change the gain of a play."""

    endpoint_id: str
    play_id: str
    volume_db: float


class SendDigits(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send RFC 4733 digits to the far end."""

    endpoint_id: str
    digits: str
    duration_ms: int = 160
    gap_ms: int = 70
    send_id: str = ""
    """If not empty, `DigitsPlayed` follows with it.  `W` and `w` in `digits` are pauses of 1 and 0.5 s."""


class WatchSilence(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell with `MediaSilent` when neither RTP nor RTCP has come for so long; 0 = do not watch (hold)."""

    endpoint_id: str
    seconds: float


class CloseEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the ports back (they drain before reuse).  Reply: `EndpointClosed` with the last statistics."""

    endpoint_id: str


class LinkEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Join a local endpoint with one on another worker, over that worker's frame socket (Unix datagram)."""

    endpoint_id: str
    remote_endpoint_id: str
    remote_socket: str


class UnlinkEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End a `LinkEndpoint`."""

    endpoint_id: str


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Reply: `Pong` with the worker's load figures."""

    serial: int


Command = (
    OpenEndpoint
    | SetRemote
    | JoinEndpoints
    | UnjoinEndpoints
    | StartPlay
    | StopPlaying
    | PausePlaying
    | ResumePlaying
    | SetGain
    | SendDigits
    | ListenerCommand
    | WatchSilence
    | CloseEndpoint
    | LinkEndpoint
    | UnlinkEndpoint
    | Ping
)

# ------------------------------------------------------------------ events


class EndpointOpened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The local address to put into the SDP."""

    endpoint_id: str
    address: str
    port: int
    video_port: int = 0
    """0 = none was asked for, or none is free."""


class EndpointRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No port left, or the id is taken."""

    endpoint_id: str
    sentence: str


class LegStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """RTP and RTCP figures of one leg."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    packets_lost: int = 0
    """RFC 3550 A.3: expected minus received, of what we received."""
    jitter_ms: float = 0.0
    remote_lost: int = 0
    """From the far end's receiver reports."""
    remote_jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    mos: float | None = None
    """Estimate by the E-model (ITU-T G.107), 1 to 4.5."""
    packets_refused: int = 0
    """From a source that the latching rule refused."""
    packets_unauthentic: int = 0
    """Of an SRTP stream: plain, replayed, changed on their way, or under another key."""
    video_packets_sent: int = 0
    video_packets_received: int = 0
    latched_to: str = ""
    """`address:port` that media really comes from, when it differs from the SDP."""


class EndpointClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Last word about an endpoint."""

    endpoint_id: str
    statistics: LegStatistics


class PlayEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All played, or stopped; `errors` has a sentence for each source that could not be played."""

    endpoint_id: str
    play_id: str
    errors: tuple[str, ...] = ()


class DigitHeard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The far end pressed a key (RFC 4733, or a tone), reported once, at its end."""

    endpoint_id: str
    digit: str
    duration_ms: int


class DigitsPlayed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The keys of a `SendDigits` have been sent."""

    endpoint_id: str
    send_id: str


class MediaSilent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nothing has come from the far end for the time that `WatchSilence` asked for."""

    endpoint_id: str
    seconds: float


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load of the worker."""

    serial: int
    endpoints: int
    free_ports: int
    tick_late_p99_ms: float
    resident_kib: int


Event = (
    EndpointOpened
    | EndpointRefused
    | EndpointClosed
    | PlayEnded
    | DigitHeard
    | DigitsPlayed
    | ListenerEvent
    | MediaSilent
    | Pong
)

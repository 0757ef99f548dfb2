"""The messages between the control process and a media worker.

Commands go in, events come out, over one Unix stream socket per worker; each message is one
msgpack-encoded tagged struct behind a 4-byte big-endian length.  An endpoint is one leg's media; its id is
the id of its call.  The worker never learns names, documents or credentials: only addresses and parameters.
"""

from __future__ import annotations

import msgspec

MAX_MESSAGE = 1 << 20


class Format(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One negotiated payload format of a leg, the one that is sent; others that may arrive are `accepted`."""

    name: str
    """PCMU or PCMA (later more)."""
    payload_type: int
    clock_rate: int = 8000
    ptime_ms: int = 20


# ------------------------------------------------------------------ commands


class OpenEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Take a port pair (RTP even, RTCP odd).  Reply: `EndpointOpened` or `EndpointRefused`."""

    endpoint_id: str


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
    dtmf_send_type: int | None = None
    """Payload type of telephone-event towards the far end."""
    dtmf_receive_type: int | None = None
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
    """Play to the far end, in place of what the join would send.  One at a time: a new one ends the old."""

    endpoint_id: str
    play_id: str
    sources: tuple[PlaySource, ...]
    volume_db: float = 0.0
    loop: int = 1
    """0 = for ever."""


class StopPlaying(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`PlayEnded` follows."""

    endpoint_id: str
    play_id: str


class SendDigits(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send RFC 4733 digits to the far end."""

    endpoint_id: str
    digits: str
    duration_ms: int = 160
    gap_ms: int = 70


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
    | SendDigits
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
    """The far end pressed a key (RFC 4733), reported once, at its end."""

    endpoint_id: str
    digit: str
    duration_ms: int


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load of the worker."""

    serial: int
    endpoints: int
    free_ports: int
    tick_late_p99_ms: float
    resident_kib: int


Event = EndpointOpened | EndpointRefused | EndpointClosed | PlayEnded | DigitHeard | Pong

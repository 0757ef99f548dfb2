"""What the SIP legs hand to the shell, beside the bytes for the wire."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.codec_wish import CodecWish
from cordboard.call.facts import Fact
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending
from cordboard.media.protocol import SendDigits, SetRemote, WatchSilence
from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event, ResponseReceived, SendMessage


class CallOffered(msgspec.Struct, frozen=True, kw_only=True):
    """A far end calls.  The shell routes it, then starts a call with this id, or refuses it."""

    call_id: str
    info: CallInfo
    dialled: str
    """User part of the Request-URI, unescaped: what routes are matched with."""
    source: Endpoint
    sip_call_id: str = ""
    """The Call-ID header."""


class CallRefused(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE was turned away before it became a call.  For the log: nothing is left of it."""

    source: Endpoint
    status: int
    ending: Ending


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """A fact for a call."""

    call_id: str
    fact: Fact


class ResolveTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Find out where to send the INVITE; reply with `SipLegs.resolved` or `SipLegs.unresolved`."""

    call_id: str
    destination: Destination
    redirects: tuple[str, ...] = ()
    """Contacts of a 3xx, to be dialled in place of `destination.to`."""
    failed_trunks: tuple[str, ...] = ()
    """Trunks that have been tried for this phone number and could not carry the call."""


class OpenMedia(msgspec.Struct, frozen=True, kw_only=True):
    """Open a media endpoint, on the worker of `near` if given."""

    call_id: str
    near: str | None = None
    video: bool = False


class MediaOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A command for the worker of an endpoint."""

    command: SetRemote


class MediaCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Another command for the worker of an endpoint."""

    command: SendDigits | WatchSilence


class CloseMedia(msgspec.Struct, frozen=True, kw_only=True):
    """Close a media endpoint."""

    call_id: str


class DialogSaved(msgspec.Struct, frozen=True, kw_only=True):
    """What a later process needs to hang up this leg, should this one die."""

    call_id: str
    saved: bytes


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One address that an INVITE may go to, and what is particular about it."""

    request_uri: str
    endpoint: Endpoint
    is_phone: bool = False
    """X- headers and display names stay off the wire (swml.md 7.3)."""
    credentials: Credentials | None = None
    """Only for this host."""
    large: Endpoint | None = None
    """The same place over a stream: for a request that is too large for a datagram (RFC 3261, 18.1.1)."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a trunk lays down for the calls that it carries; None or empty = what the call says."""

    trunk: str
    from_: str | None = None
    """The caller's number as this carrier wants it, or the user that it knows us by."""
    from_domain: str | None = None
    codecs: tuple[CodecWish, ...] = ()
    encryption: str | None = None
    two_media_lines: bool = False
    """`optional` as one SAVP and one AVP line instead of RFC 8643."""
    dtmf: str = "auto"
    """auto, rfc4733, info or inband"""
    session_timeout: int | None = None
    asserted_identity: bool = False
    """Say the caller's number in P-Asserted-Identity too."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `ResolveTarget`: where an outbound leg may go.

    After a transport failure, a time-out or a 503 the next target is tried (RFC 3263 section 4.3).  When
    none is left of a trunk's, `ResolveTarget` with `failed_trunks` asks for the next trunk.
    """

    targets: tuple[Target, ...]
    terms: Terms | None = None


Output = (
    SendMessage
    | CallOffered
    | CallRefused
    | Happened
    | ResolveTarget
    | OpenMedia
    | MediaOrder
    | MediaCommand
    | CloseMedia
    | DialogSaved
    | ResponseReceived
)

FromLeg = Output | Event
"""What one leg returns: it hands on what the stack said to it, events included."""

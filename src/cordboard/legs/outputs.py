"""What the SIP legs hand to the shell, beside the bytes for the wire."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.facts import Fact
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending
from cordboard.media.protocol import SetRemote
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event, SendMessage


class CallOffered(msgspec.Struct, frozen=True, kw_only=True):
    """A far end calls.  The shell routes it, then starts a call with this id, or refuses it."""

    call_id: str
    info: CallInfo
    dialled: str
    """User part of the Request-URI, unescaped: what routes are matched with."""
    source: Endpoint


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


class OpenMedia(msgspec.Struct, frozen=True, kw_only=True):
    """Open a media endpoint, on the worker of `near` if given."""

    call_id: str
    near: str | None = None


class MediaOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A command for the worker of an endpoint."""

    command: SetRemote


class CloseMedia(msgspec.Struct, frozen=True, kw_only=True):
    """Close a media endpoint."""

    call_id: str


class DialogSaved(msgspec.Struct, frozen=True, kw_only=True):
    """What a later process needs to hang up this leg, should this one die."""

    call_id: str
    saved: bytes


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where an outbound leg goes: the answer to `ResolveTarget`."""

    request_uri: str
    endpoint: Endpoint
    is_phone: bool = False
    """X- headers and display names stay off the wire (swml.md 7.3)."""


Output = (
    SendMessage
    | CallOffered
    | CallRefused
    | Happened
    | ResolveTarget
    | OpenMedia
    | MediaOrder
    | CloseMedia
    | DialogSaved
)

FromLeg = Output | Event
"""What one leg returns: it hands on what the stack said to it, events included."""

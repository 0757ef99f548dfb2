"""What must be done.  The shell carries effects out in order and decides nothing."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import Evaluate, FetchDocument, PlayItem, ScriptWarning
from cordboard.call.facts import Fact
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending

# -------------------------------------------------- this call's own leg


class RingLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Inbound, unanswered: 180; with `early_media`, 183 with SDP.  Idempotent per kind."""

    early_media: bool = False


class AnswerLeg(msgspec.Struct, frozen=True):
    """Inbound, unanswered: 200.  `LegAnswered` follows once it is sent."""


class EndLeg(msgspec.Struct, frozen=True, kw_only=True):
    """End this leg whatever its state: final response `sip_code`, CANCEL or BYE.

    `LegEnded` follows always, carrying `ending` (or what really happened first).
    """

    ending: Ending
    sip_code: int = 480
    """Final response for an unanswered inbound leg."""
    q850: int | None = None
    """Cause for the Reason header of a BYE."""
    answered_elsewhere: bool = False
    """Outbound: CANCEL with Reason SIP;cause=200;text="Call completed elsewhere"."""


# -------------------------------------------------- other calls


class Dial(msgspec.Struct, frozen=True, kw_only=True):
    """Make a new outbound call: the switchboard creates it with this id and starts its leg.

    The new call reports to `parent` with `PeerRinging`, `PeerAnswered`, `PeerEnded`.
    """

    call_id: str
    parent: str
    session_id: str
    destination: Destination
    from_: str
    """Effective caller identity: number, token or `sip:` URI."""
    from_name: str = ""


class TellCall(msgspec.Struct, frozen=True, kw_only=True):
    """Put a fact into another call's queue.  Silently dropped if that call is gone."""

    call_id: str
    fact: Fact


# -------------------------------------------------- media


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Join the media of two calls, both ways (`a` is this call)."""

    a: str
    b: str


class Unjoin(msgspec.Struct, frozen=True, kw_only=True):
    """Take two calls apart.  No effect if one is already gone."""

    a: str
    b: str


class PlayTo(msgspec.Struct, frozen=True, kw_only=True):
    """Play to this call's far end; `PlayFinished` follows always, unless the call ends."""

    control_id: str
    items: tuple[PlayItem, ...]
    volume: float = 0.0
    loop: int = 1


class StopPlay(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a `PlayTo`; its `PlayFinished` still follows."""

    control_id: str


# -------------------------------------------------- the driver's requests


class AskShell(msgspec.Struct, frozen=True, kw_only=True):
    """Carry out a driver's request and reply with `DriverReply(ticket=...)`."""

    ticket: int
    request: Evaluate | FetchDocument


# -------------------------------------------------- telling the world


class CallStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.state, about this call."""

    state: str
    ending: Ending | None = None
    """Only with `ended`."""


class ConnectStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.connect, about the connecting call."""

    state: str
    """connecting, connected, failed, disconnected"""
    peer_call_id: str | None = None
    peer_device_type: str = ""
    """phone or sip"""
    peer_from: str = ""
    peer_to: str = ""
    ending: Ending | None = None
    """Only with `failed`."""


class PlayStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.play"""

    control_id: str
    state: str
    """playing, paused, finished, error"""


class ScriptWarned(msgspec.Struct, frozen=True, kw_only=True):
    """calling.script.warning"""

    warning: ScriptWarning


Happening = CallStateChanged | ConnectStateChanged | PlayStateChanged | ScriptWarned


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Tell every listener.  `callback_url` is where the script wants it posted, if anywhere."""

    happening: Happening
    callback_url: str | None = None


class CallOver(msgspec.Struct, frozen=True):
    """Nothing more will come from this call: forget it."""


Effect = (
    RingLeg
    | AnswerLeg
    | EndLeg
    | Dial
    | TellCall
    | Join
    | Unjoin
    | PlayTo
    | StopPlay
    | AskShell
    | Report
    | CallOver
)

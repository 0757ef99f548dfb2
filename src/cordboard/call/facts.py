"""What happened to a call.  Facts are past tense, carry no objects of other layers, go in one at a time."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import DocumentFailed, DocumentFetched, Evaluated
from cordboard.call.reasons import Ending

# -------------------------------------------------- from this call's own leg


class LegDialled(msgspec.Struct, frozen=True):
    """Outbound leg: the INVITE has left.  Ring time counts from here, not from the look-up of a name."""


class LegRinging(msgspec.Struct, frozen=True, kw_only=True):
    """Outbound leg: 180, or 183 (`early_media` when it carried SDP)."""

    early_media: bool = False


class LegAnswered(msgspec.Struct, frozen=True):
    """Outbound leg: the far end answered, its media is known.  Inbound leg: our 200 has been sent."""


class LegEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The leg is over, whoever ended it.  Comes exactly once, and last."""

    ending: Ending


class DigitReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The far end pressed a key."""

    digit: str
    duration_ms: int


# -------------------------------------------------- from media


class PlayFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A `PlayTo` has come to its end (or was stopped)."""

    control_id: str
    errors: tuple[str, ...] = ()


class MediaFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The media of this call is gone (its worker died); the leg must be ended with this ending."""

    ending: Ending


# -------------------------------------------------- replies of the shell to this call's driver


class DriverReply(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to an `Evaluate` or `FetchDocument`; `ticket` is the one of the effect."""

    ticket: int
    result: Evaluated | DocumentFetched | DocumentFailed


# -------------------------------------------------- from other calls (through the switchboard's queue)


class PeerDialled(msgspec.Struct, frozen=True, kw_only=True):
    """The INVITE to a call dialled by this one has left."""

    call_id: str


class PeerRinging(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one rings."""

    call_id: str
    early_media: bool = False


class PeerAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one is ready to be bridged (answered, and confirmed where asked)."""

    call_id: str


class PeerEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one, or bridged to it, has ended."""

    call_id: str
    ending: Ending


class Bridged(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the dialled call: you are now joined to `call_id`."""

    call_id: str


class Unbridged(msgspec.Struct, frozen=True, kw_only=True):
    """Told to a bridged call whose other side is gone."""

    call_id: str


class HangupRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Another call (or an operator) wants this call ended, with this ending."""

    ending: Ending


Fact = (
    LegDialled
    | LegRinging
    | LegAnswered
    | LegEnded
    | DigitReceived
    | PlayFinished
    | MediaFailed
    | DriverReply
    | PeerDialled
    | PeerRinging
    | PeerAnswered
    | PeerEnded
    | Bridged
    | Unbridged
    | HangupRequested
)

"""What happened to a call.  Facts are past tense, carry no objects of other layers, go in one at a time."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import DocumentFailed, DocumentFetched, Driver, Evaluated, RequestAnswered
from cordboard.call.commands import Command
from cordboard.call.peer import Peer
from cordboard.call.plan import Destination
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
    """The far end pressed a key, however it told: RFC 4733, SIP INFO or a tone.  Once for each key."""

    digit: str
    duration_ms: int
    by_info: bool = False
    """It came by SIP INFO; otherwise in the media, which pass it on to a joined far end by themselves."""


class LegHeld(msgspec.Struct, frozen=True):
    """The far end has put us on hold."""


class LegResumed(msgspec.Struct, frozen=True):
    """The far end listens again."""


class TransferRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The far end sent REFER: whoever it talks to shall talk to somebody else (RFC 3515).

    The leg has answered 202; `ReportTransfer` tells the far end how it goes on.
    """

    destination: Destination
    """The Refer-To as a destination."""
    replaces: str | None = None
    """Id of the call of this server that the Refer-To's Replaces names (RFC 3891): join with its peer."""


# -------------------------------------------------- from media


class ReferProgressed(msgspec.Struct, frozen=True, kw_only=True):
    """How a `ReferLeg` stands.  The last one is `is_final`."""

    refer_code: int | None = None
    """Final response to the REFER; None: there was none."""
    notify_code: int | None = None
    """Status in the last NOTIFY (RFC 3515 section 2.4.4); None: none has come."""
    is_final: bool = False
    ending: Ending | None = None
    """Of a failure, where more is known than the codes."""


class HoldAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """A `HoldLeg` is done: the far end is held, or not any more; `sentence` says why it failed."""

    held: bool
    ok: bool = True
    sentence: str = ""


class PlayFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A `PlayTo` has come to its end (or was stopped)."""

    control_id: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What was played otherwise than asked for: another voice, another language."""


class DigitsSent(msgspec.Struct, frozen=True, kw_only=True):
    """A `SendDigitsTo` is done."""

    control_id: str


class RecordingStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A `StartRecording` records; `url` is where it can be fetched when it has ended."""

    control_id: str
    url: str


class RecordingEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A recording is over and, unless it failed, complete on disk."""

    control_id: str
    outcome: str
    """`finished`, `no_input` or `error`"""
    url: str = ""
    duration: float = 0.0
    """Seconds."""
    size: int = 0
    """Bytes of the file."""
    sentence: str = ""
    """Of an error."""


class TapOpened(msgspec.Struct, frozen=True, kw_only=True):
    """A `StartTap` sends; from `address:port` where it is RTP."""

    control_id: str
    address: str = ""
    port: int = 0


class TapEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A tap is over; `sentence` says why if nobody stopped it."""

    control_id: str
    sentence: str = ""


class DetectorHeard(msgspec.Struct, frozen=True, kw_only=True):
    """A `StartDetector` has heard something."""

    control_id: str
    event: str
    """Of a machine: MACHINE, HUMAN, UNKNOWN, READY, NOT_READY; of a fax: CED, CNG."""
    beep: bool = False
    """READY because of a beep."""


class DetectorEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A detector hears nothing more; `sentence` says why if nobody stopped it and it has not decided."""

    control_id: str
    sentence: str = ""


class MediaFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The media of this call is gone (its worker died); the leg must be ended with this ending."""

    ending: Ending


# -------------------------------------------------- replies of the shell to this call's driver


class DriverReply(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to an `Evaluate` or `FetchDocument`; `ticket` is the one of the effect."""

    ticket: int
    result: Evaluated | DocumentFetched | DocumentFailed | RequestAnswered


# -------------------------------------------------- from a client


class Commanded(msgspec.Struct, frozen=True, kw_only=True):
    """A client asks something of this call; `CommandAnswered` with the same ticket follows, once."""

    ticket: str
    command: Command


class ControlTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A client decides from now on what becomes of this call (`CallInfo.owner`)."""

    owner: str


class ControlLost(msgspec.Struct, frozen=True, kw_only=True):
    """No client decides any more.  A call with nothing left to do ends with `ending`."""

    ending: Ending


class DriverGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A script takes over: it starts now, or at the answer.

    What another driver or a client had under way in the foreground (plays, prompts, collects, the connect) is
    ended; recordings, taps and detectors go on.
    """

    driver: Driver


# -------------------------------------------------- from other calls (through the switchboard's queue)


class PeerDialled(msgspec.Struct, frozen=True, kw_only=True):
    """The INVITE to a call dialled by this one has left."""

    call_id: str


class PeerRinging(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one rings."""

    call_id: str
    early_media: bool = False


class PeerConfirming(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one has answered and runs its confirm script: the ring time is over."""

    call_id: str


class PeerAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one is ready to be bridged (answered, and confirmed where asked)."""

    call_id: str


class PeerEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A call dialled by this one, or bridged to it, has ended."""

    call_id: str
    ending: Ending


class Bridged(msgspec.Struct, frozen=True, kw_only=True):
    """You are now joined to `call_id`: told to a dialled call that won, or to one that a transfer moves."""

    call_id: str
    peer: Peer | None = None
    """Who that is, where events of the told call may have to name it."""
    dial_winner: bool = False
    """The told call won against others that were dialled with it."""


class Unbridged(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of the bridge has left it.  A call that has nothing else to do ends with `ending`."""

    call_id: str
    ending: Ending
    for_good: bool = False
    """The told call ends even if a client controls it: the bridge has lasted as long as it may."""


class DialWon(msgspec.Struct, frozen=True, kw_only=True):
    """Told to a call that an `OutgoingDial` made: it has won, and stands on its own from now on."""

    dial_winner: bool = False
    """Against others that were dialled with it."""


class DisconnectRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of the bridge (`call_id`) wants to leave it, and both calls to stay up."""

    call_id: str


class PeerPressed(msgspec.Struct, frozen=True, kw_only=True):
    """The far end of the call that this one is bridged to pressed a key."""

    call_id: str
    digit: str
    duration_ms: int
    by_info: bool = False


class PeerHeld(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of the bridge has put its end on hold (`held`) or taken it back."""

    call_id: str
    held: bool


class TransferTo(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the call that stays: leave the bridge to `transferor`, once you are connected elsewhere.

    That is `destination`, to be dialled, or `join`, a call that waits for it.  `TransferProgress` goes to
    the transferor.
    """

    transferor: str
    destination: Destination | None = None
    join: Peer | None = None


class ReplaceRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the call that a Replaces names: let your peer talk to the call `to`, in place of you."""

    transferor: str
    to: str


class JoinRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the peer of the call that a Replaces names: `to` may have you; `leaving` makes room."""

    transferor: str
    to: str
    leaving: str


class TransferProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the call whose far end asked for a transfer: 1xx, 2xx or a final failure of the new one."""

    status: int
    reason: str = ""


class HangupRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Another call (or an operator) wants this call ended, with this ending."""

    ending: Ending


Fact = (
    LegDialled
    | LegRinging
    | LegAnswered
    | LegEnded
    | DigitReceived
    | LegHeld
    | LegResumed
    | TransferRequested
    | PlayFinished
    | DigitsSent
    | RecordingStarted
    | RecordingEnded
    | TapOpened
    | TapEnded
    | DetectorHeard
    | DetectorEnded
    | ReferProgressed
    | HoldAnswered
    | Commanded
    | ControlTaken
    | ControlLost
    | DriverGiven
    | DialWon
    | DisconnectRequested
    | MediaFailed
    | DriverReply
    | PeerDialled
    | PeerRinging
    | PeerConfirming
    | PeerAnswered
    | PeerEnded
    | Bridged
    | Unbridged
    | PeerPressed
    | PeerHeld
    | TransferTo
    | ReplaceRequested
    | JoinRequested
    | TransferProgress
    | HangupRequested
)

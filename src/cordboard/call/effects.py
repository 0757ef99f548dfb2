"""What must be done.  The shell carries effects out in order and decides nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.call.actions import (
    Detect,
    Evaluate,
    FetchDocument,
    PlayItem,
    Recording,
    ScriptWarning,
    SendRequest,
    TapTarget,
)
from cordboard.call.codec_wish import CodecWish
from cordboard.call.facts import Fact
from cordboard.call.peer import Peer
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending
from cordboard.call.secrecy import printed

# -------------------------------------------------- this call's own leg


class RingLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Inbound, unanswered: 180; with `early_media`, 183 with SDP.  Idempotent per kind."""

    early_media: bool = False


class AnswerLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Inbound, unanswered: 200.  `LegAnswered` follows once it is sent."""

    codecs: tuple[CodecWish, ...] = ()
    """What may be spoken, in order of preference; empty = the server's choice."""


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


class PassDigit(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the joined far end, to be passed on to this one.

    The leg sends it by INFO where its far end wants that, or by the media if it came by INFO; keys that the
    media have passed on already have no effect.
    """

    digit: str
    duration_ms: int
    by_info: bool


class ReportTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the far end that sent REFER how its transfer stands (NOTIFY with a status line, RFC 3515)."""

    status: int
    reason: str = ""


class ReferLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Send REFER to the far end; `ReferProgressed` follows, the last one final, unless the leg ends."""

    to: str
    headers: tuple[tuple[str, str], ...] = ()
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return printed(self, "password")


class HoldLeg(msgspec.Struct, frozen=True, kw_only=True):
    """re-INVITE with sendonly (`on`) or sendrecv; `HoldAnswered` follows, unless the leg ends."""

    on: bool


# -------------------------------------------------- other calls


class Dial(msgspec.Struct, frozen=True, kw_only=True):
    """Make a new outbound call: the switchboard creates it with this id and starts its leg.

    The new call reports to `parent` with `PeerDialled`, `PeerRinging`, `PeerConfirming`, `PeerAnswered`,
    `PeerEnded`.  Where the destination has a `confirm`, the shell gives it that script as its driver.
    """

    call_id: str
    parent: str
    session_id: str
    destination: Destination
    from_: str
    """Effective caller identity: number, token or `sip:` URI."""
    from_name: str = ""
    transfers: int = 0
    """How many transfers have led here (`CallInfo.transfers`)."""
    sole: bool = True
    """It is the only destination of its plan."""
    owner: str | None = None
    """The client that decides what becomes of the new call (`CallInfo.owner`); a script's calls have none."""


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
    """Play to this call's far end; `PlayFinished` follows always, unless the call ends.

    It sounds over other plays and over what the far end is joined with, except for music on hold (an item
    `hold`), which nobody is heard through.
    """

    control_id: str
    items: tuple[PlayItem, ...]
    volume: float = 0.0
    loop: int = 1


class SendDigitsTo(msgspec.Struct, frozen=True, kw_only=True):
    """Press keys towards this call's far end; `DigitsSent` follows always, unless the call ends."""

    control_id: str
    digits: str
    """0-9 * # A-D, `W` and `w` for pauses."""


class StartRecording(msgspec.Struct, frozen=True, kw_only=True):
    """Record; `RecordingStarted` and `RecordingEnded` follow (the latter alone if it cannot begin)."""

    control_id: str
    recording: Recording


class StopRecording(msgspec.Struct, frozen=True, kw_only=True):
    """`RecordingEnded` follows if it was still going on."""

    control_id: str


class StartTap(msgspec.Struct, frozen=True, kw_only=True):
    """Copy audio; `TapOpened` and `TapEnded` follow (the latter alone if it cannot begin)."""

    control_id: str
    target: TapTarget


class StopTap(msgspec.Struct, frozen=True, kw_only=True):
    """`TapEnded` follows if it was still going on."""

    control_id: str


class StopPlay(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a `PlayTo`; its `PlayFinished` still follows."""

    control_id: str


class PausePlay(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a `PlayTo` where it is."""

    control_id: str


class ResumePlay(msgspec.Struct, frozen=True, kw_only=True):
    """Go on with it."""

    control_id: str


class SetPlayVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Change the gain of a `PlayTo`."""

    control_id: str
    volume: float


class PauseRecording(msgspec.Struct, frozen=True, kw_only=True):
    """Record silence, or nothing (`skip`), until `ResumeRecording`."""

    control_id: str
    skip: bool = False


class ResumeRecording(msgspec.Struct, frozen=True, kw_only=True):
    """Record again."""

    control_id: str


class StartDetector(msgspec.Struct, frozen=True, kw_only=True):
    """Listen to the far end for a machine or a fax; `DetectorHeard`s and one `DetectorEnded` follow."""

    control_id: str
    detect: Detect


class StopDetector(msgspec.Struct, frozen=True, kw_only=True):
    """`DetectorEnded` follows if it was still going on."""

    control_id: str


# -------------------------------------------------- a client's commands


class CommandAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a `Commanded`: accepted and begun, or refused with a sentence."""

    ticket: str
    code: str = "200"
    """`200`; `400` cannot be done as asked, `404` no such operation, `409` not now, `501` not built."""
    message: str = ""
    """What is said to the client: a word or two, or why not."""
    control_id: str | None = None
    url: str = ""
    """Of a recording."""
    source_address: str = ""
    source_port: int = 0
    """Where the RTP of a tap comes from."""


# -------------------------------------------------- the driver's requests


class AskShell(msgspec.Struct, frozen=True, kw_only=True):
    """Carry out a driver's request and reply with `DriverReply(ticket=...)`."""

    ticket: int
    request: Evaluate | FetchDocument | SendRequest


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
    peer_tag: str | None = None
    ending: Ending | None = None
    """Only with `failed`."""

    @classmethod
    def about(cls, state: str, peer: Peer) -> ConnectStateChanged:
        """With a peer."""
        return cls(
            state=state,
            peer_call_id=peer.call_id,
            peer_device_type=peer.device_type,
            peer_from=peer.from_,
            peer_to=peer.to,
            peer_tag=peer.tag,
        )


class PlayStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.play"""

    control_id: str
    state: str
    """playing, paused, finished, error"""


class CollectStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.collect"""

    control_id: str
    type: str
    """`digit`, `speech`, `no_input`, `no_match`, `start_of_input`, `finished`, `error`"""
    params: dict[str, Any] = {}
    """`{digits, terminator}` or `{text, confidence}`"""
    final: bool = True
    goes_on: bool = False
    """More results will follow (a `continuous` collect, or a partial one)."""


class RecordStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.record"""

    control_id: str
    state: str
    """recording, paused, finished, no_input, error"""
    recording: Recording
    url: str = ""
    duration: float = 0.0
    size: int = 0
    foreground: bool = True
    """`record`; otherwise `record_call`, whose event has another layout."""


class TapStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.tap"""

    control_id: str
    state: str
    """tapping, finished"""
    target: TapTarget


class SendDigitsStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.send_digits"""

    control_id: str
    state: str
    """finished, error"""


class DetectStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.detect"""

    control_id: str
    kind: str
    """machine, fax, digit"""
    event: str
    """What was heard, or `finished`, `error`."""
    beep: bool = False


class ReferStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.refer"""

    state: str
    """inProgress, success, failed"""
    to: str
    refer_code: int | None = None
    notify_code: int | None = None
    ending: Ending | None = None
    """Why it failed."""


class HoldStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.hold"""

    state: str
    """hold, unhold"""


class DialStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """calling.call.dial, about an `OutgoingDial`"""

    state: str
    """dialing, answered, failed"""
    call_id: str | None = None
    """Of the call that has won."""
    dial_winner: bool = False
    ending: Ending | None = None
    """Only with `failed`."""


class ScriptWarned(msgspec.Struct, frozen=True, kw_only=True):
    """calling.script.warning"""

    warning: ScriptWarning


Happening = (
    CallStateChanged
    | ConnectStateChanged
    | PlayStateChanged
    | CollectStateChanged
    | RecordStateChanged
    | TapStateChanged
    | SendDigitsStateChanged
    | DetectStateChanged
    | ReferStateChanged
    | HoldStateChanged
    | DialStateChanged
    | ScriptWarned
)


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
    | PassDigit
    | ReportTransfer
    | ReferLeg
    | HoldLeg
    | Dial
    | TellCall
    | Join
    | Unjoin
    | PlayTo
    | StopPlay
    | SendDigitsTo
    | StartRecording
    | StopRecording
    | StartTap
    | StopTap
    | PausePlay
    | ResumePlay
    | SetPlayVolume
    | PauseRecording
    | ResumeRecording
    | StartDetector
    | StopDetector
    | CommandAnswered
    | AskShell
    | Report
    | CallOver
)

"""What a driver can ask of a call, and what it gets back.

A driver returns one `Turn` whenever it is started or resumed.  `Turn.next` is either an action on the
call, a request to the shell (`Evaluate`, `FetchDocument`), or `Finished`.  The call carries it out and
resumes the driver with the matching result from this module.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from cordboard.call.codec_wish import CodecWish
from cordboard.call.info import CallInfo as CallInfo
from cordboard.call.plan import ConnectPlan
from cordboard.call.plan import PlayItem as PlayItem
from cordboard.call.secrecy import printed

# ---------------------------------------------------------------- actions


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the call; nothing happens if it is answered.  Result: `Done`."""

    max_duration: float = 14_400.0
    """Seconds after which the whole call is ended."""
    codecs: tuple[CodecWish, ...] = ()
    """What may be spoken with the caller, in order of preference; empty = the server's choice."""


class Hangup(msgspec.Struct, frozen=True, kw_only=True):
    """End the call (swml.md 6.2).  The driver is not resumed."""

    reason: str | None = None
    """`hangup`, `busy`, `decline` or None (= busy while unanswered)."""


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """Play items in order, blocking.  Result: `PlayDone`."""

    items: tuple[PlayItem, ...]
    volume: float = 0.0
    """Gain in dB, -40 to 40."""
    loop: int = 1
    """Times to play the list; 0 = for ever."""
    auto_answer: bool = True
    """Answer first if unanswered; otherwise play as early media (183)."""
    status_url: str | None = None
    control_id: str | None = None
    """Given by a client; None = a new one."""


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """Dial the plan and bridge the winner.  Result: `ConnectDone`, after the bridge has ended."""

    plan: ConnectPlan


class Sleep(msgspec.Struct, frozen=True, kw_only=True):
    """Wait.  Result: `Done`."""

    seconds: float | None
    """None = until the call ends."""


class DigitInput(msgspec.Struct, frozen=True, kw_only=True):
    """How keys are collected.  Times in seconds; both timers start when nothing is played (any more)."""

    max_digits: int = 1
    terminators: str = ""
    digit_timeout: float = 5.0
    """Between two keys."""
    initial_timeout: float = 5.0
    """Until the first."""


class SpeechInput(msgspec.Struct, frozen=True, kw_only=True):
    """How speech is recognised; without an engine a prompt that has only this fails with a sentence."""

    timeout: float | None = None
    end_timeout: float | None = None
    language: str = "en-US"
    hints: tuple[str, ...] = ()
    engine: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Play and collect; a key barges in.  Result: `PromptDone`."""

    items: tuple[PlayItem, ...]
    volume: float = 0.0
    digits: DigitInput | None = None
    speech: SpeechInput | None = None
    status_url: str | None = None
    control_id: str | None = None
    """Given by a client; None = a new one."""
    play_events: bool = False
    """Report the playing too (`calling.call.play`, same control id): what RELAY's play_and_collect does."""
    partial_results: bool = False
    """Report each key, `final` false."""


class Collect(msgspec.Struct, frozen=True, kw_only=True):
    """Collect keys beside whatever else goes on (relay-protocol.md 8.5).  Result: `PromptDone`."""

    control_id: str
    digits: DigitInput | None = None
    speech: SpeechInput | None = None
    partial_results: bool = False
    """Report each key, `final` false."""
    continuous: bool = False
    """Begin again after each result, until it is stopped."""
    send_start_of_input: bool = False
    """Report the first key as `start_of_input`."""
    start_input_timers: bool = True
    """False: `initial_timeout` waits for the command `StartInputTimers`."""
    status_url: str | None = None


class MachineDetection(msgspec.Struct, frozen=True, kw_only=True):
    """How a person is told from an answering machine.  Seconds; words are counted by their cadence."""

    initial_timeout: float = 4.5
    """Silence after the start that ends it as `UNKNOWN`."""
    end_silence_timeout: float = 1.0
    """Silence that ends what is said: a person, or a machine that is READY."""
    machine_voice_threshold: float = 1.25
    """Speech without such a pause that makes it a machine."""
    machine_words_threshold: int = 6
    """Words without such a pause that make it a machine."""
    machine_ready_timeout: float | None = None
    """Silence after which a machine is READY; None: `end_silence_timeout`."""
    detect_interruptions: bool = False
    """A machine that speaks again after READY is NOT_READY."""
    detect_message_end: bool = True
    """Report READY (a beep, or the end of the greeting) after MACHINE."""


class Detect(msgspec.Struct, frozen=True, kw_only=True):
    """Listen for a machine, a fax or keys, in the background.  Result: `Done` when it is over."""

    control_id: str
    kind: str
    """`machine`, `fax` or `digit`"""
    timeout: float = 30.0
    """Seconds until it ends with `finished` anyway."""
    machine: MachineDetection = MachineDetection()
    tone: str = "CED"
    """Of a fax: `CED` (2,100 Hz, the answering side) or `CNG` (1,100 Hz, the calling one)."""
    digits: str = "0123456789#*"
    """Of `digit`: the keys that count."""
    status_url: str | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded and when it ends (swml.md 6.5).  Times in seconds, 0 = no limit."""

    format: str = "wav"
    """wav, mp3 or mp4"""
    stereo: bool = False
    """Two channels: left what the far end says, right what it hears."""
    direction: str = "speak"
    """`speak` what the far end says, `listen` what it hears, `both`."""
    terminators: str = ""
    """Keys that end it."""
    beep: bool = False
    input_sensitivity: float = 44.0
    """0 to 100: how quiet speech may be."""
    initial_timeout: float = 0.0
    """Ends it without speech until then (`no_input`)."""
    end_silence_timeout: float = 0.0
    """Ends it when speech has stopped for so long."""
    max_length: float = 0.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Record in the foreground.  Result: `RecordDone`."""

    recording: Recording
    status_url: str | None = None
    control_id: str | None = None


class RecordCall(msgspec.Struct, frozen=True, kw_only=True):
    """Record in the background, across bridges, until it is stopped or the call ends.

    Result: `RecordStarted`.
    """

    recording: Recording
    status_url: str | None = None
    control_id: str | None = None


class StopRecordCall(msgspec.Struct, frozen=True, kw_only=True):
    """Stop one; None = the last started.  Result: `Stopped`."""

    control_id: str | None = None


class TapTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a copy of the audio goes, and as what (swml.md 6.7)."""

    uri: str
    """`rtp://address:port`, `ws://…` or `wss://…`"""
    direction: str = "speak"
    """speak, listen or both"""
    codec: str = "PCMU"
    """PCMU, PCMA or OPUS"""
    ptime_ms: int = 20


class Tap(msgspec.Struct, frozen=True, kw_only=True):
    """Copy the audio in the background.  Result: `TapStarted`."""

    target: TapTarget
    status_url: str | None = None
    control_id: str | None = None


class StopTap(msgspec.Struct, frozen=True, kw_only=True):
    """Stop one; None = the last started.  Result: `Stopped`."""

    control_id: str | None = None


class SendDigits(msgspec.Struct, frozen=True, kw_only=True):
    """Press keys towards the far end.  Result: `DigitsDone`."""

    digits: str
    """0-9 * # A-D; `W` waits 1 s, `w` 0.5 s."""
    control_id: str | None = None
    """Given by a client, which is told when they are out; None = a new one, and nobody is told."""


class Refer(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the far end to call somebody else (REFER, RFC 3515).  Result: `Done`."""

    to: str
    """SIP URI of the Refer-To."""
    headers: tuple[tuple[str, str], ...] = ()
    """X- headers of the REFER."""
    username: str | None = None
    password: str | None = None
    """For a challenge to the REFER."""
    status_url: str | None = None

    def __repr__(self) -> str:
        return printed(self, "password")


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Put the far end on hold (`on`: re-INVITE with sendonly, and music) or take it back.  Result: `Done`."""

    on: bool


class Denoise(msgspec.Struct, frozen=True, kw_only=True):
    """Noise suppression on or off.  No engine is built in.  Result: `DenoiseDone`."""

    on: bool


Action = (
    Answer
    | Hangup
    | Play
    | Connect
    | Sleep
    | Prompt
    | Record
    | RecordCall
    | StopRecordCall
    | Tap
    | StopTap
    | SendDigits
    | Denoise
    | Collect
    | Detect
    | Refer
    | Hold
)

# ---------------------------------------------------------------- requests to the shell


class Evaluate(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluate one JavaScript expression.  Result: `Evaluated`."""

    expression: str
    bindings: dict[str, Any]
    """Global names of the expression: `call`, `params`, `vars`, `envs` and the bare names."""


class FetchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """POST to a URL, expect a SWML document.  Result: `DocumentFetched` or `DocumentFailed`."""

    url: str
    params: dict[str, Any]
    vars: dict[str, Any]
    fallback_url: str | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The driver has nothing more to do: the call is hung up if it is still there.

    `failed` says why when the document itself could not be run (bad document, fetch failed):
    an unanswered caller then gets 503 (swml.md 2.4).
    """

    failed: str | None = None


class SendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request of a script (swml.md 4.2).  Result: `RequestAnswered`.

    The URL may carry `user:pass@`.  Timeouts in seconds, 0 = none but the server's own.
    """

    url: str
    method: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 0.0
    connect_timeout: float = 0.0


Request = Evaluate | FetchDocument | SendRequest


class ScriptWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A `relay_script_*` error that does not stop the script (swml.md 4.4)."""

    code: str
    message: str
    section: str = "main"
    step: int = 0
    method: str = ""
    line: int | None = None


class Turn(msgspec.Struct, frozen=True):
    """What a driver wants next, and what it has to warn of."""

    next: Action | Request | Finished
    warnings: tuple[ScriptWarning, ...] = ()


# ---------------------------------------------------------------- results


class Done(msgspec.Struct, frozen=True):
    """The action succeeded and has no value."""


class PlayDone(msgspec.Struct, frozen=True, kw_only=True):
    """`errors` has one sentence for each item that could not be played."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What was played otherwise than asked for."""


class ConnectDone(msgspec.Struct, frozen=True, kw_only=True):
    """How a connect ended (swml.md 7.13)."""

    connected: bool
    failed_reason: str | None = None
    """`busy`, `no_answer`, `declined`, `cancel`, `error` when not connected."""
    sip_code: int | None = None
    sip_reason: str = ""
    sentence: str = ""


class PromptDone(msgspec.Struct, frozen=True, kw_only=True):
    """What was collected."""

    result: str
    """`match_digits`, `match_speech`, `no_input`, `no_match` or `failed`"""
    value: str = ""
    terminator: str = ""
    confidence: float | None = None
    errors: tuple[str, ...] = ()
    """One sentence for each thing that went wrong."""
    warnings: tuple[str, ...] = ()
    """What was played otherwise than asked for."""


class RecordDone(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in the foreground is over."""

    ok: bool
    url: str = ""
    duration: float = 0.0
    size: int = 0
    sentence: str = ""
    """Why it failed."""


class RecordStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in the background has begun, or not."""

    ok: bool
    control_id: str
    url: str = ""
    sentence: str = ""


class TapStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A tap has begun, or not; `source_*` is where its RTP comes from."""

    ok: bool
    control_id: str
    source_address: str = ""
    source_port: int = 0
    sentence: str = ""


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the background was stopped, or there was nothing to stop."""

    ok: bool
    control_id: str = ""
    sentence: str = ""


class DigitsDone(msgspec.Struct, frozen=True, kw_only=True):
    """The keys have been sent, or not."""

    ok: bool
    sentence: str = ""


class DenoiseDone(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is `on`, `off` or `failed`."""

    state: str
    sentence: str = ""


class RequestAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a `SendRequest`; `status` is None when no response came, `sentence` then says why."""

    url: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case, at most 64."""
    body: bytes = b""
    """At most 64 KiB."""
    sentence: str = ""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """Value of an `Evaluate` as plain JSON data; `error` is set instead when it failed."""

    value: Any = None
    error: str | None = None
    seconds: float = 0.0
    """Processor time that it took."""


class DocumentFetched(msgspec.Struct, frozen=True, kw_only=True):
    """Raw bytes of a document; the driver parses them."""

    url: str
    body: bytes


class DocumentFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The document and its fallback could not be fetched; `sentence` says why."""

    url: str
    sentence: str


Result = (
    Done
    | PlayDone
    | ConnectDone
    | PromptDone
    | RecordDone
    | RecordStarted
    | TapStarted
    | Stopped
    | DigitsDone
    | DenoiseDone
    | Evaluated
    | DocumentFetched
    | DocumentFailed
    | RequestAnswered
)


# ---------------------------------------------------------------- the driver


class Driver(Protocol):
    """Drives one call.  Pure: no I/O, no clock.  `swml.Script` is one."""

    def start(self) -> Turn:
        """First turn."""

    def resume(self, result: Result) -> Turn:
        """Next turn, given the result of what the last turn asked for."""

    def variables(self) -> dict[str, Any]:
        """The script's `vars`, for the call record."""

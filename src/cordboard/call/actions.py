"""What a driver (a script now, a client later) can ask of a call, and what it gets back.

A driver returns one `Turn` whenever it is started or resumed.  `Turn.next` is either an action on the
call, a request to the shell (`Evaluate`, `FetchDocument`), or `Finished`.  The call carries it out and
resumes the driver with the matching result from this module.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from cordboard.call.plan import ConnectPlan

# ---------------------------------------------------------------- actions


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the call; nothing happens if it is answered.  Result: `Done`."""

    max_duration: float = 14_400.0
    """Seconds after which the whole call is ended."""


class Hangup(msgspec.Struct, frozen=True, kw_only=True):
    """End the call (swml.md 6.2).  The driver is not resumed."""

    reason: str | None = None
    """`hangup`, `busy`, `decline` or None (= busy while unanswered)."""


class PlayItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to play.  Exactly one kind."""

    kind: str
    """`audio` (http(s) or file URL), `silence`, `ring`."""
    url: str = ""
    duration: float = 0.0
    """Seconds: of `silence`; of `ring` (0 = one cadence cycle)."""
    country: str = "us"
    """Ring cadence: two-letter country code or `us-old`."""


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


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """Dial the plan and bridge the winner.  Result: `ConnectDone`, after the bridge has ended."""

    plan: ConnectPlan


class Sleep(msgspec.Struct, frozen=True, kw_only=True):
    """Wait.  Result: `Done`."""

    seconds: float | None
    """None = until the call ends."""


Action = Answer | Hangup | Play | Connect | Sleep

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


Request = Evaluate | FetchDocument


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


class ConnectDone(msgspec.Struct, frozen=True, kw_only=True):
    """How a connect ended (swml.md 7.13)."""

    connected: bool
    failed_reason: str | None = None
    """`busy`, `no_answer`, `declined`, `cancel`, `error` when not connected."""
    sip_code: int | None = None
    sip_reason: str = ""
    sentence: str = ""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """Value of an `Evaluate` as plain JSON data; `error` is set instead when it failed."""

    value: Any = None
    error: str | None = None


class DocumentFetched(msgspec.Struct, frozen=True, kw_only=True):
    """Raw bytes of a document; the driver parses them."""

    url: str
    body: bytes


class DocumentFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The document and its fallback could not be fetched; `sentence` says why."""

    url: str
    sentence: str


Result = Done | PlayDone | ConnectDone | Evaluated | DocumentFetched | DocumentFailed


# ---------------------------------------------------------------- the driver


class CallInfo(msgspec.Struct, kw_only=True):
    """What a script sees as `call` (swml.md 2.2).  Owned and kept current by the call; drivers only read."""

    call_id: str
    node_id: str
    segment_id: str
    project_id: str
    space_id: str
    session_id: str
    """The SWML session (`event_channel` = `swml:` + this), shared by all legs of one script."""
    call_state: str
    """created, ringing, answered, ending, ended"""
    direction: str
    """inbound or outbound"""
    type: str
    """phone or sip"""
    from_: str
    """E.164 number or `sip:user@host`"""
    to: str
    from_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """The X- headers of the INVITE, sip calls only."""
    tag: str | None = None
    parent_call_id: str | None = None
    parent_device_type: str | None = None
    """phone or sip, of the call that dialled this one."""
    peer_call_id: str | None = None
    sip_data: dict[str, Any] | None = None


class Driver(Protocol):
    """Drives one call.  Pure: no I/O, no clock.  `swml.Script` is one."""

    def start(self) -> Turn:
        """First turn."""

    def resume(self, result: Result) -> Turn:
        """Next turn, given the result of what the last turn asked for."""

    def variables(self) -> dict[str, Any]:
        """The script's `vars`, for the call record."""

"""Two calls joined, as the call that connected them sees it: who hears whom, and what one's end means.

The bridge outlives its own leg by a moment.  When that leg goes first, the peer is asked to hang up and
`disconnected` is reported when the peer is really gone, so that listeners see the peer's `ended` before it.
A far end that answers no BYE must not hold the report up: after `PARTING_LIMIT` it goes out without.
"""

from __future__ import annotations

import msgspec

from cordboard.call.effects import ConnectStateChanged, Effect, Join, Report, TellCall, Unjoin
from cordboard.call.facts import Bridged, HangupRequested
from cordboard.call.reasons import Ending, EndReason, ending

PARTING_LIMIT = 5.0
"""Seconds that `disconnected` waits for the peer's end after our own."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The call on the other side, as events name it."""

    call_id: str
    device_type: str
    """phone or sip"""
    from_: str
    to: str


class Bridge:
    """States: apart, joined, parting (own leg gone, peer asked to go), over."""

    __slots__ = ("_call_id", "_deadline", "_peer", "_state", "_status_url")

    def __init__(self, call_id: str, peer: Peer, status_url: str | None) -> None:
        self._call_id = call_id
        self._peer = peer
        self._status_url = status_url
        self._state = "apart"
        self._deadline: float | None = None

    @property
    def is_over(self) -> bool:
        """Both sides are done with each other."""
        return self._state == "over"

    def join(self, *, already_heard: bool) -> list[Effect]:
        """Connect the two; `already_heard`: early media joined them before."""
        self._state = "joined"
        peer = self._peer.call_id
        joins: list[Effect] = [] if already_heard else [Join(a=self._call_id, b=peer)]
        return [
            *joins,
            TellCall(call_id=peer, fact=Bridged(call_id=self._call_id)),
            self._report("connected"),
        ]

    def peer_ended(self, call_id: str) -> list[Effect]:
        """The other side is gone."""
        if call_id != self._peer.call_id or self._state not in ("joined", "parting"):
            return []
        unjoin: list[Effect] = [] if self._state == "parting" else [self._unjoin()]
        return [*unjoin, *self._finish()]

    def part(self, own: Ending, now: float) -> list[Effect]:
        """Our own leg is ending or gone: the peer goes too."""
        if self._state != "joined":
            return []
        self._state = "parting"
        self._deadline = now + PARTING_LIMIT
        request = HangupRequested(ending=ending_for_peer(own, who=self._peer.to, bridged=True))
        return [self._unjoin(), TellCall(call_id=self._peer.call_id, fact=request)]

    def next_timeout(self) -> float | None:
        """The end of the parting."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[Effect]:
        """Wait no longer for the peer."""
        return self._finish() if self._deadline is not None and now >= self._deadline else []

    def _finish(self) -> list[Effect]:
        self._state = "over"
        self._deadline = None
        return [self._report("disconnected")]

    def _unjoin(self) -> Effect:
        return Unjoin(a=self._call_id, b=self._peer.call_id)

    def _report(self, state: str) -> Effect:
        peer = self._peer
        happening = ConnectStateChanged(
            state=state,
            peer_call_id=peer.call_id,
            peer_device_type=peer.device_type,
            peer_from=peer.from_,
            peer_to=peer.to,
        )
        return Report(happening=happening, callback_url=self._status_url)


def ending_for_peer(own: Ending, *, who: str, bridged: bool) -> Ending:
    """Why the other call ends when ours ends with `own`.

    A failure of ours is theirs too, with its sentence, so that neither record says "normal".  The longest
    duration ends both alike.  Otherwise the one that stays behind was hung up, or cancelled while it rang.
    """
    if own.reason is EndReason.ERROR:
        return Ending(reason=own.reason, cause=own.cause, sentence=own.sentence)
    if not bridged:
        return ending("caller_gone", who=who)
    return ending("max_duration" if own.cause == "max_duration" else "hangup_peer", who=who)

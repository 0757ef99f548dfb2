"""Two calls joined, as the call that leads sees it: who hears whom, and what one's end means for the other.

The bridge outlives its own leg by a moment.  When that leg goes first, the peer is told and `disconnected` is
reported when the peer is really gone, so that listeners see the peer's `ended` before it.  A far end that
answers no BYE must not hold the report up: after `PARTING_LIMIT` it goes out without.

A transfer puts another peer in the place of the first: `connected` is reported again, `disconnected` once.
"""

from __future__ import annotations

from cordboard.call.effects import ConnectStateChanged, Effect, Join, Report, TellCall, Unjoin
from cordboard.call.facts import Bridged, Unbridged
from cordboard.call.info import CallInfo
from cordboard.call.peer import Peer, peer_of
from cordboard.call.reasons import Ending, EndReason, ending
from cordboard.call.running import earliest

PARTING_LIMIT = 5.0
"""Seconds that `disconnected` waits for the peer's end after our own."""


class Bridge:
    """States: apart, joined, alone (a transfer looks for another peer), parting (peer told to go), over.

    `info.peer_call_id` is kept current.  `until` is when the peer is told to go at the latest.
    """

    __slots__ = ("_call_id", "_deadline", "_info", "_state", "_status_url", "peer", "until")

    def __init__(self, info: CallInfo, peer: Peer, status_url: str | None) -> None:
        self._info = info
        self._call_id = info.call_id
        self.peer = peer
        self.until: float | None = None
        self._status_url = status_url
        self._state = "apart"
        self._deadline: float | None = None

    @property
    def is_over(self) -> bool:
        """Both sides are done with each other."""
        return self._state == "over"

    @property
    def is_joined(self) -> bool:
        """The two talk, and nobody has asked for the end of that."""
        return self._state == "joined"

    @property
    def is_alone(self) -> bool:
        """The peer is gone and its place is kept."""
        return self._state == "alone"

    # -------------------------------------------------- together

    def join(self, *, already_heard: bool = False, dial_winner: bool = False) -> list[Effect]:
        """Connect the two; `already_heard`: early media joined them before."""
        peer = self.peer.call_id
        joins: list[Effect] = [] if already_heard else [Join(a=self._call_id, b=peer)]
        fact = Bridged(call_id=self._call_id, peer=peer_of(self._info), dial_winner=dial_winner)
        return [*joins, TellCall(call_id=peer, fact=fact), *self.joined()]

    def joined(self, *, quietly: bool = False) -> list[Effect]:
        """They are joined already; `quietly`: and the listeners know."""
        self._state = "joined"
        self._info.peer_call_id = self.peer.call_id
        return [] if quietly else [self._report("connected")]

    def replace(self, peer: Peer) -> list[Effect]:
        """Make room for another peer; `join` or `joined` follows."""
        effects = self._unjoin()
        self._state = "apart"
        self.peer = peer
        return effects

    def lose_peer(self) -> list[Effect]:
        """The peer has left, and a transfer looks for another."""
        effects = self._unjoin()
        self._state = "alone"
        self._info.peer_call_id = None
        return effects

    # -------------------------------------------------- the end

    def peer_left(self, call_id: str) -> list[Effect]:
        """The other side is gone, or talks to somebody else."""
        if call_id != self.peer.call_id or self._state not in ("joined", "parting"):
            return []
        return [*self._unjoin(), *self.finish()]

    def part(self, own: Ending, now: float) -> list[Effect]:
        """Our own leg is ending or gone: the peer is told."""
        if self._state != "joined":
            return self.finish() if self._state == "alone" else []
        return self._part(ending_for_peer(own, who=self.peer.to, bridged=True), now, for_good=False)

    def leave(self, why: Ending) -> list[Effect]:
        """Apart at once; the peer is told with `why`, and decides for itself what then."""
        if self._state == "over":
            return []
        fact = Unbridged(call_id=self._call_id, ending=why)
        told: list[Effect] = [TellCall(call_id=self.peer.call_id, fact=fact)] if self.is_joined else []
        return [*self._unjoin(), *told, *self.finish()]

    def finish(self) -> list[Effect]:
        """The last report."""
        self._state = "over"
        self._deadline = self.until = None
        self._info.peer_call_id = None
        return [self._report("disconnected")]

    def next_timeout(self) -> float | None:
        """The longest duration, or the end of the parting."""
        return self.until if self._deadline is None else earliest((self.until, self._deadline))

    def handle_timeout(self, now: float) -> list[Effect]:
        """Tell the peer to go, or wait no longer for it."""
        if self._deadline is not None and now >= self._deadline:
            return self.finish()
        if self.until is None or now < self.until:
            return []
        self.until = None
        if self._state == "alone":
            return self.finish()
        late = ending("max_duration", who=self.peer.to)
        return self._part(late, now, for_good=True) if self._state == "joined" else []

    # -------------------------------------------------- inside

    def _part(self, why: Ending, now: float, *, for_good: bool) -> list[Effect]:
        unjoin = self._unjoin()
        self._state = "parting"
        self._deadline = now + PARTING_LIMIT
        fact = Unbridged(call_id=self._call_id, ending=why, for_good=for_good)
        return [*unjoin, TellCall(call_id=self.peer.call_id, fact=fact)]

    def _unjoin(self) -> list[Effect]:
        return [Unjoin(a=self._call_id, b=self.peer.call_id)] if self._state == "joined" else []

    def _report(self, state: str) -> Effect:
        happening = ConnectStateChanged.about(state, self.peer)
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

"""A call's ties to other calls: the parent that dialled it, and the peer that it talks to.

A call tells others facts and calls into none.  It leads its bridge when it has a connect of its own, which
goes on from there; otherwise the peer leads.  A call ends with the bridge that it does not lead, unless a
client controls it.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call import facts
from cordboard.call.bridge import ending_for_peer
from cordboard.call.driving import Driving
from cordboard.call.effects import Effect, TellCall, Unjoin
from cordboard.call.info import CallInfo
from cordboard.call.leg import Leg
from cordboard.call.peer import Peer
from cordboard.call.reasons import Ending, ending
from cordboard.call.side import Side
from cordboard.call.workshop import Workshop

End = Callable[[Ending, float], list[Effect]]
"""The one door to the end of the call."""


class Ties:
    """Of one call.  `parent` is the id of the call (or dial) that dialled it, until it is bridged."""

    __slots__ = ("_driving", "_info", "_leg", "_side", "_workshop", "parent")

    def __init__(
        self,
        *,
        info: CallInfo,
        leg: Leg,
        side: Side,
        driving: Driving,
        workshop: Workshop,
        parent: str | None,
    ) -> None:
        self._info = info
        self._leg = leg
        self._side = side
        self._driving = driving
        self._workshop = workshop
        self.parent = parent

    @property
    def are_cut(self) -> bool:
        """Nobody waits for it, and it talks to nobody."""
        return self.parent is None and self._info.peer_call_id is None

    @property
    def leads(self) -> bool:
        """It has a connect of its own, which goes on from its bridge."""
        return self._driving.connect is not None

    def tell_parent(self, fact: facts.Fact) -> list[Effect]:
        """If it has one."""
        return [] if self.parent is None else [TellCall(call_id=self.parent, fact=fact)]

    def tell_others(self, fact: facts.Fact) -> list[Effect]:
        """The parent until it is bridged, the peer then; a connect tells its peer itself."""
        peer = None if self.leads else self._info.peer_call_id
        others = dict.fromkeys((self.parent, peer))
        return [TellCall(call_id=other, fact=fact) for other in others if other is not None]

    # -------------------------------------------------- the peer

    def bridged(self, fact: facts.Bridged) -> list[Effect]:
        """The other side leads from now on.  A peer that this call had so far makes room."""
        own, before = self._info.call_id, self._info.peer_call_id
        if self._driving.has_driver and not self.leads:
            # A script was given to it while this was on its way.
            gone = facts.PeerEnded(call_id=own, ending=self._ending("transferred"))
            return [TellCall(call_id=fact.call_id, fact=gone)]
        self.parent = None
        self._side.bridged(fact.peer)
        self._info.dial_winner = self._info.dial_winner or fact.dial_winner
        if before == fact.call_id:
            return []
        self._info.peer_call_id = fact.call_id
        if before is None:
            return []
        left = facts.Unbridged(call_id=own, ending=self._ending("transferred"))
        return [TellCall(call_id=before, fact=left)]

    def unbridged(self, fact: facts.Unbridged, now: float, end: End) -> list[Effect]:
        """Without connect or client of its own, a call ends with its bridge; after a transfer any does."""
        if fact.call_id != self._info.peer_call_id:
            return []
        if fact.ending.cause == "transferred":
            return self._transferred(fact, now, end)
        if self.leads:
            return []
        if self._info.owner is None or fact.for_good:
            return end(fact.ending, now)
        self._info.peer_call_id = None
        return []

    def other_ended(self, fact: facts.PeerEnded, now: float, end: End) -> list[Effect]:
        """A dialled call does not outlive the one that it was dialled for, nor that which it talks to."""
        bridged = fact.call_id == self._info.peer_call_id
        if not bridged and fact.call_id != self.parent:
            return []
        if bridged and self.leads:
            return []
        if bridged and self._info.owner is not None:
            self._info.peer_call_id = None
            return []
        return end(ending_for_peer(fact.ending, who=self._info.far_end, bridged=bridged), now)

    def leave(self, why: Ending) -> list[Effect]:
        """Stand alone: leave a bridge that the peer leads, and be out for the parent."""
        own, peer = self._info.call_id, self._info.peer_call_id
        gone = facts.PeerEnded(call_id=own, ending=self._ending("transferred"))
        told, self.parent = self.tell_parent(gone), None
        if peer is None:
            return told
        self._info.peer_call_id = None
        left = facts.Unbridged(call_id=own, ending=why)
        return [*told, Unjoin(a=own, b=peer), TellCall(call_id=peer, fact=left), *self._side.follow()]

    # -------------------------------------------------- transfers

    def transfer_to(self, fact: facts.TransferTo) -> list[Effect]:
        """A connect of its own takes it from here; a dialled call without one gets one."""
        if self.leads:
            return []
        idle = self._driving.running is None and self._leg.is_answered
        if idle and fact.transferor == self._info.peer_call_id:
            peer = Peer(
                call_id=fact.transferor,
                device_type=self._info.parent_device_type or self._info.type,
                from_=self._info.from_,
                to=self._info.to,
            )
            self._driving.running = self._workshop.staying(peer)
            return []
        refused = facts.TransferProgress(status=481, reason="Call/Transaction Does Not Exist")
        return [TellCall(call_id=fact.transferor, fact=refused)]

    def join_requested(self, fact: facts.JoinRequested) -> list[Effect]:
        """The peer makes room for another."""
        connect = self._driving.connect
        free = self._driving.running is None if connect is None else connect.may_move
        return self._side.join_requested(fact, busy=not (free and self._leg.is_answered))

    def transfer_progress(self, fact: facts.TransferProgress, now: float, end: End) -> list[Effect]:
        """The far end that asked for a transfer has no one to talk to when it has succeeded."""
        asked = self._side.is_transferring
        effects = self._side.transfer_progress(fact)
        peer = self._info.peer_call_id
        if not asked or peer is None or not 200 <= fact.status < 300:
            return effects
        gone = facts.Unbridged(call_id=peer, ending=self._ending("transferred"))
        return [*effects, *self._transferred(gone, now, end)]

    def _transferred(self, fact: facts.Unbridged, now: float, end: End) -> list[Effect]:
        left = self._driving.handle(fact, now)
        self._info.peer_call_id = None
        return [*left, *self._side.follow(), *end(self._ending("transferred"), now)]

    def _ending(self, cause: str) -> Ending:
        return ending(cause, who=self._info.far_end)

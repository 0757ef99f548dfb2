"""The action `Connect`: dial, bridge the winner, result; and what a transfer makes of the bridge.

    fresh -> answering -> dialling -> bridged -> over
       the caller is answered first only when `answer_on_bridge` is off; any state may go to over

While it is bridged, either side may ask for a transfer, and the call that stays hears of it (`TransferTo`).
It dials the new destination while the old bridge stands.  An answer puts the new peer in the place of the
old; a failure leaves everything as it was, or ends the connect if the old peer has left meanwhile.  A dialled
call that stays has no connect of its own: it gets a machine for the transfer (`ConnectMachine.staying`).
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import Connect, ConnectDone, Result
from cordboard.call.bridge import Bridge, ending_for_peer
from cordboard.call.dialling import Dialling, problem_of
from cordboard.call.effects import ConnectStateChanged, Effect, Report, TellCall
from cordboard.call.facts import (
    Bridged,
    DisconnectRequested,
    Fact,
    LegAnswered,
    PeerEnded,
    PlayFinished,
    TransferProgress,
    TransferTo,
    Unbridged,
)
from cordboard.call.info import CallInfo
from cordboard.call.leg import Leg
from cordboard.call.peer import Peer
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import Ending, callback_word, caller_code, ending
from cordboard.call.ringback import Ringback
from cordboard.call.running import earliest

MAX_TRANSFERS = 32
"""That may lead from one call to the next: phones that send each other to and fro are stopped there."""


class ConnectMachine:
    """One connect of one call."""

    __slots__ = (
        "_bridge",
        "_dialling",
        "_for_client",
        "_leg",
        "_new_id",
        "_own",
        "_plan",
        "_ringback",
        "_state",
        "_stays",
        "_transferor",
        "failure",
        "result",
    )

    def __init__(
        self,
        action: Connect,
        own: CallInfo,
        leg: Leg,
        new_id: Callable[[], str],
        *,
        for_client: bool = False,
    ) -> None:
        """`for_client`: the client that owns the call has asked, and owns what is dialled too."""
        plan = action.plan
        self._plan = plan
        self._for_client = for_client
        self._own = own
        self._leg = leg
        self._new_id = new_id
        self._ringback = Ringback(own.call_id, leg, new_id, plan.ringback)
        self._dialling = self._dialling_of(plan.groups)
        self._bridge: Bridge | None = None
        self._transferor: str | None = None
        """The peer that has asked for a transfer, while it goes on."""
        self._stays = False
        self._state = "fresh"
        self.result: Result | None = None
        self.failure: Ending | None = None
        """Why nothing was connected."""

    @classmethod
    def staying(cls, peer: Peer, own: CallInfo, leg: Leg, new_id: Callable[[], str]) -> ConnectMachine:
        """For a dialled call that its peer is about to transfer: bridged already, with nothing to report."""
        for_client = own.owner is not None
        machine = cls(Connect(plan=ConnectPlan(groups=())), own, leg, new_id, for_client=for_client)
        machine._stays = True
        machine._state = "bridged"
        machine._bridge = Bridge(own, peer, None)
        machine._bridge.joined(quietly=True)
        return machine

    @property
    def is_over(self) -> bool:
        """Nothing more will come from it."""
        return self._state == "over"

    @property
    def stays(self) -> bool:
        """It was made for a transfer alone: the bridge belongs to the other side."""
        return self._stays

    @property
    def may_move(self) -> bool:
        """A transfer may give it another peer."""
        return self._bridge is not None and self._bridge.is_joined and self._transferor is None

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Say `connecting`, make the caller ring or answer, dial."""
        connecting = self._report("connecting", about=_first(self._plan))
        problem = problem_of(self._plan)
        if problem is not None:
            return [connecting, *self._fail(ending("bad_plan", who=self._own.from_, detail=problem))]
        if self._plan.answer_on_bridge or self._own.call_state == "answered":
            return [connecting, *self._leg.ring(), *self._dial(now)]
        self._state = "answering"
        return [connecting, *self._leg.answer()]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what concerns the caller's answer, the branches, the bridge."""
        state, kind = self._state, type(fact)
        if state == "over":
            return []
        if kind is LegAnswered:
            return self._dial(now) if state == "answering" else []
        if isinstance(fact, PlayFinished):
            return self._ringback.play_finished(fact)
        if self._bridge is not None:
            return self._while_bridged(self._bridge, fact, now)
        return self._after_dialling(self._dialling.handle(fact, now), now) if state == "dialling" else []

    def next_timeout(self) -> float | None:
        """The first ring timer, the longest duration, or the end of a parting."""
        if self._bridge is None:
            return self._dialling.next_timeout() if self._state == "dialling" else None
        due = self._bridge.next_timeout()
        return due if self._transferor is None else earliest((due, self._dialling.next_timeout()))

    def handle_timeout(self, now: float) -> list[Effect]:
        """End the branches that have rung long enough, and what has lasted too long."""
        effects: list[Effect] = []
        if self._state == "dialling" or self._transferor is not None:
            effects += self._after_dialling(self._dialling.handle_timeout(now), now)
        if self._bridge is not None:
            effects += self._bridge_timeout(self._bridge, now)
        return effects

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The caller is leaving: nobody shall ring for nobody, and a bridged peer is told."""
        if self._bridge is None:
            return [] if self.is_over else self._abandon_dialling(ending)
        effects = self._abandon_transfer(ending) if self._transferor is not None else []
        if self._stays:
            return [*effects, *self._leave(self._bridge, ending, now)]
        if self._own.owner is not None:
            # A client hears nothing of a call after its end, so nothing is waited for.
            why = ending_for_peer(ending, who=self._bridge.peer.to, bridged=True)
            return [*effects, *self._after_bridge(self._bridge.leave(why))]
        return [*effects, *self._after_bridge(self._bridge.part(ending, now))]

    def disconnect(self, why: Ending) -> list[Effect]:
        """Stop dialling, or leave the bridge at once: both calls may stay up."""
        if self._bridge is None:
            return [] if self.is_over else self._abandon_dialling(why)
        effects = self._abandon_transfer(why)
        if self._stays:
            self._state = "over"
            return [*effects, self._report("failed", why)]
        return [*effects, *self._after_bridge(self._bridge.leave(why))]

    def _dialling_of(self, groups: tuple[tuple[Destination, ...], ...]) -> Dialling:
        owner = self._own.owner if self._for_client else None
        return Dialling(groups, self._own, self._ringback, self._new_id, owner)

    # -------------------------------------------------- until somebody wins

    def _dial(self, now: float) -> list[Effect]:
        self._state = "dialling"
        return self._after_dialling(self._dialling.start(now), now)

    def _after_dialling(self, effects: list[Effect], now: float) -> list[Effect]:
        """Bridge the winner, or fail; also for a transfer."""
        dialling = self._dialling
        if dialling.winner is not None:
            win = self._win if self._bridge is None else self._move
            return [*effects, *win(now)]
        lost = dialling.lost
        if lost is None:
            return effects
        assert lost.ending is not None
        if self._bridge is not None:
            return [*effects, *self._transfer_failed(lost.ending)]
        return [*effects, *self._fail(lost.ending, lost.destination)]

    def _win(self, now: float) -> list[Effect]:
        """The caller is answered and joined first: of all that is to do, that is what people wait for."""
        winner = self._dialling.winner
        assert winner is not None
        self._state = "bridged"
        status_url = winner.destination.status_url or self._plan.status_url
        self._bridge = bridge = Bridge(self._own, winner.peer, status_url)
        bridge.until = now + self._plan.max_duration
        heard = self._ringback.heard == winner.call_id
        return [
            *self._ringback.stop(),
            *self._leg.answer(),
            *bridge.join(already_heard=heard, dial_winner=self._dialling.is_race),
            *self._dialling.hang_up_losers(),
        ]

    def _fail(self, why: Ending, about: Destination | None = None) -> list[Effect]:
        self._state = "over"
        self.failure = why
        self.result = ConnectDone(
            connected=False,
            failed_reason=callback_word(why),
            sip_code=why.sip_code,
            sip_reason=why.sip_reason,
            sentence=why.sentence,
        )
        return [*self._ringback.stop(), self._report("failed", why, about)]

    def _abandon_dialling(self, own: Ending) -> list[Effect]:
        self._state = "over"
        why = ending_for_peer(own, who="The connect", bridged=False)
        gone = self._dialling.abandon(own)
        return [*self._ringback.stop(), *gone, self._report("failed", why, _first(self._plan))]

    # -------------------------------------------------- bridged

    def _while_bridged(self, bridge: Bridge, fact: Fact, now: float) -> list[Effect]:
        if isinstance(fact, TransferTo):
            return self._transfer(bridge, fact, now)
        if isinstance(fact, Bridged):
            return self._moved(bridge, fact)
        if isinstance(fact, (PeerEnded, Unbridged)) and fact.call_id == bridge.peer.call_id:
            return [*self._peer_left(bridge), *self._farewell(fact)]
        if isinstance(fact, DisconnectRequested) and fact.call_id == bridge.peer.call_id:
            return self.disconnect(ending("disconnected", who=bridge.peer.to))
        if self._transferor is not None:
            return self._after_dialling(self._dialling.handle(fact, now), now)
        return []

    def _peer_left(self, bridge: Bridge) -> list[Effect]:
        """While a transfer goes on, the peer's place is kept for who comes next."""
        if self._transferor is None or not bridge.is_joined:
            return self._after_bridge(bridge.peer_left(bridge.peer.call_id))
        self._ringback.muted = False
        return [*bridge.lose_peer(), *self._ringback.play()]

    def _farewell(self, fact: PeerEnded | Unbridged) -> list[Effect]:
        """A peer that leaves but is still there waits to hear that we are gone."""
        if isinstance(fact, PeerEnded):
            return []
        gone = ending("hangup_peer", who=self._own.to)
        told = Unbridged(call_id=self._own.call_id, ending=gone)
        return [TellCall(call_id=fact.call_id, fact=told)]

    def _bridge_timeout(self, bridge: Bridge, now: float) -> list[Effect]:
        effects = self._after_bridge(bridge.handle_timeout(now))
        if bridge.is_joined or bridge.is_alone:
            return effects
        return [*effects, *self._abandon_transfer(ending("max_duration", who=bridge.peer.to))]

    def _after_bridge(self, effects: list[Effect]) -> list[Effect]:
        """The connect has done its job when its bridge is over."""
        if self._bridge is None or not self._bridge.is_over or self._state == "over":
            return effects
        self._state = "over"
        if self.result is None:
            self.result = ConnectDone(connected=True)
        if self._transferor is None:
            return effects
        over = ending("caller_gone", who="The transfer")
        return [*effects, *self._abandon_transfer(over)]

    def _moved(self, bridge: Bridge, fact: Bridged) -> list[Effect]:
        """A transfer has given us another peer, which leads."""
        if fact.peer is None or not bridge.is_joined:
            return []
        over = self._abandon_transfer(ending("lost_race", who="The transfer"))
        return [*over, *bridge.replace(fact.peer), *bridge.joined()]

    # -------------------------------------------------- transfers

    def _transfer(self, bridge: Bridge, fact: TransferTo, now: float) -> list[Effect]:
        if fact.transferor != bridge.peer.call_id or not bridge.is_joined:
            return self._tell_transferor(fact.transferor, 481, "Call/Transaction Does Not Exist")
        if self._transferor is not None:
            return self._tell_transferor(fact.transferor, 491, "Request Pending")
        if self._own.transfers >= MAX_TRANSFERS:
            self._state = "over" if self._stays else self._state
            return self._tell_transferor(fact.transferor, 482, "Loop Detected")
        self._own.transfers += 1
        effects = [self._report("connecting")] if self._stays else []
        if fact.join is not None:
            return [*effects, *self._join_other(bridge, fact.join, now)]
        assert fact.destination is not None
        return [*effects, *self._dial_other(bridge, fact.destination, now)]

    def _join_other(self, bridge: Bridge, peer: Peer, now: float) -> list[Effect]:
        done = self._tell_transferor(bridge.peer.call_id, 200, "OK")
        self._settle(bridge, now)
        return [*bridge.replace(peer), *bridge.join(), *done]

    def _settle(self, bridge: Bridge, now: float) -> None:
        """From now on it is a connect like any other, also one that was made for a transfer."""
        self._stays = False
        if bridge.until is None:
            bridge.until = now + self._plan.max_duration

    def _dial_other(self, bridge: Bridge, destination: Destination, now: float) -> list[Effect]:
        transferor = self._transferor = bridge.peer.call_id
        self._ringback = Ringback(self._own.call_id, self._leg, self._new_id)
        self._ringback.muted = True
        self._dialling = self._dialling_of(((destination,),))
        trying = self._tell_transferor(transferor, 100, "Trying")
        return [*trying, *self._after_dialling(self._dialling.start(now), now)]

    def _move(self, now: float) -> list[Effect]:
        """The new destination has answered."""
        winner, bridge = self._dialling.winner, self._bridge
        assert winner is not None
        assert bridge is not None
        transferor, self._transferor = self._transferor, None
        self._settle(bridge, now)
        heard = self._ringback.heard == winner.call_id
        return [
            *self._ringback.stop(),
            *bridge.replace(winner.peer),
            *bridge.join(already_heard=heard),
            *self._tell_transferor(transferor or "", 200, "OK"),
        ]

    def _transfer_failed(self, why: Ending) -> list[Effect]:
        bridge = self._bridge
        assert bridge is not None
        transferor, self._transferor = self._transferor, None
        told = self._tell_transferor(transferor or "", why.sip_code or caller_code(why), why.sip_reason)
        effects = [*self._ringback.stop(), *told]
        if self._stays:
            return [*effects, *self._stay_failed(bridge, why)]
        return [*effects, *self._after_bridge(bridge.finish())] if bridge.is_alone else effects

    def _stay_failed(self, bridge: Bridge, why: Ending) -> list[Effect]:
        """A machine that was made for this transfer alone; the old bridge goes on without it."""
        if bridge.is_alone:
            return self._fail(ending("transfer_failed", who=self._own.to, detail=why.sentence))
        self._state = "over"
        return [self._report("failed", why)]

    def _leave(self, bridge: Bridge, own: Ending, now: float) -> list[Effect]:
        """The call that was to stay is leaving; its old peer is told, and nothing is waited for."""
        self._state = "over"
        why = ending_for_peer(own, who="The transfer", bridged=False)
        told = bridge.part(own, now) if bridge.is_joined else []
        return [*told, self._report("failed", why)]

    def _abandon_transfer(self, own: Ending) -> list[Effect]:
        if self._transferor is None:
            return []
        self._transferor = None
        return [*self._ringback.stop(), *self._dialling.abandon(own)]

    def _tell_transferor(self, call_id: str, status: int, reason: str) -> list[Effect]:
        return [TellCall(call_id=call_id, fact=TransferProgress(status=status, reason=reason))]

    # -------------------------------------------------- reports

    def _report(self, state: str, why: Ending | None = None, about: Destination | None = None) -> Effect:
        """A report without a peer: to the plan's URL, or to that of a destination if only those have one."""
        url = self._plan.status_url or (about.status_url if about is not None else None)
        return Report(happening=ConnectStateChanged(state=state, ending=why), callback_url=url)


def _first(plan: ConnectPlan) -> Destination | None:
    for group in plan.groups:
        for destination in group:
            return destination
    return None

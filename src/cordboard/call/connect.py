"""The action `Connect`: groups of destinations in turn, first answer wins, bridge, result.

Every strategy is a list of groups (swml.md 7.1).  The destinations of a group are dialled at once, each with
its own ring timer from its own start.  A group is over when one of its branches answers, or when all have
failed; then comes the next.  A branch that is told to end is out at that moment: it may still answer (its 200
crossed our CANCEL), and then its own call ends it; nothing of it is waited for here.

    fresh -> answering -> dialling -> bridged -> over
       the caller is answered first only when `answer_on_bridge` is off; any state may go to over
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from cordboard.call.actions import CallInfo, Connect, ConnectDone, Result
from cordboard.call.bridge import Bridge, Peer, ending_for_peer
from cordboard.call.effects import ConnectStateChanged, Dial, Effect, Report, TellCall
from cordboard.call.facts import (
    Fact,
    HangupRequested,
    LegAnswered,
    PeerAnswered,
    PeerDialled,
    PeerEnded,
    PeerRinging,
)
from cordboard.call.leg import Leg
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import Ending, callback_word, ending
from cordboard.call.ringback import Ringback
from cordboard.call.running import earliest


class Branch(msgspec.Struct, kw_only=True):
    """One dialled destination, as the connecting call sees it."""

    call_id: str
    destination: Destination
    deadline: float
    """When it has rung long enough."""
    ending: Ending | None = None
    """Why it is out; None while it may still win."""

    @property
    def is_live(self) -> bool:
        """It may still win."""
        return self.ending is None


class ConnectMachine:
    """One connect of one call."""

    __slots__ = (
        "_branches",
        "_bridge",
        "_groups",
        "_last_out",
        "_leg",
        "_new_id",
        "_own",
        "_plan",
        "_ringback",
        "_state",
        "failure",
        "result",
    )

    def __init__(self, action: Connect, own: CallInfo, leg: Leg, new_id: Callable[[], str]) -> None:
        self._plan = action.plan
        self._own = own
        self._leg = leg
        self._new_id = new_id
        self._groups = iter(action.plan.groups)
        self._branches: list[Branch] = []
        self._last_out: Branch | None = None
        self._ringback = Ringback(own.call_id, leg, new_id)
        self._bridge: Bridge | None = None
        self._state = "fresh"
        self.result: Result | None = None
        self.failure: Ending | None = None
        """Why nothing was connected."""

    @property
    def is_over(self) -> bool:
        """Nothing more will come from it."""
        return self._state == "over"

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Say `connecting`, make the caller ring or answer, dial."""
        connecting = self._report("connecting", about=_first(self._plan))
        problem = _problem(self._plan)
        if problem is not None:
            return [connecting, *self._fail(ending("bad_plan", who=self._own.from_, detail=problem))]
        if self._plan.answer_on_bridge or self._leg.is_answered:
            return [connecting, *self._leg.ring(), *self._dial_next(now)]
        self._state = "answering"
        return [connecting, *self._leg.answer()]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what concerns the caller's answer or one of the branches."""
        if isinstance(fact, LegAnswered):
            return self._dial_next(now) if self._state == "answering" else []
        if isinstance(fact, PeerDialled):
            return self._branch_dialled(fact.call_id, now)
        if isinstance(fact, PeerRinging):
            return self._branch_rings(fact)
        if isinstance(fact, PeerAnswered):
            return self._branch_answered(fact.call_id)
        if isinstance(fact, PeerEnded):
            return self._peer_ended(fact, now)
        return []

    def next_timeout(self) -> float | None:
        """The first ring timer, or the end of a parting."""
        if self._bridge is not None:
            return self._bridge.next_timeout()
        return earliest(branch.deadline for branch in self._branches if branch.is_live)

    def handle_timeout(self, now: float) -> list[Effect]:
        """End the branches that have rung long enough."""
        if self._bridge is not None:
            return self._after_bridge(self._bridge.handle_timeout(now))
        effects: list[Effect] = []
        for branch in [due for due in self._branches if due.is_live and now >= due.deadline]:
            effects += self._ring_timeout(branch, now)
        return effects

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The caller is leaving: nobody shall ring for nobody, and a bridged peer goes too."""
        if self._bridge is not None:
            return self._bridge.part(ending, now)
        return [] if self.is_over else self._abandon_dialling(ending)

    # -------------------------------------------------- dialling

    def _dial_next(self, now: float) -> list[Effect]:
        """Dial the next group that has somebody to dial, or fail."""
        self._state = "dialling"
        effects: list[Effect] = []
        for group in self._groups:
            effects += self._dial_group(group, now)
            if any(branch.is_live for branch in self._branches):
                return effects
        spokesman = _spokesman(self._branches, self._last_out)
        assert spokesman.ending is not None
        return [*effects, *self._fail(spokesman.ending, spokesman.destination)]

    def _dial_group(self, group: Iterable[Destination], now: float) -> list[Effect]:
        """An empty group is skipped; it does not count as the last one tried."""
        branches = [self._branch(destination, now) for destination in group]
        self._branches = branches or self._branches
        return [self._dial(branch) for branch in branches if branch.is_live]

    def _branch(self, destination: Destination, now: float) -> Branch:
        branch = Branch(call_id=self._new_id(), destination=destination, deadline=now + destination.timeout)
        if destination.problem is not None:
            self._out(branch, ending("bad_destination", who=destination.to, detail=destination.problem))
        return branch

    def _dial(self, branch: Branch) -> Effect:
        own = self._own
        return Dial(
            call_id=branch.call_id,
            parent=own.call_id,
            session_id=own.session_id,
            destination=branch.destination,
            from_=branch.destination.from_ or own.from_,
            from_name=own.from_name,
        )

    # -------------------------------------------------- what becomes of a branch

    def _branch_dialled(self, call_id: str, now: float) -> list[Effect]:
        """Until now the timer has bounded the look-up of the name; from now on it is the ring time."""
        branch = self._live(call_id)
        if branch is not None:
            branch.deadline = now + branch.destination.timeout
        return []

    def _branch_rings(self, fact: PeerRinging) -> list[Effect]:
        if self._live(fact.call_id) is None:
            return []
        alone = len(self._branches) == 1
        return self._ringback.far_end_rings(fact.call_id, early_media=fact.early_media, alone=alone)

    def _branch_answered(self, call_id: str) -> list[Effect]:
        winner = self._live(call_id)
        return [] if winner is None else self._win(winner)

    def _peer_ended(self, fact: PeerEnded, now: float) -> list[Effect]:
        if self._bridge is not None:
            return self._after_bridge(self._bridge.peer_ended(fact.call_id))
        branch = self._live(fact.call_id)
        return [] if branch is None else self._lose(branch, fact.ending, now)

    def _ring_timeout(self, branch: Branch, now: float) -> list[Effect]:
        seconds = f"{branch.destination.timeout:g} seconds"
        late = ending("ring_timeout", who=branch.destination.to, detail=seconds)
        return [_hang_up(branch, late), *self._lose(branch, late, now)]

    def _lose(self, branch: Branch, why: Ending, now: float) -> list[Effect]:
        """One branch is out; with the last of them the group is."""
        self._out(branch, why)
        effects = self._ringback.far_end_gone(branch.call_id)
        if any(other.is_live for other in self._branches):
            return effects
        return [*effects, *self._dial_next(now)]

    def _win(self, winner: Branch) -> list[Effect]:
        """The caller is answered and joined first: of all that is to do, that is what people wait for."""
        self._state = "bridged"
        self._own.peer_call_id = winner.call_id
        self._bridge = Bridge(self._own.call_id, self._peer(winner), self._status_url(winner))
        return [
            *self._ringback.stop(),
            *self._leg.answer(),
            *self._bridge.join(already_heard=self._ringback.heard == winner.call_id),
            *self._hang_up_losers(winner),
        ]

    def _hang_up_losers(self, winner: Branch) -> list[Effect]:
        losers = [branch for branch in self._branches if branch.is_live and branch is not winner]
        effects: list[Effect] = []
        for branch in losers:
            late = ending("lost_race", who=branch.destination.to)
            self._out(branch, late)
            effects.append(_hang_up(branch, late))
        return effects

    def _out(self, branch: Branch, why: Ending) -> None:
        branch.ending = why
        self._last_out = branch

    def _live(self, call_id: str) -> Branch | None:
        """The branch of that call if it may still win; None once somebody has won."""
        if self._state != "dialling":
            return None
        return next((b for b in self._branches if b.call_id == call_id and b.is_live), None)

    # -------------------------------------------------- the end

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

    def _after_bridge(self, effects: list[Effect]) -> list[Effect]:
        """The connect has done its job when its bridge is over."""
        if self._bridge is not None and self._bridge.is_over and not self.is_over:
            self._state = "over"
            self._own.peer_call_id = None
            self.result = ConnectDone(connected=True)
        return effects

    def _abandon_dialling(self, own: Ending) -> list[Effect]:
        self._state = "over"
        effects = self._ringback.stop()
        for branch in self._branches:
            if branch.is_live:
                gone = ending_for_peer(own, who=branch.destination.to, bridged=False)
                branch.ending = gone
                effects += [*self._ringback.far_end_gone(branch.call_id), _hang_up(branch, gone)]
        why = ending_for_peer(own, who="The connect", bridged=False)
        return [*effects, self._report("failed", why, _first(self._plan))]

    def _peer(self, branch: Branch) -> Peer:
        destination = branch.destination
        return Peer(
            call_id=branch.call_id,
            device_type=destination.kind,
            from_=destination.from_ or self._own.from_,
            to=destination.to,
        )

    def _status_url(self, winner: Branch) -> str | None:
        return winner.destination.status_url or self._plan.status_url

    def _report(self, state: str, why: Ending | None = None, about: Destination | None = None) -> Effect:
        """A report without a peer: to the plan's URL, or to that of a destination if only those have one."""
        url = self._plan.status_url or (about.status_url if about is not None else None)
        return Report(happening=ConnectStateChanged(state=state, ending=why), callback_url=url)


def _hang_up(branch: Branch, why: Ending) -> Effect:
    return TellCall(call_id=branch.call_id, fact=HangupRequested(ending=why))


def _problem(plan: ConnectPlan) -> str | None:
    """Why nothing in the plan can be dialled, or None: a caller is not answered for nothing."""
    if plan.problem is not None:
        return plan.problem
    destinations = [destination for group in plan.groups for destination in group]
    if not destinations:
        return "the connect names no destination."
    problems = [destination.problem for destination in destinations]
    return None if None in problems else problems[0]


def _first(plan: ConnectPlan) -> Destination | None:
    return next((destination for group in plan.groups for destination in group), None)


def _spokesman(branches: list[Branch], last_out: Branch | None) -> Branch:
    """The last group speaks for the connect: its timeout if that ended it, else its first destination."""
    if last_out is not None and last_out.ending is not None and last_out.ending.cause == "ring_timeout":
        return last_out
    return branches[0]

"""Groups of destinations in turn: the first that answers, and confirms where that is asked, wins.

The destinations of a group are dialled at once, each with its own ring timer from its own start.  A group is
over when one of its branches wins, or when all have failed; then comes the next.  A branch that has answered
and runs its confirm script has no timer here: its own call bounds it, and tells how that ends; meanwhile the
others ring on.  A branch that is told to end is out at that moment: it may still answer (its 200 crossed our
CANCEL), and then its own call ends it; nothing of it is waited for here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from cordboard.call.bridge import ending_for_peer
from cordboard.call.effects import Dial, Effect, TellCall
from cordboard.call.facts import (
    Fact,
    HangupRequested,
    PeerAnswered,
    PeerConfirming,
    PeerDialled,
    PeerEnded,
    PeerRinging,
)
from cordboard.call.info import CallInfo
from cordboard.call.peer import Peer
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import Ending, EndReason, ending
from cordboard.call.ringback import Listening

TIMEOUTS = ("ring_timeout", "confirm_timeout")


class Branch(msgspec.Struct, kw_only=True):
    """One dialled destination, as the connecting call sees it."""

    call_id: str
    destination: Destination
    from_: str
    deadline: float | None
    """When it has rung long enough; None: it confirms."""
    ending: Ending | None = None
    """Why it is out; None while it may still win."""

    @property
    def is_live(self) -> bool:
        """It may still win."""
        return self.ending is None

    @property
    def peer(self) -> Peer:
        """How events name it once it is bridged."""
        to = self.destination
        return Peer(call_id=self.call_id, device_type=to.kind, from_=self.from_, to=to.to, tag=to.tag)


class Dialling:
    """Dials until it has a `winner` or is `lost`."""

    __slots__ = (
        "_branches",
        "_groups",
        "_last_out",
        "_new_id",
        "_own",
        "_owner",
        "_ringback",
        "_sole",
        "lost",
        "winner",
    )

    def __init__(
        self,
        groups: tuple[tuple[Destination, ...], ...],
        own: CallInfo,
        ringback: Listening,
        new_id: Callable[[], str],
        owner: str | None = None,
    ) -> None:
        """`own` dials; `owner`: the client that decides what becomes of the dialled calls."""
        self._groups = iter(groups)
        self._sole = sum(map(len, groups)) == 1
        self._owner = owner
        self._own = own
        self._ringback = ringback
        self._new_id = new_id
        self._branches: list[Branch] = []
        self._last_out: Branch | None = None
        self.winner: Branch | None = None
        self.lost: Branch | None = None
        """The branch that speaks for all when all have failed."""

    @property
    def is_over(self) -> bool:
        """Somebody has won, or nobody will."""
        return self.winner is not None or self.lost is not None

    @property
    def is_race(self) -> bool:
        """More than one were dialled at once, the last time."""
        return len(self._branches) > 1

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Dial the first group that has somebody to dial."""
        return self._dial_next(now)

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what becomes of the branches."""
        take = _TAKE.get(type(fact))
        is_over = self.winner is not None or self.lost is not None
        return [] if take is None or is_over else take(self, fact, now)

    def next_timeout(self) -> float | None:
        """The first ring timer."""
        if self.winner is not None or self.lost is not None:
            return None
        first: float | None = None
        for branch in self._branches:
            due = branch.deadline if branch.ending is None else None
            if due is not None and (first is None or due < first):
                first = due
        return first

    def handle_timeout(self, now: float) -> list[Effect]:
        """End the branches that have rung long enough."""
        effects: list[Effect] = []
        for branch in [due for due in self._branches if _is_due(due, now)]:
            effects += self._ring_timeout(branch, now)
        return effects

    def abandon(self, own: Ending, why: str = "caller_gone") -> list[Effect]:
        """Nobody shall ring for nobody.  `why` is the cause for who rang; a failure of ours is theirs."""
        effects: list[Effect] = []
        for branch in self._branches:
            if branch.is_live:
                who = branch.destination.to
                is_failure = own.reason is EndReason.ERROR
                gone = ending_for_peer(own, who=who, bridged=False) if is_failure else ending(why, who=who)
                branch.ending = gone
                effects += [*self._ringback.far_end_gone(branch.call_id), _hang_up(branch, gone)]
        return effects

    def hang_up_losers(self) -> list[Effect]:
        """Somebody has won: all others shall stop ringing."""
        effects: list[Effect] = []
        for branch in self._branches:
            if branch is not self.winner and branch.ending is None:
                late = ending("lost_race", who=branch.destination.to)
                self._out(branch, late)
                effects.append(_hang_up(branch, late))
        return effects

    # -------------------------------------------------- dialling

    def _dial_next(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for group in self._groups:
            dialled = self._dial_group(group, now)
            effects += dialled
            # Whoever is left of the group before may still win.
            if dialled or any(branch.is_live for branch in self._branches):
                return effects
        self.lost = _spokesman(self._branches, self._last_out)
        return effects

    def _dial_group(self, group: Iterable[Destination], now: float) -> list[Effect]:
        """An empty group is skipped; it does not count as the last one tried."""
        branches = []
        effects = []
        for destination in group:
            branch = self._branch(destination, now)
            branches.append(branch)
            if branch.ending is None:
                effects.append(self._dial(branch))
        self._branches = branches or self._branches
        return effects

    def _branch(self, destination: Destination, now: float) -> Branch:
        branch = Branch(
            call_id=self._new_id(),
            destination=destination,
            from_=destination.from_ or self._own.from_,
            deadline=now + destination.timeout,
        )
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
            from_=branch.from_,
            from_name=own.from_name,
            transfers=own.transfers,
            sole=self._sole,
            owner=self._owner,
        )

    # -------------------------------------------------- what becomes of a branch

    def _branch_dialled(self, fact: PeerDialled, now: float) -> list[Effect]:
        """Until now the timer has bounded the look-up of the name; from now on it is the ring time."""
        branch = self._live(fact.call_id)
        if branch is not None:
            branch.deadline = now + branch.destination.timeout
        return []

    def _branch_rings(self, fact: PeerRinging, now: float) -> list[Effect]:
        if self._live(fact.call_id) is None:
            return []
        alone = len(self._branches) == 1
        return self._ringback.far_end_rings(fact.call_id, early_media=fact.early_media, alone=alone)

    def _branch_confirms(self, fact: PeerConfirming, now: float) -> list[Effect]:
        branch = self._live(fact.call_id)
        if branch is None:
            return []
        branch.deadline = None
        return self._ringback.far_end_confirms(fact.call_id)

    def _branch_answered(self, fact: PeerAnswered, now: float) -> list[Effect]:
        self.winner = self._live(fact.call_id)
        return []

    def _branch_ended(self, fact: PeerEnded, now: float) -> list[Effect]:
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

    def _out(self, branch: Branch, why: Ending) -> None:
        branch.ending = why
        self._last_out = branch

    def _live(self, call_id: str) -> Branch | None:
        for branch in self._branches:
            if branch.call_id == call_id and branch.ending is None:
                return branch
        return None


_TAKE: dict[type, Callable[..., list[Effect]]] = {
    PeerDialled: Dialling._branch_dialled,
    PeerRinging: Dialling._branch_rings,
    PeerConfirming: Dialling._branch_confirms,
    PeerAnswered: Dialling._branch_answered,
    PeerEnded: Dialling._branch_ended,
}


def _is_due(branch: Branch, now: float) -> bool:
    return branch.is_live and branch.deadline is not None and now >= branch.deadline


def _hang_up(branch: Branch, why: Ending) -> Effect:
    return TellCall(call_id=branch.call_id, fact=HangupRequested(ending=why))


def problem_of(plan: ConnectPlan) -> str | None:
    """Why nothing in the plan can be dialled, or None: a caller is not answered for nothing."""
    if plan.problem is not None:
        return plan.problem
    problem: str | None = None
    for group in plan.groups:
        for destination in group:
            if destination.problem is None:
                return None
            problem = problem or destination.problem
    return problem or "the connect names no destination."


def _spokesman(branches: list[Branch], last_out: Branch | None) -> Branch:
    """The last group speaks for all: its timeout if that ended it, else its first destination."""
    if last_out is not None and last_out.ending is not None and last_out.ending.cause in TIMEOUTS:
        return last_out
    return branches[0]

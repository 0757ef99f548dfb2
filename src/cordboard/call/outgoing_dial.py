"""A dial that no call asks for: a client's `calling.dial`, or the HTTP API.

To the switchboard it is like a call: facts in, effects out, one timer.  It has no leg of its own; the calls
that it makes report to it, and the one that wins stands on its own from then on.  A branch that answers when
another has won, or when the dial was given up, is told to end like one that still rings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Driver
from cordboard.call.dialling import Dialling, problem_of
from cordboard.call.effects import CallOver, DialStateChanged, Effect, Report, TellCall
from cordboard.call.facts import (
    ControlLost,
    ControlTaken,
    DialWon,
    DriverGiven,
    Fact,
    HangupRequested,
)
from cordboard.call.info import CallInfo
from cordboard.call.plan import ConnectPlan
from cordboard.call.reasons import Ending, ending
from cordboard.call.ringback import Nobody


class OutgoingDial:
    """Dials the groups of a plan.  `info` names the dial: its id, owner, tag and project.

    `first_call_id`: of the first call that it makes (RELAY's `calling.begin` tells it at once).  `driver` is
    given to the call that wins.
    """

    __slots__ = ("_dialling", "_driver", "_first", "_new_id", "_over", "_plan", "info")

    destination = None

    def __init__(
        self,
        *,
        info: CallInfo,
        plan: ConnectPlan,
        driver: Driver | None,
        first_call_id: str | None,
        new_id: Callable[[], str],
    ) -> None:
        self.info = info
        self._plan = plan
        self._driver = driver
        self._first = first_call_id
        self._new_id = new_id
        self._dialling = Dialling(plan.groups, info, Nobody(), self._next_id, info.owner)
        self._over = False

    @property
    def is_over(self) -> bool:
        """`CallOver` is out."""
        return self._over

    def variables(self) -> dict[str, Any]:
        """None: it has no script."""
        return {}

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Report `dialing`, dial the first group."""
        dialing = _report(DialStateChanged(state="dialing"))
        problem = problem_of(self._plan)
        if problem is not None:
            return [dialing, *self._fail(ending("bad_plan", who="the client", detail=problem))]
        return [dialing, *self._after(self._dialling.start(now))]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what becomes of the branches; be given up, or given to somebody else."""
        if self._over:
            return []
        if isinstance(fact, HangupRequested):
            return self._give_up(fact.ending)
        if isinstance(fact, ControlLost):
            return self._control_lost(fact)
        if isinstance(fact, ControlTaken):
            self.info.owner = fact.owner
        elif isinstance(fact, DriverGiven):
            self._driver = fact.driver
        return self._after(self._dialling.handle(fact, now))

    def next_timeout(self) -> float | None:
        """The first ring timer."""
        return None if self._over else self._dialling.next_timeout()

    def handle_timeout(self, now: float) -> list[Effect]:
        """End the branches that have rung long enough."""
        return [] if self._over else self._after(self._dialling.handle_timeout(now))

    # -------------------------------------------------- inside

    def _next_id(self) -> str:
        first, self._first = self._first, None
        return first or self._new_id()

    def _after(self, effects: list[Effect]) -> list[Effect]:
        """Let the winner go, or fail."""
        if self._dialling.winner is not None:
            return [*effects, *self._win(self._dialling.winner.call_id)]
        lost = self._dialling.lost
        if lost is None:
            return effects
        assert lost.ending is not None
        return [*effects, *self._fail(lost.ending)]

    def _win(self, winner: str) -> list[Effect]:
        self._over = True
        race = self._dialling.is_race
        won: list[Effect] = [TellCall(call_id=winner, fact=DialWon(dial_winner=race))]
        if self._driver is not None:
            won.append(TellCall(call_id=winner, fact=DriverGiven(driver=self._driver)))
        answered = DialStateChanged(state="answered", call_id=winner, dial_winner=race)
        return [*won, *self._dialling.hang_up_losers(), _report(answered), CallOver()]

    def _give_up(self, why: Ending) -> list[Effect]:
        return [*self._dialling.abandon(why, "client_cancelled"), *self._fail(why)]

    def _control_lost(self, fact: ControlLost) -> list[Effect]:
        """Nobody is left who could take the winner, unless a script waits for it."""
        self.info.owner = None
        return self._give_up(fact.ending) if self._driver is None else []

    def _fail(self, why: Ending) -> list[Effect]:
        self._over = True
        return [_report(DialStateChanged(state="failed", ending=why)), CallOver()]


def _report(happening: DialStateChanged) -> Effect:
    return Report(happening=happening)

"""A dial that no call asks for: a client's `calling.dial`, or the HTTP API.

To the switchboard it is like a call: facts in, effects out, one timer.  It has no leg of its own; the calls
that it makes report to it, and the one that wins stands on its own from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Driver
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact
from cordboard.call.info import CallInfo
from cordboard.call.plan import ConnectPlan


class OutgoingDial:
    """Dials the groups of a plan.  `info` names the dial: its id, owner, tag and project.

    `first_call_id`: of the first call that it makes (RELAY's `calling.begin` tells it at once).  `driver` is
    given to the call that wins.
    """

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

    @property
    def is_over(self) -> bool:
        """`CallOver` is out."""
        raise NotImplementedError

    def variables(self) -> dict[str, Any]:
        """None: it has no script."""
        return {}

    def start(self, now: float) -> list[Effect]:
        """Report `dialing`, dial the first group."""
        raise NotImplementedError

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what becomes of the branches."""
        raise NotImplementedError

    def next_timeout(self) -> float | None:
        """The first ring timer."""
        raise NotImplementedError

    def handle_timeout(self, now: float) -> list[Effect]:
        """End the branches that have rung long enough."""
        raise NotImplementedError

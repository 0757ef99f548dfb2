"""What programs may do to calls: the one door for RELAY clients and the HTTP API.

Everything is synchronous and answers in order: a command is a fact in the queue of its call, and its answer
comes from there; a call that ends before it gets to a command answers that it is gone.  Who may do what is
checked before this door.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cordboard.call import facts
from cordboard.call.actions import Driver
from cordboard.call.call import Call
from cordboard.call.commands import Command
from cordboard.call.effects import CommandAnswered
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.plan import ConnectPlan
from cordboard.call.reasons import Ending
from cordboard.server.new_calls import NewCalls
from cordboard.server.switchboard import Switchboard

_log = logging.getLogger(__name__)

Answered = Callable[[CommandAnswered], None]
"""Called once for each command."""

GONE = CommandAnswered(ticket="", code="404", message="Call not found")
"""Also what is said of a call that belongs to somebody else."""


class Control:
    """Commands to calls, and new calls."""

    def __init__(self, switchboard: Switchboard, new_calls: NewCalls, new_id: Callable[[], str]) -> None:
        self._switchboard = switchboard
        self._new_calls = new_calls
        self._new_id = new_id
        self._waiting: dict[str, dict[str, Answered]] = {}
        """call id → ticket → who waits for the answer."""
        switchboard.on_forgotten = self._forgotten

    def __len__(self) -> int:
        """Commands without an answer."""
        return sum(map(len, self._waiting.values()))

    def call(self, call_id: str) -> Call | None:
        """One that is not over."""
        return self._switchboard.call(call_id)

    def calls(self) -> list[Call]:
        """All that are not over."""
        return self._switchboard.calls()

    def command(self, call_id: str, command: Command, answered: Answered) -> None:
        """Ask something of a call.  `answered` may be called before this returns, or much later."""
        if self.call(call_id) is None:
            answered(GONE)
            return
        ticket = self._new_id()
        self._waiting.setdefault(call_id, {})[ticket] = answered
        self._switchboard.post(call_id, facts.Commanded(ticket=ticket, command=command))

    def dial(
        self,
        plan: ConnectPlan,
        *,
        project_id: str,
        owner: str | None,
        tag: str | None = None,
        call_id: str | None = None,
        driver: Driver | None = None,
    ) -> str:
        """Dial the groups of a plan; the winner stands on its own, driven by `owner` or by `driver`.

        Returns the id of the dial, in which `DialStateChanged` is reported.  `call_id`: of the first call
        that is made.
        """
        dial = self._new_calls.outgoing(
            plan, project_id=project_id, owner=owner, tag=tag, call_id=call_id, driver=driver
        )
        self._switchboard.start(dial)
        return dial.info.call_id

    def end(self, call_id: str, ending: Ending) -> None:
        """Hang up."""
        self._switchboard.post(call_id, facts.HangupRequested(ending=ending))

    def take(self, call_id: str, owner: str) -> None:
        """A client decides from now on."""
        self._switchboard.post(call_id, facts.ControlTaken(owner=owner))

    def lose(self, call_id: str, ending: Ending) -> None:
        """No client decides any more."""
        self._switchboard.post(call_id, facts.ControlLost(ending=ending))

    def give_driver(self, call_id: str, driver: Driver) -> None:
        """A script takes over."""
        self._switchboard.post(call_id, facts.DriverGiven(driver=driver))

    # ------------------------------------------------------------ from the exchange

    def answered(self, call: Call | OutgoingDial, effect: CommandAnswered) -> None:
        """A call has answered a command."""
        call_id = call.info.call_id
        tickets = self._waiting.get(call_id, {})
        answered = tickets.pop(effect.ticket, None)
        if not tickets:
            self._waiting.pop(call_id, None)
        if answered is not None:
            self._tell(call_id, answered, effect)

    def _forgotten(self, call_id: str) -> None:
        """It is over, and answers nothing more."""
        for answered in self._waiting.pop(call_id, {}).values():
            self._tell(call_id, answered, GONE)

    def _tell(self, call_id: str, answered: Answered, effect: CommandAnswered) -> None:
        try:
            answered(effect)
        except Exception:
            # A defect of whoever asked costs an answer, and not the caller the call.
            self._switchboard.defects += 1
            _log.exception("call %s: internal error in who waits for an answer", call_id)

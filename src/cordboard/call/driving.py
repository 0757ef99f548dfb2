"""A call's driver at work: its turns, the action that runs, the shell's replies.

The driver is asked for a turn at the start and whenever the last one has its result.  A turn is an action,
which runs until it has a result; a request to the shell, answered by `DriverReply`; or a `wish`: the driver
has come to its end, or hangs up, and what that means is for the call to say.  A call without a driver may
have a running action too: the connect that a transfer has given it.
"""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import (
    DocumentFailed,
    Driver,
    Evaluate,
    FetchDocument,
    Finished,
    Hangup,
    Result,
    SendRequest,
    Turn,
)
from cordboard.call.connect import ConnectMachine
from cordboard.call.effects import AskShell, Effect, Report, ScriptWarned
from cordboard.call.facts import DriverReply, Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Running
from cordboard.call.workshop import Workshop

MAX_IDLE_TURNS = 10_000
"""Turns in a row that wait for nothing; a script that takes more goes in circles."""

ENDLESS = Finished(failed="it goes in circles without ever waiting for anything.")


class Driving:
    """The driver of one call, and what it has under way."""

    __slots__ = ("_driver", "_ticket", "_workshop", "document_missing", "last_failure", "running", "wish")

    def __init__(self, driver: Driver | None, workshop: Workshop) -> None:
        self._driver = driver
        self._workshop = workshop
        self._ticket = 0
        self.running: Running | None = None
        self.wish: Finished | Hangup | None = None
        """What the call has to do now; the call sets it back."""
        self.document_missing = False
        """The last thing that was asked for was a document, and it did not come."""
        self.last_failure: Ending | None = None
        """Why the last connect failed."""

    @property
    def has_driver(self) -> bool:
        """Somebody decides what is next."""
        return self._driver is not None

    @property
    def connect(self) -> ConnectMachine | None:
        """The connect that runs, if one does."""
        return self.running if isinstance(self.running, ConnectMachine) else None

    def dismiss(self) -> dict[str, Any]:
        """The driver has done its work; its variables."""
        variables, self._driver = self.variables(), None
        return variables

    def variables(self) -> dict[str, Any]:
        """Those of the driver."""
        return self._driver.variables() if self._driver is not None else {}

    # -------------------------------------------------- the running action

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Hand a fact to the running action."""
        return [] if self.running is None else self.running.handle(fact, now)

    def handle_timeout(self, now: float) -> list[Effect]:
        """That of the running action."""
        return [] if self.running is None else self.running.handle_timeout(now)

    def begin(self, running: Running, now: float) -> list[Effect]:
        """Run what nobody's turn has asked for: a client's connect."""
        effects: list[Effect] = []
        self._run(running, now, effects)
        return effects

    def replace(self, driver: Driver, why: Ending, now: float) -> list[Effect]:
        """Another driver takes over, and will be started; what the last one asked for is dropped."""
        running, self.running = self.running, None
        self._driver = driver
        self._ticket += 1
        self.wish = self.last_failure = None
        self.document_missing = False
        if running is None:
            return []
        if isinstance(running, ConnectMachine):
            return running.disconnect(why)
        return running.abandon(why, now)

    def take_away(self, running: Running) -> Running:
        """The running action, which is over."""
        self.running = None
        self._note_failure(running)
        return running

    # -------------------------------------------------- turns

    def start(self, now: float) -> list[Effect]:
        """The first turn."""
        return [] if self._driver is None else self._take_turns(self._driver.start(), now)

    def resume(self, result: Result, now: float) -> list[Effect]:
        """The next turn."""
        return [] if self._driver is None else self._take_turns(self._driver.resume(result), now)

    def reply(self, fact: DriverReply, now: float) -> list[Effect]:
        """The shell has done what the last turn asked for."""
        if fact.ticket != self._ticket:
            return []
        self._ticket += 1
        self.document_missing = isinstance(fact.result, DocumentFailed)
        return self.resume(fact.result, now)

    def _take_turns(self, turn: Turn, now: float) -> list[Effect]:
        """Carry turns out until one of them takes time."""
        effects: list[Effect] = []
        driver = self._driver
        for _ in range(MAX_IDLE_TURNS):
            result = self._take(turn, now, effects)
            if result is None or driver is None:
                return effects
            turn = driver.resume(result)
        self.wish = ENDLESS
        return effects

    def _take(self, turn: Turn, now: float, effects: list[Effect]) -> Result | None:
        """Carry one turn out; the result if it is there at once."""
        if turn.warnings:
            effects += [Report(happening=ScriptWarned(warning=warning)) for warning in turn.warnings]
        wanted = turn.next
        if isinstance(wanted, (Finished, Hangup)):
            self.wish = wanted
            return None
        if isinstance(wanted, (Evaluate, FetchDocument, SendRequest)):
            self._ticket += 1
            effects.append(AskShell(ticket=self._ticket, request=wanted))
            return None
        return self._run(self._workshop.machine(wanted), now, effects)

    def _run(self, running: Running, now: float, effects: list[Effect]) -> Result | None:
        effects += running.start(now)
        if running.is_over:
            self._note_failure(running)
            return running.result
        self.running = running
        return None

    def _note_failure(self, running: Running) -> None:
        if isinstance(running, ConnectMachine):
            self.last_failure = running.failure

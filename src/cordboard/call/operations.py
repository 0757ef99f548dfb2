"""What clients have under way on one call: machines that run at once, told apart by their control ids.

Each command is answered once.  The answer to one that begins something goes out when the machine knows its
outcome, and before the effects of that moment: a client must not hear of a play that it does not know yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.commands import (
    PauseOperation,
    ResumeOperation,
    SetVolume,
    StartInputTimers,
    StopOperation,
)
from cordboard.call.effects import CommandAnswered, Effect
from cordboard.call.facts import Fact
from cordboard.call.reasons import Ending
from cordboard.call.running import Operation, Outcome, earliest

MAX_OPERATIONS = 40
"""That one call may have at a time."""

Steering = StopOperation | PauseOperation | ResumeOperation | SetVolume | StartInputTimers

TOO_LATE = Outcome(code="409", message="The call ended before this began.")


class Operations:
    """All operations of one call, in the order of their start."""

    __slots__ = ("_items", "_tickets")

    def __init__(self) -> None:
        self._items: dict[str, Operation] = {}
        self._tickets: dict[str, str] = {}
        """By control id: the commands that are not answered yet."""

    @property
    def is_over(self) -> bool:
        """Nothing goes on, and nothing has its last report to make."""
        return not self._items

    @property
    def keeps_up(self) -> bool:
        """Something goes on for which a call stays up that nobody controls any more."""
        return any(operation.keeps_up for operation in self._items.values())

    def has(self, control_id: str) -> bool:
        """One of that id goes on."""
        return control_id in self._items

    # -------------------------------------------------- commands

    def begin(self, ticket: str, operation: Operation, now: float) -> list[Effect]:
        """Start one more, or refuse it."""
        key = operation.control_id or operation.kind
        problem = self._problem(key, operation)
        if problem:
            return [CommandAnswered(ticket=ticket, code="409", message=problem)]
        self._items[key] = operation
        self._tickets[key] = ticket
        return self._swept(self._answered(key, operation.start(now)))

    def steer(self, ticket: str, command: Steering, now: float) -> list[Effect]:
        """Change or end one that goes on."""
        kind = "collect" if isinstance(command, StartInputTimers) else command.kind
        operation = self._items.get(command.control_id)
        if operation is None:
            sentence = f"No {kind} with the control id {command.control_id} is under way on this call."
            return [CommandAnswered(ticket=ticket, code="404", message=sentence)]
        if operation.kind != kind:  # not 404: one SDK keeps that to itself
            sentence = f"The control id {command.control_id} is that of a {operation.kind}, not of a {kind}."
            return [CommandAnswered(ticket=ticket, code="409", message=sentence)]
        words, steer = _STEER[type(command)]
        effects = steer(operation, command, now)
        if effects is None:
            sentence = f"This {kind} cannot {words} now."
            return [CommandAnswered(ticket=ticket, code="409", message=sentence)]
        done = CommandAnswered(ticket=ticket, control_id=command.control_id)
        return self._swept([done, *self._answered(command.control_id, effects)])

    def _problem(self, key: str, operation: Operation) -> str:
        if key in self._items:
            return (
                f"An operation with the control id {key} is already under way on this call."
                if operation.control_id
                else f"A {operation.kind} is already under way on this call."
            )
        if len(self._items) >= MAX_OPERATIONS:
            return f"A call may have {MAX_OPERATIONS} operations at a time: stop one of them first."
        return ""

    # -------------------------------------------------- what happens to them

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Hand a fact to all."""
        return self._each(lambda operation: operation.handle(fact, now))

    def next_timeout(self) -> float | None:
        """The first of theirs."""
        return earliest(operation.next_timeout() for operation in self._items.values())

    def handle_timeout(self, now: float) -> list[Effect]:
        """Those of all."""
        return self._each(lambda operation: operation.handle_timeout(now))

    def abandon(self, why: Ending, now: float) -> list[Effect]:
        """The call is ending.  What waits for a last word stays until that is there."""
        effects = [
            effect
            for key, operation in list(self._items.items())
            for effect in self._answered(key, operation.abandon(why, now))
        ]
        unanswered = [_answer(ticket, key, TOO_LATE) for key, ticket in self._tickets.items()]
        self._tickets.clear()
        return self._swept([*unanswered, *effects])

    def abandon_foreground(self, why: Ending, now: float) -> list[Effect]:
        """A script takes the call over."""
        effects: list[Effect] = []
        for key, operation in list(self._items.items()):
            if not operation.survives:
                effects += self._answered(key, operation.abandon(why, now))
        return self._swept(effects)

    # -------------------------------------------------- inside

    def _each(self, do: Callable[[Operation], list[Effect]]) -> list[Effect]:
        effects: list[Effect] = []
        for key, operation in list(self._items.items()):
            effects += self._answered(key, do(operation))
        return self._swept(effects)

    def _answered(self, key: str, effects: list[Effect]) -> list[Effect]:
        """Put the answer to its command first, as soon as there is one."""
        ticket = self._tickets.get(key)
        if ticket is None:
            return effects
        operation = self._items[key]
        outcome = operation.outcome
        if outcome is None:
            if not operation.is_over:
                return effects
            outcome = TOO_LATE
        del self._tickets[key]
        return [_answer(ticket, operation.control_id or None, outcome), *effects]

    def _swept(self, effects: list[Effect]) -> list[Effect]:
        if any(operation.is_over for operation in self._items.values()):
            self._items = {key: item for key, item in self._items.items() if not item.is_over}
        return effects


def _answer(ticket: str, control_id: str | None, outcome: Outcome) -> CommandAnswered:
    return CommandAnswered(
        ticket=ticket,
        code=outcome.code,
        message=outcome.message,
        control_id=control_id,
        url=outcome.url,
        source_address=outcome.source_address,
        source_port=outcome.source_port,
    )


_STEER: dict[type, tuple[str, Callable[[Operation, Any, float], list[Effect] | None]]] = {
    StopOperation: ("be stopped", lambda operation, command, now: operation.stop(now)),
    PauseOperation: (
        "be paused",
        lambda operation, command, now: operation.pause(now, skip=command.skip),
    ),
    ResumeOperation: ("be resumed", lambda operation, command, now: operation.resume(now)),
    SetVolume: ("change its volume", lambda operation, command, now: operation.set_volume(command.volume)),
    StartInputTimers: (
        "start its timers",
        lambda operation, command, now: operation.start_input_timers(now),
    ),
}
"""What a refusal says, and what is asked of the machine."""

"""A client's commands to one call: what may be asked when, and who does it.

Every command is answered once.  A refusal says what to do instead, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.actions import (
    Answer,
    Collect,
    Connect,
    Denoise,
    Detect,
    Hangup,
    Hold,
    Play,
    Prompt,
    Record,
    RecordCall,
    Refer,
    SendDigits,
    Tap,
)
from cordboard.call.commands import (
    Command,
    Disconnect,
    PauseOperation,
    ResumeOperation,
    SetVolume,
    StartInputTimers,
    StopOperation,
)
from cordboard.call.connect import ConnectMachine
from cordboard.call.driving import Driving
from cordboard.call.effects import CommandAnswered, Effect
from cordboard.call.facts import Commanded
from cordboard.call.info import CallInfo
from cordboard.call.leg import Leg
from cordboard.call.operations import Operations
from cordboard.call.reasons import ending
from cordboard.call.side import Side
from cordboard.call.ties import End
from cordboard.call.verdict import CLIENT_CAUSES
from cordboard.call.workshop import Workshop

ENDING = "The call is ending: nothing more can be asked of it."
NOT_ANSWERED_YET = "The far end has not answered yet: wait until it has."
NOT_CONNECTED = "The call is not connected to another one."


class Commanding:
    """Takes the commands to one call."""

    __slots__ = ("_driving", "_info", "_leg", "_new_id", "_side", "_workshop", "operations")

    def __init__(
        self,
        *,
        info: CallInfo,
        leg: Leg,
        side: Side,
        driving: Driving,
        workshop: Workshop,
        new_id: Callable[[], str],
    ) -> None:
        self._info = info
        self._leg = leg
        self._side = side
        self._driving = driving
        self._workshop = workshop
        self._new_id = new_id
        self.operations = Operations()

    def take(self, fact: Commanded, now: float, end: End) -> list[Effect]:
        """Do it, or refuse it with a sentence; `end` ends the call."""
        command = fact.command
        if isinstance(command, Hangup):
            return self._hang_up(fact.ticket, command, now, end)
        if not self._leg.is_up:
            return _refused(fact.ticket, ENDING)
        take = _TAKE.get(type(command))
        if take is None:
            sentence = f"{type(command).__name__} cannot be asked of a call by a command."
            return _refused(fact.ticket, sentence, "400")
        return take(self, fact.ticket, command, now)

    # -------------------------------------------------- the call itself

    def _answer(self, ticket: str, action: Answer, now: float) -> list[Effect]:
        if self._leg.is_answered:
            return _refused(ticket, "The call is answered already.")
        if self._info.direction == "outbound":
            return _refused(ticket, NOT_ANSWERED_YET)
        self._workshop.max_duration = action.max_duration
        return [*_accepted(ticket), *self._leg.answer(action.codecs)]

    def _hang_up(self, ticket: str, action: Hangup, now: float, end: End) -> list[Effect]:
        """One that is ending already ends as was wished."""
        cause = CLIENT_CAUSES.get(action.reason or "hangup")
        if cause is None:
            words = "hangup, cancel, busy, noAnswer, decline or error"
            return _refused(ticket, f"The reason {action.reason} is not known: give {words}.", "400")
        why = ending(cause, who=self._info.far_end)
        return [*_accepted(ticket), *end(why, now)]

    # -------------------------------------------------- bridges

    def _connect(self, ticket: str, action: Connect, now: float) -> list[Effect]:
        problem = self._cannot_connect()
        if problem:
            return _refused(ticket, problem)
        plan = action.plan
        if self._leg.is_unanswered:
            plan = msgspec.structs.replace(plan, answer_on_bridge=True)
        machine = ConnectMachine(
            Connect(plan=plan), self._info, self._leg, self._new_id, for_client=self._info.owner is not None
        )
        return [*_accepted(ticket), *self._driving.begin(machine, now)]

    def _cannot_connect(self) -> str:
        if self._info.peer_call_id is not None:
            return "The call is connected to another one: disconnect it first."
        if self._driving.connect is not None:
            return "A connect of this call is under way: wait for its end."
        if self._driving.has_driver:
            return "A script drives the call: let the script connect it."
        if self._leg.is_unanswered and self._info.direction == "outbound":
            return NOT_ANSWERED_YET
        return ""

    def _disconnect(self, ticket: str, command: Disconnect, now: float) -> list[Effect]:
        """The side that leads takes the two apart; the other one asks it to."""
        if self._info.peer_call_id is None:
            return _refused(ticket, NOT_CONNECTED)
        connect = self._driving.connect
        effects = _accepted(ticket)
        if connect is not None:
            leads = not connect.stays
            effects += connect.disconnect(ending("disconnected", who=self._info.far_end))
            if leads:
                return effects
        return [*effects, *self._side.ask_to_leave()]

    # -------------------------------------------------- operations

    def _operate(self, ticket: str, action: Any, now: float) -> list[Effect]:
        return self.operations.begin(ticket, self._workshop.operation(action), now)

    def _steer(self, ticket: str, command: Any, now: float) -> list[Effect]:
        return self.operations.steer(ticket, command, now)


def _accepted(ticket: str) -> list[Effect]:
    return [CommandAnswered(ticket=ticket)]


def _refused(ticket: str, sentence: str, code: str = "409") -> list[Effect]:
    return [CommandAnswered(ticket=ticket, code=code, message=sentence)]


_OPERATIONS = (
    Play,
    Prompt,
    Collect,
    Detect,
    Record,
    RecordCall,
    Tap,
    SendDigits,
    Refer,
    Hold,
    Denoise,
)

_STEERING = (StopOperation, PauseOperation, ResumeOperation, SetVolume, StartInputTimers)

_TAKE: dict[type[Command], Callable[[Commanding, str, Any, float], list[Effect]]] = {
    Answer: Commanding._answer,
    Connect: Commanding._connect,
    Disconnect: Commanding._disconnect,
    **dict.fromkeys(_OPERATIONS, Commanding._operate),
    **dict.fromkeys(_STEERING, Commanding._steer),
}

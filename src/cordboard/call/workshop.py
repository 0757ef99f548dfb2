"""Where actions become machines: those of a script one after another, those of a client as operations.

A script's action answers an unanswered caller where it needs to.  A client's is refused then, unless it can
be heard before the answer.
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
    DenoiseDone,
    Detect,
    Hold,
    Play,
    Prompt,
    Record,
    RecordCall,
    RecordDone,
    RecordStarted,
    Refer,
    Result,
    SendDigits,
    Sleep,
    Stopped,
    StopRecordCall,
    StopTap,
    Tap,
    TapStarted,
)
from cordboard.call.answering import AnsweredFirst, Answering
from cordboard.call.at_once import AtOnce, Refused
from cordboard.call.background import Awaiting, Background, Recorded, Tapped
from cordboard.call.collecting import Collecting
from cordboard.call.connect import ConnectMachine
from cordboard.call.detecting import Detecting
from cordboard.call.holding import Holding, Unholding
from cordboard.call.info import CallInfo
from cordboard.call.leg import Leg
from cordboard.call.listeners import RecordingOperation, TapOperation
from cordboard.call.peer import Peer
from cordboard.call.playback import Playback
from cordboard.call.pressing import Pressing
from cordboard.call.prompting import Prompting
from cordboard.call.referring import Referring
from cordboard.call.running import Operation, Running
from cordboard.call.sleeping import Sleeping

MAX_DURATION = 14_400.0
"""Seconds that an answered call with a driver may last, unless its `Answer` says otherwise."""

NO_DENOISER = "This server has no noise suppression built in: remove `denoise` from the document."

NO_SPEECH = "This server has no speech recognition built in: collect digits."
NO_DENOISE = "This server has no noise suppression built in."
ANSWER_FIRST = "The call is not answered: answer it first."
NOT_ANSWERED = "The call is not answered yet."
ENDING = "The call is ending."
ASKED = "The far end has not answered the last hold or unhold yet."


class Workshop:
    """Makes the machines of one call; they share its leg and its background."""

    __slots__ = ("_background", "_hold", "_info", "_leg", "_new_id", "max_duration")

    def __init__(self, info: CallInfo, leg: Leg, background: Background, new_id: Callable[[], str]) -> None:
        self._info = info
        self._leg = leg
        self._background = background
        self._new_id = new_id
        self._hold: Holding | Unholding | None = None
        """The last that was made."""
        self.max_duration = MAX_DURATION
        """Seconds that the call may last once it is answered; an `Answer` may say otherwise."""

    def machine(self, action: Any) -> Running:
        """The machine of one action, not started yet."""
        return _MACHINES[type(action)](self, action)

    def operation(self, action: Any) -> Operation:
        """The machine of one action of a client, not started yet; or one that is refused, with why."""
        make = _OPERATIONS.get(type(action))
        if make is None:
            return Refused("", "", "501", f"{type(action).__name__} is not an operation.")
        operation = make(self, action)
        problem = self._not_now(early=isinstance(action, (Play, Prompt)))
        if not problem or isinstance(operation, Refused):
            return operation
        return Refused(operation.kind, operation.control_id, "409", problem)

    def staying(self, peer: Peer) -> ConnectMachine:
        """For a call that `peer` transfers."""
        return ConnectMachine.staying(peer, self._info, self._leg, self._new_id)

    def _answer(self, action: Answer) -> Running:
        if self._leg.is_unanswered:
            self.max_duration = action.max_duration
        return Answering(self._leg, action.codecs)

    def _play(self, action: Play) -> Running:
        return Playback(action, self._leg, self._new_id)

    def _connect(self, action: Connect) -> Running:
        return ConnectMachine(action, self._info, self._leg, self._new_id)

    def _sleep(self, action: Sleep) -> Running:
        return Sleeping(action)

    def _prompt(self, action: Prompt) -> Running:
        return AnsweredFirst(self._leg, Prompting(action, self._new_id))

    def _send_digits(self, action: SendDigits) -> Running:
        return AnsweredFirst(self._leg, Pressing(action, self._new_id))

    def _denoise(self, action: Denoise) -> Running:
        done = DenoiseDone(state="failed", sentence=NO_DENOISER) if action.on else DenoiseDone(state="off")
        return AtOnce(done)

    def _record(self, action: Record) -> Running:
        item = Recorded(action, action.control_id or self._new_id())
        return self._begin(item, item.done, lambda sentence: RecordDone(ok=False, sentence=sentence))

    def _record_call(self, action: RecordCall) -> Running:
        item = Recorded(action, action.control_id or self._new_id())
        return self._begin(item, item.started, _not_started(RecordStarted, item.control_id))

    def _tap(self, action: Tap) -> Running:
        item = Tapped(action, action.control_id or self._new_id())
        return self._begin(item, item.started, _not_started(TapStarted, item.control_id))

    def _begin(
        self, item: Recorded | Tapped, outcome: Callable[[], Result | None], refused: Callable[[str], Result]
    ) -> Running:
        problem = self._background.problem(item.control_id)
        if problem:
            return AtOnce(refused(problem))
        return AnsweredFirst(self._leg, Awaiting(lambda: self._background.add(item), outcome))

    def _stop_record_call(self, action: StopRecordCall) -> Running:
        return self._stop(Recorded, action.control_id)

    def _stop_tap(self, action: StopTap) -> Running:
        return self._stop(Tapped, action.control_id)

    def _stop(self, kind: type[Recorded] | type[Tapped], control_id: str | None) -> Running:
        item = self._background.find(kind, control_id)
        if item is None:
            which = f" {control_id}" if control_id else ""
            sentence = f"No {kind.kind}{which} is running in the background."
            return AtOnce(Stopped(ok=False, control_id=control_id or "", sentence=sentence))
        return Awaiting(item.stop, item.stopped)

    # -------------------------------------------------- operations

    def _not_now(self, *, early: bool) -> str:
        """Why a call in this state cannot have an operation; `early`: it can be heard before the answer."""
        leg, inbound = self._leg, self._info.direction == "inbound"
        if not leg.is_up:
            return ENDING
        if leg.is_answered or (early and inbound):
            return ""
        return ANSWER_FIRST if inbound else NOT_ANSWERED

    def _play_operation(self, action: Play) -> Operation:
        if not action.items:
            return self._refused(action, Playback.kind, "400", "There is nothing to play.")
        return Playback(msgspec.structs.replace(action, auto_answer=False), self._leg, self._new_id)

    def _prompt_operation(self, action: Prompt) -> Operation:
        if action.speech is not None and action.digits is None:
            return self._refused(action, Prompting.kind, "501", NO_SPEECH)
        return Prompting(action, self._new_id, ears=self._leg)

    def _collect_operation(self, action: Collect) -> Operation:
        if action.speech is not None and action.digits is None:
            return self._refused(action, Collecting.kind, "501", NO_SPEECH)
        return Collecting(action)

    def _record_operation(self, action: Record | RecordCall) -> Operation:
        item = Recorded(action, action.control_id or self._new_id())
        return self._not_twice(RecordingOperation(item, self._background.lend))

    def _tap_operation(self, action: Tap) -> Operation:
        item = Tapped(action, action.control_id or self._new_id())
        return self._not_twice(TapOperation(item, self._background.lend))

    def _not_twice(self, operation: RecordingOperation | TapOperation) -> Operation:
        """A script's recordings and taps have control ids too."""
        problem = self._background.problem(operation.control_id)
        if not problem:
            return operation
        return Refused(operation.kind, operation.control_id, "409", problem)

    def _hold_operation(self, action: Hold) -> Operation:
        before, made = self._hold, Holding(self._new_id) if action.on else Unholding()
        if before is not None and before.is_asking:
            return Refused(made.kind, made.control_id, "409", ASKED)
        self._hold = made
        return made

    def _denoise_operation(self, action: Denoise) -> Operation:
        return Refused("denoise", "", "501", NO_DENOISE)

    def _refused(self, action: Play | Prompt | Collect, kind: str, code: str, sentence: str) -> Operation:
        return Refused(kind, action.control_id or self._new_id(), code, sentence)


def _not_started(result: type[RecordStarted] | type[TapStarted], control_id: str) -> Callable[[str], Result]:
    return lambda sentence: result(ok=False, control_id=control_id, sentence=sentence)


_MACHINES: dict[type, Callable[[Workshop, Any], Running]] = {
    Answer: Workshop._answer,
    Play: Workshop._play,
    Connect: Workshop._connect,
    Sleep: Workshop._sleep,
    Prompt: Workshop._prompt,
    SendDigits: Workshop._send_digits,
    Denoise: Workshop._denoise,
    Record: Workshop._record,
    RecordCall: Workshop._record_call,
    StopRecordCall: Workshop._stop_record_call,
    Tap: Workshop._tap,
    StopTap: Workshop._stop_tap,
}

_OPERATIONS: dict[type, Callable[[Workshop, Any], Operation]] = {
    Play: Workshop._play_operation,
    Prompt: Workshop._prompt_operation,
    Collect: Workshop._collect_operation,
    Detect: lambda workshop, action: Detecting(action),
    Record: Workshop._record_operation,
    RecordCall: Workshop._record_operation,
    Tap: Workshop._tap_operation,
    SendDigits: lambda workshop, action: Pressing(action, workshop._new_id),
    Refer: lambda workshop, action: Referring(action),
    Hold: Workshop._hold_operation,
    Denoise: Workshop._denoise_operation,
}

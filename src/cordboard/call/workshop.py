"""Where actions become machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import (
    Answer,
    Connect,
    Denoise,
    DenoiseDone,
    Play,
    Prompt,
    Record,
    RecordCall,
    RecordDone,
    RecordStarted,
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
from cordboard.call.at_once import AtOnce
from cordboard.call.background import Awaiting, Background, Recorded, Tapped
from cordboard.call.connect import ConnectMachine
from cordboard.call.info import CallInfo
from cordboard.call.leg import Leg
from cordboard.call.peer import Peer
from cordboard.call.playback import Playback
from cordboard.call.pressing import Pressing
from cordboard.call.prompting import Prompting
from cordboard.call.running import Running
from cordboard.call.sleeping import Sleeping

MAX_DURATION = 14_400.0
"""Seconds that an answered call with a driver may last, unless its `Answer` says otherwise."""

NO_DENOISER = "This server has no noise suppression built in: remove `denoise` from the document."


class Workshop:
    """Makes the machines of one call; they share its leg and its background."""

    __slots__ = ("_background", "_info", "_leg", "_new_id", "max_duration")

    def __init__(self, info: CallInfo, leg: Leg, background: Background, new_id: Callable[[], str]) -> None:
        self._info = info
        self._leg = leg
        self._background = background
        self._new_id = new_id
        self.max_duration = MAX_DURATION
        """Seconds that the call may last once it is answered; an `Answer` may say otherwise."""

    def machine(self, action: Any) -> Running:
        """The machine of one action, not started yet."""
        return _MACHINES[type(action)](self, action)

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

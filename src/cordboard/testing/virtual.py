"""Calls in virtual time: the heart of the server with a clock that jumps and far ends that follow a script.

plan = ConnectPlan(groups=((Destination(kind="sip", to="sip:b1@h"),),))
far_end = FarEnd((1.0, 180), (3.0, 200), (20.0, "bye"))
shell = run_call([Connect(plan=plan)], {"sip:b1@h": far_end})
assert shell.told("a") == ["created", "connecting", "answered", "connected", "disconnected", "ended"]
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from cordboard.call.actions import (
    Action,
    DocumentFailed,
    DocumentFetched,
    Driver,
    Evaluate,
    Evaluated,
    FetchDocument,
    Finished,
    Request,
    RequestAnswered,
    SendRequest,
)
from cordboard.call.call import Call
from cordboard.call.commands import Command
from cordboard.call.effects import (
    AnswerLeg,
    AskShell,
    CallOver,
    CommandAnswered,
    Dial,
    Effect,
    EndLeg,
    HoldLeg,
    Join,
    PassDigit,
    PausePlay,
    PauseRecording,
    PlayTo,
    ReferLeg,
    Report,
    ReportTransfer,
    ResumePlay,
    ResumeRecording,
    RingLeg,
    SendDigitsTo,
    SetPlayVolume,
    StartDetector,
    StartRecording,
    StartTap,
    StopDetector,
    StopPlay,
    StopRecording,
    StopTap,
    TellCall,
    Unjoin,
)
from cordboard.call.facts import (
    Commanded,
    ControlTaken,
    DriverReply,
    Fact,
    HoldAnswered,
    ReferProgressed,
)
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.plan import ConnectPlan
from cordboard.testing.recording_legs import Caller, FarEnd, RecordingLegs, Seen
from cordboard.testing.virtual_info import ListDriver, caller_info, confirm_driver, dialled_info
from cordboard.testing.virtual_media import VirtualMedia
from cordboard.testing.virtual_time import VirtualTime

_MEDIA = (
    PlayTo,
    StopPlay,
    PausePlay,
    ResumePlay,
    SetPlayVolume,
    PassDigit,
    SendDigitsTo,
    StartRecording,
    StopRecording,
    PauseRecording,
    ResumeRecording,
    StartTap,
    StopTap,
    StartDetector,
    StopDetector,
)

__all__ = [
    "Caller",
    "FarEnd",
    "ListDriver",
    "RecordingLegs",
    "Seen",
    "Told",
    "VirtualShell",
    "VirtualTime",
    "caller_info",
    "dialled_info",
    "run_call",
]


class Told(msgspec.Struct, frozen=True):
    """One report, as the listeners got it."""

    at: float
    call_id: str
    report: Report


class VirtualShell:
    """Runs calls as the server does: one queue of facts, one fact at a time, one timer a call."""

    def __init__(
        self,
        time: VirtualTime,
        legs: RecordingLegs,
        *,
        documents: Mapping[str, bytes] | None = None,
        evaluate: Callable[[str, dict[str, Any]], Any] = lambda expression, bindings: None,
        audio_seconds: float = 2.0,
    ) -> None:
        """`documents` by URL; an audio item whose URL contains `missing` cannot be played.

        The `document` of a confirm is a list of steps for a `ListDriver`; one that is given by URL is a list
        of one `FetchDocument`, and fails where `documents` does not have it.
        """
        self.time = time
        self.legs = legs
        self.calls: dict[str, Call] = {}
        self.dials: dict[str, OutgoingDial] = {}
        self.answers: list[tuple[str, CommandAnswered]] = []
        """(call id, answer) of the commands, in order."""
        self.drivers: dict[str, Driver] = {}
        self.reports: list[Told] = []
        self.effects: list[tuple[str, Effect]] = []
        self.joined: set[frozenset[str]] = set()
        self.most_joins = 0
        self._documents = documents or {}
        self._evaluate = evaluate
        self.media = VirtualMedia(time, self.deliver, audio_seconds)
        self._queue: deque[tuple[str, Fact]] = deque()
        self._ids = itertools.count(1)
        self._alarms: dict[str, float] = {}
        self._draining = False
        legs.deliver = self.deliver

    # ---------------------------------------- going in

    def call_in(self, driver: Driver | None, caller: Caller | None = None, call_id: str = "a") -> Call:
        """A caller's INVITE arrives now."""
        call = Call(info=caller_info(call_id), driver=driver, new_id=self._new_id)
        self.calls[call_id] = call
        if driver is not None:
            self.drivers[call_id] = driver
        self.legs.call_in(call_id, caller or Caller())
        self._carry_out(call_id, call.start(self.time.now))
        self._drain()
        return call

    def offer(self, owner: str, caller: Caller | None = None, call_id: str = "a") -> Call:
        """A caller's INVITE arrives now, and is for a client to take."""
        call = self.call_in(None, caller, call_id)
        self.deliver(call_id, ControlTaken(owner=owner))
        return call

    def dial(
        self,
        plan: ConnectPlan,
        *,
        owner: str | None = None,
        driver: Driver | None = None,
        first_call_id: str | None = None,
        dial_id: str = "dial",
        tag: str | None = None,
    ) -> OutgoingDial:
        """A client or a program dials."""
        info = msgspec.structs.replace(
            caller_info(dial_id),
            direction="outbound",
            type="",
            from_="+15550100003",
            to="",
            owner=owner,
            tag=tag,
        )
        dial = OutgoingDial(
            info=info, plan=plan, driver=driver, first_call_id=first_call_id, new_id=self._new_id
        )
        self.dials[dial_id] = dial
        self._carry_out(dial_id, dial.start(self.time.now))
        self._drain()
        return dial

    def command(self, call_id: str, command: Command) -> str:
        """A client asks something of a call; the ticket, by which `answer` finds what it said."""
        ticket = f"t{self._new_id()}"
        self.deliver(call_id, Commanded(ticket=ticket, command=command))
        return ticket

    def answer(self, ticket: str) -> CommandAnswered:
        """To one command: there is exactly one."""
        (answer,) = [answer for _, answer in self.answers if answer.ticket == ticket]
        return answer

    def deliver(self, call_id: str, fact: Fact) -> None:
        """Put a fact into a call's queue."""
        self._queue.append((call_id, fact))
        self._drain()

    def told(self, call_id: str) -> list[str]:
        """The states that were reported about one call, in order."""
        return [_word(told.report) for told in self.reports if told.call_id == call_id]

    def open_calls(self) -> list[str]:
        """Calls that are not over."""
        return [actor_id for actor_id, actor in self._actors() if not actor.is_over]

    def _actors(self) -> list[tuple[str, Call | OutgoingDial]]:
        return [*self.calls.items(), *self.dials.items()]

    def _actor(self, actor_id: str) -> Call | OutgoingDial | None:
        return self.calls.get(actor_id) or self.dials.get(actor_id)

    def _new_id(self) -> str:
        return f"id{next(self._ids)}"

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        while self._queue:
            call_id, fact = self._queue.popleft()
            call = self._actor(call_id)
            if call is not None and not call.is_over:
                self._carry_out(call_id, call.handle(fact, self.time.now))
        self._draining = False

    def _wake(self, call_id: str) -> None:
        self._alarms.pop(call_id, None)
        call = self._actor(call_id)
        assert call is not None
        due = call.next_timeout()
        if due is not None and due <= self.time.now:
            self._carry_out(call_id, call.handle_timeout(self.time.now))
        else:
            self._carry_out(call_id, [])
        self._drain()

    # ---------------------------------------- going out

    def _carry_out(self, call_id: str, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects.append((call_id, effect))
            self._do(call_id, effect)
        call = self._actor(call_id)
        due = call.next_timeout() if call is not None else None
        if due is not None and self._alarms.get(call_id) != due:
            self._alarms[call_id] = due
            self.time.at(due, lambda: self._wake(call_id))

    def _do(self, call_id: str, effect: Effect) -> None:
        if isinstance(effect, (RingLeg, AnswerLeg, EndLeg, ReportTransfer)):
            self.legs.carry_out(call_id, effect)
        elif isinstance(effect, TellCall):
            self._queue.append((effect.call_id, effect.fact))
        elif isinstance(effect, Report):
            self.reports.append(Told(self.time.now, call_id, effect))
        elif isinstance(effect, Dial):
            self._dial(call_id, effect)
        elif isinstance(effect, (Join, Unjoin)):
            self._join(effect)
        elif isinstance(effect, AskShell):
            self._reply(call_id, effect)
        elif isinstance(effect, _MEDIA):
            self.media.carry_out(call_id, effect)
        elif isinstance(effect, CommandAnswered):
            self.answers.append((call_id, effect))
        elif isinstance(effect, (ReferLeg, HoldLeg)):
            self._ask_far_end(call_id, effect)
        else:
            assert isinstance(effect, CallOver)

    def _ask_far_end(self, call_id: str, effect: ReferLeg | HoldLeg) -> None:
        """The far end takes whatever it is asked."""
        after = self.legs.round_trip
        if isinstance(effect, HoldLeg):
            self.time.after(after, lambda: self.deliver(call_id, HoldAnswered(held=effect.on)))
            return
        taken = ReferProgressed(refer_code=202)
        done = ReferProgressed(refer_code=202, notify_code=200, is_final=True)
        self.time.after(after, lambda: self.deliver(call_id, taken))
        self.time.after(2 * after + 0.5, lambda: self.deliver(call_id, done))

    def _dial(self, parent: str, dial: Dial) -> None:
        info = dialled_info(dial)
        if parent in self.dials:
            info.parent_call_id = None
        self.calls[dial.call_id] = call = Call(
            info=info,
            driver=confirm_driver(dial),
            parent=dial.parent,
            call_state_url=dial.destination.call_state_url,
            call_state_events=dial.destination.call_state_events,
            destination=dial.destination,
            confirm_timeout=dial.destination.confirm.timeout if dial.destination.confirm else None,
            new_id=self._new_id,
        )
        self.legs.dial(dial)
        self._carry_out(dial.call_id, call.start(self.time.now))

    def _join(self, effect: Join | Unjoin) -> None:
        pair = frozenset((effect.a, effect.b))
        if isinstance(effect, Unjoin):
            self.joined.discard(pair)
        else:
            self.joined = {other for other in self.joined if not other & pair} | {pair}
            self.most_joins = max(self.most_joins, len(self.joined))

    def _reply(self, call_id: str, ask: AskShell) -> None:
        reply = DriverReply(ticket=ask.ticket, result=self._answer_to(ask.request))
        self.time.after(self.legs.round_trip, lambda: self.deliver(call_id, reply))

    def _answer_to(
        self, request: Evaluate | FetchDocument | SendRequest
    ) -> Evaluated | DocumentFetched | DocumentFailed | RequestAnswered:
        if isinstance(request, SendRequest):
            return RequestAnswered(url=request.url, status=200)
        if isinstance(request, Evaluate):
            return Evaluated(value=self._evaluate(request.expression, request.bindings))
        body = self._documents.get(request.url)
        if body is None:
            return DocumentFailed(url=request.url, sentence=f"{request.url} answered 404.")
        return DocumentFetched(url=request.url, body=body)


def run_call(
    steps: Iterable[Action | Request | Finished],
    far_ends: Mapping[str, FarEnd] | None = None,
    *,
    caller: Caller | None = None,
    round_trip: float = 0.02,
    until: float | None = None,
) -> VirtualShell:
    """One call, `"a"`, through a list of steps: `until` a time, or to the end of all that follows."""
    time = VirtualTime()
    shell = VirtualShell(time, RecordingLegs(time, far_ends or {}, round_trip=round_trip))
    shell.call_in(ListDriver(steps), caller)
    time.run(until)
    return shell


def _word(report: Report) -> str:
    return str(getattr(report.happening, "state", "warning"))

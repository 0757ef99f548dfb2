"""Calls in virtual time that a client controls, and what can be asked about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Answer, CallInfo, Play, PlayItem, Record, Recording
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, DialStateChanged
from cordboard.call.facts import Fact
from cordboard.call.reasons import ending
from cordboard.testing.virtual import Caller, FarEnd, RecordingLegs, VirtualShell, VirtualTime

OWNER = "client"
GONE = ending("client_gone", who="the caller")
SILENCE = (PlayItem(kind="silence", duration=2.0),)
TALKS = FarEnd((0.1, 180), (1.0, 200))
"""Rings, answers, and never hangs up."""

At = tuple[float, str, Any]
"""When, to what call (its id, or what was dialled), a command or a fact."""


def play(control_id: str = "p", **more: Any) -> Play:
    return Play(items=SILENCE, control_id=control_id, **more)


def record(control_id: str = "r") -> Record:
    return Record(recording=Recording(), control_id=control_id)


class Client:
    """Does what it is told when it is told."""

    def __init__(self, far_ends: dict[str, FarEnd] | None = None, *, round_trip: float = 0.02) -> None:
        self.time = VirtualTime()
        self.shell = VirtualShell(self.time, RecordingLegs(self.time, far_ends or {}, round_trip=round_trip))
        self.tickets: list[str] = []

    def has_call(self, caller: Caller | None = None, *, answered: bool = True) -> Client:
        """An inbound call, `a`, is offered to it at 0."""
        self.shell.offer(OWNER, caller)
        if answered:
            self.shell.command("a", Answer())
        return self

    def dials(self, plan: Any, **more: Any) -> Client:
        self.shell.dial(plan, owner=OWNER, **more)
        return self

    def does(self, *what: At, until: float | None = None) -> Client:
        for when, who, wish in what:
            self.time.at(when, self._doing(who, wish))
        self.time.run(until)
        return self

    def said(self) -> list[str]:
        """The codes of the answers to what `does` asked, in order of asking."""
        return [self.shell.answer(ticket).code for ticket in self.tickets]

    def why(self, number: int = -1) -> str:
        """What an answer says."""
        return self.shell.answer(self.tickets[number]).message

    def call_id(self, who: str) -> str:
        return self.shell.legs.call_id_of(who)

    def info(self, who: str) -> CallInfo:
        return self.shell.calls[self.call_id(who)].info

    def told(self, who: str = "a") -> list[str]:
        return self.shell.told(self.call_id(who))

    def connects(self, who: str = "a") -> list[str]:
        return [happening.state for happening in self.connect_reports(who)]

    def connect_reports(self, who: str = "a") -> list[ConnectStateChanged]:
        return [h for h in self._happenings(who) if isinstance(h, ConnectStateChanged)]

    def last(self) -> float:
        """When the last report was made."""
        return self.shell.reports[-1].at

    def dial(self) -> DialStateChanged:
        """The last that was told of the dial."""
        happening = self._happenings("dial")[-1]
        assert isinstance(happening, DialStateChanged)
        return happening

    def end(self, who: str = "a") -> str:
        """The cause of a call's end; empty if it is up."""
        states = [h for h in self._happenings(who) if isinstance(h, CallStateChanged)]
        return states[-1].ending.cause if states[-1].ending is not None else ""

    def _happenings(self, who: str) -> list[Any]:
        call_id = self.call_id(who)
        return [told.report.happening for told in self.shell.reports if told.call_id == call_id]

    def _doing(self, who: str, wish: Any) -> Callable[[], None]:
        def do() -> None:
            if type(wish).__module__.endswith(".facts"):
                fact: Fact = wish
                self.shell.deliver(self.call_id(who), fact)
            else:
                self.tickets.append(self.shell.command(self.call_id(who), wish))

        return do

"""Commands have one answer each, whatever becomes of their call; a defect in a dial costs only that dial."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from typing import Any

import pytest

from cordboard.call.actions import CallInfo, Sleep
from cordboard.call.call import Call
from cordboard.call.commands import Disconnect
from cordboard.call.effects import (
    AnswerLeg,
    CallOver,
    CallStateChanged,
    CommandAnswered,
    Dial,
    DialStateChanged,
    Effect,
    EndLeg,
    Report,
    TellCall,
)
from cordboard.call.facts import HangupRequested, LegAnswered, LegEnded, LegRinging
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import ending
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.control import Control
from cordboard.server.new_calls import NewCalls
from cordboard.server.switchboard import Actor, Switchboard
from cordboard.testing.virtual import ListDriver

END = ending("server_stopping")
OWNER = "a client"


class Desk:
    """A control with its switchboard, and a shell that keeps a record.  `fails_at`: (call id, effect)."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Effect]] = []
        self.fails_at: tuple[str, type] | None = None
        self.board = Switchboard(defaultdict(lambda: self.perform))
        ids = itertools.count()
        self.new_calls = NewCalls(
            envs={},
            new_id=lambda: f"id-{next(ids)}",
            domain="h",
            node_id="n",
            space_id="s",
            compiled=CompiledDocuments(),
        )
        self.control = Control(self.board, self.new_calls, lambda: f"ticket-{next(ids)}")
        self.answers: list[tuple[str, str]] = []

    def perform(self, call: Actor, effect: Effect) -> None:
        call_id = call.info.call_id
        if self.fails_at is not None and call_id == self.fails_at[0] and isinstance(effect, self.fails_at[1]):
            self.fails_at = None
            raise ZeroDivisionError("a defect")
        self.done.append((call_id, effect))
        if isinstance(effect, EndLeg):
            self.board.post(call_id, LegEnded(ending=effect.ending))
        elif isinstance(effect, AnswerLeg):
            self.board.post(call_id, LegAnswered())
        elif isinstance(effect, TellCall):
            self.board.post(effect.call_id, effect.fact)
        elif isinstance(effect, Dial):
            self.board.start(self.new_calls.dialled(call.info, effect))
        elif isinstance(effect, CommandAnswered):
            self.control.answered(call, effect)
        elif isinstance(effect, CallOver):
            self.board.forget(call_id)

    def start(self, call_id: str) -> Call:
        """An inbound call that a client controls."""
        info = CallInfo(
            call_id=call_id,
            node_id="n",
            segment_id="s",
            project_id="p",
            space_id="s",
            session_id="session",
            call_state="created",
            direction="inbound",
            type="sip",
            from_="sip:a@h",
            to="sip:b@h",
            owner=OWNER,
        )
        call = Call(info=info, driver=ListDriver([Sleep(seconds=None)]), new_id=lambda: "id")
        self.board.start(call)
        return call

    def ask(self, call_id: str, name: str) -> None:
        def answered(answer: CommandAnswered) -> None:
            self.answers.append((name, answer.code))

        self.control.command(call_id, Disconnect(), answered)

    def dial(self, *groups: int) -> str:
        """Groups of so many destinations; the id of the dial."""
        plan = ConnectPlan(
            groups=tuple(
                tuple(Destination(kind="sip", to=f"sip:b{at}@h", from_="sip:a@h") for at in range(size))
                for size in groups
            )
        )
        return self.control.dial(plan, project_id="p", owner=OWNER, tag="tag")

    def reports(self, call_id: str) -> list[tuple[str, str]]:
        """(state, cause) of a call or of a dial."""
        told = [effect for whose, effect in self.done if whose == call_id and isinstance(effect, Report)]
        return [
            (report.happening.state, report.happening.ending.cause if report.happening.ending else "")
            for report in told
            if isinstance(report.happening, CallStateChanged | DialStateChanged)
        ]


@pytest.fixture
async def desk() -> Desk:
    return Desk()


# ---------------------------------------------------------------- tickets


async def test_a_command_is_answered_once_by_its_call(desk: Desk) -> None:
    desk.start("a")
    desk.ask("a", "one")
    assert [name for name, _ in desk.answers] == ["one"]
    assert len(desk.control) == 0


async def test_a_command_to_nobody_is_answered_at_once(desk: Desk) -> None:
    desk.ask("nobody", "one")
    assert desk.answers == [("one", "404")]
    assert len(desk.control) == 0


async def test_a_command_behind_the_end_of_its_call_is_answered_when_the_call_is_forgotten(
    desk: Desk,
) -> None:
    desk.start("a")
    desk.board._queue += [("a", HangupRequested(ending=END)), ("a", LegEnded(ending=END))]
    desk.ask("a", "late")
    assert desk.answers == [("late", "404")]
    assert desk.reports("a")[-1] == ("ended", "server_stopping")
    assert len(desk.control) == 0


async def test_the_commands_that_wait_for_a_call_that_fails_are_answered(desk: Desk) -> None:
    desk.start("a")
    desk.start("other")
    desk.fails_at = ("a", CommandAnswered)
    desk.board._draining = True
    desk.ask("other", "other")
    for name in ("one", "two"):
        desk.ask("a", name)
    assert len(desk.control) == 3
    desk.board._draining = False
    desk.board._drain()
    # The first fails as it is answered, the second is still in the queue then.
    assert [answer for answer in desk.answers if answer[0] != "other"] == [("one", "404"), ("two", "404")]
    assert len(desk.answers) == 3
    assert len(desk.control) == 0
    assert desk.board.defects == 1
    assert [call.info.call_id for call in desk.board.calls()] == ["other"]


async def test_whoever_waits_and_fails_costs_no_call(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def broken(answer: CommandAnswered) -> None:
        raise KeyError("a defect of whoever asked")

    desk.start("a")
    with caplog.at_level(logging.ERROR):
        desk.control.command("a", Disconnect(), broken)
    assert "a defect of whoever asked" in caplog.text
    assert desk.board.defects == 1
    assert desk.board.call("a") is not None
    desk.board._queue += [("a", HangupRequested(ending=END)), ("a", LegEnded(ending=END))]
    desk.control.command("a", Disconnect(), broken)
    assert desk.board.defects == 2
    assert desk.reports("a")[-1] == ("ended", "server_stopping")


# ---------------------------------------------------------------- dials


def legs(desk: Desk) -> list[str]:
    return [call.info.call_id for call in desk.board.calls()]


async def test_a_dial_hears_of_a_leg_whose_code_fails_and_goes_on_to_the_next(desk: Desk) -> None:
    dial = desk.dial(1, 1)
    [first] = legs(desk)
    desk.fails_at = (first, Report)
    desk.board.post(first, LegRinging())
    assert desk.board.defects == 1
    [second] = legs(desk)
    assert second != first
    desk.fails_at = (second, Report)
    desk.board.post(second, LegRinging())
    assert desk.reports(dial) == [("dialing", ""), ("failed", "internal_error")]
    assert len(desk.board) == 0


async def test_a_dial_whose_own_code_fails_is_reported_as_a_dial_and_its_legs_end(desk: Desk) -> None:
    dial = desk.dial(2)
    ringing = legs(desk)
    desk.start("other")
    desk.fails_at = (dial, TellCall)
    desk.board.post(dial, HangupRequested(ending=END))
    assert desk.board.defects == 1
    assert legs(desk) == ["other"]
    for leg in ringing:
        assert desk.reports(leg)[-1] == ("ended", "internal_error")
    assert [effect for whose, effect in desk.done if whose == dial and isinstance(effect, EndLeg)] == []


async def test_a_dial_that_fails_while_it_begins_is_told_as_failed(desk: Desk) -> None:
    made: list[Any] = []
    original = desk.new_calls.dialled

    def broken(parent: CallInfo, effect: Dial) -> Call:
        made.append(effect)
        if len(made) == 2:
            raise ZeroDivisionError("a defect")
        return original(parent, effect)

    desk.new_calls.dialled = broken  # type: ignore[method-assign]
    dial = desk.dial(2)
    assert desk.reports(dial) == [("dialing", ""), ("failed", "internal_error")]
    assert len(desk.board) == 0
    assert desk.board.defects == 1


async def test_the_winner_of_a_dial_outlives_it_and_is_nobodys_leg(desk: Desk) -> None:
    dial = desk.dial(2)
    first, second = legs(desk)
    desk.board.post(first, LegAnswered())
    assert desk.reports(dial) == [("dialing", ""), ("answered", "")]
    assert desk.reports(second)[-1] == ("ended", "lost_race")
    desk.fails_at = (first, EndLeg)
    desk.board.post(first, HangupRequested(ending=END))
    assert desk.board.defects == 1
    assert len(desk.board) == 0

"""The queue of facts: order, timers, calls that are gone, and a call whose own code fails."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

import pytest

from cordboard.call.actions import Answer, CallInfo, Driver, Finished, Result, Sleep, Turn
from cordboard.call.call import Call
from cordboard.call.effects import AnswerLeg, CallOver, CallStateChanged, Effect, EndLeg, Report, TellCall
from cordboard.call.facts import DigitReceived, HangupRequested, LegAnswered, LegEnded, PeerEnded
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.server.runner import Runner
from cordboard.server.switchboard import Switchboard
from cordboard.testing.virtual import ListDriver

END = ending("server_stopping")
STATE_URL = "http://127.0.0.1/state"


def info(call_id: str, *, parent: str | None = None) -> CallInfo:
    return CallInfo(
        call_id=call_id,
        node_id="n",
        segment_id="s",
        project_id="p",
        space_id="s",
        session_id="session",
        call_state="created",
        direction="outbound" if parent else "inbound",
        type="sip",
        from_="sip:a@h",
        to="sip:b@h",
        parent_call_id=parent,
    )


class Shell:
    """Performs as the exchange does, and keeps a record.  `fails_at` makes an effect of a call fail."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Effect]] = []
        self.fails_at: tuple[str, type] | None = None
        self.board = Switchboard(defaultdict(lambda: self.perform))

    def perform(self, call: Call, effect: Effect) -> None:
        call_id = call.info.call_id
        if self.fails_at is not None and call_id == self.fails_at[0] and isinstance(effect, self.fails_at[1]):
            raise ZeroDivisionError("a defect")
        self.done.append((call_id, effect))
        if isinstance(effect, EndLeg):
            self.board.post(call_id, LegEnded(ending=effect.ending))
        elif isinstance(effect, AnswerLeg):
            self.board.post(call_id, LegAnswered())
        elif isinstance(effect, TellCall):
            self.board.post(effect.call_id, effect.fact)
        elif isinstance(effect, CallOver):
            self.board.forget(call_id)

    def start(self, call_id: str, driver: Driver | None = None, *, parent: str | None = None) -> Call:
        destination = Destination(
            kind="sip", to="sip:b@h", call_state_url=STATE_URL, call_state_events=frozenset({"ended"})
        )
        call = Call(
            info=info(call_id, parent=parent),
            driver=driver or ListDriver([Sleep(seconds=None)]),
            parent=parent,
            destination=destination if parent else None,
            new_id=lambda: "id",
        )
        self.board.start(call)
        return call

    def effects(self, call_id: str) -> list[Effect]:
        return [effect for whose, effect in self.done if whose == call_id]

    def states(self, call_id: str) -> list[str]:
        reports = [effect for effect in self.effects(call_id) if isinstance(effect, Report)]
        return [
            report.happening.state for report in reports if isinstance(report.happening, CallStateChanged)
        ]


@pytest.fixture
async def shell() -> Shell:
    return Shell()


async def test_facts_are_taken_one_after_the_other_although_each_causes_others(shell: Shell) -> None:
    shell.start("a", ListDriver([Answer(), Sleep(seconds=None)]))
    assert shell.states("a") == ["created", "answered"]
    shell.board.post("a", HangupRequested(ending=END))
    assert shell.states("a") == ["created", "answered", "ended"]
    assert isinstance(shell.effects("a")[-1], CallOver)
    assert len(shell.board) == 0


async def test_a_fact_for_a_call_that_is_gone_is_dropped(shell: Shell) -> None:
    shell.board.post("nobody", HangupRequested(ending=END))
    call = shell.start("a")
    shell.board.post("a", HangupRequested(ending=END))
    before = len(shell.done)
    shell.board.post("a", DigitReceived(digit="1", duration_ms=100))
    assert len(shell.done) == before
    assert call.is_over
    assert shell.board.call("a") is None


async def test_the_timer_of_a_call_keeps_its_place_in_the_queue(shell: Shell) -> None:
    shell.start("a", ListDriver([Sleep(seconds=0.01)]))
    assert len(shell.board) == 1
    async with asyncio.timeout(2.0):
        await shell.board.empty()
    assert shell.states("a") == ["created", "ended"]


async def test_a_call_that_is_gone_has_no_timer_left(shell: Shell) -> None:
    shell.start("a", ListDriver([Sleep(seconds=0.01)]))
    shell.board.forget("a")
    await asyncio.sleep(0.03)
    assert shell.states("a") == ["created"]


async def test_hanging_up_all_ends_every_call_with_the_reason(shell: Shell) -> None:
    for call_id in ("a", "b", "c"):
        shell.start(call_id)
    shell.board.hang_up_all(END)
    async with asyncio.timeout(1.0):
        await shell.board.empty()
    assert shell.board.calls() == []
    assert [shell.states(call_id)[-1] for call_id in ("a", "b", "c")] == ["ended"] * 3


async def test_an_empty_board_is_empty_at_once(shell: Shell) -> None:
    async with asyncio.timeout(1.0):
        await shell.board.empty()


# ---------------------------------------------------------------- defects


class FailingDriver:
    """Raises when it is resumed."""

    def start(self) -> Turn:
        return Turn(Answer())

    def resume(self, result: Result) -> Turn:
        raise KeyError("a defect of the driver")

    def variables(self) -> dict[str, Any]:
        return {}


async def test_a_call_whose_code_fails_is_ended_and_no_other(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    shell.start("other")
    with caplog.at_level(logging.ERROR):
        shell.start("a", FailingDriver())
    assert shell.board.defects == 1
    assert "a defect of the driver" in caplog.text
    [end] = [effect for effect in shell.effects("a") if isinstance(effect, EndLeg)]
    assert (end.ending.cause, end.sip_code) == ("internal_error", 500)
    assert shell.states("a")[-1] == "ended"
    assert isinstance(shell.effects("a")[-1], CallOver)
    assert [call.info.call_id for call in shell.board.calls()] == ["other"]


async def test_the_parent_and_the_children_of_a_buried_call_hear_of_its_end(shell: Shell) -> None:
    told: list[tuple[str, object]] = []
    shell.start("parent")
    shell.start("child", parent="a")
    original = shell.board._take

    def take(runner: Runner, fact: Any) -> None:
        told.append((runner.call.info.call_id, fact))
        original(runner, fact)

    shell.board._take = take  # type: ignore[method-assign]
    shell.fails_at = ("a", AnswerLeg)
    shell.start("a", ListDriver([Answer()]), parent=None)
    hangups = [fact for call_id, fact in told if call_id == "child" and isinstance(fact, HangupRequested)]
    assert [fact.ending.cause for fact in hangups] == ["internal_error"]
    shell.fails_at = ("b", Report)
    shell.start("b", parent="parent")
    ends = [fact for call_id, fact in told if call_id == "parent" and isinstance(fact, PeerEnded)]
    assert [(fact.call_id, fact.ending.cause) for fact in ends] == [("b", "internal_error")]


async def test_the_last_event_of_a_buried_call_goes_where_it_was_wanted(shell: Shell) -> None:
    shell.fails_at = ("b", TellCall)
    shell.start("b", parent="parent")
    shell.board.post("b", LegAnswered())
    last = [effect for effect in shell.effects("b") if isinstance(effect, Report)][-1]
    assert last.callback_url == STATE_URL


async def test_a_call_that_fails_after_its_last_event_does_not_send_it_twice(shell: Shell) -> None:
    shell.fails_at = ("a", CallOver)
    shell.start("a")
    shell.board.post("a", HangupRequested(ending=END))
    assert shell.states("a") == ["created", "ended"]
    assert len(shell.board) == 0


async def test_a_performer_that_always_fails_leaves_nothing_behind(shell: Shell) -> None:
    shell.fails_at = ("a", object)
    shell.start("a")
    assert len(shell.board) == 0
    async with asyncio.timeout(1.0):
        await shell.board.empty()


async def test_a_script_that_ends_at_once_ends_its_call(shell: Shell) -> None:
    shell.start("a", ListDriver([Finished()]))
    assert shell.states("a") == ["created", "ended"]

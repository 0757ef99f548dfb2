"""The life of one call and its driver's actions, fact by fact."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

from cordboard.call.actions import (
    Action,
    Answer,
    CallInfo,
    Connect,
    Done,
    Finished,
    Hangup,
    Request,
    Result,
    Turn,
)
from cordboard.call.call import Call
from cordboard.call.effects import AnswerLeg, CallOver, Dial, Effect, EndLeg, Join
from cordboard.call.facts import LegAnswered, LegEnded, PeerAnswered, PeerEnded
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import ending


class ListDriver:
    """A driver that asks for a list of things and keeps the results."""

    def __init__(self, steps: Iterable[Action | Request | Finished]) -> None:
        self._steps = iter(steps)
        self.results: list[Result] = []

    def start(self) -> Turn:
        return Turn(next(self._steps, Finished()))

    def resume(self, result: Result) -> Turn:
        self.results.append(result)
        return Turn(next(self._steps, Finished()))

    def variables(self) -> dict[str, object]:
        return {}


def inbound(*steps: Action | Request | Finished) -> tuple[Call, ListDriver]:
    driver = ListDriver(steps)
    ids = (f"id-{number}" for number in itertools.count(1))
    info = CallInfo(
        call_id="a",
        node_id="n",
        segment_id="a",
        project_id="p",
        space_id="s",
        session_id="x",
        call_state="created",
        direction="inbound",
        type="phone",
        from_="+15550100001",
        to="+15550100002",
    )
    return Call(info=info, driver=driver, new_id=lambda: next(ids)), driver


T = TypeVar("T")


def only(kind: type[T], effects: list[Effect]) -> T:
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, effects
    return found[0]


B1 = Destination(kind="sip", to="sip:b1@h")


def test_a_script_answers_connects_and_hangs_up() -> None:
    call, driver = inbound(Answer(), Connect(plan=ConnectPlan(groups=((B1,),))), Hangup())
    only(AnswerLeg, call.start(0.0))
    dial = only(Dial, call.handle(LegAnswered(), 0.1))
    assert only(Join, call.handle(PeerAnswered(call_id=dial.call_id), 1.0)) == Join(a="a", b=dial.call_id)
    bye = only(EndLeg, call.handle(PeerEnded(call_id=dial.call_id, ending=ending("hangup_far_end")), 5.0))
    assert bye.q850 == 16
    assert call.handle(LegEnded(ending=bye.ending), 5.1)[-1] == CallOver()
    assert driver.results[0] == Done()
    assert call.is_over
    assert call.next_timeout() is None

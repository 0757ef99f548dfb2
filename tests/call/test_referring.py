"""A client's `Refer`: how the far end's new call goes, to one last word."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Refer
from cordboard.call.effects import ReferLeg
from cordboard.call.facts import ReferProgressed
from cordboard.call.reasons import ending

from .operating import Bench, operation

TARGET = Refer(to="sip:bob@h", headers=(("X-A", "1"),), username="u", password="p")


def referring() -> Bench:
    return Bench(operation(TARGET))


def says(refer: int | None, notify: int | None = None, *, final: bool = False, why: str = "") -> Any:
    """`why`: a cause."""
    failure = ending(why, who="ann") if why else None
    return ReferProgressed(refer_code=refer, notify_code=notify, is_final=final, ending=failure)


def test_the_far_end_is_asked() -> None:
    bench = referring()
    asked = ReferLeg(to="sip:bob@h", headers=(("X-A", "1"),), username="u", password="p")
    assert [effect for _, effect in bench.effects] == [asked]
    assert bench.machine.outcome is not None
    assert (bench.machine.outcome.code, bench.machine.control_id) == ("200", "")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param(
            [says(202), says(202, 100), says(202, 200, final=True)],
            ["inProgress 202 None", "inProgress 202 100", "success 202 200"],
            id="answered",
        ),
        pytest.param(
            [says(202), says(202, 486, final=True)],
            ["inProgress 202 None", "failed 202 486 user_busy"],
            id="busy",
        ),
        pytest.param(
            [says(603, final=True, why="refer_refused")], ["failed 603 None refer_refused"], id="not accepted"
        ),
        pytest.param(
            [says(None, final=True, why="refer_unanswered")],
            ["failed None None refer_unanswered"],
            id="no response",
        ),
        pytest.param(
            [says(None, final=True)], ["failed None None refer_untold"], id="no response, and no why"
        ),
        pytest.param([says(202, final=True)], ["success 202 None"], id="accepted, and nobody will tell"),
        pytest.param(
            [says(202), says(202, 180, final=True, why="refer_untold")],
            ["inProgress 202 None", "failed 202 180 refer_untold"],
            id="the notifications ended",
        ),
        pytest.param(
            [says(202, final=True, why="refer_untold")], ["failed 202 None refer_untold"], id="nothing told"
        ),
        pytest.param([says(202), says(202)], ["inProgress 202 None"], id="nothing new"),
        pytest.param(
            [says(202, 200, final=True), says(202, 486, final=True)], ["success 202 200"], id="a second end"
        ),
    ],
)
def test_what_the_far_end_tells(facts: list[Any], told: list[str]) -> None:
    assert referring().at(1.0, *facts).told() == told


@pytest.mark.parametrize(
    ("deeds", "told"),
    [
        pytest.param(["leave"], ["failed None None refer_untold"], id="before anything is told"),
        pytest.param(
            [says(202), "leave", "leave"],
            ["inProgress 202 None", "failed 202 None refer_untold"],
            id="after 202",
        ),
        pytest.param([says(202, 200, final=True), "leave"], ["success 202 200"], id="after the end"),
        pytest.param(
            ["leave", says(202, 200, final=True)], ["failed None None refer_untold"], id="crossing the end"
        ),
    ],
)
def test_the_call_may_end_before(deeds: list[Any], told: list[str]) -> None:
    bench = referring()
    for deed in deeds:
        if deed == "leave":
            bench.abandon(1.0)
        else:
            bench.at(1.0, deed)
    assert bench.told() == told
    assert bench.machine.is_over


def test_it_cannot_be_stopped() -> None:
    assert not referring().steer(1.0, "stop")

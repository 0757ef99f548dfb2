"""A far end that answers must stay through its confirm script before it is bridged (swml.md 7.10)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import DigitInput, Hangup, Play, PlayItem, Prompt, Sleep
from cordboard.call.effects import ConnectStateChanged, Join, PlayTo
from cordboard.call.plan import Confirm
from cordboard.testing.virtual import Caller, FarEnd, VirtualShell, run_call

from .virtual_calls import (
    ALL_STATES,
    BUSY,
    RINGS_FOR_EVER,
    answered,
    at,
    b,
    confirmed,
    connect,
    dialled,
    ended,
    ending_of,
    leg_of,
    nothing_is_left,
    outcome,
    results,
    when,
    wire,
)

WHISPER = Play(items=(PlayItem(kind="say", text="hi"),))
"""Takes two seconds."""
FOR_EVER = Sleep(seconds=None)
RINGS_AND_ANSWERS = FarEnd((0.1, 180), (1.0, 200), (10.0, "bye"))


def joins(shell: VirtualShell) -> list[float]:
    """When the caller was joined to somebody: seen by the report that goes with it."""
    return [t.at for t in shell.reports if t.call_id == "a" and _is_connected(t.report.happening)]


def _is_connected(happening: Any) -> bool:
    return isinstance(happening, ConnectStateChanged) and happening.state == "connected"


def test_the_caller_is_answered_and_joined_only_when_the_script_has_ended() -> None:
    plan = connect([b("b1", confirm=confirmed(WHISPER))], answer_on_bridge=True)
    shell = run_call([plan], {"b1": RINGS_AND_ANSWERS})
    assert joins(shell) == pytest.approx([3.0])
    assert when(shell, "a", "> 200") == pytest.approx(3.0)
    assert outcome(shell) == (True, None)
    played = [(call_id, e.items[0].kind) for call_id, e in shell.effects if isinstance(e, PlayTo)]
    assert played == [(leg_of(shell, "b1"), "say")]
    nothing_is_left(shell)


def test_a_script_that_hangs_up_declines() -> None:
    shell = answered(connect([b("b1", confirm=confirmed(Hangup()))]), far_ends={"b1": RINGS_AND_ANSWERS})
    assert outcome(shell) == (False, "declined")
    assert wire(shell, "b1") == ["> INVITE", "< 180", "< 200", "> ACK", "> BYE"]
    assert ending_of(shell, leg_of(shell, "b1")) == "confirm_declined"
    assert joins(shell) == []


def test_a_far_end_that_hangs_up_declines_and_the_next_is_dialled() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (2.0, "bye")), "b2": BUSY}
    shell = answered(connect([b("b1", confirm=confirmed(FOR_EVER))], [b("b2")]), far_ends=far_ends)
    assert dialled(shell) == {"b1": 0.0, "b2": 2.0}
    assert ended(shell, leg_of(shell, "b1")) == "declined"
    assert ending_of(shell, leg_of(shell, "b1")) == "confirm_hung_up"
    assert outcome(shell) == (False, "busy")


def test_a_prompt_may_accept_by_a_key() -> None:
    prompt = Prompt(items=(PlayItem(kind="say", text="press 1"),))
    far_end = FarEnd((1.0, 200), (1.5, "press 1"), (10.0, "bye"))
    plan = connect([b("b1", confirm=confirmed(prompt))])
    shell = answered(plan, far_ends={"b1": far_end})
    assert joins(shell) == pytest.approx([1.5])
    assert outcome(shell) == (True, None)


def test_the_ring_time_is_over_at_the_answer_and_the_confirm_time_counts_from_it() -> None:
    destination = b("b1", timeout=5.0, confirm=confirmed(FOR_EVER, timeout=5.0))
    shell = answered(connect([destination]), far_ends={"b1": FarEnd((0.1, 180), (4.0, 200))})
    assert at(shell, "b1", "> BYE") == pytest.approx(9.0)
    assert outcome(shell) == (False, "no_answer")
    assert ending_of(shell, leg_of(shell, "b1")) == "confirm_timeout"


def test_a_script_that_never_ends_is_ended_by_its_own_timer() -> None:
    far_ends = {"b1": FarEnd((1.0, 200))}
    shell = answered(connect([b("b1", confirm=confirmed(FOR_EVER, timeout=3.0))]), far_ends=far_ends)
    assert at(shell, "b1", "> BYE") == pytest.approx(4.0)
    nothing_is_left(shell)


def test_a_document_that_cannot_be_fetched_is_an_error_of_that_leg() -> None:
    confirm = Confirm(url="http://h/confirm")
    shell = answered(connect([b("b1", confirm=confirm)]), far_ends={"b1": RINGS_AND_ANSWERS})
    assert outcome(shell) == (False, "error")
    assert "answered 404" in results(shell)[0].sentence
    assert ending_of(shell, leg_of(shell, "b1")) == "confirm_failed"
    assert wire(shell, "b1")[-1] == "> BYE"


def test_the_caller_who_leaves_ends_the_confirming_far_end_as_cancelled() -> None:
    plan = connect([b("b1", confirm=confirmed(WHISPER, FOR_EVER))])
    shell = answered(plan, far_ends={"b1": FarEnd((1.0, 200))}, caller=Caller(hangs_up_at=2.0))
    assert at(shell, "b1", "> BYE") == pytest.approx(2.0)
    assert ended(shell, leg_of(shell, "b1")) == "cancel"
    assert shell.told("a")[-2:] == ["failed", "ended"]
    nothing_is_left(shell)


def test_others_ring_on_meanwhile_and_the_first_to_finish_wins() -> None:
    slow, fast = confirmed(Sleep(seconds=6.0)), confirmed(Sleep(seconds=1.0))
    far_ends = {"b1": FarEnd((1.0, 200)), "b2": FarEnd((0.5, 180), (3.0, 200), (9.0, "bye"))}
    shell = answered(connect([b("b1", confirm=slow), b("b2", confirm=fast)]), far_ends=far_ends)
    assert joins(shell) == pytest.approx([4.0])
    assert at(shell, "b1", "> BYE") == pytest.approx(4.0)
    assert ending_of(shell, leg_of(shell, "b1")) == "lost_race"
    assert ending_of(shell, leg_of(shell, "b2")) == "hangup_far_end"


def test_one_without_a_script_beats_one_that_confirms() -> None:
    far_ends = {"b1": FarEnd((1.0, 200)), "b2": FarEnd((2.0, 200), (5.0, "bye"))}
    shell = answered(connect([b("b1", confirm=confirmed(FOR_EVER)), b("b2")]), far_ends=far_ends)
    assert joins(shell) == pytest.approx([2.0])
    assert ending_of(shell, leg_of(shell, "b1")) == "lost_race"


def test_two_that_finish_in_the_same_instant_make_one_bridge() -> None:
    script = confirmed(Sleep(seconds=1.0))
    far_ends = {"b1": FarEnd((1.0, 200), (9.0, "bye")), "b2": FarEnd((1.0, 200), (9.0, "bye"))}
    shell = answered(connect([b("b1", confirm=script), b("b2", confirm=script)]), far_ends=far_ends)
    assert joins(shell) == pytest.approx([2.0])
    assert sorted(ending_of(shell, leg_of(shell, to)) for to in ("b1", "b2")) == [
        "hangup_far_end",
        "lost_race",
    ]
    nothing_is_left(shell)


def test_a_confirm_timeout_that_ends_a_group_speaks_for_it() -> None:
    far_ends = {"b1": BUSY, "b2": FarEnd((0.5, 200))}
    group = [b("b1"), b("b2", confirm=confirmed(FOR_EVER, timeout=2.0))]
    assert outcome(answered(connect(group), far_ends=far_ends)) == (False, "no_answer")


def test_its_state_is_answered_before_the_script_and_connected_comes_after() -> None:
    destination = b("b1", confirm=confirmed(WHISPER), call_state_url="h", call_state_events=ALL_STATES)
    shell = answered(connect([destination]), far_ends={"b1": RINGS_AND_ANSWERS})
    told = [(t.at, getattr(t.report.happening, "state", "")) for t in shell.reports if t.at in (1.0, 3.0)]
    assert told == [(1.0, "answered"), (1.0, "playing"), (3.0, "finished"), (3.0, "connected")]


def test_the_caller_hears_ringing_while_the_far_end_confirms() -> None:
    shell = answered(
        connect([b("b1", confirm=confirmed(WHISPER))]), far_ends={"b1": FarEnd((1.0, 200), (9.0, "bye"))}
    )
    rings = [e.items[0].kind for call_id, e in shell.effects if call_id == "a" and isinstance(e, PlayTo)]
    assert rings == ["ring"]
    nothing_is_left(shell)


def test_early_media_is_not_heard_any_more_when_the_far_end_confirms() -> None:
    shell = answered(
        connect([b("b1", confirm=confirmed(WHISPER))]),
        far_ends={"b1": FarEnd((0.1, 183), (1.0, 200), (9.0, "bye"))},
    )
    b1 = leg_of(shell, "b1")
    steps = [type(e).__name__ for c, e in shell.effects if c == "a"]
    assert [e for _, e in shell.effects if isinstance(e, Join)] == [Join(a="a", b=b1)] * 2
    first_join = steps.index("Join")
    assert steps[first_join + 1 : first_join + 3] == ["Unjoin", "PlayTo"]
    nothing_is_left(shell)


def test_after_acceptance_it_is_a_call_like_any_other() -> None:
    shell = answered(
        connect([b("b1", confirm=confirmed(WHISPER, timeout=5.0))], max_duration=20.0),
        far_ends={"b1": FarEnd((1.0, 200))},
    )
    assert at(shell, "b1", "> BYE") == pytest.approx(23.0)
    assert outcome(shell) == (True, None)


def test_each_destination_has_its_own_script() -> None:
    far_ends = {"b1": BUSY, "b2": FarEnd((0.5, 200))}
    groups = [[b("b1", confirm=Confirm(url="http://h/confirm"))], [b("b2", confirm=confirmed(Hangup()))]]
    shell = answered(connect(*groups), far_ends=far_ends)
    assert outcome(shell) == (False, "declined")
    assert not [e for _, e in shell.effects if type(e).__name__ == "AskShell"]


def test_keys_go_to_the_prompt_and_not_to_the_caller() -> None:
    prompt = Prompt(items=(), digits=DigitInput(max_digits=2))
    far_end = FarEnd((1.0, 200), (1.5, "press 4"), (2.0, "press 2"), (5.0, "press 7"), (9.0, "bye"))
    shell = answered(connect([b("b1", confirm=confirmed(prompt))]), far_ends={"b1": far_end})
    assert joins(shell) == pytest.approx([2.0])
    assert shell.media.passed == [("a", "7")]


def test_a_transfer_is_refused_while_the_far_end_confirms() -> None:
    far_end = FarEnd((1.0, 200), (1.5, "refer b2"))
    plan = connect([b("b1", confirm=confirmed(FOR_EVER, timeout=4.0))])
    shell = answered(plan, far_ends={"b1": far_end, "b2": RINGS_FOR_EVER})
    assert "> NOTIFY 481" in wire(shell, "b1")
    assert list(dialled(shell)) == ["b1"]

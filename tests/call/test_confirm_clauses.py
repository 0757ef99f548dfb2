"""Clauses of swml.md 7.10 and 7.11 about groups: who rings on while another confirms, and what is heard."""

from __future__ import annotations

import pytest

from cordboard.call.actions import Hangup, Play, PlayItem, Sleep
from cordboard.call.effects import EndLeg, Join, PlayTo, StopPlay
from cordboard.call.plan import Confirm, Ringback
from cordboard.testing.virtual import FarEnd, VirtualShell

from .virtual_calls import (
    BUSY,
    RINGS_FOR_EVER,
    answered,
    at,
    b,
    confirmed,
    connect,
    dialled,
    ending_of,
    leg_of,
    nothing_is_left,
    outcome,
    wire,
)

FOR_EVER = Sleep(seconds=None)
FILE = Ringback(items=(PlayItem(kind="audio", url="https://h/ring.wav"),))
WHISPER = Play(items=(PlayItem(kind="say", text="hi"),))
"""Takes two seconds."""


def of_caller(shell: VirtualShell, *kinds: type) -> list[str]:
    """What was done for the caller's ears, by name."""
    return [
        type(effect).__name__
        for call_id, effect in shell.effects
        if call_id == "a" and isinstance(effect, kinds)
    ]


# ------------------------------------------------------------------ groups


def test_one_that_refuses_leaves_the_others_ringing() -> None:
    far_ends = {"b1": FarEnd((1.0, 200)), "b2": FarEnd((0.1, 180), (6.0, 200), (9.0, "bye"))}
    group = [b("b1", confirm=confirmed(Hangup())), b("b2", confirm=confirmed(WHISPER))]
    shell = answered(connect(group), far_ends=far_ends)
    assert outcome(shell) == (True, None)
    assert at(shell, "b1", "> BYE") == pytest.approx(1.0)
    assert "> CANCEL" not in wire(shell, "b2")
    assert ending_of(shell, leg_of(shell, "b2")) == "hangup_far_end"
    nothing_is_left(shell)


def test_the_next_group_is_dialled_when_the_last_of_a_group_has_refused() -> None:
    far_ends = {
        "b1": FarEnd((1.0, 200)),
        "b2": FarEnd((2.0, 200), (4.0, "bye")),
        "b3": FarEnd((0.5, 200), (9.0, "bye")),
    }
    first = [b("b1", confirm=confirmed(Hangup())), b("b2", confirm=confirmed(FOR_EVER))]
    shell = answered(connect(first, [b("b3")]), far_ends=far_ends)
    assert dialled(shell) == {"b1": 0.0, "b2": 0.0, "b3": 4.0}
    assert outcome(shell) == (True, None)


def test_the_first_of_a_group_speaks_for_all_who_refused() -> None:
    far_ends = {"b1": FarEnd((1.0, 200)), "b2": FarEnd((0.1, 486))}
    group = [b("b1", confirm=Confirm(url="http://h/gone")), b("b2")]
    assert outcome(answered(connect(group), far_ends=far_ends)) == (False, "error")
    group = [b("b2"), b("b1", confirm=confirmed(Hangup()))]
    assert outcome(answered(connect(group), far_ends=far_ends)) == (False, "busy")


def test_the_ring_time_of_the_others_runs_on_while_one_confirms() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (30.0, "bye")), "b2": RINGS_FOR_EVER}
    group = [b("b1", timeout=5.0, confirm=confirmed(FOR_EVER, timeout=8.0)), b("b2", timeout=5.0)]
    shell = answered(connect(group), far_ends=far_ends)
    assert at(shell, "b2", "> CANCEL") == pytest.approx(5.0)
    assert at(shell, "b1", "> BYE") == pytest.approx(9.0)
    assert outcome(shell) == (False, "no_answer")


# ------------------------------------------------------------------ what the caller hears


def test_a_ringback_goes_on_without_a_break_from_ringing_over_the_script_to_the_bridge() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 200), (9.0, "bye"))}
    shell = answered(connect([b("b1", confirm=confirmed(WHISPER))], ringback=FILE), far_ends=far_ends)
    assert of_caller(shell, PlayTo, StopPlay, Join) == ["PlayTo", "StopPlay", "Join"]


def test_a_ringback_goes_on_when_one_refuses_and_the_next_is_dialled() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 200)), "b2": FarEnd((0.1, 180), (2.0, 200), (9.0, "bye"))}
    plan = connect([b("b1", confirm=confirmed(Hangup()))], [b("b2")], ringback=FILE)
    shell = answered(plan, far_ends=far_ends)
    assert of_caller(shell, PlayTo, StopPlay, Join) == ["PlayTo", "StopPlay", "Join"]
    assert outcome(shell) == (True, None)


# ------------------------------------------------------------------ how it ends


@pytest.mark.parametrize(("reason", "q850"), [(None, 16), ("hangup", 16), ("busy", 17), ("decline", 21)])
def test_the_reason_of_a_hangup_is_in_the_bye_and_the_far_end_has_declined(
    reason: str | None, q850: int
) -> None:
    script = confirmed(Hangup(reason=reason))
    shell = answered(connect([b("b1", confirm=script)]), far_ends={"b1": FarEnd((1.0, 200))})
    (end,) = [e for _, e in shell.effects if isinstance(e, EndLeg) and e.ending.cause == "confirm_declined"]
    assert (end.q850, end.ending.reason.value) == (q850, "declined")
    assert outcome(shell) == (False, "declined")


def test_a_far_end_that_is_busy_never_runs_its_script() -> None:
    shell = answered(connect([b("b1", confirm=Confirm(url="http://h/confirm"))]), far_ends={"b1": BUSY})
    assert outcome(shell) == (False, "busy")
    assert not [effect for _, effect in shell.effects if type(effect).__name__ == "AskShell"]

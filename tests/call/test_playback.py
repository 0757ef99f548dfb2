"""A client's `Play` and `SendDigits`: reported from the beginning to the end, and steered between."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Play, PlayItem, SendDigits
from cordboard.call.effects import PlayTo, RingLeg, SetPlayVolume
from cordboard.call.facts import DigitsSent, LegAnswered, PlayFinished

from .operating import Bench, operation

SAY = PlayItem(kind="say", text="hello")
END = PlayFinished(control_id="p")


def playing(state: str = "answered", **more: Any) -> Bench:
    return Bench(operation(Play(items=(SAY,), control_id="p", **more), state))


def test_it_plays_when_it_is_begun_and_is_over_when_the_media_say_so() -> None:
    bench = playing(volume=3.0, loop=2)
    assert bench.machine.outcome is not None
    assert (bench.machine.outcome.code, bench.machine.outcome.message) == ("200", "Playing")
    (play,) = [effect for _, effect in bench.effects if isinstance(effect, PlayTo)]
    assert (play.control_id, play.volume, play.loop) == ("p", 3.0, 2)
    assert not bench.at(2.0, PlayFinished(control_id="other")).machine.is_over
    bench.at(3.0, END)
    assert bench.timed() == [(0.0, "playing"), (3.0, "finished")]
    assert bench.machine.is_over


def test_what_could_not_be_played_at_all_is_an_error() -> None:
    bench = playing().at(0.5, PlayFinished(control_id="p", errors=("not found",)))
    assert bench.told() == ["playing", "error"]


def test_one_item_of_two_is_enough_to_be_finished() -> None:
    bench = Bench(operation(Play(items=(SAY, SAY), control_id="p")))
    bench.at(0.5, PlayFinished(control_id="p", errors=("not found",)))
    assert bench.told() == ["playing", "finished"]


def test_an_unanswered_caller_hears_it_as_early_media_and_the_answer_changes_nothing() -> None:
    bench = playing("created")
    assert [e.early_media for _, e in bench.effects if isinstance(e, RingLeg)] == [True]
    bench.at(1.0, LegAnswered()).at(2.0, END)
    assert bench.commands() == ["RingLeg", "PlayTo"]


@pytest.mark.parametrize(
    ("deeds", "told", "commands"),
    [
        pytest.param(["pause", "resume", "end"], "playing paused playing finished", "PausePlay ResumePlay"),
        pytest.param(["stop", "end"], "playing finished", "StopPlay"),
        pytest.param(["stop", "stop", "end"], "playing finished", "StopPlay", id="stopped twice"),
        pytest.param(
            ["pause", "stop", "end"], "playing paused finished", "PausePlay StopPlay", id="stopped in a pause"
        ),
        pytest.param(["pause", "end"], "playing paused finished", "PausePlay", id="pause crosses the end"),
        pytest.param(["end", "stop"], "playing finished", "", id="stop crosses the end"),
        pytest.param(["end", "end"], "playing finished", "", id="ended twice"),
        pytest.param(["leave"], "playing finished", "StopPlay", id="the call ends"),
        pytest.param(["pause", "leave"], "playing paused finished", "PausePlay StopPlay", id="in a pause"),
        pytest.param(["stop", "leave", "end"], "playing finished", "StopPlay", id="the call ends in a stop"),
        pytest.param(["leave", "leave", "end"], "playing finished", "StopPlay", id="twice, and crossing"),
        pytest.param(["end", "leave"], "playing finished", "", id="the call ends after it"),
    ],
)
def test_each_race_has_one_last_report(deeds: list[str], told: str, commands: str) -> None:
    bench = playing()
    for at, deed in enumerate(deeds, 1):
        _do(bench, float(at), deed)
    assert bench.told() == told.split()
    assert bench.commands() == ["PlayTo", *commands.split()]
    assert bench.machine.is_over


def _do(bench: Bench, at: float, deed: str) -> None:
    if deed == "end":
        bench.at(at, END)
    elif deed == "leave":
        bench.abandon(at)
    else:
        bench.steer(at, deed, **({"skip": False} if deed == "pause" else {}))


def test_it_refuses_what_makes_no_sense_now() -> None:
    bench = playing()
    assert not bench.steer(1.0, "resume")
    assert bench.steer(1.0, "pause", skip=False)
    assert not bench.steer(1.0, "pause", skip=False)
    assert bench.steer(1.0, "stop")
    assert not bench.steer(1.0, "pause", skip=False)
    assert not bench.steer(1.0, "set_volume", volume=1.0)
    assert not bench.steer(1.0, "resume")
    assert not bench.steer(1.0, "start_input_timers")


def test_its_volume_changes_paused_or_not() -> None:
    bench = playing()
    assert bench.steer(1.0, "set_volume", volume=-6.0)
    bench.steer(1.0, "pause", skip=False)
    assert bench.steer(1.0, "set_volume", volume=6.0)
    volumes = [(e.control_id, e.volume) for _, e in bench.effects if isinstance(e, SetPlayVolume)]
    assert volumes == [("p", -6.0), ("p", 6.0)]


# ------------------------------------------------------------------ keys


def pressing() -> Bench:
    return Bench(operation(SendDigits(digits="12w#", control_id="d")))


def test_the_client_is_told_when_the_last_key_is_out() -> None:
    bench = pressing().at(0.5, DigitsSent(control_id="other")).at(1.0, DigitsSent(control_id="d"))
    bench.at(1.1, DigitsSent(control_id="d"))
    assert bench.timed() == [(1.0, "finished")]
    assert bench.machine.is_over


def test_keys_that_the_call_cut_short_were_not_sent() -> None:
    bench = pressing().abandon(0.5).at(0.6, DigitsSent(control_id="d"))
    assert bench.told() == ["error"]
    assert bench.machine.is_over


def test_nobody_can_stop_a_key() -> None:
    assert not pressing().steer(0.1, "stop")

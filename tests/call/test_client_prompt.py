"""A client's `Prompt` (RELAY's play_and_collect): the playing is told, then one result, last."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import DigitInput, PlayItem, Prompt
from cordboard.call.effects import PlayTo, SetPlayVolume
from cordboard.call.facts import Fact, PlayFinished

from .operating import Bench, operation

SAY = (PlayItem(kind="say", text="press"),)


def prompting(state: str = "answered", **more: Any) -> Bench:
    digits = DigitInput(max_digits=2, terminators="#", digit_timeout=2.0, initial_timeout=4.0)
    fields: dict[str, Any] = {"items": SAY, "digits": digits, "control_id": "c", "play_events": True} | more
    return Bench(operation(Prompt(**fields), state))


def end(bench: Bench, **more: Any) -> Fact:
    """The media have played it."""
    return PlayFinished(control_id=play(bench).control_id, **more)


def play(bench: Bench) -> PlayTo:
    (found,) = [effect for _, effect in bench.effects if isinstance(effect, PlayTo)]
    return found


def test_it_plays_then_collects() -> None:
    bench = prompting()
    bench.at(2.0, end(bench)).keys((3.0, "1"), (4.0, "2"))
    assert bench.timed() == [(0.0, "playing"), (2.0, "finished"), (4.0, "digit 12")]
    assert bench.machine.is_over


def test_the_first_key_stops_the_playing_and_counts() -> None:
    bench = prompting().keys((1.0, "1"))
    assert bench.timed() == [(0.0, "playing"), (1.0, "finished")]
    bench.at(1.1, end(bench)).keys((1.5, "#")).at(60.0)
    assert bench.timed()[2:] == [(1.5, "digit 1#")]
    assert bench.commands() == ["PlayTo", "StopPlay"]


def test_one_key_may_end_both_and_the_result_is_last() -> None:
    bench = prompting().keys((1.0, "#"))
    assert bench.told() == ["playing", "finished", "digit #"]


def test_the_time_starts_when_it_is_played() -> None:
    bench = prompting().at(30.0)
    assert bench.at(30.0, end(bench)).at(60.0).timed()[1:] == [(30.0, "finished"), (34.0, "no_input")]


def test_what_cannot_be_played_is_an_error_and_keys_still_count() -> None:
    bench = prompting()
    bench.at(0.5, end(bench, errors=("not found",))).keys((1.0, "#"))
    assert bench.told() == ["playing", "error", "digit #"]


def test_the_playing_is_not_told_where_nobody_asked() -> None:
    assert prompting(play_events=False).keys((1.0, "#")).told() == ["digit #"]


def test_each_key_is_told_where_that_is_wanted() -> None:
    assert prompting(partial_results=True).keys((1.0, "1")).told()[2:] == ["digit 1 partial"]


@pytest.mark.parametrize("state", ["created", "ringing"])
def test_an_unanswered_caller_hears_it_as_early_media(state: str) -> None:
    assert prompting(state).commands() == ["RingLeg", "PlayTo"]


def test_its_volume_changes_while_it_plays() -> None:
    bench = prompting()
    assert bench.steer(1.0, "set_volume", volume=5.0)
    (change,) = [effect for _, effect in bench.effects if isinstance(effect, SetPlayVolume)]
    assert (change.control_id, change.volume) == (play(bench).control_id, 5.0)
    bench.at(2.0, end(bench))
    assert not bench.steer(2.0, "set_volume", volume=5.0)


@pytest.mark.parametrize(
    ("before", "how", "told"),
    [
        pytest.param("", "stop", "finished no_input", id="stopped while it plays"),
        pytest.param("played", "stop", "finished no_input", id="stopped while it collects"),
        pytest.param("1", "stop", "finished digit_1", id="stopped after a key"),
        pytest.param("", "leave", "finished no_input", id="the call ends while it plays"),
        pytest.param("played", "leave", "finished no_input", id="the call ends while it collects"),
        pytest.param("1", "leave", "finished no_match", id="the call ends after a key"),
        pytest.param("12", "leave", "finished digit_12", id="the call ends after the result"),
        pytest.param("12", "stop", "finished digit_12", id="stop crosses the result"),
    ],
)
def test_each_end_has_one_result(before: str, how: str, told: str) -> None:
    bench = prompting()
    if before == "played":
        bench.at(1.0, end(bench))
    else:
        bench.keys(*((1.0, digit) for digit in before))
    for _ in range(2):
        if how == "leave":
            bench.abandon(2.0)
        else:
            bench.steer(2.0, "stop")
    bench.at(2.1, end(bench)).keys((2.2, "1")).at(60.0)
    assert [word.replace(" ", "_") for word in bench.told()] == ["playing", *told.split()]
    assert bench.machine.is_over

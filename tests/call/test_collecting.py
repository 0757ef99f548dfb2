"""A client's `Collect`: which keys make a result, and that there is one last."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Collect, DigitInput, PromptDone
from cordboard.call.effects import Report

from .operating import Bench, key, operation


def collecting(
    max_digits: int = 3, terminators: str = "#", digit_timeout: float = 2.0, initial: float = 4.0, **more: Any
) -> Bench:
    digits = DigitInput(
        max_digits=max_digits,
        terminators=terminators,
        digit_timeout=digit_timeout,
        initial_timeout=initial,
    )
    return Bench(operation(Collect(control_id="c", digits=digits, status_url="http://h/s", **more)))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        pytest.param([(1.0, "1"), (2.0, "2"), (3.0, "3")], [(3.0, "digit 123")], id="all that are wanted"),
        pytest.param([(1.0, "1"), (2.0, "#")], [(2.0, "digit 1#")], id="a terminator"),
        pytest.param([(1.0, "#")], [(1.0, "digit #")], id="a terminator alone"),
        pytest.param([(1.0, "1"), (2.5, "2")], [(4.5, "digit 12")], id="a key that does not come"),
        pytest.param([], [(4.0, "no_input")], id="no key"),
        pytest.param([(4.0, "1")], [(4.0, "no_input")], id="a key in the moment of the timeout"),
        pytest.param([(1.0, "1"), (3.0, "2")], [(3.0, "digit 1")], id="a second key in that moment"),
        pytest.param([(1.0, "#"), (2.0, "1")], [(1.0, "digit #")], id="a key after the end"),
    ],
)
def test_what_becomes_of_keys(keys: list[tuple[float, str]], told: list[tuple[float, str]]) -> None:
    bench = collecting().keys(*keys).at(60.0)
    assert bench.timed() == told
    assert bench.machine.is_over


def test_a_key_that_is_taken_before_the_timer_counts() -> None:
    """The other order of the same moment: the key is in the queue before the timer is looked at."""
    bench = collecting(max_digits=1)
    assert bench.machine.handle(key("1"), 4.0)
    assert bench.machine.handle_timeout(4.0) == []


def test_each_key_is_told_where_that_is_wanted_and_the_last_only_as_the_result() -> None:
    bench = collecting(partial_results=True, send_start_of_input=True)
    bench.keys((1.0, "1"), (2.0, "2"), (3.0, "3"))
    assert bench.told() == ["start_of_input partial", "digit 1 partial", "digit 12 partial", "digit 123"]
    happenings: list[Any] = [e.happening for _, e in bench.effects if isinstance(e, Report)]
    assert [happening.goes_on for happening in happenings] == [True, True, True, False]
    assert {e.callback_url for _, e in bench.effects if isinstance(e, Report)} == {"http://h/s"}


def test_its_result_is_that_of_a_prompt() -> None:
    machine = collecting().keys((1.0, "1"), (2.0, "#")).machine
    assert machine.result == PromptDone(result="match_digits", value="1", terminator="#")


# ------------------------------------------------------------------ the initial time


def test_the_initial_time_waits_for_its_command() -> None:
    bench = collecting(start_input_timers=False).at(100.0)
    assert bench.told() == []
    assert bench.steer(100.0, "start_input_timers")
    assert bench.steer(102.0, "start_input_timers")
    assert bench.at(200.0).timed() == [(104.0, "no_input")]
    assert not bench.steer(200.0, "start_input_timers")


def test_the_command_does_not_shorten_the_time_between_keys() -> None:
    bench = collecting(start_input_timers=False, digit_timeout=9.0).keys((1.0, "1"))
    assert bench.steer(2.0, "start_input_timers")
    assert bench.at(60.0).timed() == [(10.0, "digit 1")]


# ------------------------------------------------------------------ continuous


def test_a_continuous_one_begins_again_until_it_is_stopped() -> None:
    bench = collecting(continuous=True, send_start_of_input=True)
    bench.keys((1.0, "1"), (2.0, "#"), (3.0, "2"), (3.5, "#"))
    bench.steer(4.0, "stop")
    assert bench.told() == [
        "start_of_input partial", "digit 1# goes on",
        "start_of_input partial", "digit 2# goes on",
        "no_input",
    ]  # fmt: skip
    assert bench.machine.is_over


def test_silence_is_told_once_and_it_goes_on_listening() -> None:
    bench = collecting(continuous=True).at(100.0).keys((101.0, "#")).at(200.0)
    assert bench.timed() == [
        (4.0, "no_input goes on"), (101.0, "digit # goes on"), (105.0, "no_input goes on"),
    ]  # fmt: skip


def test_no_time_at_all_is_no_endless_loop() -> None:
    bench = collecting(continuous=True, initial=0.0, digit_timeout=0.0).at(1.0).keys((2.0, "1")).at(3.0)
    assert bench.told() == ["no_input goes on", "digit 1 goes on", "no_input goes on"]


# ------------------------------------------------------------------ its end


@pytest.mark.parametrize(
    ("keys", "how", "told"),
    [
        ("", "stop", ["no_input"]),
        ("12", "stop", ["digit 12"]),
        ("", "leave", ["no_input"]),
        ("12", "leave", ["no_match"]),
        ("123", "stop", ["digit 123"]),
        ("123", "leave", ["digit 123"]),
    ],
)
def test_a_stop_gives_what_there_is_and_the_end_of_the_call_nothing(
    keys: str, how: str, told: list[str]
) -> None:
    bench = collecting().keys(*((1.0, digit) for digit in keys))
    for _ in range(2):
        if how == "leave":
            bench.abandon(2.0)
        else:
            bench.steer(2.0, "stop")
    assert bench.keys((2.5, "1")).at(60.0).told() == told
    assert bench.machine.is_over


def test_it_cannot_be_paused() -> None:
    bench = collecting()
    assert not bench.steer(1.0, "pause", skip=False)
    assert not bench.steer(1.0, "resume")
    assert not bench.steer(1.0, "set_volume", volume=1.0)

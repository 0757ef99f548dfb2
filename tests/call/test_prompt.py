"""`Prompt` and `SendDigits`: what is played, which keys count, and when it is over (swml.md 6.4, 6.9)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import (
    Answer,
    Denoise,
    DenoiseDone,
    DigitInput,
    DigitsDone,
    PlayItem,
    Prompt,
    PromptDone,
    SendDigits,
    SpeechInput,
)
from cordboard.call.effects import CollectStateChanged, PlayTo, StopPlay
from cordboard.testing.virtual import Caller, ListDriver, VirtualShell, run_call

from .virtual_calls import nothing_is_left

SAY = (PlayItem(kind="say", text="press"),)
"""Takes two seconds."""


def prompt(*keys: tuple[float, str], items: tuple[PlayItem, ...] = SAY, **digits: Any) -> VirtualShell:
    """An answered caller presses keys at these times."""
    caller = Caller(does=tuple((at, f"press {key}") for at, key in keys))
    action = Prompt(items=items, digits=DigitInput(**digits) if digits else None, status_url="http://h/s")
    return run_call([Answer(), action], caller=caller)


def done(shell: VirtualShell) -> PromptDone:
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    result = driver.results[-1]
    assert isinstance(result, PromptDone)
    return result


def collected(shell: VirtualShell) -> list[tuple[float, str, dict[str, Any]]]:
    return [
        (round(told.at, 3), happening.type, happening.params)
        for told in shell.reports
        if isinstance(happening := told.report.happening, CollectStateChanged)
    ]


def test_one_key_is_enough_by_default() -> None:
    shell = prompt((3.0, "4"), (3.1, "2"))
    assert (done(shell).result, done(shell).value, done(shell).terminator) == ("match_digits", "4", "")
    assert collected(shell) == [(3.0, "digit", {"digits": "4", "terminator": ""})]
    nothing_is_left(shell)


def test_the_first_key_ends_the_playing_and_counts() -> None:
    shell = prompt((0.5, "4"), (1.0, "2"), max_digits=2)
    assert done(shell).value == "42"
    assert len([e for _, e in shell.effects if isinstance(e, StopPlay)]) == 1
    assert collected(shell)[0][0] == 1.0
    nothing_is_left(shell)


def test_a_terminator_ends_it_and_is_not_part_of_the_value() -> None:
    shell = prompt((2.5, "1"), (3.0, "2"), (3.5, "#"), max_digits=9, terminators="#*")
    assert (done(shell).value, done(shell).terminator) == ("12", "#")
    assert collected(shell) == [(3.5, "digit", {"digits": "12", "terminator": "#"})]


def test_a_terminator_alone_matches_nothing_but_is_input() -> None:
    shell = prompt((2.5, "#"), max_digits=9, terminators="#")
    assert (done(shell).result, done(shell).value, done(shell).terminator) == ("match_digits", "", "#")


def test_without_a_key_it_ends_after_the_playing_and_the_initial_time() -> None:
    shell = prompt(initial_timeout=3.0)
    assert (done(shell).result, done(shell).value) == ("no_input", "")
    assert collected(shell) == [(5.0, "no_input", {})]


def test_a_key_that_does_not_come_in_time_ends_it_with_those_that_did() -> None:
    shell = prompt((3.0, "1"), (7.0, "2"), max_digits=4, digit_timeout=3.0)
    assert (done(shell).result, done(shell).value) == ("match_digits", "1")
    assert collected(shell)[0][0] == 6.0


def test_each_key_starts_the_time_between_keys_again() -> None:
    shell = prompt((3.0, "1"), (5.5, "2"), (8.0, "3"), max_digits=3, digit_timeout=3.0, initial_timeout=2.0)
    assert done(shell).value == "123"


def test_nothing_to_play_means_the_time_starts_at_once() -> None:
    assert collected(prompt(items=(), initial_timeout=1.5))[0][0] == 1.5


def test_what_could_not_be_played_is_told_and_keys_still_count() -> None:
    shell = prompt((3.0, "9"), items=(PlayItem(kind="audio", url="http://h/missing.wav"),))
    assert done(shell).value == "9"
    assert done(shell).errors == ("http://h/missing.wav is missing",)


def test_an_unanswered_caller_is_answered_first() -> None:
    shell = run_call([Prompt(items=SAY)], caller=Caller(does=((0.5, "press 1"),)))
    assert shell.legs.wire("a")[:2] == ["< INVITE", "> 200"]
    assert done(shell).value == "1"


def test_speech_alone_fails_with_a_sentence_and_nothing_is_played() -> None:
    shell = run_call([Answer(), Prompt(items=SAY, speech=SpeechInput())])
    assert done(shell).result == "failed"
    assert "no speech recognition" in done(shell).errors[0]
    assert [(event, params) for _, event, params in collected(shell)] == [("error", {})]
    assert not [e for _, e in shell.effects if isinstance(e, PlayTo)]


def test_speech_with_digits_collects_the_digits_and_says_what_is_missing() -> None:
    action = Prompt(items=SAY, speech=SpeechInput(), digits=DigitInput(max_digits=2))
    shell = run_call([Answer(), action], caller=Caller(does=((1.0, "press 4"), (1.5, "press 2"))))
    assert (done(shell).result, done(shell).value) == ("match_digits", "42")
    assert "no speech recognition" in done(shell).errors[0]


def test_a_caller_who_leaves_ends_it_without_a_result() -> None:
    shell = run_call([Answer(), Prompt(items=SAY)], caller=Caller(hangs_up_at=1.0))
    assert [event for _, event, _ in collected(shell)] == ["finished"]
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    assert not [result for result in driver.results if isinstance(result, PromptDone)]
    nothing_is_left(shell)


@pytest.mark.parametrize("control_id", [None, "mine"])
def test_its_events_carry_its_control_id_and_go_to_its_url(control_id: str | None) -> None:
    shell = run_call([Answer(), Prompt(items=(), control_id=control_id, status_url="http://h/s")])
    (told,) = [t for t in shell.reports if isinstance(t.report.happening, CollectStateChanged)]
    assert told.report.callback_url == "http://h/s"
    assert isinstance(told.report.happening, CollectStateChanged)
    assert (told.report.happening.control_id == "mine") is (control_id == "mine")


def test_keys_are_sent_after_an_answer_and_the_script_waits_for_the_last() -> None:
    shell = run_call([SendDigits(digits="12w3"), Denoise(on=False)])
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    assert driver.results == [DigitsDone(ok=True), DenoiseDone(state="off")]
    assert shell.legs.wire("a")[1] == "> 200"
    assert shell.legs.seen[-1].at > 0.9


def test_noise_suppression_fails_with_a_sentence() -> None:
    shell = run_call([Answer(), Denoise(on=True)])
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    result = driver.results[-1]
    assert isinstance(result, DenoiseDone)
    assert (result.state, bool(result.sentence)) == ("failed", True)

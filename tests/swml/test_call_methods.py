"""answer, hangup and play (swml.md 6.1 to 6.3)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Answer, Hangup, Play, PlayDone, PlayItem


def items(drive: Any, *uris: str) -> list[PlayItem]:
    (play,) = drive(f"- play: {{urls: {list(uris)!r}}}").actions
    return list(play.items)


def test_answer_has_a_longest_duration_of_four_hours(drive: Any) -> None:
    ran = drive("- answer\n- answer: {max_duration: 60}")
    assert ran.actions == [Answer(max_duration=14_400.0), Answer(max_duration=60.0)]
    assert ran.vars["answer_result"] == "success"


@pytest.mark.parametrize("argument", ["{max_duration: 0}", "{codecs: FOO}", "[1]"])
def test_an_answer_that_cannot_be_done_as_asked_fails_and_the_script_goes_on(
    drive: Any, argument: str
) -> None:
    ran = drive(f"- answer: {argument}\n- hangup")
    assert ran.names == ["hangup"]
    assert ran.vars["answer_result"] == "failed"


@pytest.mark.parametrize(
    ("step", "reason"), [("hangup", None), ("hangup: busy", "busy"), ("hangup: {reason: decline}", "decline")]
)
def test_hangup_takes_a_reason(drive: Any, step: str, reason: str | None) -> None:
    assert drive(f"- {step}").actions == [Hangup(reason=reason)]


def test_a_wrong_reason_does_not_keep_the_call_up(drive: Any) -> None:
    ran = drive("- hangup: rejected")
    assert ran.actions == [Hangup(reason=None)]
    assert ran.codes == ["method_parameter_invalid_value"]


def test_play_takes_audio_silence_and_rings(drive: Any) -> None:
    assert items(
        drive,
        "https://u:p@h/a.wav",
        "file:///srv/a.wav",
        "silence:1.5",
        "silence: 2",
        "ring:us",
        "ring: 2.5: GB",
        "ring:us-old",
    ) == [
        PlayItem(kind="audio", url="https://u:p@h/a.wav"),
        PlayItem(kind="audio", url="file:///srv/a.wav"),
        PlayItem(kind="silence", duration=1.5),
        PlayItem(kind="silence", duration=2.0),
        PlayItem(kind="ring", country="us"),
        PlayItem(kind="ring", duration=2.5, country="us"),
        PlayItem(kind="ring", country="us-old"),
    ]


def test_the_options_of_play_reach_the_action(drive: Any) -> None:
    (play,) = drive(
        "- play: {url: 'ring:de', volume: -3.5, loop: 0, auto_answer: false, status_url: 'http://h/s'}"
    ).actions
    assert play == Play(
        items=(PlayItem(kind="ring", country="de"),),
        volume=-3.5,
        loop=0,
        auto_answer=False,
        status_url="http://h/s",
    )


@pytest.mark.parametrize(
    "bad", ["", "silence:", "silence:x", "ring:1.2.3:us", "ring:usa", "ftp://h/a", "http://", "hello"]
)
def test_an_item_that_cannot_be_understood_is_left_out(drive: Any, bad: str) -> None:
    ran = drive(f"- play: {{urls: ['{bad}', 'ring:us']}}")
    assert [item.kind for item in ran.actions[0].items] == ["ring"]
    assert ran.vars["script_error"] == "relay_script_method_execute_failed"
    assert ran.vars["play_result"] == "failed"


def test_an_item_that_could_not_be_played_is_a_failure_of_the_step(drive: Any) -> None:
    ran = drive("- play: http://h/a.wav\n- answer", plays=[PlayDone(errors=("http://h/a.wav answered 404",))])
    assert ran.vars["play_result"] == "failed"
    assert ran.codes == ["method_execute_failed"]
    assert ran.names == ["play", "answer"]


def test_another_voice_than_asked_for_is_a_warning_and_no_failure(drive: Any) -> None:
    ran = drive("- play: 'say: Hallo'", plays=[PlayDone(warnings=("there is no voice Ada",))])
    assert ran.vars["play_result"] == "success"
    assert ran.codes == ["method_execute_failed"]
    assert "script_error" not in ran.vars


@pytest.mark.parametrize(
    "argument",
    [
        "{}",
        "{urls: []}",
        "{url: a, urls: [b]}",
        "{url: 'ring:us', volume: 41}",
        "{url: 'ring:us', loop: -1}",
        "{urls: 'ring:us'}",
        "{url: 'ring:us', status_url: x}",
    ],
)
def test_a_play_with_bad_properties_plays_nothing(drive: Any, argument: str) -> None:
    ran = drive(f"- play: {argument}")
    assert ran.names == []
    assert ran.vars["play_result"] == "failed"

"""Which operations a call can have in which state, and what the others are told."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import (
    Collect,
    Denoise,
    Detect,
    DigitInput,
    Hold,
    Play,
    PlayItem,
    Prompt,
    Record,
    RecordCall,
    Recording,
    RecordStarted,
    Refer,
    SendDigits,
    Sleep,
    SpeechInput,
    Stopped,
    StopRecordCall,
    StopTap,
    Tap,
    TapTarget,
)
from cordboard.call.background import Background, Recorded
from cordboard.call.effects import RingLeg, StopRecording
from cordboard.call.facts import RecordingEnded, RecordingStarted
from cordboard.call.leg import Leg
from cordboard.call.workshop import ANSWER_FIRST, ENDING, NO_DENOISE, NO_SPEECH, NOT_ANSWERED, Workshop
from cordboard.testing.virtual import caller_info

from .operating import Bench, operation, workshop

SAY = (PlayItem(kind="say", text="hello"),)
EARLY: list[Any] = [Play(items=SAY, control_id="x"), Prompt(items=SAY, control_id="x")]
OTHERS: list[Any] = [
    Collect(control_id="x"),
    Detect(control_id="x", kind="machine"),
    Detect(control_id="x", kind="digit"),
    Record(recording=Recording(), control_id="x"),
    RecordCall(recording=Recording(), control_id="x"),
    Tap(target=TapTarget(uri="ws://h"), control_id="x"),
    SendDigits(digits="1", control_id="x"),
    Refer(to="sip:b@h"),
    Hold(on=True),
    Hold(on=False),
]
KINDS: dict[Any, str] = {
    Play: "play",
    Prompt: "play_and_collect",
    Collect: "collect",
    Detect: "detect",
    Record: "record",
    RecordCall: "record",
    Tap: "tap",
    SendDigits: "send_digits",
    Refer: "refer",
}


def name(value: Any) -> str | None:
    return type(value).__name__ if isinstance(value, (*KINDS, Hold)) else None


def answer(action: Any, state: str, direction: str = "inbound") -> tuple[str, str]:
    machine = operation(action, state, direction=direction)
    return (machine.outcome.code, machine.outcome.message) if machine.outcome else ("", "")


@pytest.mark.parametrize("action", [*EARLY, *OTHERS], ids=name)
def test_an_answered_call_can_have_all(action: Any) -> None:
    machine = operation(action)
    assert not machine.is_over
    assert machine.outcome is None or machine.outcome.code == "200"
    assert (machine.outcome is None) is (machine.kind in ("record", "tap"))
    one_at_a_time = isinstance(action, (Refer, Hold))
    assert machine.control_id == ("" if one_at_a_time else "x")
    assert machine.kind == KINDS.get(type(action), machine.kind)


@pytest.mark.parametrize("action", EARLY, ids=name)
@pytest.mark.parametrize("state", ["created", "ringing"])
def test_a_caller_can_hear_something_before_the_answer(action: Any, state: str) -> None:
    assert answer(action, state)[0] == "200"


@pytest.mark.parametrize("action", OTHERS, ids=name)
@pytest.mark.parametrize("state", ["created", "ringing"])
def test_the_others_need_an_answer_and_say_so(action: Any, state: str) -> None:
    assert answer(action, state) == ("409", ANSWER_FIRST)


@pytest.mark.parametrize("action", [*EARLY, *OTHERS], ids=name)
def test_a_far_end_that_is_being_called_can_have_none(action: Any) -> None:
    assert answer(action, "ringing", "outbound") == ("409", NOT_ANSWERED)


@pytest.mark.parametrize("action", [*EARLY, *OTHERS], ids=name)
@pytest.mark.parametrize("state", ["ending", "ended"])
def test_a_call_that_ends_can_have_none(action: Any, state: str) -> None:
    assert answer(action, state) == ("409", ENDING)


@pytest.mark.parametrize("action", [*EARLY, *OTHERS], ids=name)
def test_what_is_refused_does_nothing(action: Any) -> None:
    machine = operation(action, "ended")
    assert machine.is_over
    assert machine.start(0.0) == []
    assert machine.next_timeout() is None


SPEECH = SpeechInput()


@pytest.mark.parametrize(
    ("action", "code", "sentence"),
    [
        (Collect(control_id="x", speech=SPEECH), "501", NO_SPEECH),
        (Prompt(items=SAY, control_id="x", speech=SPEECH), "501", NO_SPEECH),
        (Collect(control_id="x", speech=SPEECH, digits=DigitInput()), "200", "Collecting"),
        (Prompt(items=SAY, speech=SPEECH, digits=DigitInput()), "200", "Playing and collecting"),
        (Denoise(on=True), "501", NO_DENOISE),
        (Denoise(on=False), "501", NO_DENOISE),
        (Play(items=(), control_id="x"), "400", "There is nothing to play."),
        (Sleep(seconds=1.0), "501", "Sleep is not an operation."),
    ],
)
def test_what_is_not_built_in_is_said_whatever_the_state(action: Any, code: str, sentence: str) -> None:
    assert answer(action, "answered") == (code, sentence)
    if code != "200":
        assert answer(action, "created") == (code, sentence)


def test_a_play_that_wants_an_answer_does_not_answer_for_a_client() -> None:
    machine = operation(Play(items=SAY, auto_answer=True), "created")
    assert isinstance(machine.start(0.0)[0], RingLeg)


def test_an_operation_without_a_name_gets_one() -> None:
    assert workshop().operation(Play(items=SAY)).control_id == "id1"


def test_a_recording_of_a_script_keeps_its_name() -> None:
    info = caller_info("a")
    info.call_state = "answered"
    background = Background()
    background.add(Recorded(RecordCall(recording=Recording()), "x"))
    shop = Workshop(info, Leg(info), background, lambda: "id")
    for action in (RecordCall(recording=Recording(), control_id="x"), OTHERS[5]):
        refused = shop.operation(action)
        assert refused.outcome is not None
        assert (refused.outcome.code, refused.control_id) == ("409", "x")
        assert "already" in refused.outcome.message


def test_a_script_that_takes_over_stops_what_a_client_began_and_knows_its_name() -> None:
    shop = workshop()
    operation = shop.operation(RecordCall(recording=Recording(), control_id="x"))
    assert shop.machine(StopRecordCall()).result == Stopped(
        ok=False, sentence="No recording is running in the background."
    )
    bench = Bench(operation).at(1.0, RecordingStarted(control_id="x", url="u"))
    again = shop.machine(RecordCall(recording=Recording(), control_id="x")).result
    assert isinstance(again, RecordStarted)
    assert not again.ok
    stopping = shop.machine(StopRecordCall(control_id="x"))
    assert stopping.start(2.0) == [StopRecording(control_id="x")]
    bench.at(2.1, RecordingEnded(control_id="x", outcome="finished"))
    assert stopping.result == Stopped(ok=True, control_id="x")
    assert bench.told() == ["recording", "finished"]
    assert shop.machine(StopRecordCall(control_id="x")).is_over


def test_what_never_began_is_nothing_to_stop() -> None:
    shop = workshop()
    Bench(shop.operation(OTHERS[5])).abandon(1.0)
    assert shop.machine(StopTap()).is_over

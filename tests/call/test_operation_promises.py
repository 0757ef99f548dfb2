"""What holds of every operation, whatever happens in it and in whatever order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.actions import (
    Collect,
    Detect,
    DigitInput,
    MachineDetection,
    Play,
    PlayItem,
    Prompt,
    RecordCall,
    Recording,
    Tap,
    TapTarget,
)
from cordboard.call.effects import CollectStateChanged, PlayTo, Report
from cordboard.call.facts import (
    DetectorEnded,
    DetectorHeard,
    PlayFinished,
    RecordingEnded,
    RecordingStarted,
    TapEnded,
    TapOpened,
)

from .operating import Bench, key, operation

SAY = (PlayItem(kind="say", text="x"),)
GAPS = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 5.0])
"""A coarse grid, so that things often happen in the same instant."""
KEYS = st.sampled_from("12#*").map(lambda digit: ("key", digit))
STEERING = st.sampled_from(
    [
        ("stop", {}),
        ("pause", {"skip": True}),
        ("pause", {"skip": False}),
        ("resume", {}),
        ("set_volume", {"volume": 1.0}),
        ("start_input_timers", {}),
        ("leave", {}),
    ]
)
PLAY_FACTS = st.sampled_from([("played", ()), ("played", ("lost",))])
FACTS = st.sampled_from(
    [
        RecordingStarted(control_id="x", url="u"),
        RecordingEnded(control_id="x", outcome="finished"),
        RecordingEnded(control_id="x", outcome="no_input"),
        RecordingEnded(control_id="x", outcome="error"),
        TapOpened(control_id="x"),
        TapEnded(control_id="x"),
        TapEnded(control_id="x", sentence="Gone."),
        DetectorEnded(control_id="x"),
        DetectorEnded(control_id="x", sentence="Gone."),
        *(DetectorHeard(control_id="x", event=event) for event in ("MACHINE", "HUMAN", "READY", "NOT_READY")),
    ]
).map(lambda fact: ("fact", fact))
DEEDS = st.lists(st.tuples(GAPS, st.one_of(KEYS, STEERING, PLAY_FACTS, FACTS)), max_size=14)
DIGITS = st.builds(
    DigitInput,
    max_digits=st.integers(1, 3),
    terminators=st.sampled_from(["", "#", "#*"]),
    digit_timeout=st.sampled_from([0.0, 1.0, 2.0]),
    initial_timeout=st.sampled_from([0.0, 1.0, 5.0]),
)
COLLECTS = st.builds(
    Collect,
    control_id=st.just("x"),
    digits=DIGITS,
    partial_results=st.booleans(),
    continuous=st.booleans(),
    send_start_of_input=st.booleans(),
    start_input_timers=st.booleans(),
)
PROMPTS = st.builds(
    Prompt,
    items=st.just(SAY),
    control_id=st.just("x"),
    digits=DIGITS,
    partial_results=st.booleans(),
    play_events=st.booleans(),
)
DETECTS = st.builds(
    Detect,
    control_id=st.just("x"),
    kind=st.sampled_from(["machine", "fax", "digit"]),
    timeout=st.sampled_from([0.0, 3.0, 30.0]),
    machine=st.builds(MachineDetection, detect_interruptions=st.booleans(), detect_message_end=st.booleans()),
)


def lived(action: Any, deeds: list[tuple[float, tuple[str, Any]]]) -> Bench:
    """All of that happens, then the call ends; and a while later it is over."""
    bench = Bench(operation(action))
    now = 0.0
    for gap, deed in deeds:
        now += gap
        _do(bench, now, *deed)
    bench.abandon(now).abandon(now).at(now + 300.0)
    assert bench.machine.is_over
    assert bench.machine.next_timeout() is None
    return bench


def _do(bench: Bench, now: float, what: str, more: Any) -> None:
    if what == "key":
        bench.at(now, key(more))
    elif what == "fact":
        bench.at(now, more)
    elif what == "played":
        plays = [effect.control_id for _, effect in bench.effects if isinstance(effect, PlayTo)]
        bench.at(now, *(PlayFinished(control_id=play, errors=more) for play in plays))
    elif what == "leave":
        bench.abandon(now)
    else:
        bench.steer(now, what, **more)


def collected(bench: Bench) -> list[CollectStateChanged]:
    happenings = [effect.happening for _, effect in bench.effects if isinstance(effect, Report)]
    return [happening for happening in happenings if isinstance(happening, CollectStateChanged)]


def ends_once(told: list[str], begins: tuple[str, ...], ends: tuple[str, ...]) -> None:
    assert told[0] in begins
    assert told[-1] in ends
    assert not set(told[:-1]) & set(ends)


@given(action=COLLECTS, deeds=DEEDS)
def test_a_collect_has_one_last_result(action: Collect, deeds: list[Any]) -> None:
    results = collected(lived(action, deeds))
    lasting = [result for result in results if result.final and not result.goes_on]
    assert lasting == results[-1:]
    assert len(lasting) == 1
    if not action.continuous:
        assert [result for result in results if result.final] == lasting


@given(action=COLLECTS, deeds=DEEDS)
def test_no_terminator_is_part_of_what_was_collected(action: Collect, deeds: list[Any]) -> None:
    assert action.digits is not None
    for result in collected(lived(action, deeds)):
        digits = result.params.get("digits", "")
        assert not set(digits) & set(action.digits.terminators)
        assert len(digits) <= action.digits.max_digits


@given(action=PROMPTS, deeds=DEEDS)
def test_a_prompt_plays_first_and_has_one_result_last(action: Prompt, deeds: list[Any]) -> None:
    bench = lived(action, deeds)
    results = collected(bench)
    assert [result.final for result in results] == [False] * (len(results) - 1) + [True]
    played = [word for word in bench.told() if word in ("playing", "finished", "error")]
    assert len(played) == (2 if action.play_events else 0)
    if played:
        assert bench.told()[:2] == ["playing", played[1]]
    assert bench.commands().count("StopPlay") <= 1


@given(deeds=DEEDS)
def test_a_play_begins_with_playing_and_has_one_last_report(deeds: list[Any]) -> None:
    bench = lived(Play(items=SAY, control_id="x"), deeds)
    ends_once(bench.told(), ("playing",), ("finished", "error"))
    assert bench.commands().count("StopPlay") <= 1


@given(action=DETECTS, deeds=DEEDS)
def test_a_detector_has_one_last_report(action: Detect, deeds: list[Any]) -> None:
    bench = lived(action, deeds)
    told = bench.told()
    assert told[-1] in ("finished", "error")
    assert not set(told[:-1]) & {"finished", "error"}
    assert bench.commands().count("StopDetector") <= 1


@given(deeds=DEEDS)
def test_a_recording_is_refused_or_has_one_last_report(deeds: list[Any]) -> None:
    bench = lived(RecordCall(recording=Recording(), control_id="x"), deeds)
    assert bench.machine.outcome is not None
    if bench.machine.outcome.code != "200":
        assert bench.told() == []
    else:
        ends_once(bench.told(), ("recording",), ("finished", "no_input", "error"))
    assert bench.commands().count("StopRecording") <= 1


@given(deeds=DEEDS)
def test_a_tap_is_refused_or_has_one_last_report(deeds: list[Any]) -> None:
    bench = lived(Tap(target=TapTarget(uri="ws://h"), control_id="x"), deeds)
    assert bench.machine.outcome is not None
    assert bench.told() == (["tapping", "finished"] if bench.machine.outcome.code == "200" else [])
    assert bench.commands().count("StopTap") <= 1

"""Recordings and taps: beside the script, across bridges, and to their last word (swml.md 6.5 to 6.7)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import (
    Answer,
    Hangup,
    Play,
    PlayItem,
    Record,
    RecordCall,
    RecordDone,
    Recording,
    RecordStarted,
    Sleep,
    Stopped,
    StopRecordCall,
    StopTap,
    Tap,
    TapStarted,
    TapTarget,
)
from cordboard.call.background import LAST_WORDS, MAX_ITEMS
from cordboard.call.call import Call
from cordboard.call.effects import (
    CallOver,
    Effect,
    RecordStateChanged,
    Report,
    StartRecording,
    TapStateChanged,
)
from cordboard.call.facts import LegAnswered, LegEnded, RecordingEnded, RecordingStarted
from cordboard.call.reasons import ending
from cordboard.testing.virtual import Caller, FarEnd, ListDriver, VirtualShell, caller_info, run_call

from .virtual_calls import b, connect, nothing_is_left

BOTH = Recording(direction="both")
WS = TapTarget(uri="wss://h/tap", direction="both")
SILENCE = Play(items=(PlayItem(kind="silence", duration=1.0),))


def record_call(control_id: str | None = None) -> RecordCall:
    return RecordCall(recording=BOTH, control_id=control_id, status_url="http://h/s")


def results(shell: VirtualShell, kind: Any) -> list[Any]:
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    return [result for result in driver.results if isinstance(result, kind)]


def recorded(effects: list[Effect]) -> list[tuple[str, float, int]]:
    """(state, duration, size) of the record events."""
    return [
        (e.happening.state, round(e.happening.duration, 2), e.happening.size)
        for e in effects
        if isinstance(e, Report) and isinstance(e.happening, RecordStateChanged)
    ]


def events(shell: VirtualShell) -> list[tuple[str, float, int]]:
    return recorded([told.report for told in shell.reports])


# ------------------------------------------------------------------ in the foreground


def test_a_recording_in_the_foreground_is_waited_for() -> None:
    shell = run_call([Record(recording=Recording(max_length=3.0), status_url="http://h/s")])
    (done,) = results(shell, RecordDone)
    assert (done.ok, round(done.duration, 2), done.size) == (True, 3.0, 48044)
    assert done.url.startswith("http://h/")
    assert [state for state, _, _ in events(shell)] == ["recording", "finished"]
    assert shell.legs.wire("a")[:2] == ["< INVITE", "> 200"]
    nothing_is_left(shell)


def test_a_caller_who_leaves_still_has_the_recording_reported_before_the_call_is_over() -> None:
    shell = run_call([Answer(), Record(recording=Recording())], caller=Caller(hangs_up_at=4.0))
    assert events(shell) == [("recording", 0.0, 0), ("finished", 4.0, 64044)]
    order = [type(e).__name__ for c, e in shell.effects if isinstance(e, Report | CallOver)]
    assert order[-2:] == ["Report", "CallOver"]
    nothing_is_left(shell)


@pytest.mark.parametrize(
    ("outcome", "ok", "sentence"),
    [("finished", True, ""), ("no_input", False, "Nothing was heard."), ("error", False, "Disk full.")],
)
def test_how_it_ended_is_its_result(outcome: str, ok: bool, sentence: str) -> None:
    driver = ListDriver([Record(recording=Recording(), control_id="r"), Sleep(seconds=1.0)])
    call = answered_call(driver)
    call.handle(RecordingStarted(control_id="r", url="http://h/r"), 1.0)
    end = RecordingEnded(control_id="r", outcome=outcome, sentence="Disk full." if outcome == "error" else "")
    assert [state for state, _, _ in recorded(call.handle(end, 2.0))] == [outcome]
    (done,) = driver.results
    assert isinstance(done, RecordDone)
    assert (done.ok, done.sentence, done.url) == (ok, sentence, "http://h/r")


# ------------------------------------------------------------------ in the background


def test_a_recording_in_the_background_goes_on_across_a_bridge_to_the_end_of_the_call() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (5.0, "bye"))}
    shell = run_call([record_call(), connect([b("b1")]), SILENCE], far_ends)
    (started,) = results(shell, RecordStarted)
    assert started.ok
    assert started.url == f"http://h/{started.control_id}.wav"
    (first, last) = events(shell)
    assert first[0] == "recording"
    assert last[0] == "finished"
    assert last[1] == pytest.approx(6.02, abs=0.05)
    nothing_is_left(shell)


def test_the_last_started_is_stopped_unless_one_is_named() -> None:
    begin = (record_call("r1"), record_call("r2"))
    shell = run_call([*begin, StopRecordCall(), StopRecordCall(control_id="r1"), StopRecordCall()])
    assert [(s.ok, s.control_id) for s in results(shell, Stopped)] == [
        (True, "r2"), (True, "r1"), (False, ""),
    ]  # fmt: skip
    assert results(shell, Stopped)[-1].sentence == "No recording is running in the background."
    nothing_is_left(shell)


def test_a_stop_by_an_unknown_name_stops_nothing() -> None:
    shell = run_call([record_call("r1"), StopRecordCall(control_id="r9"), SILENCE])
    assert results(shell, Stopped)[0].sentence == "No recording r9 is running in the background."
    assert events(shell)[-1][1] > 0.9


def test_a_name_can_be_used_once_at_a_time() -> None:
    shell = run_call([record_call("r"), record_call("r"), StopRecordCall(), record_call("r")])
    assert [started.ok for started in results(shell, RecordStarted)] == [True, False, True]
    assert len(events(shell)) == 4


def test_there_is_a_limit_to_how_many() -> None:
    shell = run_call([record_call() for _ in range(MAX_ITEMS + 1)])
    assert [started.ok for started in results(shell, RecordStarted)] == [True] * MAX_ITEMS + [False]


def test_one_that_cannot_begin_says_so_and_has_one_event() -> None:
    driver = ListDriver([record_call("r"), Sleep(seconds=1.0)])
    call = answered_call(driver)
    effects = call.handle(RecordingEnded(control_id="r", outcome="error", sentence="Disk full."), 1.0)
    assert recorded(effects) == [("error", 0.0, 0)]
    assert driver.results == [RecordStarted(ok=False, control_id="r", sentence="Disk full.")]


def test_the_script_hanging_up_ends_it_with_a_complete_report() -> None:
    shell = run_call([record_call(), SILENCE, Hangup()])
    assert [state for state, _, _ in events(shell)] == ["recording", "finished"]
    nothing_is_left(shell)


# ------------------------------------------------------------------ the last word


def answered_call(driver: ListDriver) -> Call:
    numbers = iter(range(100))
    call = Call(info=caller_info("a"), driver=driver, new_id=lambda: f"id{next(numbers)}")
    call.start(0.0)
    call.handle(LegAnswered(), 0.0)
    return call


def test_a_writer_that_never_answers_holds_the_call_up_only_so_long() -> None:
    call = answered_call(ListDriver([record_call("r"), Sleep(seconds=None)]))
    call.handle(RecordingStarted(control_id="r", url="http://h/r"), 1.0)
    call.handle(LegEnded(ending=ending("hangup_far_end")), 2.0)
    assert not call.is_over
    assert call.next_timeout() == 2.0 + LAST_WORDS
    effects = call.handle_timeout(2.0 + LAST_WORDS)
    assert recorded(effects) == [("error", 0.0, 0)]
    assert isinstance(effects[-1], CallOver)
    assert call.handle(RecordingEnded(control_id="r", outcome="finished"), 9.0) == []


def test_a_recording_that_ends_twice_is_reported_once() -> None:
    call = answered_call(ListDriver([record_call("r"), Sleep(seconds=None)]))
    ended = RecordingEnded(control_id="r", outcome="finished", duration=1.0, size=10)
    assert recorded(call.handle(ended, 1.0)) == [("finished", 1.0, 10)]
    assert call.handle(ended, 1.1) == []


def test_a_beginning_that_is_told_after_the_end_is_not_reported() -> None:
    call = answered_call(ListDriver([record_call("r"), Sleep(seconds=None)]))
    call.handle(RecordingEnded(control_id="r", outcome="finished"), 1.0)
    assert call.handle(RecordingStarted(control_id="r", url="u"), 1.1) == []


def test_the_recording_begins_only_when_the_caller_is_answered() -> None:
    call = Call(info=caller_info("a"), driver=ListDriver([record_call("r")]), new_id=lambda: "id")
    assert not [e for e in call.start(0.0) if isinstance(e, StartRecording)]
    assert [e for e in call.handle(LegAnswered(), 0.1) if isinstance(e, StartRecording)]


# ------------------------------------------------------------------ taps


def tapped(shell: VirtualShell) -> list[str]:
    happenings = [told.report.happening for told in shell.reports]
    return [happening.state for happening in happenings if isinstance(happening, TapStateChanged)]


def test_a_tap_says_where_it_sends_from_and_ends_with_the_call() -> None:
    shell = run_call([Tap(target=WS, status_url="http://h/s"), SILENCE])
    (started,) = results(shell, TapStarted)
    assert (started.ok, started.source_address, started.source_port) == (True, "192.0.2.1", 4000)
    assert tapped(shell) == ["tapping", "finished"]
    nothing_is_left(shell)


def test_a_tap_that_cannot_be_opened_says_so_and_has_no_event() -> None:
    shell = run_call([Tap(target=TapTarget(uri="wss://missing/tap"), control_id="t"), SILENCE])
    assert results(shell, TapStarted) == [
        TapStarted(ok=False, control_id="t", sentence="wss://missing/tap is missing.")
    ]
    assert tapped(shell) == []


def test_taps_and_recordings_are_stopped_each_by_its_own_kind() -> None:
    begin = (Tap(target=WS, control_id="t"), record_call("r"))
    shell = run_call([*begin, StopTap(), StopRecordCall(), StopTap()])
    assert [(s.ok, s.control_id) for s in results(shell, Stopped)] == [(True, "t"), (True, "r"), (False, "")]
    nothing_is_left(shell)

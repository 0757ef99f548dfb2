"""A client's recordings and taps: answered when they have begun, and to their last report."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Record, RecordCall, Recording, Tap, TapTarget
from cordboard.call.effects import PauseRecording, RecordStateChanged, Report
from cordboard.call.facts import Fact, RecordingEnded, RecordingStarted, TapEnded, TapOpened
from cordboard.call.listeners import BEGINNING, LAST_MOMENT, TOO_LATE
from cordboard.call.running import Outcome

from .operating import Bench, operation

STARTED = RecordingStarted(control_id="r", url="http://h/r.wav")
ENDED = RecordingEnded(control_id="r", outcome="finished", url="http://h/r.wav", duration=3.0, size=9)
OPENED = TapOpened(control_id="t", address="192.0.2.1", port=4000)
CLOSED = TapEnded(control_id="t")


def recording(*facts: Fact, kind: type[Record] | type[RecordCall] = RecordCall) -> Bench:
    return Bench(operation(kind(recording=Recording(), control_id="r"))).at(1.0, *facts)


def tapping(*facts: Fact) -> Bench:
    target = TapTarget(uri="wss://h/tap")
    return Bench(operation(Tap(target=target, control_id="t"))).at(1.0, *facts)


def files(bench: Bench) -> list[tuple[str, float, int]]:
    """(url, duration, size) of each record report."""
    happenings = [e.happening for _, e in bench.effects if isinstance(e, Report)]
    recorded = [h for h in happenings if isinstance(h, RecordStateChanged)]
    return [(h.url, round(h.duration, 3), h.size) for h in recorded]


@pytest.mark.parametrize("kind", [Record, RecordCall])
def test_the_answer_waits_for_the_beginning(kind: Any) -> None:
    bench = recording(kind=kind)
    assert bench.machine.outcome is None
    bench.at(1.1, STARTED)
    assert bench.machine.outcome == Outcome(message="Recording", url="http://h/r.wav")
    assert bench.at(4.0, ENDED).told() == ["recording", "finished"]
    assert files(bench)[-1] == ("http://h/r.wav", 3.0, 9)
    assert bench.machine.is_over


@pytest.mark.parametrize(
    ("fact", "code", "sentence"),
    [
        (RecordingEnded(control_id="r", outcome="error", sentence="Disk full."), "500", "Disk full."),
        (RecordingEnded(control_id="r", outcome="error"), "500", "The recording could not be begun."),
    ],
)
def test_one_that_cannot_begin_is_refused_and_has_no_report(fact: Fact, code: str, sentence: str) -> None:
    bench = recording(fact)
    assert bench.machine.outcome == Outcome(code=code, message=sentence)
    assert bench.told() == []
    assert bench.machine.is_over


def test_one_that_was_over_before_it_was_told_to_have_begun_has_both_reports() -> None:
    bench = recording(ENDED, STARTED)
    assert bench.machine.outcome == Outcome(message="Recording", url="http://h/r.wav")
    assert bench.told() == ["recording", "finished"]


def test_media_that_say_nothing_are_a_refusal_in_time() -> None:
    for bench in (recording(), tapping()):
        bench.at(BEGINNING + 0.1)
        assert bench.machine.outcome is not None
        assert bench.machine.outcome.code == "500"
        assert bench.commands()[1:] in (["StopRecording"], ["StopTap"])
        assert bench.machine.is_over
        assert bench.at(9.0, STARTED, ENDED, OPENED, CLOSED).told() == []


def test_another_ones_facts_are_not_its_own() -> None:
    other = RecordingStarted(control_id="x", url="")
    assert recording(other, RecordingEnded(control_id="x", outcome="finished")).machine.outcome is None


# ------------------------------------------------------------------ steered


@pytest.mark.parametrize(
    ("deeds", "told", "commands"),
    [
        pytest.param(["pause", "resume", ENDED], "paused recording finished", "Pause Resume"),
        pytest.param(["pause", ENDED], "paused finished", "Pause", id="pause crosses the end"),
        pytest.param(["pause", "stop", ENDED], "paused finished", "Pause Stop", id="stopped in a pause"),
        pytest.param(["stop", "stop", ENDED], "finished", "Stop", id="stopped twice"),
        pytest.param(["stop", "pause", "resume", ENDED], "finished", "Stop", id="paused after the stop"),
        pytest.param([ENDED, "stop", "pause"], "finished", "", id="stop crosses the end"),
        pytest.param([ENDED, ENDED], "finished", "", id="ended twice"),
        pytest.param(["leave", ENDED], "finished", "Stop", id="the call ends"),
        pytest.param(["leave", "leave", ENDED], "finished", "Stop", id="and says so twice"),
        pytest.param(["pause", "leave", ENDED], "paused finished", "Pause Stop", id="it ends in a pause"),
        pytest.param(["stop", "leave", ENDED], "finished", "Stop", id="it ends in a stop"),
        pytest.param(["leave"], "finished", "Stop", id="and the file is late"),
    ],
)
def test_each_race_has_one_last_report(deeds: list[Any], told: str, commands: str) -> None:
    bench = recording(STARTED)
    for deed in deeds:
        _do(bench, deed)
    bench.at(60.0)
    assert bench.told() == ["recording", *told.split()]
    assert bench.commands() == ["StartRecording", *(f"{name}Recording" for name in commands.split())]
    assert bench.machine.is_over


def _do(bench: Bench, deed: Any) -> None:
    if deed == "leave":
        bench.abandon(2.0)
    elif isinstance(deed, str):
        bench.steer(2.0, deed, **({"skip": False} if deed == "pause" else {}))
    else:
        bench.at(2.0, deed)


def test_it_says_whether_a_pause_is_silence_or_nothing() -> None:
    bench = recording(STARTED)
    assert bench.steer(2.0, "pause", skip=True)
    assert not bench.steer(2.0, "pause", skip=True)
    assert bench.steer(3.0, "resume")
    assert not bench.steer(3.0, "resume")
    assert [e.skip for _, e in bench.effects if isinstance(e, PauseRecording)] == [True]


def test_what_has_not_begun_cannot_be_paused_but_stopped() -> None:
    bench = recording()
    assert not bench.steer(1.0, "pause", skip=False)
    assert bench.steer(1.0, "stop")
    assert bench.at(1.5, ENDED).told() == ["recording", "finished"]


# ------------------------------------------------------------------ the end of the call


def test_the_end_of_the_call_waits_for_the_file_but_not_for_ever() -> None:
    bench = recording(STARTED)
    bench.steer(3.0, "pause", skip=True)
    bench.steer(5.0, "resume")
    bench.abandon(10.0)
    assert not bench.machine.is_over
    assert bench.at(60.0).timed()[-1] == (10.0 + LAST_MOMENT, "finished")
    assert files(bench)[-1] == ("http://h/r.wav", 7.0, 0)
    assert bench.at(61.0, ENDED).told()[-2:] == ["recording", "finished"]


def test_one_that_was_stopped_before_has_no_more_in_it() -> None:
    bench = recording(STARTED)
    bench.steer(2.5, "stop")
    assert files(bench.abandon(10.0).at(60.0))[-1][1] == 1.5


@pytest.mark.parametrize("begin", [recording, tapping])
def test_one_that_has_not_begun_when_the_call_ends_never_was(begin: Any) -> None:
    bench = begin().abandon(2.0)
    assert bench.machine.outcome == TOO_LATE
    assert len(bench.commands()) == 2
    assert bench.machine.is_over
    assert bench.at(3.0, STARTED, ENDED, OPENED, CLOSED).told() == []


# ------------------------------------------------------------------ taps


def test_a_tap_says_where_it_sends_from() -> None:
    bench = tapping(OPENED)
    assert bench.machine.outcome == Outcome(message="Tapping", source_address="192.0.2.1", source_port=4000)
    assert bench.at(2.0, CLOSED).told() == ["tapping", "finished"]


def test_a_tap_that_cannot_be_opened_is_refused_and_has_no_report() -> None:
    bench = tapping(TapEnded(control_id="t", sentence="wss://h/tap refused the connection."))
    assert bench.machine.outcome == Outcome(code="400", message="wss://h/tap refused the connection.")
    assert bench.told() == []
    assert bench.machine.is_over


def test_a_tap_is_over_with_its_call() -> None:
    bench = tapping(OPENED).abandon(2.0)
    assert bench.timed() == [(1.0, "tapping"), (2.0, "finished")]
    assert bench.abandon(2.1).at(3.0, CLOSED).commands() == ["StartTap", "StopTap"]
    assert bench.told() == ["tapping", "finished"]


def test_a_tap_is_stopped_once() -> None:
    bench = tapping(OPENED)
    assert bench.steer(2.0, "stop")
    assert bench.steer(2.0, "stop")
    assert not bench.steer(2.0, "pause", skip=False)
    assert bench.at(2.1, CLOSED).commands() == ["StartTap", "StopTap"]
    assert not bench.steer(2.2, "stop")


def test_both_go_on_when_a_script_takes_over() -> None:
    assert recording().machine.survives
    assert tapping().machine.survives

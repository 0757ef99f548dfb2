"""A client's `Detect`: what is heard is told, and one `finished` closes it."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Detect, MachineDetection
from cordboard.call.detecting import CLOSING
from cordboard.call.effects import StartDetector
from cordboard.call.facts import DetectorEnded, DetectorHeard, Fact, PeerPressed

from .operating import Bench, key, operation

ENDED = DetectorEnded(control_id="d")


def heard(event: str, *, beep: bool = False) -> Fact:
    return DetectorHeard(control_id="d", event=event, beep=beep)


def detecting(kind: str = "machine", **more: Any) -> Bench:
    return Bench(operation(Detect(control_id="d", kind=kind, **more)))


@pytest.mark.parametrize(
    ("kind", "machine", "events", "stops"),
    [
        pytest.param("machine", {}, "HUMAN", True),
        pytest.param("machine", {}, "UNKNOWN", True),
        pytest.param("machine", {}, "MACHINE", False),
        pytest.param("machine", {}, "MACHINE READY", True),
        pytest.param("machine", {"detect_message_end": False}, "MACHINE", True),
        pytest.param("machine", {"detect_interruptions": True}, "MACHINE READY NOT_READY READY", False),
        pytest.param("fax", {}, "CED", True),
        pytest.param("fax", {}, "CNG", True),
    ],
)
def test_when_it_has_decided(kind: str, machine: dict[str, bool], events: str, stops: bool) -> None:
    bench = detecting(kind, machine=MachineDetection(**machine))
    for event in events.split():
        bench.at(1.0, heard(event))
    assert bench.told() == events.split()
    assert bench.commands() == ["StartDetector"] + ["StopDetector"] * stops
    bench.at(1.1, ENDED)
    assert bench.told() == [*events.split(), "finished"]
    assert bench.machine.is_over


def test_the_media_are_told_what_to_listen_for() -> None:
    action = Detect(control_id="d", kind="fax", tone="CNG")
    bench = Bench(operation(action))
    assert [e for _, e in bench.effects] == [StartDetector(control_id="d", detect=action)]


def test_a_beep_is_told() -> None:
    assert detecting().at(1.0, heard("MACHINE"), heard("READY", beep=True)).told()[1] == "READY beep"


def test_nothing_that_comes_after_the_decision_is_told() -> None:
    bench = detecting().at(1.0, heard("HUMAN"), heard("MACHINE")).at(1.1, ENDED, heard("MACHINE"))
    assert bench.told() == ["HUMAN", "finished"]


def test_its_time_ends_it() -> None:
    bench = detecting(timeout=20.0).at(20.0)
    assert (bench.commands(), bench.told()) == (["StartDetector", "StopDetector"], [])
    assert bench.at(20.1, ENDED).timed() == [(20.1, "finished")]


def test_media_that_do_not_answer_are_not_waited_for() -> None:
    assert detecting(timeout=20.0).at(60.0).timed() == [(20.0 + CLOSING, "finished")]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ([DetectorEnded(control_id="d", sentence="The worker is full.")], ["error"]),
        ([heard("MACHINE"), DetectorEnded(control_id="d", sentence="Gone.")], ["MACHINE", "error"]),
        ([heard("HUMAN"), DetectorEnded(control_id="d", sentence="Gone.")], ["HUMAN", "finished"]),
        ([ENDED], ["finished"]),
        ([DetectorEnded(control_id="other", sentence="Gone.")], []),
        ([DetectorHeard(control_id="other", event="HUMAN")], []),
    ],
)
def test_only_a_failure_of_the_media_is_an_error(facts: list[Fact], told: list[str]) -> None:
    assert detecting().at(1.0, *facts).told() == told


@pytest.mark.parametrize(
    ("deeds", "told"),
    [
        pytest.param(["stop", ENDED], ["finished"], id="a stop"),
        pytest.param(["stop", "stop", ENDED], ["finished"], id="stopped twice"),
        pytest.param(["stop", heard("HUMAN"), ENDED], ["finished"], id="stop crosses what is heard"),
        pytest.param([heard("HUMAN"), "stop", ENDED], ["HUMAN", "finished"], id="stop after the decision"),
        pytest.param([ENDED, "stop"], ["finished"], id="stop crosses the end"),
        pytest.param(["leave"], ["finished"], id="the call ends"),
        pytest.param(["leave", "leave", ENDED], ["finished"], id="twice, and crossing the end"),
        pytest.param(["stop", "leave", ENDED], ["finished"], id="the call ends in a stop"),
        pytest.param([heard("HUMAN"), "leave", ENDED], ["HUMAN", "finished"], id="after the decision"),
    ],
)
def test_each_race_has_one_last_report(deeds: list[Any], told: list[str]) -> None:
    bench = detecting()
    for deed in deeds:
        if deed == "stop":
            bench.steer(1.0, "stop")
        elif deed == "leave":
            bench.abandon(1.0)
        else:
            bench.at(1.0, deed)
    assert bench.at(60.0).told() == told
    assert bench.commands() == ["StartDetector", "StopDetector"][: 1 if deeds[0] is ENDED else 2]
    assert bench.machine.is_over


# ------------------------------------------------------------------ keys


def test_each_wanted_key_of_the_own_far_end_is_told_until_its_time_is_up() -> None:
    bench = detecting("digit", digits="12", timeout=10.0)
    bench.at(1.0, key("1")).at(2.0, key("3")).at(3.0, key("2"), key("1"))
    bench.at(4.0, PeerPressed(call_id="b", digit="1", duration_ms=100))
    assert bench.at(60.0).timed() == [(1.0, "1"), (3.0, "2"), (3.0, "1"), (10.0, "finished")]
    assert bench.commands() == []


def test_a_detector_of_keys_that_is_stopped_is_over_at_once() -> None:
    bench = detecting("digit")
    assert bench.steer(1.0, "stop")
    assert not bench.steer(1.0, "stop")
    assert bench.at(2.0, key("1")).timed() == [(1.0, "finished")]


def test_a_second_stop_is_accepted_until_the_end_and_refused_after_it() -> None:
    bench = detecting()
    assert bench.steer(1.0, "stop")
    assert bench.steer(1.1, "stop")
    assert not bench.at(1.2, ENDED).steer(1.3, "stop")


def test_it_goes_on_when_a_script_takes_over() -> None:
    assert detecting().machine.survives

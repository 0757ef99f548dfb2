"""Detectors seen from the control process: what is asked for, what is told, one end each."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from cordboard.call.actions import Detect, MachineDetection
from cordboard.call.effects import StartDetector, StopDetector
from cordboard.call.facts import DetectorEnded, DetectorHeard
from cordboard.media.protocol import BeginDetector, DetectorClosed, DetectorTold, FinishDetector
from cordboard.server.detectors import Detectors
from cordboard.server.media_engine import MediaEngine


class FakeMedia:
    def __init__(self) -> None:
        self.open_ = {"c"}
        self.told: list[Any] = []

    def is_open(self, endpoint_id: str) -> bool:
        return endpoint_id in self.open_

    def send(self, command: Any) -> None:
        self.told.append(command)


class Bench:
    def __init__(self) -> None:
        self.media = FakeMedia()
        self.facts: list[tuple[str, DetectorHeard | DetectorEnded]] = []
        self.detectors = Detectors(
            cast(MediaEngine, self.media), lambda call_id, fact: self.facts.append((call_id, fact))
        )

    def start(self, call_id: str = "c", control_id: str = "d", **detect: Any) -> None:
        wanted = Detect(control_id=control_id, **{"kind": "machine", **detect})
        self.detectors.start(call_id, StartDetector(control_id=control_id, detect=wanted))


def test_what_was_asked_for_reaches_the_worker() -> None:
    bench = Bench()
    bench.start()
    wish = MachineDetection(
        initial_timeout=2.0, end_silence_timeout=0.5, machine_voice_threshold=3.0, machine_words_threshold=9,
        machine_ready_timeout=2.5, detect_interruptions=True, detect_message_end=False,
    )  # fmt: skip
    bench.start(control_id="e", machine=wish)
    bench.start(control_id="f", machine=MachineDetection(end_silence_timeout=0.75))
    bench.start(control_id="g", kind="fax", tone="CNG")
    ids = ({"endpoint_id": "c", "detector_id": name, "kind": "machine"} for name in "def")
    changed = {
        "initial_timeout_ms": 2000,
        "end_silence_ms": 500,
        "voice_ms": 3000,
        "words": 9,
        "ready_ms": 2500,
        "interruptions": True,
        "message_end": False,
    }
    expected = [{}, changed, {"end_silence_ms": 750, "ready_ms": 750}]
    assert bench.media.told == [
        *(msgspec.convert(id_ | rest, BeginDetector) for id_, rest in zip(ids, expected, strict=True)),
        BeginDetector(endpoint_id="c", detector_id="g", kind="fax", tone="CNG"),
    ]


def test_what_is_heard_is_told_and_the_end_once() -> None:
    bench = Bench()
    bench.start()
    bench.detectors.told(DetectorTold(endpoint_id="c", detector_id="d", event="READY", beep=True))
    for _ in range(2):
        bench.detectors.closed(DetectorClosed(endpoint_id="c", detector_id="d"))
    assert bench.facts == [
        ("c", DetectorHeard(control_id="d", event="READY", beep=True)),
        ("c", DetectorEnded(control_id="d")),
    ]
    assert len(bench.detectors) == 0


def test_one_is_stopped_and_not_another() -> None:
    bench = Bench()
    bench.start()
    bench.start(control_id="e")
    bench.detectors.stop("c", StopDetector(control_id="e"))
    bench.detectors.stop("c", StopDetector(control_id="x"))
    assert bench.media.told[2:] == [FinishDetector(endpoint_id="c", detector_id="e")]
    assert bench.facts == []


def test_a_call_without_media_is_not_listened_to() -> None:
    bench = Bench()
    bench.start("nobody")
    ((call_id, fact),) = bench.facts
    assert isinstance(fact, DetectorEnded)
    assert (call_id, fact.sentence) == ("nobody", "The call has no media that could be listened to.")
    assert (bench.media.told, len(bench.detectors)) == ([], 0)


@pytest.mark.parametrize("lost", [["c"], ["c", "other"]])
def test_the_death_of_a_worker_ends_what_it_listened_to(lost: list[str]) -> None:
    bench = Bench()
    bench.media.open_.add("far")
    bench.start()
    bench.start("far")
    bench.detectors.lost(lost, "the media worker was killed by signal 9")
    sentence = "The media worker was killed by signal 9."
    assert bench.facts == [("c", DetectorEnded(control_id="d", sentence=sentence))]
    assert len(bench.detectors) == 1

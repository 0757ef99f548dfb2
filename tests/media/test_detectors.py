"""Detectors of a worker: begun, heard, over by themselves, by command and with their leg."""

from __future__ import annotations

import pytest

from cordboard.media.detectors import MOST_OF_ONE_LEG, Detectors
from cordboard.media.ear import Ear
from cordboard.media.protocol import BeginDetector, DetectorClosed, DetectorTold, FinishDetector
from cordboard.media.tones import SILENT_FRAME, tone_frames


class Stream:
    def __init__(self) -> None:
        self.ears: list[Ear] = []

    def attach(self, listener: Ear) -> None:
        self.ears.append(listener)

    def detach(self, listener: Ear) -> None:
        self.ears.remove(listener)


class Leg:
    endpoint_id = "e"

    def __init__(self) -> None:
        self.incoming = Stream()
        self.outgoing = Stream()


class Bench:
    def __init__(self) -> None:
        self.told: list[DetectorTold | DetectorClosed] = []
        self.detectors = Detectors(self.told.append)
        self.leg = Leg()

    def begin(self, detector_id: str = "d", kind: str = "machine", **order: object) -> None:
        command = BeginDetector(endpoint_id="e", detector_id=detector_id, kind=kind, **order)  # type: ignore[arg-type]
        self.detectors.begin(command, self.leg)

    def run(self, frames: list[bytes | None]) -> None:
        for frame in frames:
            for ear in self.leg.incoming.ears:
                ear.hear(frame)
            self.detectors.tick()

    def closed(self) -> list[str]:
        return [event.detector_id for event in self.told if isinstance(event, DetectorClosed)]

    def at_rest(self) -> bool:
        return not (len(self.detectors) or self.leg.incoming.ears or self.leg.outgoing.ears)


def test_a_detector_ends_by_itself_once_it_has_decided() -> None:
    bench = Bench()
    bench.begin()
    bench.begin("f", "fax", tone="CED")
    bench.run([None] * 100)
    assert (bench.told, len(bench.detectors)) == ([], 2)
    bench.run(list(tone_frames((2100.0,), 1000)))
    assert bench.told == [
        DetectorTold(endpoint_id="e", detector_id="f", event="CED"),
        DetectorClosed(endpoint_id="e", detector_id="f"),
    ]
    bench.run([SILENT_FRAME] * 200)
    assert bench.told[2:] == [
        DetectorTold(endpoint_id="e", detector_id="d", event="UNKNOWN"),
        DetectorClosed(endpoint_id="e", detector_id="d"),
    ]
    assert bench.at_rest()


def test_a_detector_ends_when_it_is_told_to_and_only_it() -> None:
    bench = Bench()
    bench.begin("a")
    bench.begin("b", "fax")
    for _ in range(2):
        bench.detectors.finish(FinishDetector(endpoint_id="e", detector_id="b"))
    assert bench.closed() == ["b"]
    bench.detectors.leave("other")
    bench.detectors.leave("e")
    assert bench.closed() == ["b", "a"]
    assert bench.at_rest()


@pytest.mark.parametrize("why", ["no leg", "kind", "twice", "too many"])
def test_what_cannot_begin_is_closed_with_a_sentence(why: str) -> None:
    bench = Bench()
    if why == "no leg":
        bench.detectors.begin(BeginDetector(endpoint_id="e", detector_id="d", kind="fax"), None)
    elif why == "kind":
        bench.begin(kind="digit")
    elif why == "twice":
        bench.begin()
        bench.begin()
    else:
        for number in range(MOST_OF_ONE_LEG + 1):
            bench.begin(f"d{number}")
    (closed,) = bench.told
    assert isinstance(closed, DetectorClosed)
    assert closed.sentence.endswith(".")

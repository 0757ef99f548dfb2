"""All detectors of a worker: what far ends are, by the sound of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cordboard.media.ear import Ear
from cordboard.media.fax_ear import FaxEar
from cordboard.media.machine_ear import Heard, MachineEar
from cordboard.media.protocol_listeners import BeginDetector, DetectorClosed, DetectorTold, FinishDetector
from cordboard.media.recordings import Recorded

MOST_OF_ONE_LEG = 4
MACHINE, FAX = "machine", "fax"

Key = tuple[str, str]
"""(endpoint id, detector id)"""


class Judge(Protocol):
    """Frames in, what they tell out."""

    @property
    def is_over(self) -> bool:
        """It has nothing more to tell."""
        ...

    def hear(self, frame: bytes | None) -> list[Heard]:
        """20 ms at 8 kHz; None: nothing was said."""
        ...


class _FaxJudge:
    __slots__ = ("_ear",)

    def __init__(self, tone: str) -> None:
        self._ear = FaxEar(tone)

    @property
    def is_over(self) -> bool:
        return self._ear.is_over

    def hear(self, frame: bytes | None) -> list[Heard]:
        tone = self._ear.hear(frame)
        return [Heard(tone)] if tone else []


class _Detector:
    __slots__ = ("command", "ear", "judge", "leg")

    def __init__(self, command: BeginDetector, leg: Recorded) -> None:
        self.command = command
        self.leg = leg
        self.ear = Ear()
        self.judge: Judge = _FaxJudge(command.tone) if command.kind == FAX else MachineEar(command)


class Detectors:
    """Each ends by itself once it has decided, by command, or with its leg."""

    def __init__(self, report: Callable[[DetectorTold | DetectorClosed], None]) -> None:
        self._report = report
        self._all: dict[Key, _Detector] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, command: BeginDetector, leg: Recorded | None) -> None:
        """From the next tick on; `DetectorClosed` alone if it cannot."""
        problem = self._problem(command, leg)
        if leg is None or problem:
            self._closed(command, problem)
            return
        detector = _Detector(command, leg)
        self._all[command.endpoint_id, command.detector_id] = detector
        leg.incoming.attach(detector.ear)

    def _problem(self, command: BeginDetector, leg: Recorded | None) -> str:
        if leg is None:
            return "The call has no media that could be listened to."
        if command.kind not in (MACHINE, FAX):
            return f"There is no detector of the kind {command.kind!r}."
        if (command.endpoint_id, command.detector_id) in self._all:
            return "The detector has begun already."
        if sum(key[0] == command.endpoint_id for key in self._all) >= MOST_OF_ONE_LEG:
            return f"The call has {MOST_OF_ONE_LEG} detectors already."
        return ""

    def finish(self, command: FinishDetector) -> None:
        """As asked for."""
        self._end((command.endpoint_id, command.detector_id))

    def leave(self, endpoint_id: str) -> None:
        """The leg is closed."""
        for key in [key for key in self._all if key[0] == endpoint_id]:
            self._end(key)

    def tick(self) -> None:
        """20 ms have passed, and everybody who listens has heard them."""
        for key, detector in list(self._all.items()):
            for heard in detector.judge.hear(detector.ear.take()):
                self._told(detector.command, heard)
            if detector.judge.is_over:
                self._end(key)

    def _end(self, key: Key) -> None:
        detector = self._all.pop(key, None)
        if detector is not None:
            detector.leg.incoming.detach(detector.ear)
            self._closed(detector.command, "")

    def _told(self, command: BeginDetector, heard: Heard) -> None:
        ids = {"endpoint_id": command.endpoint_id, "detector_id": command.detector_id}
        self._report(DetectorTold(**ids, event=heard.event, beep=heard.beep))

    def _closed(self, command: BeginDetector, sentence: str) -> None:
        ids = {"endpoint_id": command.endpoint_id, "detector_id": command.detector_id}
        self._report(DetectorClosed(**ids, sentence=sentence))

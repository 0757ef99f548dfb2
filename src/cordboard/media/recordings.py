"""All recordings of a worker: begun and finished by command, by a key, by silence, by the end of a leg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cordboard.media.ear import Ear
from cordboard.media.protocol import (
    BeginRecording,
    Event,
    FinishRecording,
    PauseRecorder,
    RecordingBegun,
    RecordingClosed,
    ResumeRecorder,
)
from cordboard.media.recorder import ERROR, FINISHED, Recorder
from cordboard.media.recording_file import Disk, RecordingFile

MOST_OF_ONE_LEG = 8
"""With as many taps, no more than a leg may have listeners."""
BEEP_HZ = 1000.0
BEEP_MS = 200

Key = tuple[str, str]
"""(endpoint id, recording id)"""


class Hearable(Protocol):
    """A stream that can be listened to."""

    def attach(self, listener: Ear) -> None:
        """From the next tick on."""
        ...

    def detach(self, listener: Ear) -> None:
        """No more."""
        ...


class Recorded(Protocol):
    """A leg, as far as it can be recorded."""

    @property
    def endpoint_id(self) -> str: ...

    @property
    def incoming(self) -> Hearable:
        """What it says."""
        ...

    @property
    def outgoing(self) -> Hearable:
        """What it hears."""
        ...


class _Recording:
    __slots__ = ("begun", "command", "file", "leg", "recorder")

    def __init__(
        self, command: BeginRecording, leg: Recorded, recorder: Recorder, file: RecordingFile
    ) -> None:
        self.command = command
        self.leg: Recorded | None = leg
        self.recorder = recorder
        self.file = file
        self.begun = False


class Recordings:
    """Those that go on, and those whose files are still being closed.

    `beep(endpoint_id, recording_id)` announces one to the far end and says whether it could.
    """

    def __init__(self, report: Callable[[Event], None], beep: Callable[[BeginRecording], bool]) -> None:
        self._report = report
        self._beep = beep
        self._disk = Disk()
        self._all: dict[Key, _Recording] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, command: BeginRecording, leg: Recorded | None) -> None:
        """`RecordingBegun` and `RecordingClosed` follow, or the latter alone."""
        problem = self._problem(command, leg)
        if leg is None or problem:
            self._close(command, ERROR, 0, problem)
            return
        lead_ms = BEEP_MS if command.beep and self._beep(command) else 0
        recorder = Recorder(command, lead_ms=lead_ms)
        file = RecordingFile(self._disk, command.path, recorder.channels)
        self._all[command.endpoint_id, command.recording_id] = _Recording(command, leg, recorder, file)
        leg.incoming.attach(recorder.said)
        leg.outgoing.attach(recorder.told)

    def _problem(self, command: BeginRecording, leg: Recorded | None) -> str:
        if leg is None:
            return "The call has no media that could be recorded."
        if (command.endpoint_id, command.recording_id) in self._all:
            return "The recording has begun already."
        if sum(key[0] == command.endpoint_id for key in self._all) >= MOST_OF_ONE_LEG:
            return f"The call has {MOST_OF_ONE_LEG} recordings already."
        return ""

    def finish(self, command: FinishRecording) -> None:
        """As asked for."""
        recording = self._all.get((command.endpoint_id, command.recording_id))
        if recording is not None:
            recording.recorder.end(FINISHED)

    def pause(self, command: PauseRecorder) -> None:
        """Until it is resumed."""
        recording = self._all.get((command.endpoint_id, command.recording_id))
        if recording is not None:
            recording.recorder.pause(skip=command.skip)

    def resume(self, command: ResumeRecorder) -> None:
        """Go on."""
        recording = self._all.get((command.endpoint_id, command.recording_id))
        if recording is not None:
            recording.recorder.resume()

    def pressed(self, endpoint_id: str, digit: str) -> None:
        """The far end pressed a key."""
        for key, recording in self._all.items():
            if key[0] == endpoint_id:
                recording.recorder.press(digit)

    def leave(self, endpoint_id: str) -> None:
        """The leg is closed: its files are completed."""
        for key, recording in self._all.items():
            if key[0] == endpoint_id:
                recording.recorder.end(FINISHED)
                _let_go(recording)

    def tick(self, now: float) -> None:
        """20 ms have passed, and everybody who listens has heard them."""
        for key, recording in list(self._all.items()):
            if self._advance(recording, now):
                del self._all[key]

    def stop(self) -> None:
        """The worker ends."""
        for recording in self._all.values():
            recording.file.close()
        self._disk.stop()

    def _advance(self, recording: _Recording, now: float) -> bool:
        """True when it is over and told."""
        recorder, file = recording.recorder, recording.file
        self._tell_begun(recording)
        file.write(recorder.tick(now))
        if file.problem:
            recorder.end(ERROR)
        if not recorder.outcome:
            return False
        _let_go(recording)
        if file.close() and file.is_closed:
            self._tell_begun(recording)
            outcome = ERROR if file.problem else recorder.outcome
            self._close(recording.command, outcome, recorder.length_ms, file.problem)
            return True
        return False

    def _tell_begun(self, recording: _Recording) -> None:
        if recording.file.is_open and not recording.begun:
            recording.begun = True
            command = recording.command
            begun = RecordingBegun(endpoint_id=command.endpoint_id, recording_id=command.recording_id)
            self._report(begun)

    def _close(self, command: BeginRecording, outcome: str, duration_ms: int, sentence: str) -> None:
        self._report(
            RecordingClosed(
                endpoint_id=command.endpoint_id,
                recording_id=command.recording_id,
                outcome=outcome,
                duration_ms=duration_ms,
                sentence=sentence,
            )
        )


def _let_go(recording: _Recording) -> None:
    if recording.leg is not None:
        recording.leg.incoming.detach(recording.recorder.said)
        recording.leg.outgoing.detach(recording.recorder.told)
        recording.leg = None

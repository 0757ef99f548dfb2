"""Files that grow while legs are recorded, and what becomes of them."""

from __future__ import annotations

import os
import resource
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
from cordboard.media.recording_file import HEADER_BYTES, Disk, RecordingFile, header, mend
from cordboard.media.recordings import MOST_OF_ONE_LEG, Recordings
from cordboard.media.tones import tone_frames

SAID = tone_frames((400.0,), 60_000)
PATIENCE = 5.0


class Stream:
    """Whom it tells."""

    def __init__(self) -> None:
        self.ears: list[Ear] = []

    def attach(self, listener: Ear) -> None:
        self.ears.append(listener)

    def detach(self, listener: Ear) -> None:
        self.ears.remove(listener)

    def say(self, frame: bytes | None) -> None:
        for ear in self.ears:
            ear.hear(frame)


class Leg:
    def __init__(self, endpoint_id: str = "e") -> None:
        self.endpoint_id = endpoint_id
        self.incoming = Stream()
        self.outgoing = Stream()


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[Event] = []
        self.beeps = True
        self.recordings = Recordings(self.events.append, lambda _: self.beeps)
        self.leg = Leg()
        self.now = 0.0

    def path(self, recording_id: str = "r") -> Path:
        return self.directory / f"{recording_id}.wav"

    def begin(self, recording_id: str = "r", **fields: Any) -> None:
        path = fields.pop("path", str(self.path(recording_id)))
        command = BeginRecording(endpoint_id="e", recording_id=recording_id, path=path, **fields)
        self.recordings.begin(command, self.leg)

    def finish(self, recording_id: str = "r") -> None:
        self.recordings.finish(FinishRecording(endpoint_id="e", recording_id=recording_id))

    def run(self, ticks: int) -> None:
        for number in range(ticks):
            self.leg.incoming.say(SAID[number])
            self.leg.outgoing.say(None)
            self.now += 0.020
            self.recordings.tick(self.now)

    def until(self, condition: Callable[[], bool]) -> None:
        """The thread may take its time; nothing is heard meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.recordings.tick(self.now)
            time.sleep(0.001)

    def closed(self, number: int = 1) -> list[RecordingClosed]:
        def those() -> list[RecordingClosed]:
            return [event for event in self.events if isinstance(event, RecordingClosed)]

        self.until(lambda: len(those()) >= number)
        return those()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def audio_of(path: Path) -> tuple[int, bytes]:
    """(channels, PCM); checks that the header is right."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        pcm = file.readframes(file.getnframes())
        assert path.stat().st_size == HEADER_BYTES + len(pcm)
        return file.getnchannels(), pcm


def test_a_recording_is_on_disk_when_it_is_closed(bench: Bench) -> None:
    bench.begin(direction="speak")
    bench.run(100)
    bench.finish()
    [closed] = bench.closed()
    assert closed == RecordingClosed(endpoint_id="e", recording_id="r", outcome="finished", duration_ms=2000)
    assert bench.events == [RecordingBegun(endpoint_id="e", recording_id="r"), closed]
    assert audio_of(bench.path()) == (1, b"".join(SAID[:100]))
    assert (len(bench.recordings), bench.leg.incoming.ears, bench.leg.outgoing.ears) == (0, [], [])


def test_a_pause_is_in_the_file_or_is_not(bench: Bench) -> None:
    for recording_id in "ab":
        bench.begin(recording_id, direction="speak")
    bench.run(50)
    for recording_id, skip in (("a", True), ("b", False), ("x", True)):
        bench.recordings.pause(PauseRecorder(endpoint_id="e", recording_id=recording_id, skip=skip))
    bench.run(25)
    for recording_id in "abx":
        bench.recordings.resume(ResumeRecorder(endpoint_id="e", recording_id=recording_id))
    bench.run(50)
    bench.finish("a")
    bench.finish("b")
    durations = {closed.recording_id: closed.duration_ms for closed in bench.closed(2)}
    assert durations == {"a": 2000, "b": 2500}
    said = b"".join(SAID[:50])
    assert audio_of(bench.path("a")) == (1, said + said)
    assert audio_of(bench.path("b")) == (1, said + bytes(8000) + said)


def test_several_recordings_of_one_leg_do_not_know_each_other(bench: Bench) -> None:
    bench.begin("a", direction="speak")
    bench.run(10)
    bench.begin("b", direction="both", stereo=True)
    bench.run(10)
    bench.finish("a")
    bench.run(10)
    bench.finish("b")
    a, b = bench.closed(2)
    assert (a.duration_ms, b.duration_ms) == (400, 400)
    assert audio_of(bench.path("a")) == (1, b"".join(SAID[:10] * 2))
    assert audio_of(bench.path("b"))[0] == 2


def test_the_end_of_a_leg_completes_its_recordings(bench: Bench) -> None:
    bench.begin()
    bench.run(5)
    bench.recordings.leave("e")
    assert (bench.leg.incoming.ears, bench.leg.outgoing.ears) == ([], [])
    [closed] = bench.closed()
    assert (closed.outcome, closed.duration_ms) == ("finished", 100)
    assert len(audio_of(bench.path())[1]) == 1600


def test_the_end_of_the_worker_completes_files(bench: Bench) -> None:
    bench.begin()
    bench.run(7)
    bench.recordings.stop()
    assert len(audio_of(bench.path())[1]) == 7 * 320


def test_a_key_of_the_far_end_reaches_its_recordings_only(bench: Bench) -> None:
    bench.begin(terminators="#")
    bench.run(3)
    bench.recordings.pressed("other", "#")
    bench.run(3)
    bench.recordings.pressed("e", "#")
    assert bench.closed()[0].duration_ms == 120


def test_the_beep_is_waited_for_where_it_can_be_heard(bench: Bench) -> None:
    bench.begin("a", beep=True)
    bench.beeps = False
    bench.begin("b", beep=True)
    bench.run(50)
    bench.recordings.leave("e")
    durations = {event.recording_id: event.duration_ms for event in bench.closed(2)}
    assert durations == {"a": 800, "b": 1000}


def test_what_was_written_before_a_crash_can_be_played(bench: Bench) -> None:
    bench.begin()
    bench.run(600)
    bench.until(lambda: size_of(bench.path()) > HEADER_BYTES + 180_000)
    with wave.open(str(bench.path())) as file:
        assert file.getnframes() >= 8000 * 10
    size = mend(bench.path())
    assert size >= 180_000
    assert len(audio_of(bench.path())[1]) == size
    bench.recordings.stop()


def test_a_torn_file_is_mended_to_whole_samples(tmp_path: Path) -> None:
    path = tmp_path / "torn.wav"
    path.write_bytes(header(0, 2) + bytes(4003))
    assert mend(path) == 4000
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 1000)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 100])
def test_what_is_no_recording_is_not_mended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a recording"):
        mend(path)
    assert path.read_bytes() == content


# ---------------------------------------------------------------- failures


def test_a_file_that_cannot_be_made_is_an_error_with_a_sentence(bench: Bench) -> None:
    bench.begin(path=str(bench.directory / "missing" / "r.wav"))
    [closed] = bench.closed()
    assert closed.outcome == "error"
    assert closed.sentence == "The recording could not be written: No such file or directory."
    assert bench.events == [closed]


def test_a_file_that_is_there_already_is_not_written_over(bench: Bench) -> None:
    bench.path().write_text("somebody's")
    bench.begin()
    assert "File exists" in bench.closed()[0].sentence
    assert bench.path().read_text() == "somebody's"


def test_a_disk_that_is_full_ends_the_recording_with_what_there_was(bench: Bench) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    bench.begin()
    bench.run(50)
    bench.until(lambda: size_of(bench.path()) > HEADER_BYTES + 15_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + 20_000, hard))
    try:
        bench.run(100)
        [closed] = bench.closed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert closed.outcome == "error"
    assert closed.sentence == "The recording could not be written: File too large."
    assert mend(bench.path()) >= 15_000


def test_a_disk_that_hangs_delays_no_tick_and_ends_the_recording(tmp_path: Path) -> None:
    disk, gate = Disk(most_orders=3), threading.Event()
    disk.order(gate.wait)  # type: ignore[arg-type]  # what it returns is of no interest
    file = RecordingFile(disk, str(tmp_path / "r.wav"), 1)
    began = time.monotonic()
    for frame in SAID[:300]:
        file.write(frame)
    assert time.monotonic() - began < 1.0
    assert file.problem == "The disk does not keep up with the recordings."
    assert not file.close()
    gate.set()
    deadline = time.monotonic() + PATIENCE
    while not (file.close() and file.is_closed):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    disk.stop()
    assert mend(tmp_path / "r.wav") >= 0


def test_a_leg_without_media_cannot_be_recorded(bench: Bench) -> None:
    command = BeginRecording(endpoint_id="e", recording_id="r", path=str(bench.path()))
    bench.recordings.begin(command, None)
    assert bench.closed()[0].sentence == "The call has no media that could be recorded."


def test_one_leg_has_only_so_many_recordings(bench: Bench) -> None:
    for number in range(MOST_OF_ONE_LEG + 1):
        bench.begin(str(number))
    bench.begin("0")
    assert {event.recording_id for event in bench.closed(2)} == {str(MOST_OF_ONE_LEG), "0"}
    assert len(bench.recordings) == MOST_OF_ONE_LEG
    assert not os.path.exists(bench.path(str(MOST_OF_ONE_LEG)))
    bench.recordings.stop()

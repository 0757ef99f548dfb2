"""Recordings seen from the control process: one end each, and a file only where there is something in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from cordboard.call.actions import Recording
from cordboard.call.effects import PauseRecording, ResumeRecording, StartRecording, StopRecording
from cordboard.call.facts import RecordingEnded, RecordingStarted
from cordboard.media.protocol import (
    BeginRecording,
    FinishRecording,
    PauseRecorder,
    RecordingBegun,
    RecordingClosed,
    ResumeRecorder,
)
from cordboard.media.recording_file import header
from cordboard.server.audio_process import AudioProcess, Outcome
from cordboard.server.media_engine import MediaEngine
from cordboard.server.recording_files import RecordingFiles
from cordboard.server.recording_links import RecordingLinks
from cordboard.server.recordings import Recordings

AUDIO = header(16_000, 1) + bytes(16_000)


class FakeMedia:
    """Keeps what workers are told; `open_` are the calls that have media."""

    def __init__(self) -> None:
        self.open_ = {"c"}
        self.told: list[Any] = []

    def is_open(self, endpoint_id: str) -> bool:
        return endpoint_id in self.open_

    def send(self, command: Any) -> None:
        self.told.append(command)


def write(command: BeginRecording, audio: bytes) -> None:
    Path(command.path).write_bytes(audio)


class Bench:
    def __init__(self, directory: Path) -> None:
        self.files = RecordingFiles(directory / "recordings")
        self.files.prepare()
        self.media = FakeMedia()
        self.facts: list[tuple[str, RecordingStarted | RecordingEnded]] = []
        self.tasks: list[asyncio.Task[None]] = []
        numbers = count()
        self.recordings = Recordings(
            self.files,
            RecordingLinks("key", 3600, "http://here"),
            cast(MediaEngine, self.media),
            lambda call_id, fact: self.facts.append((call_id, fact)),
            self._spawn,
            lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
        )

    def _spawn(self, work: Coroutine[Any, Any, None], call_id: str) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    def start(self, control_id: str = "r", **fields: Any) -> BeginRecording:
        self.recordings.start("c", StartRecording(control_id=control_id, recording=Recording(**fields)))
        command = self.media.told[-1]
        assert isinstance(command, BeginRecording)
        return command

    async def close(
        self, command: BeginRecording, outcome: str = "finished", sentence: str = "", audio: bytes = AUDIO
    ) -> RecordingEnded:
        """As a worker does."""
        if audio:
            write(command, audio)
        ids = {"endpoint_id": "c", "recording_id": command.recording_id}
        closed = RecordingClosed(**ids, outcome=outcome, duration_ms=1000, sentence=sentence)
        for _ in range(2):
            self.recordings.closed(closed)
        await asyncio.gather(*self.tasks)
        [ended] = [fact for _, fact in self.facts if isinstance(fact, RecordingEnded)]
        return ended

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.files.directory.iterdir())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.recordings.close()


async def test_what_was_asked_for_reaches_the_worker(bench: Bench) -> None:
    command = bench.start(
        direction="both", stereo=True, beep=True, terminators="#", input_sensitivity=20.0,
        initial_timeout=4.0, end_silence_timeout=0.25, max_length=60.0,
    )  # fmt: skip
    assert command == BeginRecording(
        endpoint_id="c",
        recording_id="00000000-0000-4000-8000-000000000000.wav",
        path=str(bench.files.directory / "00000000-0000-4000-8000-000000000000.wav.part"),
        direction="both",
        stereo=True,
        beep=True,
        terminators="#",
        input_sensitivity=20.0,
        initial_timeout_ms=4000,
        end_silence_ms=250,
        max_length_ms=60_000,
    )


async def test_the_start_and_the_end_name_the_same_link(bench: Bench) -> None:
    command = bench.start()
    bench.recordings.begun(RecordingBegun(endpoint_id="c", recording_id=command.recording_id))
    ended = await bench.close(command)
    [(_, started), _] = bench.facts
    assert isinstance(started, RecordingStarted)
    assert ended == RecordingEnded(
        control_id="r", outcome="finished", url=started.url, duration=1.0, size=len(AUDIO)
    )
    assert bench.kept() == [command.recording_id]
    assert len(bench.recordings) == 0


@pytest.mark.parametrize("format_", ["mp3", "mp4"])
async def test_another_format_is_made_and_nothing_else_is_left(bench: Bench, format_: str) -> None:
    command = bench.start(format=format_)
    ended = await bench.close(command)
    assert ended.outcome == "finished"
    assert bench.kept() == [command.recording_id]
    assert ended.size == (bench.files.directory / command.recording_id).stat().st_size


async def test_one_recording_is_stopped_and_not_another(bench: Bench) -> None:
    one, _ = bench.start("one"), bench.start("two")
    bench.recordings.stop("c", StopRecording(control_id="one"))
    bench.recordings.stop("other", StopRecording(control_id="two"))
    assert bench.media.told[2:] == [FinishRecording(endpoint_id="c", recording_id=one.recording_id)]


async def test_one_recording_is_paused_and_not_another(bench: Bench) -> None:
    first, _ = bench.start("first"), bench.start("second")
    for skip in (False, True):
        bench.recordings.pause("c", PauseRecording(control_id="first", skip=skip))
        bench.recordings.resume("c", ResumeRecording(control_id="first"))
        ids = {"endpoint_id": "c", "recording_id": first.recording_id}
        assert bench.media.told[-2:] == [PauseRecorder(**ids, skip=skip), ResumeRecorder(**ids)]
    told = len(bench.media.told)
    bench.recordings.pause("c", PauseRecording(control_id="third"))
    assert len(bench.media.told) == told


async def test_a_key_that_came_by_sip_ends_a_recording_too(bench: Bench) -> None:
    one, _ = bench.start("one", terminators="#"), bench.start("two")
    for digit in "1#":
        bench.recordings.pressed("c", digit)
    assert bench.media.told[2:] == [FinishRecording(endpoint_id="c", recording_id=one.recording_id)]


async def test_a_call_without_media_is_not_recorded(bench: Bench) -> None:
    bench.media.open_.clear()
    bench.recordings.start("c", StartRecording(control_id="r", recording=Recording()))
    [(_, ended)] = bench.facts
    assert isinstance(ended, RecordingEnded)
    assert (ended.outcome, ended.url) == ("error", "")
    assert ended.sentence == "The call has no media that could be recorded."


async def test_a_failure_keeps_what_there_is(bench: Bench) -> None:
    command = bench.start()
    ended = await bench.close(command, "error", "The disk is full.", header(0, 1) + bytes(4000))
    assert (ended.outcome, ended.sentence, ended.size) == ("error", "The disk is full.", 4044)
    assert (bench.files.directory / command.recording_id).read_bytes()[:44] == header(4000, 1)


@pytest.mark.parametrize("audio", [b"", header(0, 1)])
async def test_a_failure_before_the_first_sound_leaves_no_file_and_no_link(
    bench: Bench, audio: bytes
) -> None:
    ended = await bench.close(bench.start(), "error", "The file cannot be made.", audio)
    assert (ended.outcome, ended.url, ended.sentence) == ("error", "", "The file cannot be made.")
    assert bench.kept() == []


async def test_an_encoder_that_fails_is_told_of(bench: Bench) -> None:
    ended = await bench.close(bench.start(format="mp3"), audio=b"nonsense")
    assert ended.outcome == "error"
    assert ended.sentence.startswith("The recording is not an audio file")
    assert (ended.url, bench.kept()) == ("", [])


async def test_what_cannot_be_encoded_is_kept_as_it_was_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the encoder itself breaks down; nothing waits for the next start of the server."""

    async def breaks_down(*arguments: object, **options: object) -> Outcome:
        return Outcome(problem="could not be converted: the encoder crashed")

    monkeypatch.setattr(AudioProcess, "run", breaks_down)
    command = bench.start(format="mp3")
    ended = await bench.close(command)
    assert ended.outcome == "error"
    assert ended.sentence.endswith("the encoder crashed. It is kept as WAV.")
    assert bench.kept() == [command.recording_id.replace(".mp3", ".wav")]
    assert f"/{bench.kept()[0]}?" in ended.url
    assert ended.size == len(AUDIO)


async def test_a_recording_without_a_single_sample_leaves_nothing_behind(bench: Bench) -> None:
    """Of a call that ended at once: the encoder makes no file of it."""
    ended = await bench.close(bench.start(format="mp3"), audio=header(0, 1))
    assert (ended.outcome, ended.url, bench.kept()) == ("error", "", [])
    assert not list(bench.files.directory.iterdir())


async def test_the_death_of_a_worker_keeps_what_it_had_written(bench: Bench) -> None:
    command = bench.start()
    write(command, AUDIO)
    bench.recordings.lost(["c", "d"], "the media worker was killed by signal 9")
    await asyncio.gather(*bench.tasks)
    [(_, ended)] = bench.facts
    assert isinstance(ended, RecordingEnded)
    assert (ended.outcome, ended.size) == ("error", len(AUDIO))
    assert ended.sentence == "The media worker was killed by signal 9."


async def test_what_a_dead_server_left_is_finished_in_its_format(bench: Bench) -> None:
    name = "00000000-0000-4000-8000-0000000000ff.mp3"
    bench.files.part(name).write_bytes(header(0, 1) + bytes(16_000))
    await bench.recordings.finish(bench.files.orphans())
    assert bench.kept() == [name]

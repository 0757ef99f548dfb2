"""Plays: each has one end, whatever is fetched, fails, is stopped or is forgotten."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from cordboard.call.actions import PlayItem
from cordboard.call.effects import PausePlay, PlayTo, ResumePlay, SetPlayVolume, StopPlay
from cordboard.call.facts import PlayFinished
from cordboard.media.protocol import (
    Command,
    PausePlaying,
    PlayEnded,
    PlaySource,
    ResumePlaying,
    SetGain,
    StartPlay,
    StopPlaying,
)
from cordboard.media.recording_file import header
from cordboard.media.tones import level
from cordboard.server.audio_fetcher import Audio
from cordboard.server.fetcher import AudioFetcher
from cordboard.server.media_engine import MediaEngine
from cordboard.server.playback import Playback
from cordboard.server.sounds import HoldMusic, Sounds
from cordboard.server.speech import Speech, Spoken

RING = PlayItem(kind="ring", country="de")
SILENCE = PlayItem(kind="silence", duration=1.5)


def audio(name: str) -> PlayItem:
    return PlayItem(kind="audio", url=f"http://127.0.0.1/{name}")


class FakeAudio:
    """Files by the last letters of their URL; `gate` holds all of them back."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, url: str) -> Audio:
        await self.gate.wait()
        if url.endswith("bad"):
            return Audio(None, f"{url} cannot be had.")
        if url.endswith("defect"):
            raise ZeroDivisionError
        return Audio(f"/cache/{url.rsplit('/', 1)[1]}")


class FakeMedia:
    """Keeps what the worker is told."""

    def __init__(self) -> None:
        self.told: list[Command] = []

    def play(self, command: StartPlay) -> None:
        self.told.append(command)

    def stop_play(self, command: StopPlaying) -> None:
        self.told.append(command)

    def send(self, command: Command) -> None:
        self.told.append(command)


class FakeSpeech:
    """Speaks English; other languages are a warning, no text an error."""

    async def synthesise(self, text: str, voice: str, language: str, gender: str) -> Spoken:
        if not text:
            return Spoken(None, "There is nothing to say.")
        warning = "" if language == "en-US" else f"Nobody speaks {language}."
        return Spoken(f"/spoken/{text}", warning=warning)


class Bench:
    def __init__(self, hold: HoldMusic) -> None:
        self.media = FakeMedia()
        self.audio = FakeAudio()
        self.finished: list[tuple[str, PlayFinished]] = []
        self.tasks: dict[asyncio.Task[None], str] = {}
        self.playback = Playback(
            cast(MediaEngine, self.media),
            Sounds(cast(AudioFetcher, self.audio), cast(Speech, FakeSpeech()), hold),
            self._finished,
            self._spawn,
        )

    def _finished(self, call_id: str, fact: PlayFinished) -> None:
        self.finished.append((call_id, fact))

    def _spawn(self, work: Coroutine[Any, Any, None], call_id: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks[task] = call_id
        return task

    def play(self, *items: PlayItem, control_id: str = "p", **fields: Any) -> None:
        self.playback.play("c", PlayTo(control_id=control_id, items=items, **fields))

    async def settle(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def at_rest(self) -> bool:
        inside = self.playback
        changes = inside._paused or inside._volumes
        return not (len(inside) or inside._errors or inside._warnings or inside._preparing or changes)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(HoldMusic("generated", tmp_path / "music", tmp_path))


async def test_what_needs_no_fetching_is_played_at_once(bench: Bench) -> None:
    bench.play(RING, SILENCE, volume=-6.0, loop=0)
    sources = (PlaySource(kind="ring", country="de"), PlaySource(kind="silence", duration_ms=1500))
    assert bench.media.told == [
        StartPlay(endpoint_id="c", play_id="p", sources=sources, volume_db=-6.0, loop=0)
    ]
    assert bench.tasks == {}


async def test_audio_is_fetched_first_and_stays_in_order(bench: Bench) -> None:
    bench.play(SILENCE, audio("one"), RING, audio("two"))
    assert bench.media.told == []
    await bench.settle()
    [told] = bench.media.told
    assert isinstance(told, StartPlay)
    assert [source.path or source.kind for source in told.sources] == [
        "silence",
        "/cache/one",
        "ring",
        "/cache/two",
    ]


async def test_the_end_of_a_play_is_told_once_and_forgotten(bench: Bench) -> None:
    bench.play(RING)
    for _ in range(2):
        bench.playback.ended(PlayEnded(endpoint_id="c", play_id="p", errors=("x",)))
    assert bench.finished == [("c", PlayFinished(control_id="p", errors=("x",)))]
    assert bench.at_rest()


async def test_a_call_that_plays_for_ever_holds_only_what_plays_now(bench: Bench) -> None:
    for number in range(100):
        bench.play(RING, control_id=f"p{number}")
        bench.playback.ended(PlayEnded(endpoint_id="c", play_id=f"p{number}"))
    assert bench.at_rest()


async def test_items_that_fail_are_told_with_the_end(bench: Bench) -> None:
    bench.play(audio("bad"), audio("good"))
    await bench.settle()
    bench.playback.ended(PlayEnded(endpoint_id="c", play_id="p", errors=("no WAV",)))
    [(_, fact)] = bench.finished
    assert fact.errors == ("http://127.0.0.1/bad cannot be had.", "no WAV")
    assert bench.at_rest()


async def test_when_nothing_can_be_had_the_play_ends_by_itself(bench: Bench) -> None:
    bench.play(audio("bad"))
    await bench.settle()
    assert [fact.errors for _, fact in bench.finished] == [("http://127.0.0.1/bad cannot be had.",)]
    assert bench.media.told == []
    assert bench.at_rest()


async def test_a_play_that_is_stopped_while_it_is_fetched_ends_at_once(bench: Bench) -> None:
    bench.audio.gate.clear()
    bench.play(audio("one"))
    await asyncio.sleep(0)
    bench.playback.stop("c", StopPlay(control_id="p"))
    await bench.settle()
    assert bench.finished == [("c", PlayFinished(control_id="p"))]
    assert bench.media.told == []
    assert bench.at_rest()


async def test_a_play_that_is_stopped_in_the_worker_ends_when_the_worker_says_so(bench: Bench) -> None:
    bench.play(RING)
    bench.playback.stop("c", StopPlay(control_id="p"))
    assert bench.media.told[1:] == [StopPlaying(endpoint_id="c", play_id="p")]
    assert bench.finished == []


async def test_the_end_of_a_call_ends_its_fetching_without_a_word(bench: Bench) -> None:
    bench.audio.gate.clear()
    bench.play(audio("one"))
    bench.play(RING, control_id="q")
    await asyncio.sleep(0)
    bench.playback.forget("c")
    await bench.settle()
    bench.playback.ended(PlayEnded(endpoint_id="c", play_id="q"))
    assert bench.finished == []
    assert bench.at_rest()


async def test_a_defect_in_fetching_belongs_to_the_call(bench: Bench) -> None:
    bench.play(audio("defect"))
    await bench.settle()
    [(task, call_id)] = bench.tasks.items()
    assert call_id == "c"
    assert isinstance(task.exception(), ZeroDivisionError)
    bench.playback.forget("c")
    assert bench.at_rest()


# ---------------------------------------------------------------- pause, volume


async def test_a_play_that_sounds_is_changed_where_it_sounds(bench: Bench) -> None:
    bench.play(RING)
    bench.playback.pause("c", PausePlay(control_id="p"))
    bench.playback.resume("c", ResumePlay(control_id="p"))
    bench.playback.set_volume("c", SetPlayVolume(control_id="p", volume=-7.5))
    assert bench.media.told[1:] == [
        PausePlaying(endpoint_id="c", play_id="p"),
        ResumePlaying(endpoint_id="c", play_id="p"),
        SetGain(endpoint_id="c", play_id="p", volume_db=-7.5),
    ]


@pytest.mark.parametrize(("resumed", "paused"), [(False, True), (True, False)])
async def test_what_is_changed_while_it_is_fetched_begins_so(
    bench: Bench, resumed: bool, paused: bool
) -> None:
    bench.audio.gate.clear()
    bench.play(audio("one"), volume=3.0)
    await asyncio.sleep(0)
    bench.playback.pause("c", PausePlay(control_id="p"))
    bench.playback.set_volume("c", SetPlayVolume(control_id="p", volume=-7.5))
    if resumed:
        bench.playback.resume("c", ResumePlay(control_id="p"))
    bench.audio.gate.set()
    await bench.settle()
    (told,) = bench.media.told
    assert isinstance(told, StartPlay)
    assert (told.paused, told.volume_db) == (paused, -7.5)
    bench.playback.ended(PlayEnded(endpoint_id="c", play_id="p"))
    assert bench.at_rest()


@pytest.mark.parametrize("ends", ["stopped", "forgotten", "failed"])
async def test_changes_of_what_never_sounds_are_forgotten(bench: Bench, ends: str) -> None:
    bench.audio.gate.clear()
    bench.play(audio("bad"))
    await asyncio.sleep(0)
    bench.playback.pause("c", PausePlay(control_id="p"))
    bench.playback.set_volume("c", SetPlayVolume(control_id="p", volume=-7.5))
    if ends == "stopped":
        bench.playback.stop("c", StopPlay(control_id="p"))
    elif ends == "forgotten":
        bench.playback.forget("c")
    bench.audio.gate.set()
    await bench.settle()
    assert bench.media.told == []
    assert bench.at_rest()


# ---------------------------------------------------------------- speech, and music on hold


async def test_what_is_said_is_spoken_first(bench: Bench) -> None:
    bench.play(RING, PlayItem(kind="say", text="hello"), volume=-3.0, loop=2)
    await bench.settle()
    [told] = bench.media.told
    sources = (PlaySource(kind="ring", country="de"), PlaySource(kind="audio", path="/spoken/hello"))
    assert told == StartPlay(endpoint_id="c", play_id="p", sources=sources, volume_db=-3.0, loop=2)


async def test_another_voice_than_wanted_is_a_warning_and_no_error(bench: Bench) -> None:
    bench.play(PlayItem(kind="say", text="hallo", language="de-DE"))
    await bench.settle()
    bench.playback.ended(PlayEnded(endpoint_id="c", play_id="p"))
    [(_, fact)] = bench.finished
    assert (fact.errors, fact.warnings) == ((), ("Nobody speaks de-DE.",))
    assert bench.at_rest()


async def test_items_fail_one_by_one(bench: Bench) -> None:
    bench.play(PlayItem(kind="say"), audio("bad"), PlayItem(kind="say", text="x"), SILENCE)
    await bench.settle()
    [told] = bench.media.told
    assert isinstance(told, StartPlay)
    assert [source.path or source.kind for source in told.sources] == ["/spoken/x", "silence"]
    bench.playback.ended(PlayEnded(endpoint_id="c", play_id="p"))
    assert bench.finished[0][1].errors == ("There is nothing to say.", "http://127.0.0.1/bad cannot be had.")


async def test_music_on_hold_is_made_once_and_loops_without_a_seam(bench: Bench) -> None:
    for control_id in "pq":
        bench.play(PlayItem(kind="hold"), control_id=control_id, loop=0)
        await bench.settle()
    assert all(told.alone for told in bench.media.told if isinstance(told, StartPlay))
    paths = {told.sources[0].path for told in bench.media.told if isinstance(told, StartPlay)}
    assert len(paths) == 1
    with wave.open(paths.pop()) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, 2)
        pcm = file.readframes(file.getnframes())
    assert 20 < len(pcm) / 16_000 < 40
    assert level(pcm) == pytest.approx(-28.0, abs=0.5)
    seconds = [level(pcm[at : at + 16_000]) for at in range(0, len(pcm) - 16_000, 16_000)]
    assert min(seconds) > -38.0
    steps = [abs(b - a) for a, b in pairwise(memoryview(pcm).cast("h"))]
    assert abs(memoryview(pcm).cast("h")[0] - memoryview(pcm).cast("h")[-1]) <= max(steps)


async def test_without_music_on_hold_nothing_is_played_and_nothing_failed(tmp_path: Path) -> None:
    bench = Bench(HoldMusic("none", tmp_path, tmp_path))
    bench.play(PlayItem(kind="hold"), loop=0)
    await bench.settle()
    assert bench.media.told == []
    assert bench.finished == [("c", PlayFinished(control_id="p"))]


async def test_a_file_may_be_the_music_on_hold(tmp_path: Path) -> None:
    (tmp_path / "own.wav").write_bytes(header(320, 1) + bytes(320))
    found = await HoldMusic("own.wav", tmp_path / "music", tmp_path).find()
    assert found.source == PlaySource(kind="audio", path=str(tmp_path / "own.wav"))


async def test_where_that_file_is_missing_generated_music_is_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = await HoldMusic("missing.mp3", tmp_path / "music", tmp_path).find()
    assert found.source == PlaySource(kind="audio", path=str(tmp_path / "music" / "hold-music.wav"))
    assert "missing.mp3 could not be worked on: No such file or directory" in caplog.text

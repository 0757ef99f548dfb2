"""Files of every kind become WAV files, and what breaks the decoder breaks nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from av.audio.stream import AudioStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.media.recording_file import header
from cordboard.media.tones import dominant_frequency, level, tone
from cordboard.server.audio_conversion import ConversionError, decode, encode
from cordboard.server.audio_process import AudioProcess

SECONDS = 3


def write_wav(path: Path, *, seconds: float = SECONDS, channels: int = 1) -> Path:
    pcm = tone((440.0,), round(seconds * 1000), level=-16.0)
    if channels == 2:
        pcm = b"".join(pcm[at : at + 2] * 2 for at in range(0, len(pcm), 2))
    path.write_bytes(header(len(pcm), channels) + pcm)
    return path


def pcm_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, 2)
        return bytes(file.readframes(file.getnframes()))


def write_as(path: Path, container: str, codec: str, rate: int) -> Path:
    """The tone in another format, one channel."""
    source = write_wav(path.with_suffix(".source.wav"))
    with av.open(str(source)) as sound, av.open(str(path), "w", format=container) as made:
        stream = made.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        for frame in sound.decode(sound.streams.audio[0]):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp3", "libmp3lame", 44_100), ("mp3", "libmp3lame", 8000), ("ogg", "libopus", 48_000),
        ("flac", "flac", 44_100), ("mp4", "aac", 44_100), ("adts", "aac", 22_050),
        ("wav", "adpcm_ms", 22_050), ("wav", "pcm_f32le", 48_000), ("aiff", "pcm_s16be", 32_000),
    ],
)  # fmt: skip
def test_the_content_decides_and_level_pitch_and_length_stay(
    tmp_path: Path, container: str, codec: str, rate: int
) -> None:
    source = write_as(tmp_path / "sound.bin", container, codec, rate)
    decode(source, tmp_path / "out.wav", most_seconds=60)
    pcm = pcm_of(tmp_path / "out.wav")
    middle = pcm[16_000:32_000]
    assert len(pcm) / 16_000 == pytest.approx(SECONDS, abs=0.2)
    assert dominant_frequency(middle) == pytest.approx(440.0, abs=2.0)
    assert level(middle) == pytest.approx(-16.0, abs=1.0)


@pytest.mark.parametrize("format_", ["mp3", "mp4"])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_can_be_encoded(tmp_path: Path, format_: str, channels: int) -> None:
    source = write_wav(tmp_path / "a.wav", channels=channels)
    encode(source, tmp_path / f"a.{format_}", format_=format_)
    with av.open(str(tmp_path / f"a.{format_}")) as made:
        assert made.streams.audio[0].channels == channels
        assert made.streams.audio[0].codec_context.name in ("mp3", "mp3float", "aac")
    decode(tmp_path / f"a.{format_}", tmp_path / "out.wav", most_seconds=60)
    middle = pcm_of(tmp_path / "out.wav")[16_000:32_000]
    assert level(middle) == pytest.approx(-16.0, abs=1.0)


def test_what_plays_too_long_is_not_decoded_to_its_end(tmp_path: Path) -> None:
    source = write_as(tmp_path / "a.flac", "flac", "flac", 8000)
    with pytest.raises(ConversionError, match=r"plays longer than 0\.0167 minutes"):
        decode(source, tmp_path / "out.wav", most_seconds=1.0)
    assert (tmp_path / "out.wav").stat().st_size < 3 * 16_000


def test_a_file_that_breaks_off_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    source = write_as(tmp_path / "a.mp3", "mp3", "libmp3lame", 44_100)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    decode(source, tmp_path / "out.wav", most_seconds=60)
    assert 1.0 < len(pcm_of(tmp_path / "out.wav")) / 16_000 < 2.0


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp3\n", "ffconcat version 1.0\nfile secret.mp3\n",
     "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
     "v=0\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"],
    ids=["m3u8", "concat", "dash", "sdp"],
)  # fmt: skip
def test_a_file_cannot_name_other_files(tmp_path: Path, playlist: str) -> None:
    write_as(tmp_path / "secret.mp3", "mp3", "libmp3lame", 8000)
    (tmp_path / "list").write_text(playlist)
    with pytest.raises(ConversionError):
        decode(tmp_path / "list", tmp_path / "out.wav", most_seconds=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_refused_or_played_in_part(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "whole.mp3"
    if not source.exists():
        write_as(source, "mp3", "libmp3lame", 8000)
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(content)
    try:
        decode(tmp_path / "damaged", tmp_path / "out.wav", most_seconds=60)
    except ConversionError:
        return
    assert pcm_of(tmp_path / "out.wav")


# ---------------------------------------------------------------- the process


@pytest.fixture
async def process() -> AsyncIterator[AudioProcess]:
    made = AudioProcess()
    yield made
    await made.close()


def job(source: Path, target: Path) -> dict[str, object]:
    return {"do": "decode", "source": str(source), "target": str(target), "most_seconds": 60.0}


async def test_jobs_are_done_one_after_the_other_by_one_process(
    process: AudioProcess, tmp_path: Path
) -> None:
    source = write_as(tmp_path / "a.mp3", "mp3", "libmp3lame", 8000)
    assert process.pid is None
    work = [process.run(job(source, tmp_path / f"{n}.wav"), patience=20) for n in range(5)]
    outcomes = await asyncio.gather(*work)
    assert {outcome.problem for outcome in outcomes} == {""}
    assert all(pcm_of(tmp_path / f"{n}.wav") for n in range(5))


async def test_a_crash_costs_one_job_only(process: AudioProcess, tmp_path: Path) -> None:
    source = write_as(tmp_path / "a.mp3", "mp3", "libmp3lame", 8000)
    assert (await process.run(job(source, tmp_path / "out.wav"), patience=20)).problem == ""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSEGV)
    assert (await process.run(job(source, tmp_path / "out.wav"), patience=20)).problem == (
        "broke the audio process"
    )
    assert (await process.run(job(source, tmp_path / "out.wav"), patience=20)).problem == ""


async def test_what_takes_too_long_is_given_up(process: AudioProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless")
    outcome = await process.run(job(tmp_path / "endless", tmp_path / "out.wav"), patience=0.5)
    assert outcome.problem == "was given up after 0 s of work"
    assert process.pid is None


async def test_a_job_that_is_cancelled_leaves_no_answer_for_the_next(
    process: AudioProcess, tmp_path: Path
) -> None:
    source = write_as(tmp_path / "a.mp3", "mp3", "libmp3lame", 8000)
    os.mkfifo(tmp_path / "endless")
    waiting = asyncio.create_task(process.run(job(tmp_path / "endless", tmp_path / "x"), patience=20))
    async with asyncio.timeout(5):
        while process.pid is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await process.run(job(source, tmp_path / "out.wav"), patience=20)).problem == ""


async def test_the_process_ends_when_it_has_nothing_to_do(tmp_path: Path) -> None:
    process = AudioProcess(idle=0.05)
    await process.run({"do": "voices"}, patience=20)
    async with asyncio.timeout(5):
        while process.pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await process.run(job(tmp_path / "missing", tmp_path / "x"), patience=20)).problem == (
        "could not be worked on: No such file or directory"
    )
    await process.close()


async def test_nonsense_is_an_outcome(process: AudioProcess) -> None:
    assert "KeyError" in (await process.run({"do": "nonsense"}, patience=20)).problem

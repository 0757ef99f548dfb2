"""Text to speech: who speaks, what is kept, and what is said when nothing can be."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cordboard.media.tones import level
from cordboard.server.speech import MAX_TEXT, Speech, Spoken
from cordboard.server.speech_voices import Voice, choose

pytest.importorskip("hibari", reason="the speech extra is not installed")

HEART = Voice("hibari", "heart", "en-US", "female")
FABLE = Voice("hibari", "fable", "en-GB", "male")
GERMAN = Voice("espeak", "de", "de", "male")
FRENCH = Voice("espeak", "fr-fr", "fr-fr", "male")
ENGLISH = Voice("espeak", "en-gb", "en-gb", "male")
Chosen = tuple[str, str, str]
ALL = [ENGLISH, GERMAN, FRENCH, HEART, FABLE]


def chosen(voices: list[Voice], voice: str = "", language: str = "", gender: str = "") -> Chosen:
    """(voice, accent, warning)"""
    found = choose(voices, voice=voice, language=language, gender=gender, default_language="en-US")
    assert found is not None
    return found.voice.name, found.language, found.warning


@pytest.mark.parametrize(
    ("wish", "voice", "accent"),
    [
        ({}, "heart", "en-US"),
        ({"language": "en-US"}, "heart", "en-US"),
        ({"language": "en-GB"}, "fable", "en-GB"),
        ({"language": "EN_gb"}, "fable", "EN-gb"),
        ({"language": "en-AU"}, "heart", "en-AU"),
        ({"language": "en-US", "gender": "male"}, "fable", "en-US"),
        ({"voice": "HEART", "language": "en-GB"}, "heart", "en-GB"),
        ({"language": "de-DE"}, "de", "de-DE"),
        ({"language": "fr"}, "fr-fr", "fr"),
        ({"voice": "de", "language": "de-AT", "gender": "female"}, "de", "de-AT"),
    ],
)
def test_the_nearest_voice_speaks(wish: dict[str, str], voice: str, accent: str) -> None:
    assert chosen(ALL, **wish) == (voice, accent, "")


def test_an_unknown_voice_is_replaced_with_a_warning() -> None:
    voice, _, warning = chosen(ALL, voice="Polly.Salli", language="en-US")
    assert voice == "heart"
    assert warning == "The voice 'Polly.Salli' is not installed: 'heart' speaks instead."


def test_an_unknown_language_is_spoken_by_the_default_with_a_warning() -> None:
    voice, accent, warning = chosen([HEART], language="ja-JP")
    assert (voice, accent) == ("heart", "en-US")
    assert warning.startswith("No installed voice speaks 'ja-JP': 'heart' (en-US) speaks instead.")
    assert "espeak-ng" in warning


def test_nobody_is_nobody() -> None:
    assert choose([], voice="", language="", gender="", default_language="en-US") is None


# ---------------------------------------------------------------- real engines


@asynccontextmanager
async def speech(directory: Path, **fields: Any) -> AsyncIterator[Speech]:
    made = Speech(directory / "speech", **fields)
    try:
        yield made
    finally:
        await made.close()


def audio_of(spoken: Spoken) -> bytes:
    assert spoken.path is not None, spoken.sentence
    with wave.open(spoken.path) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, 2)
        return bytes(file.readframes(file.getnframes()))


def content_of(spoken: Spoken) -> bytes:
    assert spoken.path is not None, spoken.sentence
    return Path(spoken.path).read_bytes()


async def test_a_text_becomes_sound_once(tmp_path: Path) -> None:
    async with speech(tmp_path) as one:
        first = await one.synthesise("Press one to accept this call.", "", "en-US", "")
        assert 1.0 < len(audio_of(first)) / 16_000 < 5.0
        assert -32.0 < level(audio_of(first)) < -10.0
        began = time.monotonic()
        again = await one.synthesise("  Press one\nto accept this call. ", "heart", "", "female")
        assert (again, time.monotonic() - began < 0.05) == (first, True)
        british = await one.synthesise("Press one to accept this call.", "", "en-GB", "")
        assert (british.warning, british.path != first.path) == ("", True)
    async with speech(tmp_path) as later:
        kept = await later.synthesise("Press one to accept this call.", "", "en-US", "")
        assert kept == first


async def test_the_loop_goes_on_while_something_is_spoken(tmp_path: Path) -> None:
    longest, last = 0.0, time.monotonic()

    async def watch() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    async with speech(tmp_path) as one:
        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(one.synthesise(f"Number {n}. " * 20, "", "", "") for n in range(3)))
        watcher.cancel()
    assert longest < 0.5


async def test_the_same_text_at_the_same_time_is_spoken_once(tmp_path: Path) -> None:
    async with speech(tmp_path) as one:
        spoken = await asyncio.gather(*(one.synthesise("Hello.", "", "", "") for _ in range(10)))
        assert len(set(spoken)) == 1
        assert len(list((tmp_path / "speech").iterdir())) == 1


async def test_the_longest_text_is_spoken_even_without_a_full_stop(tmp_path: Path) -> None:
    async with speech(tmp_path) as one:
        spoken = await one.synthesise("word " * (MAX_TEXT // 5), "", "", "")
        assert len(audio_of(spoken)) / 16_000 > 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "text is empty"),
        (" \n", "text is empty"),
        ("x" * 5001, "5001 characters"),
    ],
)
async def test_what_cannot_be_spoken_is_told(tmp_path: Path, text: str, words: str) -> None:
    async with speech(tmp_path) as one:
        spoken = await one.synthesise(text, "", "", "")
    assert spoken.path is None
    assert words in spoken.sentence


async def test_without_an_engine_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    async with speech(tmp_path, engine="none") as one:
        assert "speech.engine" in (await one.synthesise("Hello", "", "", "")).sentence
    if shutil.which("espeak-ng") or shutil.which("espeak"):
        return
    async with speech(tmp_path, engine="espeak") as one:
        sentence = (await one.synthesise("Hello", "", "", "")).sentence
    assert "no text-to-speech engine is installed" in sentence
    assert "cordboard[speech]" in sentence


async def test_a_warning_is_logged_once_and_told_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with speech(tmp_path) as one:
        told = [await one.synthesise("Hi.", "Polly.Salli", "en-US", "female") for _ in range(3)]
    assert {spoken.warning for spoken in told} == {
        "The voice 'Polly.Salli' is not installed: 'heart' speaks instead."
    }
    assert caplog.text.count("Polly.Salli") == 1


async def test_the_cache_gives_way_to_its_limit_the_oldest_first(tmp_path: Path) -> None:
    async with speech(tmp_path, max_cache=60_000, kept_at_least=0.0) as one:
        first = await one.synthesise("One one one.", "", "", "")
        await one.synthesise("Two two two.", "", "", "")
        await one.synthesise("One one one.", "", "", "")
        for text in ("Three three three.", "Four four four."):
            await one.synthesise(text, "", "", "")
        sizes = [path.stat().st_size for path in (tmp_path / "speech").iterdir()]
        assert sum(sizes) <= 60_000
        assert first.path is not None


async def test_what_was_just_spoken_stays(tmp_path: Path) -> None:
    async with speech(tmp_path, max_cache=1) as one:
        spoken = [await one.synthesise(f"Number {n}.", "", "", "") for n in range(3)]
        assert all(len(audio_of(each)) > 1000 for each in spoken)


# ---------------------------------------------------------------- a program that stands in for espeak-ng

PROGRAM = f"""#!{sys.executable}
import sys, wave, time
if sys.argv[1] == "--voices":
    print("Pty Language       Age/Gender VoiceName          File          Other Languages")
    print(" 5  de              --/M      German             gmw/de        ")
    print(" 2  en-gb           --/M      English_(GB)       gmw/en        (en 2)")
    sys.exit()
text = sys.stdin.read()
if text == "fail":
    sys.exit("Error: it failed")
with wave.open(sys.argv[sys.argv.index("-w") + 1], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(22050)
    file.writeframes(sys.argv[2].encode() * 2000)
"""


@pytest.fixture
def espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "espeak-ng"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("espeak")
async def test_espeak_speaks_other_languages(tmp_path: Path) -> None:
    async with speech(tmp_path) as one:
        german = await one.synthesise("Guten Tag", "", "de-DE", "female")
        assert b"de+f3" in content_of(german)
        assert german.warning == ""
        english = await one.synthesise("Hello", "", "en-GB", "")
        assert b"en-gb" not in content_of(english)
        failed = await one.synthesise("fail", "", "de", "")
        assert failed.sentence == "The text could not be spoken by espeak-ng: Error: it failed."


@pytest.mark.usefixtures("espeak")
async def test_espeak_alone_speaks_english_too(tmp_path: Path) -> None:
    async with speech(tmp_path, engine="espeak") as one:
        spoken = await one.synthesise("Hello", "", "en-US", "")
        assert b"en-gb" in content_of(spoken)

"""The engines that speak: from text to a WAV file.  Blocks; runs in the audio process only.

Neither may reach for the network: hibari's own voices are downloaded by its library when they are asked for,
so only those are offered whose files are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
import wave
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cordboard.server.audio_conversion import RATE, ConversionError

ESPEAK_PROGRAMS = ("espeak-ng", "espeak")
_ESPEAK_PATIENCE = 20.0
_LONGEST_SENTENCE = 400
_SEED = 1
"""The same text gives the same sound."""


def voices() -> dict[str, list[list[str]]]:
    """What is installed: engine → [name, language, gender] of each voice."""
    return {"hibari": _hibari_voices(), "espeak": _espeak_voices()}


def _hibari_voices() -> list[list[str]]:
    try:
        from hibari.voices import VOICES, voice_path  # type: ignore[import-untyped]
    except ImportError:
        return []
    found = []
    for name, facts in VOICES.items():
        try:
            voice_path(name, download_missing=False)
        except OSError:
            continue
        found.append([name, facts["language"], facts["gender"]])
    return found


def _espeak_voices() -> list[list[str]]:
    program = _espeak()
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "--voices"], capture_output=True, text=True, timeout=_ESPEAK_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []
    # Pty Language Age/Gender VoiceName File Other Languages
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    return [[row[1], row[1], "male" if row[2].endswith("M") else "female"] for row in rows if len(row) >= 5]


def _espeak() -> str | None:
    return next((found for name in ESPEAK_PROGRAMS if (found := shutil.which(name))), None)


def speak(engine: str, text: str, *, voice: str, language: str, gender: str, target: Path) -> None:
    """Write what `voice` of `engine` says.  Raises `ConversionError`, OSError."""
    if engine == "hibari":
        _speak_hibari(text, voice, language.lower().startswith("en-gb"), target)
    else:
        _speak_espeak(text, voice, gender, target)


def _speak_hibari(text: str, voice: str, british: bool, target: Path) -> None:
    import numpy
    import soxr  # type: ignore[import-untyped]

    speaker = _hibari(voice, british)
    spoken = [speaker(piece, seed=_SEED) for piece in _pieces(speaker.split_sentences(text))]
    if not any(len(one) for one in spoken):
        raise ConversionError("has nothing in it that can be spoken")
    sound = numpy.concatenate(spoken)
    low = soxr.resample(sound, speaker.sample_rate, RATE, quality="HQ")
    pcm = (numpy.clip(low, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    _write(target, pcm)


def _pieces(sentences: list[str]) -> Iterator[str]:
    """The memory that a sentence takes grows faster than its length."""
    for sentence in sentences:
        yield from textwrap.wrap(sentence, _LONGEST_SENTENCE)


@lru_cache(maxsize=4)
def _hibari(voice: str, british: bool) -> Any:
    """The voice and the accent are two things: one voice can read by either spelling-to-sound rules."""
    from hibari import Hibari  # type: ignore[import-untyped]
    from hibari.g2p import G2P  # type: ignore[import-untyped]
    from hibari.voices import voice_path

    model = voice_path(voice, download_missing=False)
    return Hibari(voice=voice, model=model, threads=1, g2p=G2P(british=british))


def _write(target: Path, pcm: bytes) -> None:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def _speak_espeak(text: str, voice: str, gender: str, target: Path) -> None:
    program = _espeak()
    if program is None:
        raise ConversionError("cannot be spoken: espeak-ng is not there any more")
    variant = "+f3" if gender == "female" else ""
    command = [program, "-v", voice + variant, "-b", "1", "-w", str(target), "--stdin"]
    try:
        subprocess.run(
            command,
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=_ESPEAK_PATIENCE,
            check=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise ConversionError("took espeak-ng too long to speak") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [str(error.returncode)]
        raise ConversionError(f"could not be spoken by espeak-ng: {last[0][:200]}") from None
    if not target.exists() or not target.stat().st_size:
        raise ConversionError("has nothing in it that can be spoken")

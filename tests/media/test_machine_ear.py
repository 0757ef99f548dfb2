"""A person or a machine: made-up voices with the cadence of speech, noise, levels, tones and codecs."""

from __future__ import annotations

import shutil
import subprocess
import wave
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import pytest

from cordboard.media.codecs.catalogue import codec
from cordboard.media.codecs.codec import Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.machine_ear import MachineEar
from cordboard.media.protocol import BeginDetector
from cordboard.media.ringback import CADENCES, ring_frames
from cordboard.media.tones import FRAME_BYTES, tone

RATE = 8000
Samples = Any
"""Of floats, 1.0 = full scale."""

# ------------------------------------------------------------------ sounds


@lru_cache(maxsize=64)
def speech(syllables: tuple[tuple[float, float], ...], pitch: float = 120.0, seed: int = 1) -> Samples:
    """Harmonics under moving formants, RMS about 1; a syllable is (seconds, seconds of pause after it)."""
    draw = numpy.random.default_rng(seed)
    parts = []
    for length, pause in syllables:
        count = int(RATE * length)
        at = numpy.arange(count) / RATE
        glide = pitch * (
            1.15 - 0.3 * at / max(length, 0.2) + 0.01 * numpy.cumsum(draw.normal(0, 0.02, count))
        )
        phase = 2 * numpy.pi * numpy.cumsum(glide) / RATE
        formants = draw.uniform((300, 900, 2200), (750, 1900, 2900))
        sound = numpy.zeros(count)
        for harmonic in range(1, int(3400 / pitch)):
            frequency = harmonic * pitch
            weight = sum(1 / (1 + ((frequency - formant) / 120) ** 2) for formant in formants)
            sound += (weight + 0.02) * numpy.sin(harmonic * phase)
        sound /= numpy.sqrt(numpy.mean(sound**2))
        consonant = min(int(0.04 * RATE), count)
        sound[:consonant] = 0.3 * draw.normal(0, 1, consonant)
        envelope = numpy.sin(numpy.pi * numpy.linspace(0.02, 0.98, count)) ** 0.7
        parts += [sound * envelope, numpy.zeros(int(RATE * pause))]
    return numpy.concatenate(parts)


def rest(seconds: float) -> Samples:
    return numpy.zeros(int(RATE * seconds))


def beep(frequency: float, ms: int, level: float = -16.0) -> Samples:
    return numpy.frombuffer(tone((frequency,), ms, level), "<i2") / 32768.0


def at_level(samples: Samples, level: float) -> Samples:
    return samples * 10 ** (level / 20)


def hiss(seconds: float, level: float, seed: int = 1) -> Samples:
    return numpy.random.default_rng(seed).normal(0, 10 ** (level / 20), int(RATE * seconds))


def pcm(*parts: Samples, noise: float | None = None, seed: int = 5) -> bytes:
    samples = numpy.concatenate(parts)
    if noise is not None:
        samples = samples + hiss(len(samples) / RATE + 1, noise, seed)[: len(samples)]
    return bytes(numpy.clip(samples * 32768, -32768, 32767).astype("<i2").tobytes())


HELLO = ((0.16, 0.03), (0.28, 0.0))
HI = ((0.25, 0.0),)
NAME = ((0.15, 0.03), (0.2, 0.15), (0.14, 0.04), (0.22, 0.0))
PHRASE = (
    (0.18, 0.03),
    (0.15, 0.04),
    (0.22, 0.08),
    (0.12, 0.03),
    (0.2, 0.05),
    (0.25, 0.1),
    (0.16, 0.03),
    (0.2, 0.25),
)
GREETING = PHRASE * 3
SLOW_WORDS = ((0.12, 0.35),) * 9

# ------------------------------------------------------------------ hearing them


def ear(**order: Any) -> MachineEar:
    return MachineEar(BeginDetector(endpoint_id="e", detector_id="d", kind="machine", **order))


def listen(sound: bytes, **order: Any) -> list[tuple[float, str]]:
    """(seconds, what was told); a beep is starred."""
    one = ear(**order)
    told = []
    for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
        for heard in one.hear(sound[at : at + FRAME_BYTES]):
            told.append((at / 16000 + 0.02, heard.event + "*" * heard.beep))
    return told


def events(sound: bytes, **order: Any) -> list[str]:
    return [event for _, event in listen(sound, **order)]


LEVELS = [
    (-12.0, None),
    (-20.0, None),
    (-20.0, -60.0),
    (-20.0, -45.0),
    (-20.0, -36.0),
    (-30.0, -50.0),
    (-34.0, None),
]
"""dBov of the voice, and of the noise under it."""


@pytest.mark.parametrize("pitch", [105.0, 210.0])
@pytest.mark.parametrize(("level", "noise"), LEVELS)
@pytest.mark.parametrize("words", [HELLO, HI, NAME], ids=["hello", "hi", "name"])
def test_who_says_a_few_words_and_waits_is_a_person(
    words: Any, level: float, noise: float | None, pitch: float
) -> None:
    voice = at_level(speech(words, pitch), level)
    told = listen(pcm(rest(0.5), voice, rest(3), noise=noise))
    assert [event for _, event in told] == ["HUMAN"]
    assert told[0][0] <= 0.5 + len(voice) / RATE + 1.5


def test_hello_is_a_person_within_two_and_a_half_seconds() -> None:
    ((after, event),) = listen(pcm(rest(0.3), at_level(speech(HELLO), -20), rest(3)))
    assert (event, after < 2.5) == ("HUMAN", True)


@pytest.mark.parametrize("pitch", [105.0, 210.0])
@pytest.mark.parametrize(("level", "noise"), LEVELS)
@pytest.mark.parametrize("frequency", [440.0, 1000.0, 1400.0])
def test_a_greeting_and_a_beep_are_a_machine_that_is_ready(
    frequency: float, level: float, noise: float | None, pitch: float
) -> None:
    voice = at_level(speech(GREETING, pitch), level)
    told = listen(pcm(rest(0.3), voice, rest(0.3), beep(frequency, 400, level), rest(3), noise=noise))
    assert [event for _, event in told] == ["MACHINE", "READY*"]
    beep_ends = 0.3 + len(voice) / RATE + 0.7
    assert told[0][0] < 3.0
    assert told[1][0] == pytest.approx(beep_ends + 0.04, abs=0.1)


@pytest.mark.parametrize("frequency", [400.0, 620.0, 1000.0, 1750.0, 2200.0])
@pytest.mark.parametrize("ms", [120, 200, 500, 1000, 1900])
def test_beeps_of_every_pitch_and_length_are_heard(ms: int, frequency: float) -> None:
    voice = at_level(speech(GREETING), -22)
    sound = pcm(rest(0.3), voice, rest(0.4), beep(frequency, ms, -22), rest(3), noise=-50)
    assert events(sound) == ["MACHINE", "READY*"]


def test_a_tone_that_goes_on_is_no_beep() -> None:
    voice = at_level(speech(GREETING), -22)
    assert "READY*" not in events(pcm(rest(0.3), voice, rest(0.3), beep(1000, 4000), rest(3)))


def test_many_slow_words_are_a_machine() -> None:
    voice = at_level(speech(SLOW_WORDS), -20)
    assert events(pcm(rest(0.3), voice, rest(3)))[0] == "MACHINE"
    assert events(pcm(rest(0.3), voice, rest(3)), words=20, voice_ms=5000) == ["HUMAN"]


def test_without_a_beep_silence_makes_a_machine_ready() -> None:
    voice = at_level(speech(GREETING), -20)
    told = listen(pcm(rest(0.3), voice, rest(6)), ready_ms=2500)
    assert [event for _, event in told] == ["MACHINE", "READY"]
    assert told[1][0] == pytest.approx(0.3 + len(voice) / RATE - 0.25 + 2.5 + 0.4, abs=0.2)


def test_a_pause_between_two_sentences_is_waited_out_where_that_is_asked_for() -> None:
    voice = at_level(speech(GREETING), -20)
    sound = pcm(rest(0.3), voice, rest(1.2), voice, rest(0.5), beep(1000, 300), rest(4))
    assert events(sound) == ["MACHINE", "READY"]
    assert events(sound, ready_ms=2500) == ["MACHINE", "READY*"]


def test_a_machine_that_speaks_again_is_not_ready() -> None:
    voice = at_level(speech(GREETING), -20)
    sound = pcm(rest(0.3), voice, rest(2), voice, rest(0.4), beep(900, 500), rest(4), voice, rest(4))
    assert events(sound, interruptions=True) == [
        "MACHINE", "READY", "NOT_READY", "READY*", "NOT_READY", "READY",
    ]  # fmt: skip


def test_where_the_end_of_the_greeting_does_not_matter_a_machine_is_all_that_is_told() -> None:
    sound = pcm(rest(0.3), at_level(speech(GREETING), -20), beep(1000, 300), rest(4))
    assert events(sound, message_end=False) == ["MACHINE"]


def test_who_beeps_after_a_few_words_is_a_machine() -> None:
    sound = pcm(rest(0.5), at_level(speech(HELLO), -20), rest(0.3), beep(1000, 500), rest(3))
    assert events(sound) == ["MACHINE", "READY*"]


@pytest.mark.parametrize("noise", [None, -60.0, -45.0, -36.0, -28.0])
def test_nothing_and_noise_are_unknown_in_time(noise: float | None) -> None:
    ((after, event),) = listen(pcm(rest(9), noise=noise))
    assert event == "UNKNOWN"
    assert after == pytest.approx(4.9, abs=0.05)
    ((after, _),) = listen(pcm(rest(9), noise=noise), initial_timeout_ms=2000)
    assert after == pytest.approx(2.4, abs=0.05)


def test_a_far_end_that_sends_nothing_is_unknown() -> None:
    one = ear()
    told = [heard for _ in range(400) for heard in one.hear(None)]
    assert [heard.event for heard in told] == ["UNKNOWN"]
    assert one.is_over


@pytest.mark.parametrize("noise", [None, -50.0])
@pytest.mark.parametrize("country", sorted(CADENCES))
def test_ringing_is_no_voice(country: str, noise: float | None) -> None:
    ringing = numpy.frombuffer(b"".join(ring_frames(country)) * 4, "<i2") / 32768.0
    assert events(pcm(rest(0.4), ringing[: RATE * 8], noise=noise)) == ["UNKNOWN"]


@pytest.mark.parametrize(
    "frequencies",
    [(350.0, 440.0), (480.0, 620.0), (425.0,), (1000.0,)],
    ids=["dial", "busy", "steady", "high"],
)
@pytest.mark.parametrize("cadence", [(500, 500), (250, 250), (8000, 0)])
def test_tones_of_the_network_are_no_voice(frequencies: tuple[float, ...], cadence: tuple[int, int]) -> None:
    sound = (tone(frequencies, cadence[0]) + bytes(16 * cadence[1])) * 16
    assert events(sound[: 2 * RATE * 8]) == ["UNKNOWN"]


def test_clicks_are_no_voice() -> None:
    samples = rest(8)
    for at in range(10):
        start = RATE * at // 2 + 400
        samples[start : start + 400] = hiss(1, -16)[:400]
    assert events(pcm(samples)) == ["UNKNOWN"]


def test_music_is_no_person() -> None:
    """Chords that change four times a second."""
    draw = numpy.random.default_rng(2)
    chords = []
    for _ in range(32):
        at = numpy.arange(RATE // 4) / RATE
        notes = 220 * 2 ** (draw.integers(0, 24, 4) / 12)
        decay = numpy.exp(-3 * at)
        chords.append(decay * sum(numpy.sin(2 * numpy.pi * note * at) for note in notes))
    assert "HUMAN" not in events(pcm(at_level(numpy.concatenate(chords), -20), rest(4)))


def test_somebody_who_calls_out_again_before_the_pause_is_still_a_person() -> None:
    hello = at_level(speech(HELLO), -20)
    assert events(pcm(rest(0.4), hello, rest(0.6), hello, rest(3))) == ["HUMAN"]


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722", "OPUS", "L16/16000"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_codecs_change_nothing(name: str, rate: int) -> None:
    described = codec(name)
    assert described.make_encoder is not None
    assert described.make_decoder is not None
    decoder = described.make_decoder(described.rate_for(rate))
    encoder = described.make_encoder(described.rates[0], Wish())
    up, down = RateConverter(RATE, encoder.rate), RateConverter(decoder.rate, RATE)
    voice = at_level(speech(GREETING), -22)
    for sound, expected in (
        (pcm(rest(0.4), at_level(speech(HELLO), -22), rest(3), noise=-55), ["HUMAN"]),
        (pcm(rest(0.4), voice, rest(0.4), beep(1000, 300, -22), rest(3), noise=-55), ["MACHINE", "READY*"]),
    ):
        heard = b""
        for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
            frame = sound[at : at + FRAME_BYTES]
            coded = decoder.decode(encoder.encode(up.convert(frame) if encoder.rate != RATE else frame))
            heard += down.convert(coded) if decoder.rate != RATE else coded
        assert events(heard) == expected


def test_packets_that_are_lost_change_nothing() -> None:
    draw = numpy.random.default_rng(7)
    sound = pcm(rest(0.4), at_level(speech(HELLO), -20), rest(3), noise=-55)
    one = ear()
    told = []
    for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
        told += one.hear(sound[at : at + FRAME_BYTES] if draw.random() > 0.03 else None)
    assert [heard.event for heard in told] == ["HUMAN"]


# ------------------------------------------------------------------ a speech engine's voices

SAID = {
    "Hello?": ["HUMAN"],
    "Smith speaking.": ["HUMAN"],
    "Hi, you have reached Anna and Peter. Please leave a message after the tone.": ["MACHINE", "READY*"],
    "The person you are calling is not available, please call again later.": ["MACHINE", "READY*"],
}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("voice", ["en-us", "en-gb+f3", "de", "fr+f3"])
@pytest.mark.parametrize("text", SAID)
def test_a_speech_engines_voice_is_told_apart_too(text: str, voice: str, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-w", str(file), text], check=True, timeout=20)
    with wave.open(str(file)) as opened:
        rate, raw = opened.getframerate(), opened.readframes(opened.getnframes())
    samples = numpy.frombuffer(raw, "<i2") / 32768.0
    at = numpy.arange(int(len(samples) * RATE / rate)) * rate / RATE
    said = numpy.interp(at, numpy.arange(len(samples)), samples)
    said = at_level(said / numpy.sqrt(numpy.mean(said[numpy.abs(said) > 0.01] ** 2)), -22)
    tail = (rest(0.5), beep(1000, 300, -22)) if "MACHINE" in SAID[text] else ()
    assert events(pcm(rest(0.4), said, *tail, rest(3), noise=-55)) == SAID[text]

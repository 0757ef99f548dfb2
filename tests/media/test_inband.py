"""Keys as tones, made and heard."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.codecs import g711
from cordboard.media.dtmf import Digit, DigitReceiver, DigitSender
from cordboard.media.inband import FREQUENCIES, InbandDetector, digit_frame
from cordboard.media.tones import heard

KEYS = "0123456789*#ABCD"


def tone(
    key: str,
    milliseconds: float,
    *,
    twist: float = 0.0,
    off: float = 0.0,
    level: float = -10.0,
    turn: float = 0.0,
) -> Any:
    """A key's samples; `twist` in dB (the high frequency louder), `off` as a part of the frequencies."""
    n = np.arange(int(8 * milliseconds))
    low, high = FREQUENCIES[key]
    peak = 32768 * 10 ** (level / 20)
    return peak * (
        np.sin(2 * np.pi * low * (1 + off) * n / 8000 + turn) * 10 ** (-twist / 40)
        + np.sin(2 * np.pi * high * (1 - off) * n / 8000 + turn * 2) * 10 ** (twist / 40)
    )


def line(parts: list[Any]) -> bytes:
    """Through G.711, as everything is that comes from a telephone."""
    samples = np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)
    return g711.decode("PCMU", g711.encode("PCMU", samples.tobytes()))


def keys_in(pcm: bytes, piece: int = 320) -> list[Digit]:
    detector = InbandDetector()
    found = [digit for at in range(0, len(pcm), piece) for digit in detector.feed(pcm[at : at + piece])]
    return found + detector.feed(bytes(3200))


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_made_of_its_two_frequencies(key: str) -> None:
    pcm = b"".join(digit_frame(key, number) for number in range(5))
    assert heard(pcm, FREQUENCIES[key])


def test_ten_thousand_keys_are_heard_one_by_one() -> None:
    rng, noise = random.Random(1), np.random.default_rng(1)
    pressed = ""
    found: list[Digit] = []
    detector = InbandDetector()
    for _ in range(10_000):
        key = rng.choice(KEYS)
        pressed += key
        sound = tone(
            key,
            rng.randrange(45, 120),
            twist=rng.uniform(-7, 4),
            off=rng.uniform(-0.012, 0.012),
            level=rng.uniform(-30, -12),
            turn=rng.random() * 6,
        )
        found += detector.feed(
            line([sound + noise.normal(0, 12, len(sound)), np.zeros(8 * rng.randrange(45, 90))])
        )
    found += detector.feed(bytes(3200))
    told = "".join(digit.digit for digit in found)
    # One that is missed or made up would shift all that follow.
    assert len(told) == len(pressed)
    right = sum(a == b for a, b in zip(told, pressed, strict=True))
    assert right >= 9_950


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("off", [-0.015, 0.0, 0.015])
@pytest.mark.parametrize("twist", [-7.0, 0.0, 4.0])
def test_what_q24_wants_accepted_is_accepted(key: str, off: float, twist: float) -> None:
    pcm = line([np.zeros(333), tone(key, 40, off=off, twist=twist), np.zeros(800)])
    assert [digit.digit for digit in keys_in(pcm)] == [key]


@pytest.mark.parametrize("key", KEYS)
def test_what_q24_wants_rejected_is_rejected(key: str) -> None:
    for parts in (
        [tone(key, 20), np.zeros(800)],
        [tone(key, 200, off=0.035), np.zeros(800)],
        [tone(key, 200, level=-60), np.zeros(800)],
        [tone(key, 200, twist=14), np.zeros(800)],
        [tone(key, 200) + 12000 * np.sin(2 * np.pi * 440 * np.arange(1600) / 8000)],
    ):
        assert keys_in(line(parts)) == []


def test_a_short_hole_does_not_double_a_key_and_a_pause_does() -> None:
    whole = tone("5", 100)
    assert len(keys_in(line([whole, np.zeros(64), whole, np.zeros(800)]))) == 1
    assert len(keys_in(line([whole, np.zeros(320), whole, np.zeros(800)]))) == 2


def test_the_duration_is_about_that_of_the_tone() -> None:
    for milliseconds in (80, 160, 500, 3000):
        (digit,) = keys_in(line([tone("8", milliseconds), np.zeros(800)]))
        assert digit.duration_ms == pytest.approx(milliseconds, abs=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=700).map(lambda raw: raw[: len(raw) & ~1]), max_size=20))
def test_anything_may_be_fed_in_pieces_of_any_length(pieces: list[bytes]) -> None:
    detector = InbandDetector()
    for piece in pieces:
        detector.feed(piece)


# ------------------------------------------------------------------ talk-off


def music(seconds: float, rng: random.Random) -> Any:
    """Chords of tones with overtones, a new one every quarter of a second."""
    parts = []
    for _ in range(int(seconds * 4)):
        n = np.arange(2000) / 8000
        notes = [110 * 2 ** (rng.randrange(36) / 12) for _ in range(rng.randrange(1, 4))]
        chord = sum(
            np.sin(2 * np.pi * note * over * n + rng.random()) / over**1.2
            for note in notes
            for over in range(1, 6)
            if note * over < 3900
        )
        parts.append(4000 * chord * np.exp(-3 * n))
    return np.concatenate(parts)


def babble(seconds: float, rng: random.Random) -> Any:
    """Vowels: harmonics of a gliding pitch under two or three formants that move."""
    parts = []
    for _ in range(int(seconds * 5)):
        n = np.arange(1600) / 8000
        pitch = rng.uniform(80, 320) * (1 + 0.15 * rng.uniform(-1, 1) * n * 5)
        phase = 2 * np.pi * np.cumsum(pitch) / 8000
        formants = [
            (rng.uniform(250, 1000), 90),
            (rng.uniform(800, 2500), 120),
            (rng.uniform(2200, 3400), 200),
        ]
        sound = np.zeros(1600)
        for over in range(1, int(3800 / pitch.max()) + 1):
            at = over * float(pitch.mean())
            loud = sum(math.exp(-(((at - centre) / width) ** 2) / 2) for centre, width in formants) + 0.02
            sound += loud * np.sin(over * phase)
        parts.append(5000 * sound * np.sin(np.pi * np.arange(1600) / 1600))
    return np.concatenate(parts)


@pytest.mark.parametrize("kind", [music, babble])
def test_no_key_is_heard_in_what_is_none(kind: Any) -> None:
    assert keys_in(line([kind(60.0, random.Random(2))]), 16_000) == []


_TEXT = (
    "Good morning, this is the switchboard of the northern harbour office. "
    "Please tell me your name and number. "
    "She sells sea shells by the sea shore, and the shells she sells are surely real. "
    "If you would like to leave a message after the tone, speak slowly; we shall call you back before noon. "
    "Eight hundred and ninety three thousand, five hundred and twelve. "
    "Who knew that zoos move so few new shoes?"
)


@pytest.mark.slow
def test_no_key_is_heard_in_an_hour_of_speech() -> None:
    hibari = pytest.importorskip("hibari")
    from hibari.voices import VOICES, voice_path  # type: ignore[import-untyped]  # has no stubs

    spoken = []
    for name in list(VOICES):
        try:
            model = voice_path(name, download_missing=False)
        except Exception:
            # A voice whose file is not there would be fetched over the network.
            continue
        speaker = hibari.Hibari(voice=name, model=model, threads=1)
        spoken += [np.asarray(speaker(piece), np.float64) for piece in speaker.split_sentences(_TEXT)]
    assert spoken
    base = np.concatenate(spoken)
    heard_samples = 0
    step = 3.0
    while heard_samples < 3600 * 8000:
        # Read out faster or slower, so that pitch and formants move through the keys' frequencies.
        at = np.arange(0, len(base) - 1, step)
        piece = np.interp(at, np.arange(len(base)), base)
        pcm = line([piece / max(1e-9, float(np.abs(piece).max())) * 26_000])
        assert keys_in(pcm, 16_000) == [], step
        heard_samples += len(piece)
        step = 1.8 + (step - 1.8 + 0.1237) % 2.4


# ------------------------------------------------------------------ events under loss


@pytest.mark.parametrize("clock_rate", [8000, 48000])
def test_ten_thousand_events_under_loss_are_neither_lost_nor_doubled(clock_rate: int) -> None:
    rng = random.Random(6)
    pressed = "".join(rng.choice(KEYS) for _ in range(10_000))
    sender = DigitSender(pressed, duration_ms=100, gap_ms=60, clock_rate=clock_rate)
    receiver = DigitReceiver(clock_rate=clock_rate)
    told: list[Digit] = []
    now, timestamp, begun = 0.0, 0, 0
    while not sender.finished:
        event = sender.next_frame()
        told += receiver.handle_timeout(now)
        if event is not None:
            begun = timestamp if event.start else begun
            for _ in range(0 if rng.random() < 0.05 else 1 + (rng.random() < 0.05)):
                told += receiver.handle(event.payload, begun, now)
        now += 0.02
        timestamp = (timestamp + clock_rate // 50) & 0xFFFFFFFF
    told += receiver.handle_timeout(now + 1)
    assert "".join(digit.digit for digit in told) == pressed

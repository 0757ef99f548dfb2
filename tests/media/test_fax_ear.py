"""The tones of fax machines: with noise, off frequency, with turned phase, and what is only similar."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from cordboard.media.fax_ear import FaxEar
from cordboard.media.tones import FRAME_BYTES, tone

RATE = 8000


def made(
    frequency: float, seconds: float, *, level: float = -18.0, noise: float | None = None, ansam: bool = False
) -> bytes:
    at = numpy.arange(int(RATE * seconds)) / RATE
    wave: Any = numpy.sqrt(2) * numpy.sin(2 * numpy.pi * frequency * at)
    if ansam:
        # V.8: the phase turns every 450 ms, and the level swings by a fifth fifteen times a second.
        wave = (
            wave * numpy.where((at / 0.45).astype(int) % 2, -1, 1) * (1 + 0.2 * numpy.sin(30 * numpy.pi * at))
        )
    wave = wave * 10 ** (level / 20)
    if noise is not None:
        wave = wave + numpy.random.default_rng(3).normal(0, 10 ** (noise / 20), len(wave))
    return bytes(numpy.clip(wave * 32768, -32768, 32767).astype("<i2").tobytes())


def pause(seconds: float) -> bytes:
    return bytes(2 * int(RATE * seconds))


def heard(sound: bytes, wanted: str) -> list[float]:
    """When it was heard, in seconds."""
    ear = FaxEar(wanted)
    told = []
    for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
        if ear.hear(sound[at : at + FRAME_BYTES]):
            told.append(at / 16000 + 0.02)
    return told


@pytest.mark.parametrize("ansam", [False, True])
@pytest.mark.parametrize("frequency", [2085.0, 2100.0, 2115.0])
@pytest.mark.parametrize(("level", "noise"), [(-12.0, None), (-18.0, -32.0), (-30.0, -45.0), (-44.0, None)])
def test_the_answer_of_a_fax_is_heard(
    frequency: float, level: float, noise: float | None, ansam: bool
) -> None:
    sound = pause(0.2) + made(frequency, 3.0, level=level, noise=noise, ansam=ansam)
    (after,) = heard(sound, "CED")
    assert 0.68 <= after < 1.1
    assert heard(sound, "CNG") == []


@pytest.mark.parametrize("frequency", [1062.0, 1080.0, 1100.0, 1120.0, 1138.0])
@pytest.mark.parametrize(("level", "noise"), [(-12.0, None), (-18.0, -32.0), (-30.0, -45.0), (-44.0, None)])
def test_the_calling_tone_of_a_fax_is_heard_at_its_first_burst(
    frequency: float, level: float, noise: float | None
) -> None:
    burst = made(frequency, 0.5, level=level, noise=noise) + pause(3.0)
    (after,) = heard(pause(0.31) + burst * 3, "CNG")
    assert after == pytest.approx(0.31 + 0.5 + 0.06, abs=0.04)
    assert heard(pause(0.31) + burst * 3, "CED") == []


def sweep() -> bytes:
    at = numpy.arange(5 * RATE) / RATE
    wave = 0.3 * numpy.sin(2 * numpy.pi * (300 * at + 310 * at**2))
    return bytes((wave * 32767).astype("<i2").tobytes())


OTHERS = {
    "another frequency": (made(2000.0, 3), made(1000.0, 0.5) + pause(1)),
    "too short": (made(2100.0, 0.4) + pause(1), made(1100.0, 0.3) + pause(1)),
    "too long": (made(2250.0, 3), made(1100.0, 1.0) + pause(1)),
    "interrupted": ((made(2100.0, 0.2) + pause(0.2)) * 5, (made(1100.0, 0.2) + pause(0.2)) * 5),
    "with another tone": (tone((2100.0, 1300.0), 3000), tone((1100.0, 1500.0), 500) + pause(1)),
    "too quiet": (made(2100.0, 3, level=-56), made(1100.0, 0.5, level=-56) + pause(1)),
    "in noise": (made(2100.0, 3, noise=-14), made(1100.0, 0.5, noise=-14) + pause(1)),
    "noise": (made(0.0, 3, noise=-20), made(0.0, 3, noise=-20)),
    "a sweep": (sweep(), sweep()),
    "ringing": (tone((440.0, 480.0), 2000), tone((440.0, 480.0), 500) + pause(1)),
    "a key": (tone((941.0, 1633.0), 2000), tone((697.0, 1209.0), 500) + pause(1)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_only_similar_is_not(what: str) -> None:
    like_ced, like_cng = OTHERS[what]
    assert heard(like_ced, "CED") == []
    assert heard(like_cng, "CNG") == []


def test_a_lost_packet_within_is_forgiven() -> None:
    ear = FaxEar("CED")
    sound = made(2100.0, 3.0)
    frames = [sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)]
    told = [n for n, frame in enumerate(frames) if ear.hear(None if n % 12 == 5 else frame)]
    assert told == [24]
    assert ear.is_over


def test_it_is_told_once() -> None:
    sound = (made(1100.0, 0.5) + pause(3.0)) * 4
    assert len(heard(sound, "CNG")) == 1

"""Speech through a whole server, from every codec to every other: as loud as it was said, and with no holes.

Tones are steady: they do not show what a codec or a jitter buffer makes of beginnings, ends and soft sounds.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from itertools import product

import numpy as np
import pytest
import pytest_asyncio
import soxr  # type: ignore[import-untyped]

from cordboard.media.tones import level
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import envelope

from .cases import Lab, laboratory
from .measured import CODECS, between, heard, speaks
from .peers import program

pytestmark = pytest.mark.real_peer

RATE, HEADER = 22_050, 44
"""Of what espeak-ng makes: Hz, and bytes before the samples."""
SENTENCE = "Good morning, this is the switchboard of the northern harbour office."
STEP_MS = 5
LONGEST_HOLE_MS = 20
_LATEST = 160
"""Steps that what is heard may lag behind what is said: the phones' start-up, and the way."""
_SPOKEN, _LOST = -40.0, 20.0
"""dBov that count as speech; dB that a hole is softer than what was said."""
_AT_ONCE = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def speech() -> bytes:
    """PCM at 8 kHz."""
    command = [program("espeak-ng"), "-v", "en", "-s", "150", "--stdout", SENTENCE]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    samples = np.frombuffer(wav[HEADER : len(wav) & ~1], np.int16).astype(np.float32)
    narrow = soxr.resample(samples, RATE, 8_000)
    narrow *= 16_000 / float(np.abs(narrow).max())
    return bytes(narrow.astype(np.int16).tobytes())


def aligned(said: bytes, came: bytes) -> tuple[list[float], list[float], int]:
    """Both envelopes from the beginning of what was said, in steps, and how many steps it was behind."""
    spoken, got = envelope(said, STEP_MS), envelope(came, STEP_MS)
    assert len(got) > len(spoken) + _LATEST, f"only {STEP_MS * len(got)} ms were heard"
    template = np.array(spoken)
    fits = [float(np.corrcoef(template, got[at : at + len(spoken)])[0, 1]) for at in range(_LATEST)]
    shift = int(np.nanargmax(fits))
    return spoken, got[shift : shift + len(spoken)], shift


def longest_hole_ms(spoken: list[float], got: list[float]) -> int:
    """Where somebody spoke and next to nothing was heard."""
    longest = run = 0
    for said, came in zip(spoken, got, strict=True):
        run = run + 1 if said > _SPOKEN and came < said - _LOST else 0
        longest = max(longest, run)
    return STEP_MS * longest


def problems(said: bytes, came: bytes) -> list[str]:
    """Empty = as it should be."""
    spoken, got, shift = aligned(said, came)
    begin = shift * STEP_MS * 16
    louder = level(came[begin : begin + len(said)]) - level(said)
    hole = longest_hole_ms(spoken, got)
    likeness = float(np.corrcoef(spoken, got)[0, 1])
    found = [f"{louder:+.2f} dB"] if abs(louder) > 1.0 else []
    found += [f"a hole of {hole} ms"] if hole > LONGEST_HOLE_MS else []
    return found + ([f"likeness {likeness:.2f}"] if likeness < 0.9 else [])


async def talk(a: PhoneCall, b: PhoneCall, speech: bytes) -> list[str]:
    """What is wrong with what each hears of the other, who says the same at the same time."""
    await asyncio.sleep(0.15)
    began = asyncio.get_running_loop().time()
    for call in (a, b):
        call.audio.play(speech)
    await asyncio.sleep(len(speech) / 16_000 + _LATEST * STEP_MS / 1000 + 0.3)
    return problems(speech, heard(b).pcm(began)) + problems(speech, heard(a).pcm(began))


@pytest.mark.asyncio(loop_scope="module")
async def test_speech_is_as_loud_and_without_holes_through_every_pairing_of_codecs(
    lab: Lab, speech: bytes
) -> None:
    async def pair(a: str, b: str) -> list[str]:
        caller, callee = await between(lab.case(), speaks(a), speaks(b))
        found = await talk(caller, callee, speech)
        caller.hang_up()
        assert callee.report.audio.encodings == [b]
        assert caller.report.audio.encodings == [a]
        return [f"{a} and {b}: {one}" for one in found]

    pairs = [(a, b) for a, b in product(CODECS, CODECS) if a <= b]
    for first in range(0, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        found = await asyncio.gather(*(pair(a, b) for a, b in some))
        # A busy machine may have been late.
        for _ in range(2):
            found = [await pair(*some[n]) if one else [] for n, one in enumerate(found)]
        assert not [one for one in found if one]


def test_the_measure_sees_a_hole_and_a_wrong_level(speech: bytes) -> None:
    later = bytes(1600) + speech + bytes(_LATEST * STEP_MS * 32)
    assert problems(speech, later) == []
    at = max(range(1600, len(speech), 480), key=lambda n: level(later[n : n + 480]))
    torn = later[:at] + bytes(640) + later[at + 640 :]
    assert any("a hole of" in one for one in problems(speech, torn))
    softer = (np.frombuffer(later, np.int16) * 0.8).astype(np.int16).tobytes()
    assert problems(speech, softer) == ["-1.94 dB"]

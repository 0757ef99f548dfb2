"""An hour of speech in which no key may be heard: espeak-ng with all its languages and voices, men and women,
high and low, slow and fast, loud and soft, many times faster than real time.

Its voices are steadier than people are, which makes them harder: two harmonics that stand still are what a
key is.
"""

from __future__ import annotations

import random
import subprocess
from collections import Counter

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]

from cordboard.media.codecs import g711
from cordboard.media.inband import InbandDetector

from .peers import program

pytestmark = pytest.mark.real_peer

RATE = 22_050
"""Of what espeak-ng makes, in Hz."""
HEADER = 44
SENTENCES = (
    "Good morning, this is the switchboard of the northern harbour office.",
    "She sells sea shells by the sea shore, and the shells she sells are surely real.",
    "Who knew that zoos move so few new shoes?",
    "Ah, no, wait: a large part of all that was far too far away.",
)


def listed(option: str, column: int) -> list[str]:
    said = subprocess.run([program("espeak-ng"), option], capture_output=True, text=True, check=True).stdout
    return [line.split()[column] for line in said.splitlines()[1:]]


class Speakers:
    """Another one each time, always in the same order."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._languages = listed("--voices", 1)
        self._voices = [name.removeprefix("!v/") for name in listed("--voices=variant", 4) if "!v/" in name]
        self.heard: Counter[str] = Counter()

    def speak(self) -> tuple[str, bytes]:
        """Who, and 8 kHz PCM that went through a telephone line."""
        rng = self._rng
        who = f"{rng.choice(self._languages)}+{rng.choice(self._voices)}"
        how = ("-v", who, "-p", str(rng.randrange(100)), "-s", str(rng.randrange(90, 300)))
        # Each language has its own words for numbers.
        numbers = " ".join(str(rng.randrange(10 ** rng.randrange(1, 7))) for _ in range(25))
        wav = subprocess.run(
            [program("espeak-ng"), *how, "--stdout", f"{' '.join(SENTENCES)} {numbers}"],
            capture_output=True,
            check=False,  # some languages are listed that it cannot speak
        ).stdout
        pcm = np.frombuffer(wav[HEADER : len(wav) & ~1], np.int16).astype(np.float32)
        if len(pcm) < RATE:
            return who, b""
        self.heard[who] += 1
        narrow = soxr.resample(pcm, RATE, 8_000)
        narrow *= rng.uniform(2_000, 28_000) / max(1.0, float(np.abs(narrow).max()))
        line = g711.decode("PCMU", g711.encode("PCMU", narrow.astype(np.int16).tobytes()))
        return " ".join((who, *how[2:])), line


def test_no_key_is_heard_in_an_hour_of_many_voices_and_languages() -> None:
    speakers = Speakers(2026)
    taken_for_keys = {}
    samples = 0
    while samples < 3_600 * 8_000:
        who, pcm = speakers.speak()
        detector = InbandDetector()
        digits = detector.feed(pcm) + detector.feed(bytes(3_200))
        if digits:
            taken_for_keys[who] = digits
        samples += len(pcm) // 2
    assert taken_for_keys == {}
    assert len(speakers.heard) > 50

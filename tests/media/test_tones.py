from __future__ import annotations

import math
import random
import struct
from itertools import pairwise

import pytest

from cordboard.media import tones
from cordboard.media.ringback import CADENCES, cadence, ring_frames

NOISE = struct.pack("<8000h", *(random.Random(1).randint(-9000, 9000) for _ in range(8000)))


@pytest.mark.parametrize("frequencies", [(1000,), (440, 480), (425,), (333.3,), (697, 1209), (1004.1234567,)])
def test_a_tone_has_its_length_and_level(frequencies: tuple[float, ...]) -> None:
    pcm = tones.tone(frequencies, 500)
    assert len(pcm) == 8000
    assert tones.level(pcm) == pytest.approx(tones.TONE_LEVEL, abs=0.2)


def test_a_repeated_period_joins_without_a_step() -> None:
    pcm = tones.tone((440, 480), 1000)
    samples = struct.unpack("<8000h", pcm)
    assert max(abs(a - b) for a, b in pairwise(samples)) < 3750
    assert samples[:200] == samples[200:400]


def test_no_frequency_or_none_that_can_be_heard_is_silence() -> None:
    assert tones.tone((), 20) == tones.tone((0, -5, 4000, 90_000), 20) == tones.SILENT_FRAME
    assert tones.tone((440,), 0) == tones.tone((440,), -5) == b""


@pytest.mark.parametrize("frequencies", [(1000.0,), (413.0, 438.0), (333.3,), (1004.1234567, 1750.77)])
def test_a_tone_made_frame_by_frame_is_the_same_tone(frequencies: tuple[float, ...]) -> None:
    whole = tones.tone(frequencies, 2000)
    assert b"".join(tones.tone_frame(frequencies, n) for n in range(100)) == whole
    assert tones.tone_frame((), 3) == tones.SILENT_FRAME


def test_an_endless_tone_has_no_step_at_any_time() -> None:
    pcm = tones.tone_frame((999.7,), 10**6) + tones.tone_frame((999.7,), 10**6 + 1)
    samples = struct.unpack("<320h", pcm)
    assert max(abs(a - b) for a, b in pairwise(samples)) < 6100
    assert tones.level(pcm) == pytest.approx(tones.TONE_LEVEL, abs=0.3)


def test_frames_are_whole() -> None:
    cut = tones.frames(tones.tone((440,), 50))
    assert [len(frame) for frame in cut] == [320, 320, 320]
    assert cut[2][160:] == bytes(160)
    assert tones.frames(b"") == ()


@pytest.mark.parametrize("frequency", [50, 350, 425, 440, 697, 941, 1209, 1633, 2100, 3800, 1004.4])
def test_the_dominant_frequency_is_found_to_2_hz(frequency: float) -> None:
    assert tones.dominant_frequency(tones.tone((frequency,), 200)) == pytest.approx(frequency, abs=2)


def test_silence_noise_and_shreds_have_no_dominant_frequency() -> None:
    assert tones.dominant_frequency(bytes(3200)) is None
    assert tones.dominant_frequency(NOISE) is None
    assert tones.dominant_frequency(b"") is None
    assert tones.dominant_frequency(b"\x01") is None


def test_the_meter_names_the_candidate_and_the_level() -> None:
    meter = tones.ToneMeter((440, 600, 1000))
    pcm = tones.tone((600,), 300, level=-20)
    readings = [reading for at in range(0, len(pcm), 320) for reading in meter.feed(pcm[at : at + 320])]
    assert [reading.frequency for reading in readings] == [600, 600, 600]
    assert readings[0].level == pytest.approx(-20, abs=0.1)
    assert readings[0].share > 0.95
    assert meter.last == readings[-1]


def test_the_meter_tells_apart_what_is_15_hz_apart() -> None:
    meter = tones.ToneMeter((425, 440))
    assert meter.feed(tones.tone((425,), 100))[0].frequency == 425
    assert meter.feed(tones.tone((440,), 100))[0].frequency == 440


def test_the_meter_hears_nothing_in_silence_noise_or_another_tone() -> None:
    for pcm in (bytes(1600), NOISE[:1600], tones.tone((2000,), 100)):
        assert tones.ToneMeter((440, 600)).feed(pcm)[0].frequency is None
    assert tones.ToneMeter((440,)).last.level == -math.inf


def test_a_pair_of_tones_is_heard_only_if_both_are_there() -> None:
    assert tones.heard(tones.tone((440, 480), 200), (440, 480))
    assert not tones.heard(tones.tone((440,), 200), (440, 480))
    assert not tones.heard(NOISE, (440, 480))
    assert not tones.heard(b"", (440,))


# ------------------------------------------------------------------ ringing

DOCUMENTED = [
    *("at", "au", "be", "bg", "br", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hu"),
    *("il", "in", "it", "jp", "lt", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se", "sg", "th"),
    *("tw", "uk", "us", "us-old", "ve", "za"),
]


def test_every_documented_country_rings() -> None:
    assert sorted(CADENCES) == sorted(DOCUMENTED)


@pytest.mark.parametrize("country", DOCUMENTED)
def test_a_cycle_sounds_and_pauses_as_its_pattern_says(country: str) -> None:
    ring = cadence(country)
    frames = ring_frames(country)
    assert len(frames) == math.ceil(ring.cycle_ms / 20)
    assert {len(frame) for frame in frames} == {320}
    sounding = sum(any(frame) for frame in frames)
    assert sounding == pytest.approx(sum(ring.pattern[::2]) / 20, abs=1)
    assert any(frames[0])
    assert not any(frames[-1])
    assert tones.heard(b"".join(frames[:20]), ring.frequencies)


def test_an_unknown_country_rings_as_in_the_united_states() -> None:
    assert cadence("xx") == cadence("") == cadence("US")
    assert ring_frames("atlantis") is ring_frames("us")

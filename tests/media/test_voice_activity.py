"""Speech against background noise, frame by frame."""

from __future__ import annotations

import random
import struct

import pytest

from cordboard.media.tones import FRAME_SAMPLES, SILENT_FRAME, tone_frames
from cordboard.media.voice_activity import VoiceActivity


def noise(level: float, number: int, seed: int = 1) -> list[bytes]:
    """Frames of white noise at so many dBov."""
    random_ = random.Random(seed)
    sigma = 32768.0 * 10.0 ** (level / 20.0)
    return [
        struct.pack(f"<{FRAME_SAMPLES}h", *(round(random_.gauss(0, sigma)) for _ in range(FRAME_SAMPLES)))
        for _ in range(number)
    ]


def sound(level: float, number: int) -> list[bytes]:
    return list(tone_frames((440.0,), 20 * number, level=level))


def share(activity: VoiceActivity, frames: list[bytes]) -> float:
    return sum(activity.hear(frame) for frame in frames) / len(frames)


@pytest.mark.parametrize(
    ("sensitivity", "level", "heard"),
    [
        (44.0, -25.0, True), (44.0, -36.0, True), (44.0, -40.0, False), (44.0, -60.0, False),
        (0.0, -25.0, False), (0.0, -15.0, True), (100.0, -55.0, True), (100.0, -65.0, False),
        (-5.0, -25.0, False), (1000.0, -55.0, True),
    ],
)  # fmt: skip
def test_the_more_sensitive_the_quieter_speech_may_be(sensitivity: float, level: float, heard: bool) -> None:
    activity = VoiceActivity(sensitivity)
    share(activity, [SILENT_FRAME] * 50)
    assert (share(activity, sound(level, 20)) > 0.5) is heard


def test_nothing_and_silence_are_no_speech() -> None:
    activity = VoiceActivity(100.0)
    assert not any(activity.hear(frame) for frame in (None, SILENT_FRAME) * 100)


def test_a_click_is_no_speech() -> None:
    activity = VoiceActivity(44.0)
    frames = ([SILENT_FRAME] * 10 + sound(-10.0, 2)) * 20
    assert share(activity, frames) == 0.0


def test_a_steady_hiss_becomes_background_and_speech_over_it_is_still_heard() -> None:
    activity = VoiceActivity(44.0)
    share(activity, noise(-36.0, 1500))
    assert share(activity, noise(-36.0, 200, seed=2)) < 0.05
    assert share(activity, sound(-20.0, 50)) > 0.9


def test_somebody_who_speaks_loudly_for_minutes_does_not_become_background() -> None:
    activity = VoiceActivity(44.0)
    share(activity, sound(-16.0, 6000))
    assert share(activity, sound(-16.0, 50)) == 1.0

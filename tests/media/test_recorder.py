"""One recording, tick by tick: what it contains and when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.media.protocol import BeginRecording
from cordboard.media.recorder import LONGEST_MS, Recorder
from cordboard.media.tones import (
    FRAME_BYTES,
    SILENT_FRAME,
    dominant_frequency,
    level,
    tone_frames,
)

SAID = tone_frames((400.0,), 60_000, level=-20.0)
TOLD = tone_frames((900.0,), 60_000, level=-26.0)
TICK = 0.020


def order(**fields: Any) -> BeginRecording:
    return BeginRecording(endpoint_id="e", recording_id="r", path="/nowhere", **fields)


class Bench:
    """A recorder and the time."""

    def __init__(self, *, lead_ms: int = 0, **fields: Any) -> None:
        self.recorder = Recorder(order(**fields), lead_ms=lead_ms)
        self.now = 100.0
        self.pcm = b""

    def tick(self, said: bytes | None = None, told: bytes | None = None, *, after: float = TICK) -> None:
        self.now += after
        self.recorder.said.hear(said)
        self.recorder.told.hear(told)
        self.pcm += self.recorder.tick(self.now)

    def run(self, seconds: float, *, said: bool = False, told: bool = False) -> float:
        """Both sounds from their beginning, until it is over; seconds that it took."""
        for number in range(round(seconds / TICK)):
            if self.recorder.outcome:
                return number * TICK
            self.tick(SAID[number] if said else None, TOLD[number] if told else None)
        return seconds

    def left(self) -> bytes:
        return b"".join(self.pcm[at : at + 2] for at in range(0, len(self.pcm), 4))

    def right(self) -> bytes:
        return b"".join(self.pcm[at + 2 : at + 4] for at in range(0, len(self.pcm), 4))


@pytest.mark.parametrize(
    ("direction", "frequency", "loudness"), [("speak", 400.0, -20.0), ("listen", 900.0, -26.0)]
)
def test_a_direction_is_recorded_as_it_is(direction: str, frequency: float, loudness: float) -> None:
    bench = Bench(direction=direction)
    bench.run(1.0, said=True, told=True)
    assert len(bench.pcm) == 16_000
    assert dominant_frequency(bench.pcm) == pytest.approx(frequency, abs=3)
    assert level(bench.pcm) == pytest.approx(loudness, abs=0.2)


def test_both_are_mixed() -> None:
    bench = Bench(direction="both")
    bench.run(1.0, said=True, told=True)
    assert len(bench.pcm) == 16_000
    assert level(bench.pcm) == pytest.approx(-19.0, abs=0.3)


def test_stereo_has_the_far_end_left_and_what_it_hears_right() -> None:
    bench = Bench(direction="both", stereo=True)
    bench.run(1.0, said=True, told=True)
    assert len(bench.pcm) == 32_000
    assert bench.left() == b"".join(SAID[:50])
    assert bench.right() == b"".join(TOLD[:50])


def test_a_side_that_is_not_wanted_is_silent_in_stereo() -> None:
    bench = Bench(direction="speak", stereo=True)
    bench.run(0.5, said=True, told=True)
    assert bench.left() == b"".join(SAID[:25])
    assert bench.right() == bytes(8000)


def test_where_nothing_is_said_there_is_silence_and_the_sides_stay_aligned() -> None:
    bench = Bench(direction="both", stereo=True)
    for number in range(100):
        bench.tick(SAID[number] if number % 3 else None, None if number % 2 else TOLD[number])
    assert bench.left() == b"".join(SAID[n] if n % 3 else SILENT_FRAME for n in range(100))
    assert bench.right() == b"".join(SILENT_FRAME if n % 2 else TOLD[n] for n in range(100))


def test_a_burst_after_a_gap_does_not_shift_one_side_for_good() -> None:
    bench = Bench(direction="speak")
    for frame in SAID[:40]:
        bench.recorder.said.hear(frame)
    for number in range(50):
        bench.tick(SAID[number])
    waiting = 0
    while bench.recorder.said.take() is not None:
        waiting += 1
    assert len(bench.pcm) == 50 * FRAME_BYTES
    assert waiting <= 3


def test_frames_of_other_lengths_make_whole_ticks() -> None:
    bench = Bench(direction="speak")
    for number in range(50):
        bench.recorder.said.hear(SAID[number][:160])
        bench.tick(SAID[number][160:])
    assert bench.pcm == b"".join(SAID[:50])


def test_ticks_that_a_stall_swallowed_become_silence_so_that_the_length_is_true() -> None:
    bench = Bench(direction="speak")
    bench.run(1.0, said=True)
    bench.tick(SAID[0], after=2.0)
    bench.run(1.0, said=True)
    assert len(bench.pcm) / 16_000 == pytest.approx(4.0, abs=0.021)
    assert bench.recorder.length_ms == len(bench.pcm) // 16


def test_ticks_that_come_late_but_come_add_nothing() -> None:
    bench = Bench(direction="speak")
    for after in ([0.100, 0.0, 0.0, 0.0, 0.0] + [TICK] * 5) * 10:
        bench.tick(SAID[0], after=after)
    assert len(bench.pcm) == 100 * FRAME_BYTES


def test_the_beep_is_left_out() -> None:
    bench = Bench(direction="both", lead_ms=200)
    for number in range(20):
        bench.tick(SAID[number], TOLD[number])
    assert len(bench.pcm) == 10 * FRAME_BYTES


# ---------------------------------------------------------------- ends


def test_a_terminator_ends_it_and_other_keys_do_not() -> None:
    bench = Bench(terminators="#*")
    bench.run(0.2, said=True)
    bench.recorder.press("1")
    assert bench.recorder.outcome == ""
    bench.recorder.press("*")
    assert bench.recorder.outcome == "finished"
    before = bench.pcm
    bench.tick(SAID[0])
    assert bench.pcm == before


def test_without_terminators_no_key_ends_it() -> None:
    bench = Bench()
    bench.recorder.press("#")
    assert bench.recorder.outcome == ""


def test_nobody_speaks_until_the_initial_timeout() -> None:
    bench = Bench(initial_timeout_ms=4000, end_silence_ms=5000)
    assert bench.run(10.0) == pytest.approx(4.0, abs=0.03)
    assert bench.recorder.outcome == "no_input"


def test_silence_after_speech_ends_it() -> None:
    bench = Bench(initial_timeout_ms=4000, end_silence_ms=2000)
    bench.run(3.0, said=True)
    assert bench.run(10.0) == pytest.approx(2.0, abs=0.03)
    assert bench.recorder.outcome == "finished"


def test_speech_that_goes_on_is_recorded_on() -> None:
    bench = Bench(initial_timeout_ms=1000, end_silence_ms=1000)
    assert bench.run(30.0, said=True) == 30.0


def test_pauses_shorter_than_the_end_silence_end_nothing() -> None:
    bench = Bench(initial_timeout_ms=1000, end_silence_ms=1000)
    for _ in range(20):
        bench.run(0.4, said=True)
        bench.run(0.9)
    assert bench.recorder.outcome == ""


def test_only_the_recorded_direction_counts_as_input() -> None:
    bench = Bench(direction="speak", initial_timeout_ms=1000)
    assert bench.run(5.0, told=True) == pytest.approx(1.0, abs=0.03)
    assert bench.recorder.outcome == "no_input"


def test_either_party_is_input_where_both_are_recorded() -> None:
    bench = Bench(direction="both", initial_timeout_ms=1000, end_silence_ms=1000)
    assert bench.run(5.0, told=True) == 5.0


def test_the_longest_length_ends_it() -> None:
    bench = Bench(max_length_ms=1500)
    assert bench.run(5.0, said=True) == pytest.approx(1.5)
    assert (bench.recorder.outcome, len(bench.pcm)) == ("finished", 24_000)


def test_no_recording_is_longer_than_a_day() -> None:
    bench = Bench()
    bench.tick(SAID[0])
    bench.tick(None, after=LONGEST_MS / 1000)
    assert bench.recorder.outcome == "finished"


def test_the_first_reason_to_end_counts() -> None:
    bench = Bench(terminators="#")
    bench.recorder.end("error")
    bench.recorder.press("#")
    assert bench.recorder.outcome == "error"


# ------------------------------------------------------------------ pauses


@pytest.mark.parametrize("stereo", [False, True])
def test_a_pause_is_silence_on_both_sides(stereo: bool) -> None:
    bench = Bench(direction="both", stereo=stereo)
    bench.run(1.0, said=True, told=True)
    before = bench.pcm
    bench.recorder.pause(skip=False)
    bench.run(0.5, said=True, told=True)
    paused = bench.pcm[len(before) :]
    bench.recorder.resume()
    bench.run(1.0, said=True, told=True)
    assert paused == bytes(8000 * (2 if stereo else 1))
    assert bench.pcm[len(before) + len(paused) :] == before
    assert bench.recorder.length_ms == 2500


@pytest.mark.parametrize("stereo", [False, True])
def test_a_pause_may_leave_nothing_in_the_file(stereo: bool) -> None:
    bench = Bench(direction="both", stereo=stereo)
    bench.run(1.0, said=True, told=True)
    before = bench.pcm
    bench.recorder.pause(skip=True)
    bench.run(20.0, said=True, told=True)
    bench.recorder.resume()
    bench.run(1.0, said=True, told=True)
    assert bench.pcm == before + before
    assert bench.recorder.length_ms == 2000


def test_one_pause_may_turn_into_the_other_and_a_stall_in_it_counts_as_part_of_it() -> None:
    bench = Bench()
    bench.run(1.0, said=True)
    bench.recorder.pause(skip=True)
    bench.tick(after=3.0)
    bench.recorder.pause(skip=False)
    bench.tick(after=1.0)
    bench.recorder.resume()
    bench.run(1.0, said=True)
    assert bench.recorder.length_ms == 3000
    assert len(bench.pcm) == 48_000


def test_silence_of_a_pause_ends_nothing_but_the_longest_time_does() -> None:
    bench = Bench(initial_timeout_ms=500, end_silence_ms=500, max_length_ms=4000)
    bench.run(0.4)
    bench.recorder.pause(skip=False)
    assert bench.run(2.0) == 2.0
    bench.recorder.resume()
    bench.run(0.6, said=True)
    bench.recorder.pause(skip=True)
    assert bench.run(5.0) == 5.0
    assert bench.recorder.outcome == ""
    bench.recorder.pause(skip=False)
    assert bench.run(5.0) == pytest.approx(1.0)
    assert bench.recorder.outcome == "finished"


def test_a_key_ends_a_recording_in_its_pause() -> None:
    bench = Bench(terminators="#")
    bench.run(1.0, said=True)
    bench.recorder.pause(skip=True)
    bench.recorder.press("#")
    assert bench.recorder.outcome == "finished"

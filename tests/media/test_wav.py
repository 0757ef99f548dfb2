from __future__ import annotations

import io
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media import tones
from cordboard.media.codecs import audio
from cordboard.media.wav import WavError, WavReader


def chunk(name: bytes, data: bytes, *, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + bytes(len(data) % 2)


def form(kind: int = 1, *, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits))


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sine(rate: int, *, frequency: float = 1000, seconds: float = 1.0) -> bytes:
    step = 2 * math.pi * frequency / rate
    return b"".join(struct.pack("<h", round(8000 * math.sin(step * n))) for n in range(int(rate * seconds)))


def read(data: bytes) -> bytes:
    reader = WavReader(io.BytesIO(data))
    frames = []
    while (frame := reader.next_frame()) is not None:
        assert len(frame) == 320
        frames.append(frame)
    return b"".join(frames)


def assert_is_the_sine(pcm: bytes, seconds: float = 1.0) -> None:
    assert len(pcm) / 16_000 == pytest.approx(seconds, abs=0.021)
    assert tones.dominant_frequency(pcm[3200:]) == pytest.approx(1000, abs=1)
    assert tones.level(pcm) == pytest.approx(-15.3, abs=0.3)
    assert tones.read_tone(pcm[3200:9600], (1000,)).share > 0.98


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_8_khz(rate: int) -> None:
    assert_is_the_sine(read(riff(form(rate=rate), chunk(b"data", sine(rate)))))


def test_16_bits_at_8_khz_are_passed_through() -> None:
    pcm = sine(8000)
    assert read(riff(form(), chunk(b"data", pcm))) == pcm


def test_two_channels_become_their_mean() -> None:
    left = sine(8000)
    both = b"".join(left[at : at + 2] * 2 for at in range(0, len(left), 2))
    assert_is_the_sine(read(riff(form(channels=2), chunk(b"data", both))))
    opposite = b"".join(left[at : at + 2] + audio.mul(left[at : at + 2], 2, -1) for at in range(0, 3200, 2))
    assert tones.level(read(riff(form(channels=2), chunk(b"data", opposite)))) < -80


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, audio.bias(audio.lin2lin(sine(8000), 2, 1), 1, 128)),
        (1, 24, audio.lin2lin(sine(8000), 2, 3)),
        (1, 32, audio.lin2lin(sine(8000), 2, 4)),
        (6, 8, audio.lin2alaw(sine(8000), 2)),
        (7, 8, audio.lin2ulaw(sine(8000), 2)),
    ],
)
def test_every_sample_format_sounds_the_same(kind: int, bits: int, data: bytes) -> None:
    assert_is_the_sine(read(riff(form(kind, bits=bits), chunk(b"data", data))))


def test_an_extensible_format_names_its_kind_further_on() -> None:
    body = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0, 1) + bytes(14)
    assert_is_the_sine(read(riff(chunk(b"fmt ", body), chunk(b"data", sine(8000)))))


def test_other_chunks_are_passed_over_even_those_of_odd_length() -> None:
    assert_is_the_sine(
        read(riff(chunk(b"LIST", b"odd"), form(), chunk(b"fact", b"1234"), chunk(b"data", sine(8000))))
    )


def test_what_follows_the_audio_is_not_played() -> None:
    pcm = sine(8000, seconds=0.1)
    assert read(riff(form(), chunk(b"data", pcm), chunk(b"LIST", b"x" * 4000))) == pcm


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10**6])
def test_a_file_that_was_written_as_a_stream_or_cut_off_plays_to_its_end(size: int) -> None:
    pcm = sine(8000)
    assert read(riff(form(), chunk(b"data", pcm, size=size))) == pcm
    assert read(riff(form(), chunk(b"data", pcm + b"\x01", size=size)))[: len(pcm)] == pcm


def test_it_can_be_played_again() -> None:
    reader = WavReader(io.BytesIO(riff(form(rate=16_000), chunk(b"data", sine(16_000)))))
    first = b"".join(reader.next_frame() or b"" for _ in range(20))
    reader.rewind()
    again = b"".join(reader.next_frame() or b"" for _ in range(20))
    # Resampling dithers: the last bit may differ.
    assert tones.level(audio.add(again, audio.mul(first, 2, -1), 2)) < -80
    assert len(again) == len(first) == 6400


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a WAV"),
        (b"ID3\x04" + bytes(100), "not a WAV"),
        (riff(), "no audio"),
        (riff(form()), "no audio"),
        (riff(chunk(b"data", b"12")), "no format"),
        (riff(form(3, bits=32), chunk(b"data", bytes(8))), "format 3"),
        (riff(form(bits=12), chunk(b"data", bytes(8))), "12 bits"),
        (riff(form(7, bits=16), chunk(b"data", bytes(8))), "16 bits"),
        (riff(form(channels=6), chunk(b"data", bytes(24))), "6 channels"),
        (riff(form(channels=0), chunk(b"data", bytes(24))), "0 channels"),
        (riff(form(rate=0), chunk(b"data", bytes(8))), "0 samples a second"),
        (riff(form(rate=4_000_000_000 // 2), chunk(b"data", bytes(8))), "samples a second"),
        (riff(chunk(b"fmt ", b"x" * 4)), "wrong length"),
        (riff(chunk(b"fmt ", b"x" * 4, size=0xFFFFFFF0)), "wrong length"),
        (riff(form())[:30], "ends inside"),
        (riff(*[chunk(b"junk", b"")] * 10_000), "too many"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(WavError, match=sentence):
        WavReader(io.BytesIO(data))


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_damaged_files_end_or_are_refused(fmt: bytes, data: bytes) -> None:
    for file in (riff(chunk(b"fmt ", fmt), chunk(b"data", data)), riff(form(), data), fmt + data):
        try:
            read(file)
        except WavError:
            continue


def test_closing_closes_the_file() -> None:
    file = io.BytesIO(riff(form(), chunk(b"data", bytes(8))))
    WavReader(file).close()
    assert file.closed

from __future__ import annotations

import struct

import pytest

from cordboard.media.codecs import g711

BOTH = pytest.mark.parametrize("name", [g711.PCMU, g711.PCMA])


def samples(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


@BOTH
def test_silence_decodes_to_almost_nothing(name: str) -> None:
    assert all(abs(sample) <= 8 for sample in samples(g711.decode(name, g711.silence(name, 160))))
    assert len(g711.silence(name, 160)) == 160


@BOTH
def test_what_is_encoded_decodes_to_within_a_step_of_its_law(name: str) -> None:
    pcm = struct.pack("<17h", *range(-32000, 32001, 4000))
    for before, after in zip(samples(pcm), samples(g711.decode(name, g711.encode(name, pcm))), strict=True):
        assert abs(before - after) <= max(16, abs(before) / 16)


@BOTH
def test_every_code_survives_a_round_trip_but_for_the_two_zeros(name: str) -> None:
    codes = bytes(range(256))
    again = g711.encode(name, g711.decode(name, codes))
    assert sum(a != b for a, b in zip(codes, again, strict=True)) <= 1


def test_the_table_between_the_laws_is_decoding_and_encoding() -> None:
    codes = bytes(range(256))
    table = g711.translation(g711.PCMU, g711.PCMA)
    assert table is not None
    assert codes.translate(table) == g711.encode(g711.PCMA, g711.decode(g711.PCMU, codes))
    assert g711.silence(g711.PCMU, 1).translate(table) == g711.silence(g711.PCMA, 1)


def test_the_same_law_needs_no_table() -> None:
    assert g711.translation(g711.PCMA, g711.PCMA) is None


@BOTH
def test_a_gain_of_6_db_doubles_and_saturates(name: str) -> None:
    pcm = struct.pack("<3h", 1000, -4000, 30000)
    louder = samples(g711.decode(name, g711.encode(name, pcm).translate(g711.gain(name, name, 6.0206))))
    assert louder[0] == pytest.approx(2000, rel=0.07)
    assert louder[1] == pytest.approx(-8000, rel=0.07)
    assert louder[2] > 31000


def test_a_gain_may_change_the_law_as_well() -> None:
    payload = g711.encode(g711.PCMU, struct.pack("<1h", 8000))
    quieter = g711.decode(g711.PCMA, payload.translate(g711.gain(g711.PCMU, g711.PCMA, -6.0206)))
    assert samples(quieter)[0] == pytest.approx(4000, rel=0.07)


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        g711.decode("G729", b"x")

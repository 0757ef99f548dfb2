from __future__ import annotations

import io
import wave
from typing import BinaryIO

import pytest

from cordboard.media import player, tones
from cordboard.media.player import Player, Source, make_player, ring, silence, tone
from cordboard.media.protocol import PlaySource
from cordboard.media.ringback import cadence


def wav(pcm: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(pcm)
    return io.BytesIO(file.getvalue())


def play(what: Player, limit: int = 10_000) -> list[bytes]:
    frames: list[bytes] = []
    while (frame := what.next_frame()) is not None and len(frames) < limit:
        assert len(frame) == 320
        frames.append(frame)
    return frames


class Files:
    """Files by path; counts what is open."""

    def __init__(self, **files: bytes) -> None:
        self._files = files
        self.opened: list[BinaryIO] = []

    def open(self, path: str) -> BinaryIO:
        if path not in self._files:
            raise FileNotFoundError(2, "No such file or directory", path)
        file = io.BytesIO(self._files[path])
        self.opened.append(file)
        return file


class Failing(Source):
    """Plays one frame, then its file fails."""

    def __init__(self) -> None:
        self.played = 0

    def next_frame(self) -> bytes | None:
        self.played += 1
        if self.played > 1:
            raise OSError("disk on fire")
        return tones.SILENT_FRAME

    def rewind(self) -> None:
        self.played = 0

    def close(self) -> None:
        pass


def test_sources_are_played_in_order() -> None:
    frames = play(Player([tone((440,), 100), silence(60), tone((1000,), 100)]))
    assert len(frames) == 5 + 3 + 5
    assert tones.dominant_frequency(b"".join(frames[:5])) == pytest.approx(440, abs=2)
    assert frames[5:8] == [tones.SILENT_FRAME] * 3
    assert tones.dominant_frequency(b"".join(frames[8:])) == pytest.approx(1000, abs=2)


def test_the_end_stays_the_end() -> None:
    what = Player([silence(20)])
    play(what)
    assert what.next_frame() is None
    assert what.errors == []


def test_the_list_is_repeated_as_often_as_asked() -> None:
    once = play(Player([tone((440,), 40), silence(20)]))
    assert play(Player([tone((440,), 40), silence(20)], loop=3)) == once * 3


def test_zero_is_for_ever_until_it_is_closed() -> None:
    what = Player([tone((440,), 40), silence(20)], loop=0)
    assert len(play(what, limit=1000)) == 1000
    what.close()
    assert what.next_frame() is None


def test_nothing_for_ever_ends_at_once() -> None:
    assert play(Player([], loop=0)) == []
    assert play(Player([silence(0), tone((), 0)], loop=0)) == []


def test_volume_changes_the_level_and_saturates() -> None:
    plain, quiet, loud = (
        tones.level(b"".join(play(Player([tone((440,), 200)], volume_db=db)))) for db in (0, -12, 400)
    )
    assert quiet == pytest.approx(plain - 12, abs=0.2)
    assert -3 < loud <= 0


def test_ringing_lasts_a_cycle_or_as_long_as_asked() -> None:
    assert len(play(Player([ring("de")]))) == cadence("de").cycle_ms // 20
    longer = play(Player([ring("de", 12_000)]))
    assert len(longer) == 600
    assert longer[:250] == longer[250:500]
    assert len(play(Player([ring("xx", 10)]))) == 1


def test_a_source_that_fails_is_named_once_and_left_out() -> None:
    what = Player([Failing(), silence(20)], loop=3)
    assert len(play(what)) == 1 + 3
    assert what.errors == ["Playing stopped: disk on fire"]


def test_if_all_fail_for_ever_it_ends() -> None:
    what = Player([Failing(), Failing()], loop=0)
    assert len(play(what)) == 2
    assert len(what.errors) == 2


def test_a_command_names_what_is_played() -> None:
    pcm = tones.tone((600,), 100)
    files = Files(hello=wav(pcm).getvalue())
    what = make_player(
        (
            PlaySource(kind="audio", path="hello"),
            PlaySource(kind="silence", duration_ms=20),
            PlaySource(kind="ring", country="uk", duration_ms=20),
            PlaySource(kind="tone", frequencies=(1000.0,), duration_ms=40),
        ),
        files.open,
        loop=2,
    )
    frames = play(what)
    assert len(frames) == 2 * (5 + 1 + 1 + 2)
    assert b"".join(frames[:5]) == b"".join(frames[9:14]) == pcm
    assert what.errors == []
    assert all(file.closed for file in files.opened)


def test_what_cannot_be_played_is_said_and_the_rest_is_played() -> None:
    files = Files(empty=wav(b"").getvalue(), text=b"hello")
    what = make_player(
        (
            PlaySource(kind="audio", path="gone"),
            PlaySource(kind="audio", path="text"),
            PlaySource(kind="audio", path="empty"),
            PlaySource(kind="dance"),
            PlaySource(kind="silence", duration_ms=40),
        ),
        files.open,
    )
    assert len(play(what)) == 2
    assert what.errors == [
        "The audio file cannot be opened: No such file or directory.",
        "This is not a WAV file.",
        "The WAV file has no audio.",
        "'dance' is nothing that can be played.",
    ]
    assert all(file.closed for file in files.opened)


def test_stopping_closes_the_files() -> None:
    files = Files(hello=wav(bytes(32_000)).getvalue())
    what = make_player((PlaySource(kind="audio", path="hello"),), files.open)
    what.next_frame()
    what.close()
    assert [file.closed for file in files.opened] == [True]


def test_a_tone_is_no_longer_than_a_minute() -> None:
    assert len(play(Player([tone((440,), 10**9)]))) == player._MAX_TONE_MS // 20

"""Texts and files that a phone hears through a whole server: who speaks, how long, how loud."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
import pytest_asyncio
from aiohttp import web
from av.audio.stream import AudioStream

from cordboard.media.tones import dominant_frequency, level
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import envelope, likeness, longest_gap_ms

from .cases import Case, Json, Lab, laboratory
from .measured import heard, speaks
from .sounds import FILE_TONE, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGLISH = "say:Please press one."
GERMAN = "say:Bitte drücken Sie die Eins."
LOUD = -45.0
"""dBov of 20 ms; nothing but speech is above it."""
SPEECH_S = (0.6, 4.0)
"""How long these few words may take."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def played(case: Case, codec: str = "PCMU", **play: object) -> bytes:
    """What a phone hears of a `play` step, from its first sound to its last."""
    step: Json = {"play": play}
    call = await case.call({"answer": {}}, step, case.tail, behaviour=speaks(codec))
    told = await case.told()
    assert told["vars"]["play_result"] == "success", case.warnings()
    sound = _trimmed(call)
    assert call.report.audio.encodings == [codec]
    call.hang_up()
    return sound


def _trimmed(call: PhoneCall) -> bytes:
    pcm = heard(call).pcm()
    loud = [n for n, one in enumerate(envelope(pcm)) if one > LOUD]
    assert loud, "nothing was heard"
    return pcm[320 * loud[0] : 320 * (loud[-1] + 1)]


def sounds_like_speech(pcm: bytes) -> bool:
    """Loud for a plausible time, and neither a tone nor noise: between syllables it is quieter."""
    steps = envelope(pcm)
    share = sum(one > LOUD for one in steps) / len(steps)
    spread = max(steps) - sorted(steps)[len(steps) // 4]
    return SPEECH_S[0] < len(pcm) / 16_000 < SPEECH_S[1] and share > 0.5 and spread > 6.0


async def test_english_is_heard(case: Case) -> None:
    pcm = await played(case, url=ENGLISH)
    assert sounds_like_speech(pcm)
    assert level(pcm) > -35.0
    assert case.warnings() == []


async def test_german_is_heard_from_a_voice_that_speaks_it(case: Case, lab: Lab) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    # The other is the English voice, which would speak if there were no German one.
    pcm, english = await asyncio.gather(
        played(case, url=GERMAN, say_language="de-DE"), played(lab.case(), url=GERMAN)
    )
    assert sounds_like_speech(pcm)
    assert case.warnings() == []
    assert likeness(envelope(pcm), envelope(english)) < 0.9


async def test_the_server_speaks_for_a_voice_that_is_not_there_and_says_so(case: Case, lab: Lab) -> None:
    pcm, usual = await asyncio.gather(
        played(case, url=ENGLISH, say_voice="nobody-at-all"), played(lab.case(), url=ENGLISH)
    )
    (sentence,) = case.warnings()
    assert "nobody-at-all" in sentence
    assert len(pcm) == pytest.approx(len(usual), abs=1280)
    assert level(pcm) == pytest.approx(level(usual), abs=0.5)


async def test_volume_changes_the_level_by_its_decibels(lab: Lab) -> None:
    lab.site.on("/a.wav", lambda _: web.Response(body=tone(0.8), content_type="audio/wav"))

    async def loudness(codec: str, volume: int) -> float:
        pcm = await played(lab.case(), codec, url=f"{lab.site.url}/a.wav", volume=volume)
        return level(_middle(pcm))

    volumes = (0, -12, 6)
    for codec in ("PCMU", "OPUS"):
        plain, quiet, loud = await asyncio.gather(*(loudness(codec, volume) for volume in volumes))
        assert (quiet - plain, loud - plain) == pytest.approx((-12.0, 6.0), abs=0.5)


async def test_volume_holds_for_speech(lab: Lab) -> None:
    plain, quiet = await asyncio.gather(
        *(played(lab.case(), url=ENGLISH, volume=volume) for volume in (0, -10))
    )
    assert max(envelope(quiet)) - max(envelope(plain)) == pytest.approx(-10.0, abs=1.0)


def _middle(pcm: bytes) -> bytes:
    return pcm[4800:-4800]


def as_mp3(path: Path) -> bytes:
    """A second of the tone at 44.1 kHz."""
    source = path / "tone.wav"
    source.write_bytes(tone(rate=44_100))
    with av.open(str(source)) as sound, av.open(str(path / "tone.mp3"), "w", format="mp3") as made:
        stream = made.add_stream("libmp3lame", rate=44_100, layout="mono")
        assert isinstance(stream, AudioStream)
        for frame in sound.decode(sound.streams.audio[0]):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return (path / "tone.mp3").read_bytes()


@pytest.mark.parametrize("codec", ["OPUS", "G722"])
async def test_an_mp3_is_fetched_and_played_to_a_wideband_leg(case: Case, codec: str, tmp_path: Path) -> None:
    data = as_mp3(tmp_path)
    case.lab.site.on(f"/{case.serial}/a.mp3", lambda _: web.Response(body=data, content_type="audio/mpeg"))
    pcm = await played(case, codec, url=case.url("a.mp3"))
    assert len(pcm) / 16_000 == pytest.approx(1.0, abs=0.08)
    assert dominant_frequency(_middle(pcm)) == pytest.approx(FILE_TONE, abs=3)
    assert longest_gap_ms(_middle(pcm)) <= 20
    assert level(_middle(pcm)) == pytest.approx(level(tone()[44:]), abs=1.0)

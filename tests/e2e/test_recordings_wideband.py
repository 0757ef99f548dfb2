"""Recordings of legs that speak wideband codecs: as long, as loud and on the side as they were spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from cordboard.media.tones import dominant_frequency, level
from cordboard.testing.phone_hearing import longest_gap_ms

from .cases import CALLER_TONE, FAR_TONE, Case, Lab, laboratory, until
from .measured import speaks
from .test_recordings import fetched, side, steady, wav_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

TALK_S = 2.0
SPOKEN = ("G722", "OPUS", "L16")
PAIRS = [("G722", "OPUS"), ("OPUS", "L16"), ("L16", "G722"), ("L16@8000H", "OPUS@8000H")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


async def finished(case: Case) -> dict[str, Any]:
    """The last event of the recording that posts to `r`."""
    await until(lambda: "finished" in case.states("r"), 10.0)
    last: dict[str, Any] = case.events("r")[-1]["params"]
    return last


def complaints(pcm: bytes, hertz: float) -> list[str]:
    """Empty = it is that tone, as loud as it was said, without gaps."""
    found = []
    end = steady(pcm, 1.0)
    if dominant_frequency(end) != pytest.approx(hertz, abs=3):
        found.append(f"{dominant_frequency(end)} Hz")
    if abs(level(end) + 16.0) > 1.0:
        found.append(f"{level(end):.2f} dBov")
    if longest_gap_ms(end) > 20:
        found.append(f"a gap of {longest_gap_ms(end)} ms")
    return found


async def record(case: Case, ours: str, theirs: str, **options: Any) -> tuple[int, bytes, float]:
    """Channels and PCM of the recording of a call of two codecs, and how long they talked."""
    caller = await case.call(
        {"answer": {}},
        {"record_call": {"status_url": case.url("r"), **options}},
        {"connect": {"to": case.phone("b", speaks(theirs, tone_hz=FAR_TONE)), "codecs": theirs}},
        behaviour=speaks(ours, tone_hz=CALLER_TONE),
    )
    assert await caller.answered(), caller.report
    assert await caller.hears(FAR_TONE)
    callee = await case.incoming("b")
    assert [call.report.audio.encodings for call in (caller, callee)] == [
        [name.partition("@")[0]] for name in (ours, theirs)
    ]
    await asyncio.sleep(TALK_S)
    caller.hang_up()
    report = await caller.ended()
    assert report.answered_at is not None
    assert report.ended_at is not None
    last = await finished(case)
    data = await fetched(last["url"])
    channels, pcm = wav_of(data)
    assert last["size"] == len(data)
    assert last["duration"] == pytest.approx(len(pcm) / 16_000 / channels, abs=0.03)
    return channels, pcm, report.ended_at - report.answered_at


async def test_a_stereo_recording_has_each_party_on_its_side(lab: Lab) -> None:
    async def pair(ours: str, theirs: str) -> list[str]:
        channels, pcm, talked = await record(lab.case(), ours, theirs, stereo=True)
        assert channels == 2
        assert len(pcm) / 32_000 == pytest.approx(talked, abs=0.2)
        found = [complaints(side(pcm, 0), CALLER_TONE), complaints(side(pcm, 1), FAR_TONE)]
        return [f"{ours} with {theirs}, side {n}: {one}" for n, some in enumerate(found) for one in some]

    found = await asyncio.gather(*(pair(*both) for both in PAIRS))
    assert [one for some in found for one in some] == []


async def test_a_recording_of_one_direction_has_only_that_party(lab: Lab) -> None:
    async def one(direction: str, hertz: float) -> list[str]:
        channels, pcm, talked = await record(lab.case(), "OPUS", "G722", direction=direction)
        assert channels == 1
        assert len(pcm) / 16_000 == pytest.approx(talked, abs=0.2)
        return complaints(pcm, hertz)

    speaking, listening = await asyncio.gather(one("speak", CALLER_TONE), one("listen", FAR_TONE))
    assert (speaking, listening) == ([], [])


async def test_a_voice_message_is_as_long_and_as_loud_as_it_was_said(lab: Lab) -> None:
    async def message(codec: str) -> list[str]:
        case = lab.case()
        await case.call(
            {"answer": {"codecs": codec}},
            {"record": {"max_length": 1.5, "terminators": "#", "status_url": case.url("r")}},
            behaviour=speaks(codec, tone_hz=CALLER_TONE),
        )
        last = await finished(case)
        assert f" {codec}/" in case.packet("> 200").text.upper()
        assert last["duration"] == 1.5
        channels, pcm = wav_of(await fetched(last["url"]))
        assert (channels, len(pcm)) == (1, 24_000)
        return [f"{codec}: {one}" for one in complaints(pcm, CALLER_TONE)]

    found = await asyncio.gather(*(message(codec) for codec in SPOKEN))
    assert [one for some in found for one in some] == []

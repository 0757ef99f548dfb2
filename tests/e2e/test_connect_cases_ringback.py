"""What callers hear while far ends ring (cases B)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from .cases import FAR_TONE, RINGS, Behaviour, Case, Lab, laboratory, refuses, until
from .sounds import FILE_TONE, rings, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        made.site.on("/ring.wav", lambda _: web.Response(body=tone(0.5), content_type="audio/wav"))
        made.site.on("/missing.wav", lambda _: web.Response(status=404))
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def answers(after: float) -> Behaviour:
    return Behaviour(tone_hz=FAR_TONE, answer_after=after)


async def test_an_unanswered_caller_hears_the_ringback_as_early_media(case: Case) -> None:
    """B6"""
    connect = {"to": case.phone("b1", answers(1.0)), "answer_on_bridge": True, "ringback": ["ring:us"]}
    caller = await case.connect(connect, answered=False)
    await until(lambda: rings(caller))
    assert caller.report.answered_at is None
    assert 183 in caller.report.provisionals
    assert case.packet("> 183").text
    assert await caller.hears(FAR_TONE)
    assert not rings(caller)
    caller.hang_up()


async def test_a_file_is_looped_until_the_answer(case: Case) -> None:
    """B7"""
    ringback = [f"{case.lab.site.url}/ring.wav"]
    caller = await case.connect({"to": case.phone("b1", answers(1.6)), "ringback": ringback})
    assert await caller.hears(FILE_TONE)
    b1 = await case.incoming("b1")
    assert not await caller.hears(FAR_TONE, within=0.9)
    assert caller.audio.hears(FILE_TONE)
    assert b1.report.answered_at is None
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_the_ringback_beats_early_media(case: Case) -> None:
    """B8"""
    early = Behaviour(tone_hz=FAR_TONE, early_media=True, answer_after=1.2)
    connect = {"to": case.phone("b1", early), "ringback": [f"{case.lab.site.url}/ring.wav"]}
    caller = await case.connect(connect)
    assert await caller.hears(FILE_TONE)
    assert not await caller.hears(FAR_TONE, within=0.5)
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_what_cannot_be_played_is_skipped(case: Case) -> None:
    """B9"""
    ringback = [f"{case.lab.site.url}/missing.wav", "ring:us"]
    caller = await case.connect({"to": case.phone("b1", RINGS), "ringback": ringback})
    await until(lambda: rings(caller))
    caller.hang_up()


async def test_if_nothing_can_be_played_a_ring_is_generated(case: Case) -> None:
    """B9, all of them"""
    ringback = [f"{case.lab.site.url}/missing.wav"]
    caller = await case.connect({"to": case.phone("b1", RINGS), "ringback": ringback})
    await until(lambda: rings(caller))
    caller.hang_up()


async def test_the_ringback_goes_on_from_one_attempt_to_the_next(case: Case) -> None:
    """B12"""
    connect = {
        "serial": [
            {"to": case.phone("b1", refuses(486, after=0.6))},
            {"to": case.phone("b2", RINGS)},
        ],
        "ringback": [f"{case.lab.site.url}/ring.wav"],
    }
    caller = await case.connect(connect)
    assert await caller.hears(FILE_TONE)
    await case.seen("< 180", "b2")
    silent = caller.audio.report().packets_received
    assert await caller.hears(FILE_TONE)
    assert caller.audio.report().packets_received >= silent
    caller.hang_up()


async def test_a_play_style_object_has_its_volume(case: Case) -> None:
    """7.3: the other form of ringback"""
    ringback = {"urls": [f"{case.lab.site.url}/ring.wav"], "volume": -20}
    caller = await case.connect({"to": case.phone("b1", RINGS), "ringback": ringback})
    assert await caller.hears(FILE_TONE)
    level = caller.report.audio.level
    assert level is not None
    assert level < -30
    caller.hang_up()

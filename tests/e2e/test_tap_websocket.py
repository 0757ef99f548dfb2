"""Taps that go to a WebSocket, through a whole server: what arrives there, how it ends, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import WSMsgType

from cordboard.media.tones import heard, level

from .cases import CALLER_TONE, FAR_TONE, Case, Json, Lab, laboratory, until
from .measured import speaks
from .peers import free_ports
from .taker import taking

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def tap(case: Case, uri: str, **options: Any) -> list[Json]:
    return [
        {"answer": {}},
        {"tap": {"uri": uri, "control_id": "t1", "status_url": case.url("t"), **options}},
        case.mark("tapped"),
    ]


DIRECTIONS = [
    ("speak", "PCMU", 20, (CALLER_TONE,), (FAR_TONE,)),
    ("listen", "PCMA", 40, (FAR_TONE,), (CALLER_TONE,)),
    ("both", "PCMU", 30, (CALLER_TONE, FAR_TONE), ()),
]


@pytest.mark.parametrize(("direction", "codec", "ptime", "there", "absent"), DIRECTIONS)
async def test_messages_carry_whom_the_script_wants_to_hear(
    case: Case, direction: str, codec: str, ptime: int, there: tuple[float, ...], absent: tuple[float, ...]
) -> None:
    options = {"direction": direction, "codec": codec, "rtp_ptime": ptime}
    async with taking() as taker:
        caller = await case.call(
            *tap(case, taker.uri, **options),
            {"connect": {"to": case.phone("b", speaks("G722", tone_hz=FAR_TONE)), "codecs": "G722"}},
            behaviour=speaks("OPUS", tone_hz=CALLER_TONE),
        )
        assert await caller.hears(FAR_TONE)
        loop = asyncio.get_running_loop()
        before, began = len(taker.messages), loop.time()
        await asyncio.sleep(1.2)
        came, took = len(taker.messages) - before, loop.time() - began
        caller.hang_up()
        await until(lambda: taker.close_code is not None)
    assert taker.kinds == {WSMsgType.BINARY}
    assert taker.close_code == 1000
    assert {len(message) for message in taker.messages} == {8 * ptime}
    assert came * ptime == pytest.approx(1000 * took, abs=160)
    pcm = taker.pcm(codec, 600 // ptime)
    assert heard(pcm, there)
    assert not any(heard(pcm, (hertz,)) for hertz in absent)
    expected = -16.0 if len(there) == 1 else -13.0
    assert level(pcm) == pytest.approx(expected, abs=1.0)


async def test_the_script_and_the_events_say_what_is_tapped_and_when_it_ends(case: Case) -> None:
    async with taking() as taker:
        await case.call(*tap(case, taker.uri), {"sleep": 300}, {"stop_tap": "t1"}, case.tail, {"sleep": 5000})
        told = (await case.told("tapped"))["vars"]
        after = (await case.told())["vars"]
        assert await case.until_states("t", 2) == ["tapping", "finished"]
        await until(lambda: taker.close_code is not None)
    assert told == {
        "answer_result": "success",
        "tap_result": "success",
        "tap_uri": taker.uri,
        "tap_control_id": "t1",
        "tap_codec": "PCMU",
        "tap_ptime": 20,
        "tap_rate": 8000,
    }
    assert after["stop_tap_result"] == "success"
    assert taker.close_code == 1000
    for event in case.events("t"):
        assert event["event_type"] == "calling.call.tap"
        params = event["params"]
        assert params["control_id"] == "t1"
        assert params["tap"] == {"type": "audio", "params": {"direction": "speak"}}
        assert params["device"]["type"] == "ws"
        assert params["device"]["params"]["uri"] == taker.uri
    assert case.warnings() == []


async def test_a_taker_that_goes_away_ends_the_tap_and_not_the_call(case: Case) -> None:
    async with taking() as taker:
        taker.hang_up_after = 10
        caller = await case.call(*tap(case, taker.uri), {"sleep": 10_000})
        assert await case.until_states("t", 2) == ["tapping", "finished"]
    assert not caller.is_over


def refused(_: str) -> str:
    return f"ws://127.0.0.1:{free_ports(1)}/"


def not_a_websocket(url: str) -> str:
    return url.replace("http://", "ws://") + "/nothing"


DEAD = [(refused, "refused"), (not_a_websocket, "200")]


@pytest.mark.parametrize(("target", "word"), DEAD, ids=["refused", "not a websocket"])
async def test_a_dead_target_is_a_failed_tap_that_says_why(case: Case, target: Any, word: str) -> None:
    uri = target(case.lab.site.url)
    await case.call(*tap(case, uri), {"sleep": 5000})
    assert (await case.told("tapped"))["vars"] == {
        "answer_result": "success",
        "tap_result": "failed",
        "script_error": "relay_script_method_execute_failed",
    }
    assert case.codes() == ["method_execute_failed"]
    (sentence,) = case.warnings()
    assert word in sentence, sentence

"""Confirm scripts on real legs: variables and events of each method, and what the caller hears meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.call.effects import CallStateChanged
from cordboard.testing.phone_call import PhoneCall

from .cases import CALLER, FAR_TONE, Behaviour, Case, Json, Lab, laboratory, refuses, result_of, until
from .sounds import FILE_TONE, rings, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRESSES_1 = Behaviour(tone_hz=FAR_TONE, digits="1", digits_after=0.3)
ANSWERS = Behaviour(tone_hz=FAR_TONE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def confirmed(case: Case, steps: list[Json], behaviour: Behaviour) -> tuple[Json, Json]:
    """What the dialled call and the caller knew when the steps had ended: their document requests."""
    document = {"sections": {"main": [*steps, case.mark("b")]}}
    url = case.lab.site.document(f"/{case.serial}/confirm", document)
    connect = {"to": case.phone("b1", behaviour), "confirm": url, "max_duration": 1}
    await case.connect(connect)
    return await case.told("b"), await case.told()


def states_of(case: Case, name: str) -> list[str]:
    return [event["params"]["state"] for event in case.events(name)]


async def test_a_prompt_has_its_variables_and_events_and_the_caller_none_of_them(case: Case) -> None:
    steps: list[Json] = [
        {"set": {"mine": "b"}},
        {
            "prompt": {
                "play": "silence:0.2",
                "max_digits": 4,
                "terminators": "#",
                "status_url": case.url("prompt"),
            }
        },
    ]
    b, a = await confirmed(case, steps, Behaviour(tone_hz=FAR_TONE, digits="42#", digits_after=0.3))
    told = {name: value for name, value in b["vars"].items() if name.startswith("prompt")}
    assert told == {
        "prompt_result": "match_digits",
        "prompt_value": "42",
        "prompt_value_raw": "42#",
        "prompt_digit_terminator": "#",
    }
    [event] = case.events("prompt")
    assert event["event_type"] == "calling.call.collect"
    assert event["params"]["call_id"] == b["call"]["call_id"]
    assert event["params"]["result"] == {"type": "digit", "params": {"digits": "42", "terminator": "#"}}
    assert a["vars"].keys() == {"answer_result", "connect_result", "return_value"}


async def test_the_call_of_a_confirm_script_is_that_of_the_far_end(case: Case) -> None:
    b, a = await confirmed(case, [{"play": "silence:0.1"}], ANSWERS)
    call = b["call"]
    assert (call["direction"], call["call_state"], call["type"]) == ("outbound", "answered", "sip")
    assert (call["from"], call["to"]) == (CALLER, case.invite("b1").uri)
    assert call["parent"]["call_id"] == a["call"]["call_id"]
    assert call["headers"] == []
    assert "peer" not in call


async def test_speech_input_without_an_engine_is_a_failure_with_a_sentence(case: Case) -> None:
    prompt = {"prompt": {"play": "silence:0.1", "speech_timeout": 2, "status_url": case.url("prompt")}}
    b, a = await confirmed(case, [prompt, {"denoise": {}}], ANSWERS)
    assert b["vars"]["prompt_result"] == "failed"
    assert b["vars"]["denoise_result"] == "failed"
    assert result_of(a) == ("connected", "")
    await until(lambda: len(case.events("prompt")) == 1)
    assert case.events("prompt")[0]["params"]["result"]["type"] == "error"
    said = " ".join(warned(case.lab, b["call"]["call_id"]))
    assert "prompt: " in said
    assert "speech" in said
    assert "denoise: " in said


def warned(lab: Lab, call_id: str) -> list[str]:
    return [
        happening.warning.message
        for info, happening in lab.book.events
        if info.call_id == call_id and hasattr(happening, "warning")
    ]


async def test_a_record_step_has_its_variables_events_and_link(case: Case) -> None:
    record = {"record": {"max_length": 1, "beep": True, "status_url": case.url("record")}}
    b, _ = await confirmed(case, [record], ANSWERS)
    assert b["vars"]["record_result"] == "success"
    await until(lambda: states_of(case, "record") == ["recording", "finished"])
    last = case.events("record")[-1]["params"]
    assert last["call_id"] == b["call"]["call_id"]
    assert (last["url"], last["record"]["audio"]["direction"]) == (b["vars"]["record_url"], "speak")
    assert last["duration"] == pytest.approx(1.0, abs=0.1)
    async with aiohttp.ClientSession() as session:
        async with session.get(last["url"]) as response:
            assert (response.status, len(await response.read())) == (200, last["size"])
        async with session.get(last["url"].replace("signature=", "signature=0")) as response:
            assert response.status == 403


async def test_a_recording_in_the_background_goes_on_over_the_bridge(case: Case) -> None:
    record = {"record_call": {"control_id": "r1", "stereo": True, "status_url": case.url("record")}}
    b, _ = await confirmed(case, [record, {"play": "silence:0.3"}], ANSWERS)
    assert (b["vars"]["record_control_id"], b["vars"]["record_call_result"]) == ("r1", "success")
    await until(lambda: states_of(case, "record") == ["recording", "finished"])
    assert case.events("record")[-1]["params"]["duration"] > 1.0


async def test_a_recording_in_the_background_can_be_stopped_before_the_bridge(case: Case) -> None:
    steps: list[Json] = [
        {"record_call": {"status_url": case.url("record")}},
        {"play": "silence:0.3"},
        {"stop_record_call": {}},
    ]
    b, _ = await confirmed(case, steps, ANSWERS)
    assert b["vars"]["stop_record_call_result"] == "success"
    await until(lambda: states_of(case, "record") == ["recording", "finished"])
    assert case.events("record")[-1]["params"]["duration"] < 3.0


async def test_a_tap_has_its_variables_and_events(case: Case) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", 0))
        taker.setblocking(False)
        uri = f"rtp://127.0.0.1:{taker.getsockname()[1]}"
        tap = {"tap": {"uri": uri, "control_id": "t1", "status_url": case.url("tap")}}
        b, _ = await confirmed(case, [tap, {"play": "silence:0.3"}, {"stop_tap": {}}], ANSWERS)
        async with asyncio.timeout(5.0):
            packet = await asyncio.get_running_loop().sock_recv(taker, 2048)
    told = {name: value for name, value in b["vars"].items() if "tap" in name}
    assert told.pop("tap_rtp_src_addr") == "127.0.0.1"
    assert told.pop("tap_rtp_src_port")
    assert told == {
        "tap_uri": uri,
        "tap_result": "success",
        "tap_control_id": "t1",
        "tap_ptime": 20,
        "tap_codec": "PCMU",
        "tap_rate": 8000,
        "stop_tap_result": "success",
    }
    assert len(packet) == 172
    await until(lambda: states_of(case, "tap") == ["tapping", "finished"])
    assert case.events("tap")[0]["params"]["device"]["type"] == "rtp"


async def test_keys_are_sent_to_the_far_end_alone(case: Case) -> None:
    confirming = asyncio.create_task(confirmed(case, [{"send_digits": {"digits": "12w3"}}], ANSWERS))
    far, [caller] = await case.incoming("b1"), case.lab.caller.calls
    b, _ = await confirming
    assert b["vars"]["send_digits_result"] == "success"
    assert (keys(far), keys(caller)) == ("123", "")


def keys(call: PhoneCall) -> str:
    return "".join(digit.digit for digit in call.audio.digits_heard)


def sentences(lab: Lab) -> list[str]:
    return [
        happening.ending.sentence
        for _, happening in lab.book.events
        if isinstance(happening, CallStateChanged) and happening.ending is not None
    ]


async def test_a_method_that_is_not_built_rejects_with_its_name(case: Case) -> None:
    connect: dict[str, Any] = {"to": case.phone("b1", ANSWERS), "confirm": [{"send_sms": {}}]}
    assert await case.outcome(connect) == ("failed", "error")
    assert case.lab.book.ends()[case.invite("b1").uri] == "confirm_failed"
    assert any("send_sms: the method is not supported" in text for text in sentences(case.lab))


# ---------------------------------------------------------------- what the caller hears meanwhile


async def test_early_media_gives_way_to_ringing_while_it_confirms(case: Case) -> None:
    early = Behaviour(tone_hz=FAR_TONE, early_media=True, answer_after=1.0)
    connect = {"to": case.phone("b1", early), "answer_on_bridge": True, "confirm": [{"play": "silence:2.0"}]}
    caller = await case.connect(connect, answered=False)
    assert await caller.hears(FAR_TONE)
    await case.seen("< 200", "b1")
    await until(lambda: rings(caller))
    assert not caller.audio.hears(FAR_TONE)
    assert caller.report.answered_at is None
    assert await caller.answered()
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_the_ringback_goes_on_while_it_confirms(case: Case) -> None:
    case.lab.site.on("/ring.wav", lambda _: web.Response(body=tone(0.5), content_type="audio/wav"))
    connect = {
        "to": case.phone("b1", ANSWERS),
        "ringback": f"{case.lab.site.url}/ring.wav",
        "confirm": [{"play": "silence:1.5"}],
    }
    caller = await case.connect(connect)
    await case.seen("< 200", "b1")
    assert await caller.hears(FILE_TONE)
    assert not caller.audio.hears(FAR_TONE)
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_a_number_confirms_like_a_sip_uri(case: Case) -> None:
    connect = {
        "serial": [
            {"to": case.pstn(PRESSES_1), "confirm": [{"hangup": {}}]},
            {"to": case.phone("b2", refuses(486))},
        ]
    }
    assert await case.outcome(connect) == ("failed", "busy")

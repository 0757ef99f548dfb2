"""Keys that a script sends and collects itself, in each way that a leg can tell them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cordboard.testing.phone import PhoneBank
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import keys_in

from .cases import CALLER_TONE, Json, Lab, laboratory, until
from .measured import heard, speaks

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS = {
    "rfc4733": speaks("PCMU"),
    "rfc4733 at 48000": speaks("OPUS"),
    "info": speaks("PCMA", telephone_events=False, digits_by_info=True),
    "inband": speaks("PCMU", telephone_events=False, digits_inband=True),
    "inband in G722": speaks("G722", telephone_events=False, digits_inband=True),
    "inband in OPUS": speaks("OPUS", telephone_events=False, digits_inband=True),
}
PRESSED, SENT = "1559*0", "4088#A*1"
COLLECTED = {
    "prompt_result": "match_digits",
    "prompt_value": PRESSED,
    "prompt_value_raw": PRESSED + "#",
    "prompt_digit_terminator": "#",
}
COLLECT: Json = {"prompt": {"play": "silence:1", "max_digits": 10, "terminators": "#", "initial_timeout": 4}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


def told_to(call: PhoneCall) -> dict[str, str]:
    """What the phone was told, by each way."""
    return {
        "rfc4733": call.digits_heard,
        "info": call.info_digits,
        "inband": keys_in(heard(call).pcm()),
    }


def only(way: str, keys: str) -> dict[str, str]:
    """All that way, and nothing in another."""
    return {one: keys if one == way.partition(" ")[0] else "" for one in ("rfc4733", "info", "inband")}


async def test_a_prompt_collects_keys_and_send_digits_answers_the_same_way(lab: Lab) -> None:
    async def talk(way: str) -> None:
        case = lab.case()
        call = await case.call(
            {"answer": {}}, COLLECT, {"send_digits": SENT}, case.tail, {"sleep": 5000}, behaviour=WAYS[way]
        )
        assert await call.answered()
        await asyncio.sleep(0.2)
        call.press(PRESSED + "#")
        values = (await case.told())["vars"]
        await asyncio.sleep(0.3)
        assert (way, told_to(call)) == (way, only(way, SENT))
        assert {name: values[name] for name in COLLECTED} == COLLECTED, way
        assert values["send_digits_result"] == "success"
        call.hang_up()

    await asyncio.gather(*(talk(way) for way in WAYS))


async def test_a_trunks_wish_decides_how_a_script_presses_keys(tmp_path: Path) -> None:
    """On the dialled leg, whose far end speaks events: what the trunk says goes before that."""
    numbers = {"rfc4733": "+15551110001", "info": "+15551120001", "inband": "+15551130001"}

    async def talk(lab: Lab, far: PhoneBank, way: str) -> None:
        confirm = [{"send_digits": SENT}, {"play": "silence:0.3"}]
        case = lab.case()
        await case.call({"connect": {"to": numbers[way], "confirm": confirm}})
        await until(lambda: any(numbers[way] in call.report.local_uri for call in far.calls))
        call = next(call for call in far.calls if numbers[way] in call.report.local_uri)
        # The caller's tone follows the keys.
        assert await call.hears(CALLER_TONE, within=20.0)
        assert (way, told_to(call)) == (way, only(way, SENT))

    async with PhoneBank(lambda _: speaks("PCMU")) as far:
        address = f"127.0.0.1:{far.port}"
        trunks = {
            way: {"address": address, "allowed_prefixes": [number[:8]], "dtmf": way}
            for way, number in numbers.items()
        }
        async with laboratory(tmp_path, trunks=trunks) as lab:
            await asyncio.gather(*(talk(lab, far, way) for way in numbers))


async def test_a_pause_lasts_as_long_as_its_letters_say(lab: Lab) -> None:
    case = lab.case()
    call = await case.call({"answer": {}}, {"send_digits": "1wW2"}, case.tail, behaviour=WAYS["rfc4733"])
    assert await call.hears_digits("1")
    began = asyncio.get_running_loop().time()
    assert await call.hears_digits("12")
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.7, abs=0.65)

"""Encryption and transcoding at the same time, re-keyed in the middle of the call."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .cases import Lab, laboratory
from .measured import between, speaks

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUITES = (
    "AEAD_AES_256_GCM_8",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
)
"""swml.md 7.8"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.mark.parametrize("mode", ["mandatory", "optional", "forbidden"])
async def test_a_leg_is_transcoded_and_encrypted_and_gets_new_keys(lab: Lab, mode: str) -> None:
    ours = speaks("PCMU", tone_hz=440.0, encryption="optional")
    theirs = speaks("G722", tone_hz=660.0, encryption=mode)
    caller, callee = await between(lab.case(), ours, theirs, encryption=mode)
    assert await callee.hears(440.0)
    assert await caller.hears(660.0)
    assert callee.is_secure == (mode != "forbidden")
    for call, tone_hz in ((caller, 800.0), (callee, 900.0)):
        call.change_keys()
        call.speak(tone_hz)
    assert await callee.hears(800.0)
    assert await caller.hears(900.0)
    assert callee.packets_unauthentic == 0


@pytest.mark.parametrize("suite", SUITES)
async def test_every_suite_is_spoken_with_a_phone_that_knows_no_other(lab: Lab, suite: str) -> None:
    ours = speaks("PCMU", tone_hz=440.0, encryption="mandatory", suites=(suite,))
    theirs = speaks("PCMA", tone_hz=660.0, encryption="mandatory", suites=(suite,))
    case = lab.case()
    caller, callee = await between(case, ours, theirs, encryption="mandatory")
    assert await callee.hears(440.0)
    assert await caller.hears(660.0)
    assert [suites_of(packet.text) for packet in (case.packet("< INVITE"), case.packet("> 200"))] == [
        [suite]
    ] * 2
    assert suites_of(case.packet("> INVITE", "b").text) == list(SUITES)
    assert suites_of(case.packet("< 200", "b").text) == [suite]
    for call in (caller, callee):
        assert call.is_secure
        assert call.packets_unauthentic == 0
    caller.hang_up()


def suites_of(description: str) -> list[str]:
    """Of its keys, in their order."""
    return re.findall(r"^a=crypto:\d+ (\S+)", description, re.MULTILINE)

"""Encryption and transcoding at the same time, re-keyed in the middle of the call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .cases import Lab, laboratory
from .measured import between, speaks

pytestmark = pytest.mark.asyncio(loop_scope="module")


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

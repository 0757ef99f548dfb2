"""New offers in the middle of a bridged call, by either side, as re-INVITE and as UPDATE (RFC 3311)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cordboard.testing.phone_call import PhoneCall

from .cases import CALLER_TONE, FAR_TONE, Behaviour, Case, Lab, laboratory

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = ("INVITE", "UPDATE")
SPEAKS = Behaviour(tone_hz=FAR_TONE, codecs=("PCMU", "PCMA", "G722"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made
        assert made.server.exchange.switchboard.defects == 0
        assert made.server.exchange.legs.stack.defects == 0


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def bridged(case: Case) -> dict[str, PhoneCall]:
    caller = await case.connect({"to": case.phone("b1", SPEAKS), "codecs": "PCMU,PCMA,G722"})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    return {"caller": caller, "b1": b1}


async def both_are_heard(calls: dict[str, PhoneCall], caller_hz: float, far_hz: float) -> None:
    """After the change, so with tones that were not there before."""
    calls["caller"].speak(caller_hz)
    calls["b1"].speak(far_hz)
    assert await calls["b1"].hears(caller_hz)
    assert await calls["caller"].hears(far_hz)


def spoken_to(call: PhoneCall) -> list[str]:
    """The codecs that the server spoke to this far end, in their order."""
    return call.report.audio.encodings


@pytest.mark.parametrize("by", METHODS)
@pytest.mark.parametrize("who", ["caller", "b1"])
async def test_another_codec_is_spoken_from_then_on(case: Case, who: str, by: str) -> None:
    calls = await bridged(case)
    calls[who].prefer("PCMA", by=by)
    await both_are_heard(calls, 500.0, 600.0)
    other = calls["b1" if who == "caller" else "caller"]
    assert spoken_to(calls[who]) == ["PCMU", "PCMA"]
    assert spoken_to(other) == ["PCMU"], "the other side hears nothing of it"
    assert not other.answers
    calls[who].prefer("PCMU", "PCMA", by=by)
    await both_are_heard(calls, 700.0, 800.0)
    assert calls[who].answers == [(by, 200), (by, 200)]
    calls["caller"].hang_up()
    await calls["b1"].ended()


@pytest.mark.parametrize("by", METHODS)
@pytest.mark.parametrize("who", ["caller", "b1"])
async def test_a_port_that_moves_is_followed(case: Case, who: str, by: str) -> None:
    calls = await bridged(case)
    calls[who].move(by=by)
    await both_are_heard(calls, 500.0, 600.0)
    calls[who].press("7")
    other = calls["b1" if who == "caller" else "caller"]
    assert await other.hears_digits("7")
    calls["caller"].hang_up()
    await calls["b1"].ended()


async def test_both_sides_change_at_the_same_time(case: Case) -> None:
    calls = await bridged(case)
    calls["caller"].prefer("PCMA")
    calls["b1"].prefer("G722")
    await both_are_heard(calls, 500.0, 600.0)
    calls["caller"].move()
    calls["b1"].move()
    await both_are_heard(calls, 700.0, 800.0)
    calls["caller"].hang_up()
    await calls["b1"].ended()


async def test_a_codec_that_nobody_speaks_changes_nothing(case: Case) -> None:
    calls = await bridged(case)
    calls["caller"].prefer("G729")
    await both_are_heard(calls, 500.0, 600.0)
    assert calls["caller"].answers == [("INVITE", 488)]
    calls["caller"].hang_up()
    await calls["b1"].ended()

"""Simulated phones with SRTP."""

from __future__ import annotations

import itertools

import pytest

from cordboard.media import rtp
from cordboard.media.codecs import g711
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

MODES = ("mandatory", "optional", "forbidden")


def is_readable(packet: bytes) -> bool:
    """It is RTP with 20 ms of silence, as a plain stream of these tests has it."""
    return rtp.payload(packet) == g711.silence("PCMU", 160)


@pytest.mark.parametrize(("caller_mode", "callee_mode"), list(itertools.product(MODES, MODES)))
async def test_phones_talk_as_their_modes_allow(caller_mode: str, callee_mode: str) -> None:
    callee_behaviour = Behaviour(encryption=callee_mode)
    caller_behaviour = Behaviour(tone_hz=659.0, encryption=caller_mode)
    async with SimulatedPhone(callee_behaviour) as callee, SimulatedPhone(caller_behaviour) as caller:
        call = await caller.call(callee.uri())
        if {caller_mode, callee_mode} == {"mandatory", "forbidden"}:
            assert not await call.answered()
            assert call.report.status == 488
            return
        assert await call.answered()
        other = await callee.next_call()
        assert await call.hears(440.0)
        assert await other.hears(659.0)
        assert call.is_secure == other.is_secure == ("forbidden" not in (caller_mode, callee_mode))
        assert (call.packets_unauthentic, other.packets_unauthentic) == (0, 0)


@pytest.mark.parametrize("mode", ["mandatory", "forbidden"])
async def test_what_comes_over_the_wire_is_kept_as_it_came(mode: str) -> None:
    callee_behaviour = Behaviour(tone_hz=None, encryption=mode)
    async with (
        SimulatedPhone(callee_behaviour) as callee,
        SimulatedPhone(Behaviour(encryption=mode), record=True) as caller,
    ):
        call = await caller.call(callee.uri())
        assert await call.answered()
        other = await callee.next_call()
        assert await other.hears(440.0)
        media = [packet for packet in call.wire if rtp.is_rtp(packet) and rtp.payload_type(packet) == 0]
        assert media
        assert all(is_readable(packet) == (mode == "forbidden") for packet in media)


async def test_new_keys_are_taken_without_a_break() -> None:
    behaviour = Behaviour(encryption="mandatory")
    async with SimulatedPhone(behaviour) as callee, SimulatedPhone(behaviour) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        other = await callee.next_call()
        assert await call.hears(440.0)
        call.change_keys()
        call.speak(700.0)
        other.speak(900.0)
        assert await other.hears(700.0)
        assert await call.hears(900.0)
        assert (call.packets_unauthentic, other.packets_unauthentic) == (0, 0)

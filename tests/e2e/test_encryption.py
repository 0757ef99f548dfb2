"""Encryption of calls through a whole server: the matrix of modes, and what really goes over the wire."""

from __future__ import annotations

import itertools

import pytest

from cordboard.media import rtp
from cordboard.media.codecs import g711
from cordboard.media.tones import read_tone
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

from .conftest import StartServer

CALLER_HZ, CALLEE_HZ = 440.0, 620.0
MODES = ("mandatory", "optional", "forbidden")


def dials(phone: SimulatedPhone, mode: str) -> str:
    return f"""\
version: 1.0.0
sections:
  main:
    - connect: {{answer_on_bridge: true, to: "{phone.uri()}", timeout: 10, encryption: {mode}}}
"""


def is_readable(call: PhoneCall, frequency: float) -> bool:
    """Whoever listens on the wire hears that tone: all payloads are read as PCMU, whatever follows them."""
    media = [packet for packet in call.wire if rtp.is_rtp(packet) and rtp.payload_type(packet) == 0]
    assert len(media) > 20
    windows = [
        b"".join(g711.decode("PCMU", packet[12:172]) for packet in media[n : n + 5]) for n in range(0, 20, 5)
    ]
    return any(read_tone(pcm, (frequency,)).share >= 0.4 for pcm in windows)


def names_its_source(call: PhoneCall) -> bool:
    """A report on the wire says who sends it (SDES), which only a plain one can."""
    return any(b"@127.0.0.1" in packet for packet in call.wire)


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(MODES, MODES)))
async def test_the_called_phone_gets_what_both_modes_allow(
    ours: str, theirs: str, start_server: StartServer
) -> None:
    callee_behaviour = Behaviour(tone_hz=CALLEE_HZ, encryption=theirs)
    async with (
        SimulatedPhone(callee_behaviour, record=True) as callee,
        SimulatedPhone(Behaviour(tone_hz=CALLER_HZ)) as caller,
    ):
        server = await start_server(dials(callee, ours))
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        if {ours, theirs} == {"mandatory", "forbidden"}:
            assert not await call.answered(within=10.0)
            return
        assert await call.answered(within=10.0)
        other = await callee.next_call()
        assert await call.hears(CALLEE_HZ)
        assert await other.hears(CALLER_HZ)
        secure = "forbidden" not in (ours, theirs)
        assert other.is_secure == secure
        assert not call.is_secure
        assert await _enough(other)
        assert is_readable(other, CALLER_HZ) == (not secure)
        assert other.packets_unauthentic == 0


async def _enough(call: PhoneCall) -> bool:
    return await call._until(lambda: len(call.wire) > 40, 5.0)


async def test_nothing_plain_leaves_a_mandatory_leg_from_its_first_packet_to_its_last(
    start_server: StartServer,
) -> None:
    """Both legs: audio, keys, reports, hold and new keys, the goodbye."""
    mandatory = Behaviour(tone_hz=CALLEE_HZ, encryption="mandatory")
    async with (
        SimulatedPhone(mandatory, record=True) as callee,
        SimulatedPhone(Behaviour(tone_hz=CALLER_HZ, encryption="mandatory"), record=True) as caller,
    ):
        server = await start_server(dials(callee, "mandatory"), media={"encryption": "mandatory"})
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.answered(within=10.0)
        other = await callee.next_call()
        assert await call.hears(CALLEE_HZ)
        assert await other.hears(CALLER_HZ)
        call.press("42")
        assert await other.hears_digits("42")
        call.change_keys()
        call.speak(800.0)
        assert await other.hears(800.0)
        other.change_keys()
        other.speak(900.0)
        assert await call.hears(900.0)
        await other._until(lambda: other.report.audio.rtcp_received > 0, 8.0)
        call.hang_up()
        await call.ended()
        await other.ended()
        assert not is_readable(other, CALLER_HZ)
        assert not is_readable(call, CALLEE_HZ)
        for one in (call, other):
            assert not names_its_source(one)
            assert one.packets_unauthentic == 0


@pytest.mark.parametrize("mode", ["optional", "forbidden"])
async def test_the_proof_can_fail_a_plain_leg_is_readable(mode: str, start_server: StartServer) -> None:
    async with (
        SimulatedPhone(Behaviour(tone_hz=CALLEE_HZ), record=True) as callee,
        SimulatedPhone(Behaviour(tone_hz=CALLER_HZ)) as caller,
    ):
        server = await start_server(dials(callee, mode))
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.answered(within=10.0)
        other = await callee.next_call()
        assert await other.hears(CALLER_HZ)
        assert await _enough(other)
        assert is_readable(other, CALLER_HZ)


async def test_a_caller_is_answered_as_its_mode_and_ours_allow(start_server: StartServer) -> None:
    async with SimulatedPhone(Behaviour(tone_hz=CALLEE_HZ)) as callee:
        server = await start_server(dials(callee, "forbidden"), media={"encryption": "mandatory"})
        where = f"sip:+15551230000@{server.socket.local.host_port}"
        async with SimulatedPhone(Behaviour()) as plain:
            call = await plain.call(where)
            assert not await call.answered(within=10.0)
            assert call.report.status == 488
        async with SimulatedPhone(Behaviour(encryption="optional", tone_hz=CALLER_HZ)) as able:
            call = await able.call(where)
            assert await call.answered(within=10.0)
            assert call.is_secure
            assert await call.hears(CALLEE_HZ)

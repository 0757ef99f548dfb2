"""Mandatory encryption through all that a leg may be sent besides what the other end says."""

from __future__ import annotations

import pytest

from cordboard.media import rtp
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

from .cases import until
from .conftest import StartServer

CALLER_HZ, CALLEE_HZ = 440.0, 620.0
TAG = 10
"""Bytes that authenticate a packet of AES_CM_128_HMAC_SHA1_80."""
SUITE = ("AES_CM_128_HMAC_SHA1_80",)


def phone(hz: float, codec: str, **fields: object) -> Behaviour:
    values = {"tone_hz": hz, "codecs": (codec,), "encryption": "mandatory", "suites": SUITE, **fields}
    return Behaviour(**values)  # type: ignore[arg-type]


def said(call: PhoneCall) -> int:
    """Packets of audio so far."""
    return call.report.audio.packets_received


async def hears_something(call: PhoneCall) -> None:
    before = said(call)
    await until(lambda: said(call) > before + 15)


async def agreed(call: PhoneCall, times: int) -> None:
    """So many of its re-INVITEs were taken."""
    await until(lambda: call.answers == [("INVITE", 200)] * times)


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
async def test_ringback_music_keys_and_the_way_through_a_codec_are_never_plain(
    codec: str, start_server: StartServer
) -> None:
    """Ringback before the answer, the bridge (relayed or transcoded), hold with music by either side, keys,
    a script that plays when the far end is gone."""
    ben_behaviour = phone(CALLEE_HZ, codec, answer_after=0.8)
    async with (
        SimulatedPhone(ben_behaviour, record=True) as ben,
        SimulatedPhone(phone(CALLER_HZ, "PCMU"), record=True) as ann,
    ):
        server = await start_server(
            "sections: {main: [{connect: {answer_on_bridge: true, ringback: 'ring:us', "
            f"to: '{ben.uri()}', codecs: {codec}, encryption: mandatory}}}}, {{play: 'ring:5:us'}}]}}",
            media={"encryption": "mandatory"},
        )
        call = await ann.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.ringing()
        await until(lambda: said(call) > 0)
        assert call.report.answered_at is None
        assert await call.answered()
        other = await ben.next_call()
        assert await call.hears(CALLEE_HZ)
        assert await other.hears(CALLER_HZ)
        for holder, held in ((other, call), (call, other)):
            holder.hold("sendonly" if holder is call else "inactive")
            await agreed(holder, 1)
            await hears_something(held)
            holder.resume()
            await agreed(holder, 2)
        assert await call.hears(CALLEE_HZ)
        call.press("4")
        assert await other.hears_digits("4")
        other.hang_up()
        await hears_something(call)
        call.hang_up()
        await call.ended()
    for one in (call, other):
        assert one.packets_unauthentic == 0
        packets = [packet for packet in one.wire if rtp.is_rtp(packet)]
        assert len(packets) > 20
        # What is no key is 160 bytes of either codec, and nothing is without its tag.
        sizes = {len(packet) - rtp.HEADER_LENGTH - TAG for packet in packets}
        assert sizes == ({160, 4} if one is other else {160})

"""Who speaks is not taken for silent, whichever way its packets go through the media worker."""

from __future__ import annotations

import asyncio

import pytest

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .book import Book
from .conftest import StartServer

LIMIT_S, TALK_S = 1.0, 3.5
"""Shorter and longer than the pause between two RTCP reports of a phone: those alone would not do."""
WAYS = {
    "relayed": (Behaviour(tone_hz=620.0), {}),
    "transcoded": (Behaviour(tone_hz=620.0, codecs=("G722",)), {}),
    "paced": (Behaviour(tone_hz=620.0, ptime_ms=60), {}),
    "encrypted": (Behaviour(tone_hz=620.0, encryption="mandatory"), {"encryption": "mandatory"}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_two_who_talk_longer_than_the_limit_stay_connected(way: str, start_server: StartServer) -> None:
    behaviour, media = WAYS[way]
    caller = Behaviour(tone_hz=440.0, encryption=behaviour.encryption)
    async with SimulatedPhone(behaviour) as ben, SimulatedPhone(caller) as ann:
        codecs = ",".join(behaviour.codecs)
        options = f"codecs: '{codecs}', encryption: {media.get('encryption', 'forbidden')}"
        server = await start_server(
            f"sections: {{main: [{{connect: {{to: '{ben.uri()}', {options}}}}}]}}",
            media={"rtp_timeout": LIMIT_S, **media},
        )
        book = Book(server)
        call = await ann.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.answered()
        other = await ben.next_call()
        assert await call.hears(620.0)
        assert await other.hears(440.0)
        await asyncio.sleep(TALK_S)
        assert not call.is_over
        assert not other.is_over
        call.hang_up()
        await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert "media_timeout" not in (*book.ends().values(), *book.caller_ends())

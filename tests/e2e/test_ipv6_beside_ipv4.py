"""A server that takes calls over both IP versions, with media of one of them."""

from __future__ import annotations

import pytest

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .book import Book
from .conftest import StartServer
from .strategies import connect

FOUR, SIX = "127.0.0.1", "::1"
ANN_HZ, BEN_HZ = 440.0, 620.0


@pytest.mark.parametrize("version", [FOUR, SIX])
async def test_phones_of_the_version_of_the_media_talk(version: str, start_server: StartServer) -> None:
    async with (
        SimulatedPhone(Behaviour(tone_hz=BEN_HZ), name="ben", address=version) as ben,
        SimulatedPhone(Behaviour(tone_hz=ANN_HZ), name="ann", address=version) as ann,
    ):
        server = await start_server(
            connect("to", ben.uri()),
            sip={"address": FOUR, "address_v6": SIX},
            media={"address": version},
            phones={"enabled": False},
        )
        book = Book(server)
        ports = {one.address: one.port for one in server.transports.local if one.transport == "UDP"}
        host = f"[{SIX}]" if version == SIX else FOUR
        call = await ann.call(f"sip:+15551230000@{host}:{ports[version]}")
        assert await call.answered(), call.report
        answering = await ben.next_call()
        assert await call.hears(BEN_HZ)
        assert await answering.hears(ANN_HZ)
        call.hang_up()
        await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]


@pytest.mark.parametrize(("version", "other"), [(FOUR, SIX), (SIX, FOUR)])
async def test_a_caller_whose_media_are_of_the_other_version_gets_488(
    version: str, other: str, start_server: StartServer
) -> None:
    async with SimulatedPhone(Behaviour(), name="ann", address=version) as ann:
        server = await start_server(
            "sections: {main: [{answer: {}}, {play: 'silence:5'}]}",
            sip={"address": FOUR, "address_v6": SIX},
            media={"address": other},
        )
        ports = {one.address: one.port for one in server.transports.local if one.transport == "UDP"}
        host = f"[{SIX}]" if version == SIX else FOUR
        call = await ann.call(f"sip:+15551230000@{host}:{ports[version]}")
        assert not await call.answered()
        assert call.report.status == 488
        await Book(server).rest()

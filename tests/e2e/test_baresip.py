"""baresip calls baresip through the server, in all four strategies, and both hear each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from cordboard.media.protocol import LegStatistics

from .baresip import Baresip, Baresips
from .book import Book
from .conftest import StartServer
from .peers import NUMBER, Sipps
from .scenario import PCMA, ack, bye, caller, invite, pause, provisionals, response, sdp
from .strategies import NAMES, connect

pytestmark = pytest.mark.real_peer

ANN_HZ, BEN_HZ = 440.0, 620.0
TALK_S = 1.2

every_strategy = pytest.mark.parametrize("strategy", NAMES)


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Baresips]:
    running = Baresips(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


@every_strategy
@pytest.mark.parametrize("first", ["caller", "callee"])
async def test_two_phones_hear_each_other(
    strategy: str, first: str, start_server: StartServer, phones: Baresips
) -> None:
    ann, ben = await phones.phone("ann", ANN_HZ), await phones.phone("ben", BEN_HZ)
    server = await start_server(connect(strategy, ben.uri))
    book = Book(server)
    await ann.dial(f"sip:{NUMBER}@{server.socket.local.host_port}")
    await ann.until("CALL_ESTABLISHED")
    await ben.until("CALL_ESTABLISHED")
    await asyncio.sleep(TALK_S)  # they talk
    await (ann if first == "caller" else ben).hang_up()
    await ann.until("CALL_CLOSED")
    await ben.until("CALL_CLOSED")
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert book.peers() == [ben.uri]
    for phone, other in ((ann, ben), (ben, ann)):
        expect_tone(phone, other.tone_hz)
    await expect_packets(book, ben.uri)


@every_strategy
async def test_a_phone_takes_the_call_of_another_program(
    strategy: str, start_server: StartServer, sipps: Sipps, phones: Baresips
) -> None:
    ben = await phones.phone("ben", BEN_HZ)
    server = await start_server(connect(strategy, ben.uri))
    book = Book(server)
    near_end = caller(invite(sdp(PCMA)), provisionals(), response(200), ack(), pause(500), bye())
    await (await sipps.caller(server.socket.local.host_port, near_end)).finished()
    await ben.until("CALL_CLOSED")
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]


async def test_a_phone_that_hangs_up_while_it_hears_ringing_stops_it(
    start_server: StartServer, phones: Baresips
) -> None:
    ann = await phones.phone("ann", ANN_HZ)
    server = await start_server(connect("to", "sip:slow@phones.test"))
    book = Book(server)
    await ann.dial(f"sip:{NUMBER}@{server.socket.local.host_port}")
    await ann.until("CALL_RINGING")
    await book.until(lambda seen: "ringing" in seen.states("sip:slow@phones.test"))
    await ann.hang_up()
    await ann.until("CALL_CLOSED")
    await book.rest()
    assert book.connects() == ["connecting", "failed cancel"]


def expect_tone(phone: Baresip, tone_hz: float) -> None:
    heard = phone.heard(ANN_HZ, BEN_HZ)
    # Half of what was said at least: the rest is the way there, and the phone's own buffer.
    assert len(heard) >= TALK_S * 10 / 2, heard
    assert set(heard) == {tone_hz}


async def expect_packets(book: Book, called: str) -> None:
    """The records of both legs count the packets of the whole conversation, both ways."""
    calls = [info for info in book.calls() if info.direction == "inbound" or info.to == called]
    assert len(calls) == 2
    for info in calls:
        record = await book.server.store.call(info.call_id)
        assert record is not None
        assert record.statistics is not None
        figures = msgspec.json.decode(record.statistics, type=LegStatistics)
        least = TALK_S * 50 / 2
        assert figures.packets_received > least, (info.direction, figures)
        assert figures.packets_sent > least, (info.direction, figures)
        assert figures.packets_lost < 5, (info.direction, figures)

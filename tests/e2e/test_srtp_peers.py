"""SRTP with baresip, whose implementation is its own: who may call whom, and both hear each other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .baresip import Baresip, Baresips
from .book import Book
from .conftest import StartServer
from .peers import NUMBER

pytestmark = pytest.mark.real_peer

ANN_HZ, BEN_HZ = 440.0, 620.0
TALK_S = 1.2

PEERS = {"mandatory": "srtp-mand", "optional": "srtp", "forbidden": ""}
MODES = tuple(PEERS)


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Baresips]:
    running = Baresips(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


def dials(phone: Baresip, mode: str) -> str:
    """A document that connects to the phone, under that mode."""
    return f"""\
version: 1.0.0
sections:
  main:
    - connect: {{answer_on_bridge: true, to: "{phone.uri}", timeout: 20, encryption: {mode}}}
"""


def is_possible(ours: str, theirs: str) -> bool:
    return {ours, theirs} != {"mandatory", "forbidden"}


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(MODES, MODES)))
async def test_a_phone_is_called_as_both_modes_allow(
    ours: str, theirs: str, start_server: StartServer, phones: Baresips
) -> None:
    """The caller is plain: what ben hears has been through both kinds of stream."""
    ann = await phones.phone("ann", ANN_HZ)
    ben = await phones.phone("ben", BEN_HZ, PEERS[theirs])
    server = await start_server(dials(ben, ours), media={"encryption": "optional"})
    book = Book(server)
    await ann.dial(f"sip:{NUMBER}@{server.socket.local.host_port}")
    # It knows no RFC 8643: where it demands SRTP, it refuses keys on a line of RTP/AVP, and then a plain one.
    if not is_possible(ours, theirs) or (ours, theirs) == ("optional", "mandatory"):
        await ann.until("CALL_CLOSED")
        await book.rest()
        assert book.connects() == ["connecting", "failed error"]
        return
    await ann.until("CALL_ESTABLISHED")
    await ben.until("CALL_ESTABLISHED")
    await asyncio.sleep(TALK_S)
    await ann.hang_up()
    await ann.until("CALL_CLOSED")
    await ben.until("CALL_CLOSED")
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    expect_tone(ann, BEN_HZ)
    expect_tone(ben, ANN_HZ)


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(MODES, MODES)))
async def test_a_phone_calls_as_both_modes_allow(
    ours: str, theirs: str, start_server: StartServer, phones: Baresips
) -> None:
    ann = await phones.phone("ann", ANN_HZ, PEERS[theirs])
    ben = await phones.phone("ben", BEN_HZ)
    server = await start_server(dials(ben, "forbidden"), media={"encryption": ours})
    await ann.dial(f"sip:{NUMBER}@{server.socket.local.host_port}")
    if not is_possible(ours, theirs):
        await ann.until("CALL_CLOSED")
        assert "CALL_ESTABLISHED" not in ann.kinds()
        return
    await ann.until("CALL_ESTABLISHED")
    await ben.until("CALL_ESTABLISHED")
    await asyncio.sleep(TALK_S)
    await ann.hang_up()
    await ann.until("CALL_CLOSED")
    await ben.until("CALL_CLOSED")
    expect_tone(ann, BEN_HZ)
    expect_tone(ben, ANN_HZ)


def expect_tone(phone: Baresip, tone_hz: float) -> None:
    heard = phone.heard(ANN_HZ, BEN_HZ)
    assert len(heard) >= TALK_S * 10 / 2, heard
    assert set(heard) == {tone_hz}

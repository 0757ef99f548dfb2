"""Encrypted media as somebody sees it who listens on the wire, with a phone whose SRTP is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordboard.media import rtp
from cordboard.media.codecs import g711
from cordboard.media.tones import read_tone
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .baresip import Baresip, Baresips
from .book import Book
from .capture import Capture, capturing
from .conftest import StartServer
from .peers import NUMBER
from .strategies import connect

pytestmark = pytest.mark.real_peer

ANN_HZ, BEN_HZ = 440.0, 620.0
TALK_S = 2.0


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Baresips]:
    running = Baresips(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


async def call_ben(ben: Baresip, mode: str, start_server: StartServer, path: Path) -> Capture:
    """Ann talks with ben; all of ben's leg is caught, SIP and media."""
    server = await start_server(connect("to", ben.uri, options=f"encryption: {mode}"))
    book = Book(server)
    async with (
        capturing(path, f"udp portrange {ben.port}-{ben.port + 15}") as caught,
        SimulatedPhone(Behaviour(tone_hz=ANN_HZ)) as ann,
    ):
        call = await ann.call(f"sip:{NUMBER}@{server.socket.local.host_port}")
        assert await call.answered(within=10.0)
        assert await call.hears(BEN_HZ)
        await asyncio.sleep(TALK_S)
        call.hang_up()
        await book.rest()
    assert ben.heard(ANN_HZ, BEN_HZ).count(ANN_HZ) > TALK_S * 5
    return caught


def is_readable(packets: list[bytes], tone_hz: float) -> bool:
    """Whoever takes payloads for PCMU, whatever follows them, hears that tone."""
    assert len(packets) > TALK_S * 40
    said = [g711.decode("PCMU", packet[12:172]) for packet in packets]
    windows = [b"".join(said[n : n + 5]) for n in range(0, len(said) - 5, 5)]
    return any(read_tone(pcm, (tone_hz,)).share >= 0.4 for pcm in windows)


class Leg:
    """What went over one leg, taken apart by tshark, which knows the keys' suite from the SDP."""

    def __init__(self, rows: list[list[str]], phone: Baresip) -> None:
        self._rows = [row for row in rows if row[2] or row[4]]
        self._ports = {str(port) for port in range(phone.port + 6, phone.port + 16)}

    def media(self, *, by_server: bool) -> list[list[str]]:
        return [row for row in self._rows if row[2] and (row[1] in self._ports) == by_server]

    def reports_of_server(self) -> list[list[str]]:
        return [row for row in self._rows if row[4] and row[1] in self._ports]


FIELDS = ("udp.srcport", "udp.dstport", "rtp.p_type", "srtp.auth_tag", "rtcp.pt", "srtcp.e", "udp.payload")


async def taken_apart(caught: Capture, phone: Baresip) -> Leg:
    rows = await caught.rows(*FIELDS, options=("-d", f"udp.port=={phone.port},sip"))
    return Leg(rows, phone)


def payloads(rows: list[list[str]]) -> list[bytes]:
    return [bytes.fromhex(row[6]) for row in rows]


async def test_nobody_hears_a_mandatory_leg(
    start_server: StartServer, phones: Baresips, tmp_path: Path
) -> None:
    ben = await phones.phone("ben", BEN_HZ, "srtp-mand")
    caught = await call_ben(ben, "mandatory", start_server, tmp_path / "caught.pcapng")
    leg = await taken_apart(caught, ben)
    for by_server, tone_hz in ((True, ANN_HZ), (False, BEN_HZ)):
        media = leg.media(by_server=by_server)
        assert not is_readable(payloads(media), tone_hz)
        # AES_CM_128_HMAC_SHA1_80: each packet ends with ten bytes that authenticate it.
        assert {len(bytes.fromhex(row[3])) for row in media} == {10}
        assert {len(packet) for packet in payloads(media)} == {rtp.HEADER_LENGTH + 160 + 10}
        assert {row[2] for row in media} == {"0"}
    reports = leg.reports_of_server()
    assert len(reports) > 0
    assert {row[5] for row in reports} == {"1"}
    assert not any(b"@127.0.0.1" in report for report in payloads(reports))


async def test_a_forbidden_leg_shows_that_the_listener_is_not_deaf(
    start_server: StartServer, phones: Baresips, tmp_path: Path
) -> None:
    ben = await phones.phone("ben", BEN_HZ)
    caught = await call_ben(ben, "forbidden", start_server, tmp_path / "caught.pcapng")
    leg = await taken_apart(caught, ben)
    for by_server, tone_hz in ((True, ANN_HZ), (False, BEN_HZ)):
        media = leg.media(by_server=by_server)
        assert is_readable(payloads(media), tone_hz)
        assert {row[3] for row in media} == {""}
    reports = leg.reports_of_server()
    assert {row[5] for row in reports} == {""}
    assert any(b"@127.0.0.1" in report for report in payloads(reports))

"""Keys on the wire: RFC 4733 as tshark reads it, SIP INFO, and tones in the audio."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest

from cordboard.media.codecs import g711
from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .baresip import Baresip, Baresips
from .book import Book
from .capture import Capture, capturing
from .conftest import StartServer
from .peers import NUMBER, Sipps
from .scenario import SDP, callee, invited, receive, reply
from .strategies import connect

pytestmark = pytest.mark.real_peer

DIALLED = "+15551230001"
PRESSED = "11#5"
"""One key twice: neither may be lost, and none may become two."""
EVENTS = [1, 1, 11, 5]
BEN_HZ = 620.0


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Baresips]:
    running = Baresips(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


def trunk(port: int, way: str) -> dict[str, Any]:
    """A trunk that leads to a phone, and wants keys that way."""
    address = f"127.0.0.1:{port}"
    return {"far": {"address": address, "allowed_prefixes": ["+1555123"], "from_names": True, "dtmf": way}}


async def talk(server: Server, caller: SimulatedPhone, keys: str = PRESSED) -> None:
    """Call, press the keys, hang up a little after."""
    book = Book(server)
    call = await caller.call(f"sip:{NUMBER}@{server.socket.local.host_port}")
    assert await call.answered(within=10.0)
    await asyncio.sleep(0.3)
    call.press(keys)
    await asyncio.sleep(2.2)
    call.hang_up()
    await book.rest()


async def caught_at_ben(
    ben: Baresip, way: str, caller: Behaviour, start_server: StartServer, path: Path
) -> Capture:
    server = await start_server(connect("to", DIALLED), trunks=trunk(ben.port, way))
    async with (
        capturing(path, f"udp portrange {ben.port}-{ben.port + 15}") as caught,
        SimulatedPhone(caller) as ann,
    ):
        await talk(server, ann)
    return caught


class Event(NamedTuple):
    """One packet of a key."""

    at: float
    key: int
    ends: bool
    duration: int
    payload_type: int
    timestamp: int
    marker: bool


async def events(caught: Capture, ben: Baresip) -> list[Event]:
    fields = (
        *("frame.time_epoch", "rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration"),
        *("rtp.p_type", "rtp.timestamp", "rtp.marker"),
    )
    rows = await caught.rows(*fields, only="rtpevent", options=("-d", f"udp.port=={ben.port},sip"))
    return [
        Event(float(at), int(key), ends == "1", int(duration), int(kind), int(timestamp), marker == "1")
        for at, key, ends, duration, kind, timestamp, marker in rows
    ]


@pytest.mark.parametrize("by_info", [False, True], ids=["as events", "by INFO"])
async def test_keys_go_out_as_events_as_negotiated(
    by_info: bool, start_server: StartServer, phones: Baresips, tmp_path: Path
) -> None:
    """However they come in, what goes out is each key once, to the end, in the far end's payload type."""
    ben = await phones.phone(DIALLED, BEN_HZ)
    ann = Behaviour(tone_hz=None, digits_by_info=by_info)
    caught = await caught_at_ben(ben, "auto", ann, start_server, tmp_path / "caught.pcapng")
    packets = await events(caught, ben)
    keys = [list(group) for _, group in itertools.groupby(packets, lambda packet: packet.timestamp)]
    assert [group[0].key for group in keys] == EVENTS
    assert len({group[0].timestamp for group in keys}) == len(EVENTS)
    assert {packet.payload_type for packet in packets} == {await negotiated(caught, ben)}
    for group in keys:
        assert len({packet.key for packet in group}) == 1
        assert [packet.marker for packet in group] == [True] + [False] * (len(group) - 1)
        lasting = [packet.duration for packet in group if not packet.ends]
        assert lasting == sorted(set(lasting))
        # The end is told three times, in the same words.
        last = group[-3:]
        assert [packet.ends for packet in group].count(True) == 3
        assert len({packet.duration for packet in last}) == 1
        assert all(packet.ends for packet in last)
        assert last[0].duration >= lasting[-1]
        told, took = last[0].duration / 8_000, last[0].at - group[0].at
        assert told == pytest.approx(took, abs=0.3), "the clock is not that of the SDP"


async def negotiated(caught: Capture, ben: Baresip) -> int:
    """The payload type that ben's answer gives to telephone events of 8,000 Hz."""
    rows = await caught.rows(
        "sdp.media_attr",
        only=f"sip.Status-Code == 200 && sdp && udp.srcport == {ben.port}",
        options=("-d", f"udp.port=={ben.port},sip"),
    )
    found = re.search(r"rtpmap:(\d+) telephone-event/8000", rows[0][0])
    assert found is not None
    return int(found[1])


async def test_keys_go_out_as_info_where_the_trunk_wants_that(
    start_server: StartServer, sipps: Sipps
) -> None:
    infos = [part for _ in PRESSED for part in (receive("INFO"), reply(200, of="INFO"))]
    far_end = callee(invited(), reply(200, SDP), receive("ACK"), *infos, receive("BYE"), reply(200, of="BYE"))
    far = await sipps.callee("far", far_end)
    server = await start_server(connect("to", DIALLED), trunks=trunk(far.port, "info"))
    async with SimulatedPhone(Behaviour(tone_hz=None)) as ann:
        await talk(server, ann)
    await far.finished()
    told = far.messages("INFO")
    assert len(told) == len(PRESSED)
    assert all("Content-Type: application/dtmf-relay" in message for message in told)
    assert "".join(re.findall(r"Signal= ?(\S)", "".join(told))) == PRESSED


async def test_keys_go_out_as_tones_where_the_trunk_wants_that(
    start_server: StartServer, phones: Baresips, tmp_path: Path
) -> None:
    ben = await phones.phone(DIALLED, BEN_HZ)
    ann = Behaviour(tone_hz=None)
    caught = await caught_at_ben(ben, "inband", ann, start_server, tmp_path / "caught.pcapng")
    assert await events(caught, ben) == []
    server_says = f"rtp && udp.dstport >= {ben.port + 6} && udp.dstport <= {ben.port + 15}"
    rows = await caught.rows(
        "rtp.p_type", "udp.payload", only=server_says, options=("-d", f"udp.port=={ben.port},sip")
    )
    assert {kind for kind, _ in rows} == {"0"}
    heard = keys_in(b"".join(g711.decode("PCMU", bytes.fromhex(payload)[12:]) for _, payload in rows))
    assert heard == PRESSED


ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
PAD = ("123A", "456B", "789C", "*0#D")
WINDOW = 160


def keys_in(pcm: bytes) -> str:
    """The keys whose two tones sound, by a discrete Fourier transform of our own: a key and a pause each."""
    samples = numpy.frombuffer(pcm, dtype="<i2").astype(float)
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    clock = numpy.arange(WINDOW) / 8_000
    waves = numpy.exp(-2j * numpy.pi * numpy.outer(clock, (*ROWS, *COLUMNS)))
    strengths = numpy.abs(windows @ waves) / WINDOW
    keys = [
        PAD[row[:4].argmax()][row[4:].argmax()] if min(row[:4].max(), row[4:].max()) > 300 else ""
        for row in strengths
    ]
    steady = [key for key, again in itertools.pairwise(keys) if key == again]
    return "".join(key for key, _ in itertools.groupby(steady))

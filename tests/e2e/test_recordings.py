"""Recordings and taps of real calls: what is heard, fetched by its link, measured."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from cordboard.media import rtp
from cordboard.media.codecs import g711
from cordboard.media.tones import dominant_frequency, level
from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .conftest import Receiver, StartServer

CALLER_HZ, BOB_HZ = 400.0, 659.0


def document(*steps: str) -> str:
    lines = "\n".join(f"    - {step}" for step in steps)
    return f"version: 1.0.0\nsections:\n  main:\n{lines}\n"


async def call(server: Server, seconds: float, **fields: Any) -> None:
    """A caller who speaks 400 Hz and hangs up; a list of codecs is offered in that order."""
    behaviour = Behaviour(tone_hz=CALLER_HZ, hang_up_after=seconds, **fields)
    async with SimulatedPhone(behaviour, name="+15550001") as phone:
        call = await phone.call(f"sip:+15551230000@{server.socket.local.host_port}")
        await call.ended()


def recordings_of(receiver: Receiver) -> list[dict[str, Any]]:
    return [body["params"] for _, body in receiver.events if body["event_type"] == "calling.call.record"]


async def ended(receiver: Receiver) -> dict[str, Any]:
    """The last event of the recording."""
    await receiver.until(lambda one: any(p["state"] != "recording" for p in recordings_of(one)), within=10)
    return recordings_of(receiver)[-1]


async def fetched(url: str, status: int = 200) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == status, await response.text()
        return await response.read()


def wav_of(data: bytes) -> tuple[int, bytes]:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        return file.getnchannels(), file.readframes(file.getnframes())


def side(pcm: bytes, number: int) -> bytes:
    return b"".join(pcm[at + 2 * number : at + 2 * number + 2] for at in range(0, len(pcm), 4))


def steady(pcm: bytes, seconds: float = 0.5) -> bytes:
    """The end of it, without the last packets."""
    return pcm[-round(16_000 * (seconds + 0.2)) : -3200]


async def test_a_call_is_recorded_across_a_bridge_with_one_party_on_each_side(
    start_server: StartServer, receiver: Receiver
) -> None:
    server = await start_server(
        document(
            "answer: {}",
            f"record_call: {{stereo: true, status_url: '{receiver.url}/r'}}",
            "connect: {to: 'sip:bob@phones.test'}",
        )
    )
    await call(server, 3.0)
    last = await ended(receiver)
    assert last["state"] == "finished"
    data = await fetched(last["url"])
    channels, pcm = wav_of(data)
    assert (channels, last["size"]) == (2, len(data))
    assert last["duration"] == pytest.approx(len(pcm) / 32_000, abs=0.03)
    assert last["duration"] == pytest.approx(3.0, abs=0.5)
    caller, bob = steady(side(pcm, 0)), steady(side(pcm, 1))
    assert dominant_frequency(caller) == pytest.approx(CALLER_HZ, abs=3)
    assert dominant_frequency(bob) == pytest.approx(BOB_HZ, abs=3)
    assert level(caller) == pytest.approx(-16.0, abs=1.0)
    assert level(bob) == pytest.approx(-16.0, abs=1.0)
    assert server.exchange.switchboard.defects == 0


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_whatever_is_spoken_is_recorded_as_loud_as_it_is(
    start_server: StartServer, receiver: Receiver, codec: str
) -> None:
    server = await start_server(
        document(
            f"answer: {{codecs: '{codec}'}}",
            f"record: {{max_length: 1.5, terminators: '#', status_url: '{receiver.url}/r'}}",
        ),
    )
    await call(server, 8.0)
    last = await ended(receiver)
    assert (last["state"], last["duration"]) == ("finished", 1.5)
    channels, pcm = wav_of(await fetched(last["url"]))
    assert (channels, len(pcm)) == (1, 24_000)
    assert dominant_frequency(steady(pcm)) == pytest.approx(CALLER_HZ, abs=3)
    assert level(steady(pcm)) == pytest.approx(-16.0, abs=1.0)


@pytest.mark.parametrize("format_", ["mp3", "mp4"])
async def test_a_recording_comes_in_the_format_that_was_asked_for(
    start_server: StartServer, receiver: Receiver, format_: str, tmp_path: Path
) -> None:
    step = f"record: {{format: {format_}, max_length: 1, status_url: '{receiver.url}/r'}}"
    server = await start_server(document("answer: {}", step))
    await call(server, 8.0)
    last = await ended(receiver)
    assert (last["state"], f".{format_}?" in last["url"]) == ("finished", True)
    data = await fetched(last["url"])
    assert len(data) == last["size"]
    with av.open(io.BytesIO(data)) as sound:
        assert sound.streams.audio[0].rate == 8000
    kept = tmp_path / "data" / "recordings"
    assert [path.suffix for path in kept.iterdir()] == [f".{format_}"]


async def test_a_link_is_told_at_the_start_and_holds_when_it_has_ended(
    start_server: StartServer, receiver: Receiver
) -> None:
    server = await start_server(
        document("answer: {}", f"record_call: {{status_url: '{receiver.url}/r'}}", "sleep: 10000")
    )
    calling = asyncio.create_task(call(server, 1.5))
    await receiver.until(lambda one: bool(recordings_of(one)))
    url = recordings_of(receiver)[0]["url"]
    assert b"not finished yet" in await fetched(url, 404)
    await calling
    await ended(receiver)
    assert wav_of(await fetched(url))[0] == 1
    assert b"not one that this server" in await fetched(url.replace("signature=", "signature=0"), 403)


async def test_nobody_who_speaks_is_no_input(start_server: StartServer, receiver: Receiver) -> None:
    step = f"record: {{initial_timeout: 1, direction: listen, status_url: '{receiver.url}/r'}}"
    server = await start_server(document("answer: {}", step))
    await call(server, 8.0)
    last = await ended(receiver)
    assert (last["state"], last["duration"]) == ("no_input", 1.0)


async def test_a_tap_sends_what_the_caller_says(start_server: StartServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", 0))
        taker.setblocking(False)
        port = taker.getsockname()[1]
        server = await start_server(
            document("answer: {}", f"tap: {{uri: 'rtp://127.0.0.1:{port}', codec: PCMA}}", "sleep: 10000")
        )
        calling = asyncio.create_task(call(server, 2.0))
        loop = asyncio.get_running_loop()
        packets: list[bytes] = []
        async with asyncio.timeout(10):
            while len(packets) < 60:
                packets.append(await loop.sock_recv(taker, 2048))
        await calling
    numbers = [struct.unpack_from("!H", packet, 2)[0] for packet in packets]
    assert [(b - a) & 0xFFFF for a, b in pairwise(numbers)] == [1] * 59
    pcm = g711.decode("PCMA", b"".join(rtp.payload(packet) or b"" for packet in packets[30:]))
    assert dominant_frequency(pcm) == pytest.approx(CALLER_HZ, abs=3)
    assert level(pcm) == pytest.approx(-16.0, abs=1.0)


async def test_what_is_said_is_heard(start_server: StartServer) -> None:
    server = await start_server(document("answer: {}", "play: 'say: Press one to accept this call.'"))
    async with SimulatedPhone(Behaviour(), name="+15550001") as phone:
        calling = await phone.call(f"sip:+15551230000@{server.socket.local.host_port}")
        report = await calling.ended()
    assert report.audio.packets_received > 50
    assert server.exchange.switchboard.defects == 0

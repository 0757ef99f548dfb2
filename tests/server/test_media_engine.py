"""The engine with real worker processes and real packets on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cordboard.media.codecs import g711
from cordboard.media.protocol import (
    DigitHeard,
    EndpointClosed,
    EndpointOpened,
    EndpointRefused,
    Event,
    Format,
    Pong,
    SendDigits,
    SetRemote,
)
from cordboard.server.media_engine import MediaEngine

PCMU, PCMA, EVENTS = 0, 8, 101
NAMES = {PCMU: "PCMU", PCMA: "PCMA"}


class Phone:
    """A far end: one UDP socket that speaks RTP."""

    def __init__(
        self, payload_type: int = PCMU, *, ssrc: int = 0x1234, event_type: int | None = EVENTS
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self.payload_type = payload_type
        self.event_type = event_type
        self.ssrc = ssrc
        self.sequence = 100
        self.timestamp = 5000
        self.server = ("127.0.0.1", 0)

    def remote(self, endpoint_id: str, **changes: object) -> SetRemote:
        fields: dict[str, object] = {
            "endpoint_id": endpoint_id,
            "address": "127.0.0.1",
            "port": self.port,
            "rtcp_port": self.port + 1,
            "send": Format(name=NAMES[self.payload_type], payload_type=self.payload_type),
            "accepted": ((self.payload_type, NAMES[self.payload_type]),),
            "dtmf_send_type": self.event_type,
            "dtmf_receive_type": self.event_type,
        }
        return SetRemote(**(fields | changes))  # type: ignore[arg-type]

    def send(self, payload: bytes, payload_type: int | None = None, *, samples: int = 160) -> None:
        second = self.payload_type if payload_type is None else payload_type
        header = struct.pack("!BBHII", 0x80, second, self.sequence, self.timestamp, self.ssrc)
        self.socket.sendto(header + payload, self.server)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp += samples

    def heard(self) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(self.socket.recv(2048))
            except BlockingIOError:
                return packets

    async def hear(self, count: int = 1) -> list[bytes]:
        packets: list[bytes] = []
        async with asyncio.timeout(5):
            while len(packets) < count:
                packets += self.heard()
                await asyncio.sleep(0.002)
        return packets


class House:
    """An engine and all that it said."""

    def __init__(self, directory: Path, *, workers: int, ports: tuple[int, int]) -> None:
        self.serial = 0
        self.changed = asyncio.Event()
        self.events: list[Event] = []
        self.deaths: list[tuple[list[str], str]] = []
        self.engine = MediaEngine(
            workers=workers,
            address="127.0.0.1",
            port_range=ports,
            directory=str(directory),
            on_event=self._heard,
            on_worker_died=lambda ids, sentence: self.deaths.append((ids, sentence)),
        )

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.01)

    def _heard(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    async def settled(self) -> None:
        """All commands so far have been carried out."""
        self.serial += 1
        self.engine.ping(self.serial)
        workers = len(self.engine.worker_pids())
        await self.until(lambda: sum(e.serial == self.serial for e in self.pongs()) == workers)

    def pongs(self) -> list[Pong]:
        return [e for e in self.events if isinstance(e, Pong)]

    async def join(self, a: str, b: str) -> None:
        self.engine.join(a, b)
        await self.settled()

    async def event(self, kind: type[Event], endpoint_id: str) -> Event:
        def found() -> list[Event]:
            return [e for e in self.events if isinstance(e, kind) and e.endpoint_id == endpoint_id]  # type: ignore[union-attr]

        await self.until(found)
        return found()[0]

    async def open(self, phone: Phone, endpoint_id: str, *, near: str | None = None) -> None:
        self.engine.open(endpoint_id, near=near)
        opened = await self.event(EndpointOpened, endpoint_id)
        assert isinstance(opened, EndpointOpened)
        phone.server = (opened.address, opened.port)
        self.engine.set_remote(phone.remote(endpoint_id))

    async def close(self, endpoint_id: str) -> EndpointClosed:
        self.engine.close(endpoint_id)
        closed = await self.event(EndpointClosed, endpoint_id)
        assert isinstance(closed, EndpointClosed)
        return closed


_next_port = iter(range(31000, 32700, 100))


@asynccontextmanager
async def house(directory: Path, *, workers: int = 1, pairs: int = 40) -> AsyncIterator[House]:
    first = next(_next_port)
    one = House(directory, workers=workers, ports=(first, first + 2 * pairs - 1))
    await one.engine.start()
    try:
        yield one
    finally:
        await one.engine.stop()


@pytest.fixture
def phones() -> Iterator[Callable[..., Phone]]:
    made: list[Phone] = []

    def make(payload_type: int = PCMU, **options: int | None) -> Phone:
        made.append(Phone(payload_type, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for phone in made:
        phone.socket.close()


async def test_two_joined_endpoints_relay_both_ways(tmp_path: Path, phones: Callable[..., Phone]) -> None:
    async with house(tmp_path) as one:
        a, b = phones(), phones(ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b", near="a")
        await one.join("a", "b")
        for index in range(20):
            a.send(bytes([index]) * 160)
            b.send(bytes([100 + index]) * 160)
        to_b, to_a = await b.hear(20), await a.hear(20)
        assert [packet[12] for packet in to_b] == list(range(20))
        assert [packet[12] for packet in to_a] == list(range(100, 120))
        numbers = [struct.unpack_from("!HI", packet, 2) for packet in to_b]
        assert [(n - numbers[0][0], t - numbers[0][1]) for n, t in numbers] == [
            (i, 160 * i) for i in range(20)
        ]
        statistics = (await one.close("a")).statistics
        assert (statistics.packets_received, statistics.packets_sent, statistics.packets_lost) == (20, 20, 0)


async def test_an_endpoint_on_another_worker_is_joined_by_a_link(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path, workers=2) as one:
        a, b = phones(PCMU), phones(PCMA, ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        for _ in range(10):
            a.send(b"\xff" * 160)
            b.send(b"\xd5" * 160)
        assert all(packet[12:] == b"\xd5" * 160 and packet[1] & 0x7F == PCMA for packet in await b.hear(10))
        expected = bytes(g711.PCMA_TO_PCMU[0xD5:0xD6]) * 160
        assert all(packet[12:] == expected and packet[1] & 0x7F == PCMU for packet in await a.hear(10))


async def test_a_killed_worker_is_reported_and_replaced(tmp_path: Path, phones: Callable[..., Phone]) -> None:
    async with house(tmp_path) as one:
        a = phones()
        await one.open(a, "a")
        (pid,) = one.engine.worker_pids()
        os.kill(pid, signal.SIGKILL)
        await one.until(lambda: one.deaths)
        assert one.deaths == [(["a"], "the media worker was killed by signal 9")]
        assert one.engine.endpoints() == 0
        await one.until(one.engine.worker_pids)
        one.events.clear()
        await one.open(a, "a")
        assert one.engine.worker_pids() != [pid]


async def test_no_port_left_is_a_refusal(tmp_path: Path) -> None:
    async with house(tmp_path, pairs=2) as one:
        for endpoint_id in ("a", "b", "c"):
            one.engine.open(endpoint_id)
        refused = await one.event(EndpointRefused, "c")
        assert refused == EndpointRefused(endpoint_id="c", sentence="no port is free")
        assert one.engine.endpoints() == 2


async def test_digits_pass_the_bridge_and_are_heard_once(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b = phones(PCMU, event_type=101), phones(PCMA, event_type=96)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        a.send(b"\xff" * 160)
        for duration, end in ((160, 0), (320, 0), (480, 0x80), (480, 0x80), (480, 0x80)):
            a.send(struct.pack("!BBH", 5, end | 10, duration), 101, samples=0)
        a.timestamp += 480
        a.send(b"\xff" * 160)
        await one.event(DigitHeard, "a")
        packets = await b.hear(7)
        assert [packet[1] & 0x7F for packet in packets] == [8, 96, 96, 96, 96, 96, 8]
        assert [e for e in one.events if isinstance(e, DigitHeard)] == [
            DigitHeard(endpoint_id="a", digit="5", duration_ms=60)
        ]


async def test_digits_can_be_sent(tmp_path: Path, phones: Callable[..., Phone]) -> None:
    async with house(tmp_path) as one:
        a = phones()
        await one.open(a, "a")
        one.engine.send_digits(SendDigits(endpoint_id="a", digits="1#", duration_ms=60))
        packets = await a.hear(12)
        assert [packet[12] for packet in packets] == [1] * 6 + [11] * 6

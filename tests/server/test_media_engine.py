"""The engine with real worker processes and real packets on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from cordboard.media import rtcp
from cordboard.media.codecs import g711
from cordboard.media.protocol import (
    BeginDetector,
    BeginRecording,
    DetectorClosed,
    DetectorTold,
    DigitHeard,
    EndpointClosed,
    EndpointOpened,
    EndpointRefused,
    Event,
    FinishDetector,
    FinishRecording,
    Format,
    PausePlaying,
    PauseRecorder,
    PlayEnded,
    PlaySource,
    Pong,
    RecordingClosed,
    ResumePlaying,
    ResumeRecorder,
    SendDigits,
    SetGain,
    SetRemote,
    StartPlay,
    StopPlaying,
)
from cordboard.media.tones import read_tone, tone_frames
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

    async def hear(self, count: int = 1, *, patience: float = 5) -> list[bytes]:
        packets: list[bytes] = []
        async with asyncio.timeout(patience):
            while len(packets) < count:
                packets += self.heard()
                await asyncio.sleep(0.002)
        return packets


def steps(packets: list[bytes]) -> list[tuple[int, int]]:
    """By how much sequence number and timestamp grow from packet to packet."""
    numbers = [struct.unpack_from("!HI", packet, 2) for packet in packets]
    return [
        ((after[0] - before[0]) & 0xFFFF, (after[1] - before[1]) & 0xFFFFFFFF)
        for before, after in pairwise(numbers)
    ]


class House:
    """An engine and all that it said."""

    def __init__(
        self, directory: Path, *, workers: int, ports: tuple[int, int], port_quiet: float = 5.0
    ) -> None:
        self.serial = 0
        self.ports = ports
        self.changed = asyncio.Event()
        self.events: list[Event] = []
        self.deaths: list[tuple[list[str], str]] = []
        self.engine = MediaEngine(
            workers=workers,
            address="127.0.0.1",
            port_range=ports,
            directory=str(directory),
            on_event=self._heard,
            port_quiet=port_quiet,
            on_worker_died=lambda ids, sentence: self.deaths.append((ids, sentence)),
        )

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await self.changed.wait()

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
        await self.meet(phone, endpoint_id)

    async def meet(self, phone: Phone, endpoint_id: str) -> None:
        """It is open, or will be."""
        opened = await self.event(EndpointOpened, endpoint_id)
        assert isinstance(opened, EndpointOpened)
        phone.server = (opened.address, opened.port)
        self.engine.set_remote(phone.remote(endpoint_id))
        await self.settled()

    async def open_when_free(self, phone: Phone, endpoint_id: str) -> None:
        """As soon as a port has rested long enough."""

        async with asyncio.timeout(20):
            while not self.engine.is_open(endpoint_id):
                await asyncio.sleep(0.1)
                self.engine.open(endpoint_id)
                await self.settled()
        await self.meet(phone, endpoint_id)

    async def close(self, endpoint_id: str) -> EndpointClosed:
        self.engine.close(endpoint_id)
        closed = await self.event(EndpointClosed, endpoint_id)
        assert isinstance(closed, EndpointClosed)
        return closed


_next_port = iter(range(25000, 32700, 100))


@asynccontextmanager
async def house(
    directory: Path, *, workers: int = 1, pairs: int = 40, port_quiet: float = 5.0
) -> AsyncIterator[House]:
    first = next(_next_port)
    one = House(directory, workers=workers, ports=(first, first + 2 * pairs - 1), port_quiet=port_quiet)
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


def wants(ptime_ms: int, payload_type: int = PCMU) -> Format:
    return Format(name=NAMES[payload_type], payload_type=payload_type, ptime_ms=ptime_ms)


@pytest.mark.parametrize("workers", [1, 2])
async def test_far_ends_with_packets_of_other_lengths_hear_each_other(
    tmp_path: Path, phones: Callable[..., Phone], workers: int
) -> None:
    async with house(tmp_path, workers=workers) as one:
        a, b = phones(PCMU), phones(PCMA, ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        one.engine.set_remote(a.remote("a", send=wants(20)))
        one.engine.set_remote(b.remote("b", send=wants(60, PCMA)))
        await one.join("a", "b")
        for index in range(30):
            a.send(bytes([index + 1]) * 160)
            if index % 3 == 0:
                b.send(bytes([index + 1]) * 480, samples=480)
            await asyncio.sleep(0.02)
        to_a, to_b = await a.hear(25), await b.hear(7)
        assert {len(packet) for packet in to_a} == {12 + 160}
        assert {len(packet) for packet in to_b} == {12 + 480}
        assert {packet[1] & 0x7F for packet in to_b} == {PCMA}
        assert {step for step, _ in steps(to_a) + steps(to_b)} == {1}
        first = b"".join(bytes([index + 1]) * 160 for index in range(3))
        assert to_b[0][12:] == first.translate(g711.PCMU_TO_PCMA)


async def test_a_play_is_packed_as_the_far_end_wants_it(tmp_path: Path, phones: Callable[..., Phone]) -> None:
    async with house(tmp_path) as one:
        lengths = {10: [80] * 8, 20: [160] * 4, 30: [240, 240, 160], 40: [320, 320], 60: [480, 160]}
        for ptime in lengths:
            a, name = phones(), f"leg-{ptime}"
            await one.open(a, name)
            one.engine.set_remote(a.remote(name, send=wants(ptime)))
            silence = (PlaySource(kind="silence", duration_ms=80),)
            one.engine.play(StartPlay(endpoint_id=name, play_id="p", sources=silence))
            await one.event(PlayEnded, name)
            heard = await a.hear(len(lengths[ptime]))
            assert [len(packet) - 12 for packet in heard] == lengths[ptime]
            assert set(steps(heard)) == {(1, 8 * ptime)}


# ------------------------------------------------------------------ whose packets are believed


async def test_an_empty_datagram_gets_no_answer_and_a_stranger_no_audio(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b, stranger = phones(), phones(ssrc=0x5678), phones(ssrc=0x9999)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        for data in (b"", b"\r\n", b"\x00" * 20, b"\x80\xc8\x00\x06" + bytes(24)):
            stranger.socket.sendto(data, a.server)
            stranger.socket.sendto(data, (a.server[0], a.server[1] + 1))
        a.send(b"\x11" * 160)
        b.send(b"\x22" * 160)
        await a.hear(1)
        stranger.server = a.server
        for _ in range(50):
            stranger.send(b"\x66" * 160)
        await one.settled()
        a.send(b"\x11" * 160)
        b.send(b"\x22" * 160)
        assert {packet[12] for packet in await b.hear(2)} == {0x11}
        assert {packet[12] for packet in await a.hear(1)} == {0x22}
        assert stranger.heard() == []
        assert (await one.close("a")).statistics.packets_refused == 50


async def test_media_from_behind_a_nat_is_followed_and_answered(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b = phones(), phones(ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        one.engine.set_remote(a.remote("a", address="127.0.0.9", port=9))
        await one.join("a", "b")
        for _ in range(8):
            a.send(b"\x11" * 160)
            b.send(b"\x22" * 160)
        assert len(await b.hear(4)) == 4
        b.send(b"\x22" * 160)
        await a.hear(1)
        statistics = (await one.close("a")).statistics
        assert statistics.latched_to == f"127.0.0.1:{a.port}"


async def test_a_phone_that_comes_from_a_new_port_is_found_again(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b, moved = phones(), phones(ssrc=0x5678), phones()
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        a.send(b"\x11" * 160)
        await b.hear(1)
        moved.server, moved.sequence = a.server, a.sequence
        await asyncio.sleep(1.1)
        for _ in range(6):
            moved.send(b"\x33" * 160)
        assert {packet[12] for packet in await b.hear(2)} == {0x33}
        b.send(b"\x22" * 160)
        await moved.hear(1)


async def test_the_next_call_never_hears_the_last_ones_far_end(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    # The port rests longer than a test on a busy machine ever pauses between two packets.
    async with house(tmp_path, pairs=2, port_quiet=2.0) as one:
        old, b, new = phones(), phones(ssrc=0x5678), phones(ssrc=0x7777)
        await one.open(old, "old")
        await one.open(b, "b")
        await one.join("old", "b")
        old.send(b"\x11" * 160)
        await b.hear(1)
        await one.close("old")
        for attempt in range(30):
            old.send(b"\x11" * 160)
            await asyncio.sleep(0.1)
            if attempt % 3 == 0:
                one.engine.open(f"early-{attempt}")
                await one.event(EndpointRefused, f"early-{attempt}")
        await one.open_when_free(new, "new")
        assert new.server == old.server
        await one.join("new", "b")
        old.send(b"\x11" * 160)
        new.send(b"\x77" * 160)
        assert {packet[12] for packet in await b.hear(1)} == {0x77}


# ------------------------------------------------------------------ hold, plays, reports


async def test_on_hold_nothing_flows_and_afterwards_all_does(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b = phones(), phones(ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        one.engine.set_remote(a.remote("a", sending=False, receiving=False))
        await one.settled()
        for _ in range(5):
            a.send(b"\x11" * 160)
            b.send(b"\x22" * 160)
        await one.settled()
        assert (a.heard(), b.heard()) == ([], [])
        one.engine.set_remote(a.remote("a"))
        await one.settled()
        a.send(b"\x11" * 160)
        b.send(b"\x22" * 160)
        await a.hear(1)
        await b.hear(1)


async def test_a_play_sounds_over_the_peer_and_leaves_no_seam(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b = phones(), phones(PCMA, ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        sources = (
            PlaySource(kind="silence", duration_ms=100),
            PlaySource(kind="audio", path="/no/such/file"),
            PlaySource(kind="tone", frequencies=(400.0,), duration_ms=100),
        )
        one.engine.play(StartPlay(endpoint_id="b", play_id="p", sources=sources))
        await one.settled()
        b.send(b"\xd5" * 160)
        packets = await b.hear(10)
        ended = await one.event(PlayEnded, "b")
        assert isinstance(ended, PlayEnded)
        assert len(ended.errors) == 1
        assert {packet[1] & 0x7F for packet in packets} == {PCMA}
        assert {packet[12:] for packet in packets[:5]} == {g711.encode("PCMA", bytes(320))}
        assert set(steps(packets)) == {(1, 160)}
        assert len(await a.hear(1)) == 1
        a.send(b"\x11" * 160)
        (packet,) = await b.hear(1)
        assert packet[12:] == (b"\x11" * 160).translate(g711.PCMU_TO_PCMA)
        assert steps([packets[-1], packet])[0][0] == 1


async def talk(speaker: Phone, stop: asyncio.Event) -> None:
    """A steady voice, as a telephone sends it."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while not stop.is_set():
        speaker.send(g711.encode("PCMU", tone_frames((500.0,), 20, level=-20.0)[0]))
        due += 0.02
        await asyncio.sleep(max(0.0, due - loop.time()))


@pytest.mark.parametrize("workers", [1, 2])
async def test_plays_are_mixed_with_a_voice_across_workers_and_paused_and_made_softer(
    tmp_path: Path, phones: Callable[..., Phone], workers: int
) -> None:
    async with house(tmp_path, workers=workers) as one:
        a, b = phones(), phones(PCMA, ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        stop = asyncio.Event()
        talking = asyncio.create_task(talk(a, stop))

        async def shares(packets: int = 20) -> list[float]:
            """How loud the voice and two plays are for the far end."""
            b.heard()
            heard = await b.hear(packets)
            assert {step for step, _ in steps(heard)} == {1}
            pcm = b"".join(g711.decode("PCMA", packet[12:]) for packet in heard[5:])
            return [read_tone(pcm, (frequency,)).share for frequency in (500.0, 1200.0, 2000.0)]

        for play_id, frequency in (("p", 1200.0), ("q", 2000.0)):
            sources = (PlaySource(kind="tone", frequencies=(frequency,), duration_ms=60_000),)
            one.engine.play(StartPlay(endpoint_id="b", play_id=play_id, sources=sources))
        assert min(await shares()) > 0.1
        one.engine.send(PausePlaying(endpoint_id="b", play_id="p"))
        await one.settled()
        voice, first, second = await shares()
        assert (voice > 0.1, first < 0.01, second > 0.1) == (True, True, True)
        one.engine.send(ResumePlaying(endpoint_id="b", play_id="p"))
        one.engine.send(SetGain(endpoint_id="b", play_id="q", volume_db=-40.0))
        await one.settled()
        voice, first, second = await shares()
        assert (voice > 0.1, first > 0.1, second < 0.01) == (True, True, True)
        for play_id in ("p", "q"):
            one.engine.stop_play(StopPlaying(endpoint_id="b", play_id=play_id))
        await one.settled()
        assert (await shares())[0] > 0.99
        stop.set()
        await talking
        assert [e.play_id for e in one.events if isinstance(e, PlayEnded)] == ["p", "q"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_music_on_hold_is_heard_in_place_of_the_peer(
    tmp_path: Path, phones: Callable[..., Phone], workers: int
) -> None:
    async with house(tmp_path, workers=workers) as one:
        a, b = phones(), phones(ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        silence = (PlaySource(kind="silence", duration_ms=60_000),)
        one.engine.play(StartPlay(endpoint_id="b", play_id="p", sources=silence, alone=True))
        await one.settled()
        await b.hear(1)
        for _ in range(5):
            a.send(b"\x11" * 160)
            await asyncio.sleep(0.02)
        assert {packet[12:] for packet in await b.hear(10)} == {b"\xff" * 160}
        one.engine.stop_play(StopPlaying(endpoint_id="b", play_id="p"))
        await one.settled()
        b.heard()
        a.send(b"\x11" * 160)
        assert [packet[12:] for packet in await b.hear(1)] == [b"\x11" * 160]


async def test_a_play_can_be_stopped_and_replaced(tmp_path: Path, phones: Callable[..., Phone]) -> None:
    async with house(tmp_path) as one:
        a = phones()
        await one.open(a, "a")
        ring = (PlaySource(kind="ring", duration_ms=60_000),)
        one.engine.play(StartPlay(endpoint_id="a", play_id="first", sources=ring, loop=0))
        one.engine.play(StartPlay(endpoint_id="a", play_id="second", sources=ring, loop=0))
        await a.hear(5)
        one.engine.stop_play(StopPlaying(endpoint_id="a", play_id="first"))
        one.engine.stop_play(StopPlaying(endpoint_id="a", play_id="second"))
        await one.settled()
        ends = [event.play_id for event in one.events if isinstance(event, PlayEnded)]
        assert ends == ["first", "second"]


async def test_reports_go_both_ways_and_make_the_statistics(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a = phones()
        rtcp_phone = phones()
        await one.open(a, "a")
        one.engine.set_remote(a.remote("a", rtcp_port=rtcp_phone.port))
        ring = (PlaySource(kind="ring", duration_ms=60_000),)
        one.engine.play(StartPlay(endpoint_id="a", play_id="p", sources=ring))
        for _ in range(5):
            a.send(b"\xff" * 160)
        a.sequence += 5
        a.send(b"\xff" * 160)
        (report,) = await rtcp_phone.hear(1, patience=8)
        parsed = rtcp.parse(report)[0]
        assert isinstance(parsed, rtcp.Report)
        assert parsed.sender is not None
        assert parsed.blocks[0].ssrc == a.ssrc
        assert parsed.blocks[0].cumulative == 5
        answer = rtcp.ReportBlock(parsed.ssrc, 25, 3, 0, 80, parsed.sender.ntp >> 16 & 0xFFFFFFFF, 0)
        server = (a.server[0], a.server[1] + 1)
        rtcp_phone.socket.sendto(rtcp.build(rtcp.Report(a.ssrc, None, (answer,)), "phone"), server)
        await one.settled()
        statistics = (await one.close("a")).statistics
        assert (statistics.packets_lost, statistics.remote_lost, statistics.remote_jitter_ms) == (5, 3, 10.0)
        assert statistics.round_trip_ms is not None
        assert 0 <= statistics.round_trip_ms < 1000
        assert statistics.mos is not None
        assert 1 < statistics.mos < 3


# ------------------------------------------------------------------ who listens


async def say(phone: Phone, frames: list[bytes]) -> None:
    """As a telephone does."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for frame in frames:
        phone.send(g711.encode("PCMU", frame))
        due += 0.02
        await asyncio.sleep(max(0.0, due - loop.time()))


async def test_a_worker_hears_a_fax_and_a_beep_and_who_stays_silent(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a = phones()
        await one.open(a, "a")
        for detector_id, order in (
            ("fax", {"kind": "fax", "tone": "CED"}),
            ("machine", {"kind": "machine", "initial_timeout_ms": 1000}),
            ("stopped", {"kind": "fax", "tone": "CNG"}),
        ):
            ids = {"endpoint_id": "a", "detector_id": detector_id}
            one.engine.send(msgspec.convert(ids | order, BeginDetector))
        await say(a, list(tone_frames((2100.0,), 1500)))
        one.engine.send(FinishDetector(endpoint_id="a", detector_id="stopped"))
        await one.until(lambda: sum(isinstance(event, DetectorClosed) for event in one.events) == 3)
        told = [
            (event.detector_id, event.event if isinstance(event, DetectorTold) else "closed")
            for event in one.events
            if isinstance(event, DetectorTold | DetectorClosed)
        ]
        assert sorted(told) == [
            ("fax", "CED"),
            ("fax", "closed"),
            ("machine", "UNKNOWN"),
            ("machine", "closed"),
            ("stopped", "closed"),
        ]


async def test_a_paused_recording_of_a_bridge_has_the_mixture_and_not_the_pause(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        a, b = phones(), phones(ssrc=0x5678)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        ids = {"endpoint_id": "b", "recording_id": "r"}
        path = tmp_path / "r.wav"
        one.engine.send(
            BeginRecording(endpoint_id="b", recording_id="r", path=str(path), direction="both", stereo=True)
        )
        sources = (PlaySource(kind="tone", frequencies=(1200.0,), duration_ms=60_000),)
        one.engine.play(StartPlay(endpoint_id="b", play_id="p", sources=sources))
        voice = list(tone_frames((500.0,), 1000, level=-20.0))
        await say(a, voice)
        one.engine.send(PauseRecorder(**ids, skip=True))
        await say(a, voice)
        one.engine.send(ResumeRecorder(**ids))
        await say(a, voice)
        one.engine.send(FinishRecording(**ids))
        closed = await one.event(RecordingClosed, "b")
        assert isinstance(closed, RecordingClosed)
        assert closed.duration_ms == pytest.approx(2000, abs=400)
        with wave.open(str(path)) as file:
            assert file.getnframes() == 8 * closed.duration_ms
            told = b"".join(file.readframes(1)[2:] for _ in range(file.getnframes()))
        middle = told[3200:11_200]
        assert min(read_tone(middle, (frequency,)).share for frequency in (500.0, 1200.0)) > 0.1


# ------------------------------------------------------------------ workers


async def test_a_link_ends_with_the_worker_at_its_other_end(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path, workers=2) as one:
        a, b, c = phones(), phones(ssrc=0x5678), phones(ssrc=0x7777)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.join("a", "b")
        first, second = one.engine.worker_pids()
        os.kill(second, signal.SIGKILL)
        await one.until(lambda: one.deaths)
        assert one.deaths[0][0] == ["b"]
        await one.open(c, "c", near="a")
        await one.join("a", "c")
        a.send(b"\x11" * 160)
        await c.hear(1)
        assert first in one.engine.worker_pids()


async def test_a_joined_pair_can_be_joined_anew_across_workers(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path, workers=2) as one:
        a, b, c = phones(), phones(ssrc=0x5678), phones(ssrc=0x7777)
        await one.open(a, "a")
        await one.open(b, "b")
        await one.open(c, "c", near="a")
        await one.join("a", "b")
        await one.join("a", "c")
        a.send(b"\x11" * 160)
        b.send(b"\x22" * 160)
        c.send(b"\x33" * 160)
        assert {packet[12] for packet in await c.hear(1)} == {0x11}
        assert {packet[12] for packet in await a.hear(1)} == {0x33}
        await one.join("c", "b")
        b.send(b"\x22" * 160)
        assert {packet[12] for packet in await c.hear(1)} == {0x22}
        one.engine.unjoin("b", "c")
        await one.settled()
        b.send(b"\x22" * 160)
        await one.settled()
        assert (a.heard(), b.heard(), c.heard()) == ([], [], [])


async def test_a_worker_that_still_starts_gets_no_leg_while_another_is_ready(tmp_path: Path) -> None:
    async with house(tmp_path, workers=2) as one:
        _, second = one.engine.worker_pids()
        os.kill(second, signal.SIGKILL)
        await one.until(lambda: one.deaths)
        await one.until(lambda: len(one.engine.worker_pids()) == 2)
        opened = []
        for endpoint_id in ("a", "b", "c"):
            one.engine.open(endpoint_id)
            opened.append(await one.event(EndpointOpened, endpoint_id))
        first_half = range(one.ports[0], sum(one.ports) // 2)
        assert all(isinstance(event, EndpointOpened) and event.port in first_half for event in opened)
        await one.settled()
        one.engine.open("d")
        last = await one.event(EndpointOpened, "d")
        assert isinstance(last, EndpointOpened)
        assert last.port not in first_half


async def test_a_started_engine_answers_at_once(tmp_path: Path) -> None:
    async with house(tmp_path, workers=2) as one:
        assert all(worker.is_ready for worker in one.engine._workers)
        assert one.events == []


async def test_an_engine_of_which_one_worker_cannot_start_leaves_none_behind(tmp_path: Path) -> None:
    (tmp_path / "media-1.sock").mkdir()
    one = House(tmp_path, workers=2, ports=(32600, 32699))
    with pytest.raises(OSError, match="a media worker ended with code 1 before it was ready"):
        await one.engine.start()
    assert one.engine.worker_pids() == []
    assert one.deaths == []


async def test_workers_end_when_the_engine_stops(tmp_path: Path) -> None:
    async with house(tmp_path, workers=2) as one:
        pids = one.engine.worker_pids()
        assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert one.deaths == []


async def test_commands_for_endpoints_that_are_not_there_do_nothing(
    tmp_path: Path, phones: Callable[..., Phone]
) -> None:
    async with house(tmp_path) as one:
        one.engine.join("x", "y")
        one.engine.unjoin("x", "y")
        one.engine.close("x")
        one.engine.set_remote(phones().remote("x"))
        one.engine.send_digits(SendDigits(endpoint_id="x", digits="1"))
        one.engine.open("a")
        one.engine.open("a")
        refused = await one.event(EndpointRefused, "a")
        assert isinstance(refused, EndpointRefused)
        assert refused.sentence == "the id is taken"
        await one.event(EndpointOpened, "a")
        assert one.engine.endpoints() == 1


async def test_before_it_is_started_the_engine_refuses(tmp_path: Path) -> None:
    one = House(tmp_path, workers=1, ports=(32800, 32899))
    one.engine.open("a")
    refused = await one.event(EndpointRefused, "a")
    assert refused == EndpointRefused(endpoint_id="a", sentence="no media worker is running")


async def test_a_listener_that_raises_does_not_stop_the_events(
    tmp_path: Path, phones: Callable[..., Phone], caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as one:
        heard = one.events.append

        def raise_once(event: Event) -> None:
            heard(event)
            if len(one.events) == 1:
                raise RuntimeError("a listener's defect")

        one.engine._on_event = raise_once
        one.engine.open("a")
        await one.event(EndpointOpened, "a")
        one.engine.open("b")
        await one.event(EndpointOpened, "b")
        assert "could not be taken" in caplog.text

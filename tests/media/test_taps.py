"""Taps: what is sent, over RTP and WebSockets on loopback, and how they end."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from cordboard.media import rtp, websocket
from cordboard.media.clock import Clock
from cordboard.media.codecs import g711, opus
from cordboard.media.ear import Ear
from cordboard.media.protocol import BeginTap, Event, FinishTap, TapBegun, TapClosed
from cordboard.media.rtp import RtpSender
from cordboard.media.tap import TapSound
from cordboard.media.tap_rtp import RtpCarrier
from cordboard.media.tap_websocket import WebSocketCarrier
from cordboard.media.taps import MOST_OF_ONE_LEG, Carrier, Taps
from cordboard.media.tones import SILENT_FRAME, level, read_tone, tone_frames

SAID = tone_frames((400.0,), 60_000, level=-20.0)
TOLD = tone_frames((900.0,), 60_000, level=-26.0)
PATIENCE = 5.0


def coded(codec: str, frames: tuple[bytes, ...] | list[bytes]) -> bytes:
    return g711.encode(codec, b"".join(frames))


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 50, 60, 120])
@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_packets_have_the_wanted_length_and_nothing_is_lost(codec: str, ptime_ms: int) -> None:
    sound = TapSound(direction="speak", codec=codec, ptime_ms=ptime_ms)
    payloads = []
    for frame in SAID[:60]:
        sound.said.hear(frame)
        payloads += sound.tick()
    assert {len(payload) for payload in payloads} == {8 * ptime_ms}
    assert b"".join(payloads) == coded(codec, SAID[:60])


@pytest.mark.parametrize(
    ("ptime_ms", "made_ms"), [(10, 10), (20, 20), (30, 20), (50, 40), (60, 60), (120, 60)]
)
def test_opus_packets_are_as_long_as_the_encoder_can_make_them(ptime_ms: int, made_ms: int) -> None:
    sound = TapSound(direction="speak", codec="OPUS", ptime_ms=ptime_ms)
    payloads = []
    for frame in SAID[:60]:
        sound.said.hear(frame)
        payloads += sound.tick()
    assert {opus.count(payload) for payload in payloads} == {48 * made_ms}
    assert len(payloads) == 1200 // made_ms
    decoder = opus.OpusDecoder(8000)
    pcm = b"".join(decoder.decode(payload) for payload in payloads)
    assert read_tone(pcm[3200:], (400.0,)).share > 0.9
    assert level(pcm[3200:]) == pytest.approx(-20.0, abs=1.0)


@pytest.mark.parametrize(("direction", "frames"), [("speak", SAID), ("listen", TOLD)])
def test_a_direction_is_what_was_asked_for(direction: str, frames: tuple[bytes, ...]) -> None:
    sound = TapSound(direction=direction, codec="PCMU", ptime_ms=20)
    sound.said.hear(SAID[0])
    sound.told.hear(TOLD[0])
    assert sound.tick() == [coded("PCMU", [frames[0]])]


def test_both_are_mixed_and_silence_is_sent_too() -> None:
    sound = TapSound(direction="both", codec="PCMU", ptime_ms=20)
    sound.said.hear(SAID[0])
    assert sound.tick() == [coded("PCMU", [SAID[0]])]
    assert sound.tick() == [coded("PCMU", [SILENT_FRAME])]
    sound.said.hear(SAID[0])
    sound.told.hear(SAID[0])
    assert sound.tick() != [coded("PCMU", [SAID[0]])]


# ---------------------------------------------------------------- the bench


class Stream:
    def __init__(self) -> None:
        self.ears: list[Ear] = []

    def attach(self, listener: Ear) -> None:
        self.ears.append(listener)

    def detach(self, listener: Ear) -> None:
        self.ears.remove(listener)


class Leg:
    endpoint_id = "e"

    def __init__(self) -> None:
        self.incoming = Stream()
        self.outgoing = Stream()


class Bench:
    """Taps of one leg; `ca_file` is what their TLS trusts."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.leg = Leg()
        self.clock = Clock(1000.0)
        self.ca_file: str | None = None
        self.taps = Taps(self.events.append, self._carry)

    def _carry(self, command: BeginTap) -> Carrier:
        if command.scheme == "rtp":
            return RtpCarrier(command, RtpSender(ssrc=0x1234), "127.0.0.1")
        return WebSocketCarrier(command, self.clock, lambda: 0xA1B2C3D4, ca_file=self.ca_file)

    def begin(self, tap_id: str = "t", **fields: Any) -> None:
        values = {"scheme": "rtp", "address": "127.0.0.1", **fields}
        self.taps.begin(BeginTap(endpoint_id="e", tap_id=tap_id, **values), self.leg)

    def tick(self, number: int = 0, *, after: float = 0.020) -> None:
        for ear in self.leg.incoming.ears:
            ear.hear(SAID[number])
        self.clock.now += after
        self.taps.tick(self.clock.now)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.events
            self.tick()
            time.sleep(0.001)

    def begun(self) -> TapBegun:
        self.until(lambda: any(isinstance(event, TapBegun | TapClosed) for event in self.events))
        event = self.events[0]
        assert isinstance(event, TapBegun), event
        return event

    def closed(self) -> TapClosed:
        self.until(lambda: bool(self.events) and isinstance(self.events[-1], TapClosed))
        event = self.events[-1]
        assert isinstance(event, TapClosed)
        return event


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.taps.leave("e")


# ---------------------------------------------------------------- RTP


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(PATIENCE)
        yield made


@pytest.mark.parametrize(("codec", "payload_type"), [("PCMU", 0), ("PCMA", 8)])
def test_rtp_is_a_stream_of_its_own(
    bench: Bench, receiver: socket.socket, codec: str, payload_type: int
) -> None:
    bench.begin(port=receiver.getsockname()[1], codec=codec, ptime_ms=40)
    for number in range(8):
        bench.tick(number)
    begun = bench.begun()
    packets = []
    for _ in range(4):
        data, source = receiver.recvfrom(2048)
        assert source == (begun.address, begun.port) == ("127.0.0.1", begun.port)
        packets.append(data)
    assert {rtp.payload_type(data) for data in packets} == {payload_type}
    assert {rtp.ssrc(data) for data in packets} == {0x1234}
    numbers = [(rtp.sequence(data), rtp.timestamp(data)) for data in packets]
    assert numbers == [(n, 320 * n) for n in range(4)]
    assert b"".join(rtp.payload(data) or b"" for data in packets) == coded(codec, SAID[:8])


def test_opus_has_a_clock_and_a_type_of_its_own(bench: Bench, receiver: socket.socket) -> None:
    bench.begin(port=receiver.getsockname()[1], codec="OPUS", ptime_ms=40)
    for number in range(8):
        bench.tick(number)
    packets = [receiver.recv(2048) for _ in range(4)]
    assert {rtp.payload_type(data) for data in packets} == {111}
    numbers = [(rtp.sequence(data), rtp.timestamp(data)) for data in packets]
    assert numbers == [(n, 1920 * n) for n in range(4)]
    assert {opus.count(rtp.payload(data) or b"") for data in packets} == {1920}


def test_a_receiver_that_is_not_there_ends_no_tap(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    bench.begin(port=port)
    for number in range(20):
        bench.tick(number)
    assert [type(event) for event in bench.events] == [TapBegun]


@pytest.mark.parametrize(("address", "port"), [("0.0.0.0", 70_000), ("not an address", 5000), ("::1", -1)])
def test_where_nothing_can_be_sent_the_tap_ends_with_a_sentence(
    bench: Bench, address: str, port: int
) -> None:
    bench.begin(address=address, port=port)
    assert f"Nothing can be sent to {address}:{port}" in bench.closed().sentence


def test_a_tap_that_is_stopped_ends_without_a_sentence(bench: Bench, receiver: socket.socket) -> None:
    bench.begin(port=receiver.getsockname()[1])
    bench.tick()
    bench.taps.finish(FinishTap(endpoint_id="e", tap_id="t"))
    bench.taps.finish(FinishTap(endpoint_id="e", tap_id="t"))
    assert bench.events[1:] == [TapClosed(endpoint_id="e", tap_id="t")]
    assert (len(bench.taps), bench.leg.incoming.ears, bench.leg.outgoing.ears) == (0, [], [])


def test_the_end_of_a_leg_ends_its_taps(bench: Bench, receiver: socket.socket) -> None:
    for tap_id in "ab":
        bench.begin(tap_id, port=receiver.getsockname()[1])
    bench.taps.leave("other")
    assert len(bench.taps) == 2
    bench.taps.leave("e")
    assert {event.tap_id for event in bench.events if isinstance(event, TapClosed)} == {"a", "b"}


def test_one_leg_has_only_so_many_taps(bench: Bench, receiver: socket.socket) -> None:
    for number in range(MOST_OF_ONE_LEG + 1):
        bench.begin(str(number), port=receiver.getsockname()[1])
    [closed] = [event for event in bench.events if isinstance(event, TapClosed)]
    assert (closed.tap_id, closed.sentence) == ("8", "The call has 8 taps already.")


# ---------------------------------------------------------------- WebSocket


class Site:
    """A WebSocket server for one connection, on a thread; `talk` is its end of it after the handshake."""

    def __init__(self, talk: Callable[[Site], None], context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self._talk = talk
        self.port: int = self._listener.getsockname()[1]
        self.request = b""
        self.messages: list[tuple[int, bytes]] = []
        self.answer: bytes | None = None
        self.connection: socket.socket
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.connection, _ = self._listener.accept()
            self.connection.settimeout(PATIENCE)
            if self._context is not None:
                self.connection = self._context.wrap_socket(self.connection, server_side=True)
            while b"\r\n\r\n" not in self.request:
                self.request += self.connection.recv(4096)
            self.connection.sendall(self.answer or self._accepted())
            self._talk(self)
        except OSError:
            pass
        finally:
            self.done.set()

    def _accepted(self) -> bytes:
        line = next(line for line in self.request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key:"))
        accepted = websocket.accept(base64.b64decode(line.split(b":")[1]))
        return (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            f"Sec-WebSocket-Accept: {accepted}\r\n\r\n"
        ).encode()

    def read(self) -> tuple[int, bytes]:
        """One frame: opcode and what it carries."""
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self._exactly(2), "big")
        key = self._exactly(4)
        payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(self._exactly(size)))
        self.messages.append((first & 0x0F, payload))
        return self.messages[-1]

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.connection.recv(size - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def read_until_closed(self) -> None:
        while self.read()[0] != 0x8:
            pass
        self.connection.sendall(b"\x88\x02\x03\xe8")

    def close(self) -> None:
        self._listener.close()
        if hasattr(self, "connection"):
            self.connection.close()


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(talk: Callable[[Site], None] = Site.read_until_closed, **fields: Any) -> Site:
        made.append(Site(talk, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ws(site: Site, **fields: Any) -> dict[str, Any]:
    return {
        "scheme": "ws",
        "port": site.port,
        "host": f"tap.test:{site.port}",
        "path": "/in?key=secret",
        **fields,
    }


def test_a_websocket_gets_a_binary_message_a_packet_and_a_close_at_the_end(
    bench: Bench, site: Callable[..., Site]
) -> None:
    one = site()
    bench.begin(**ws(one, authorization="Basic eDp5", codec="PCMA", ptime_ms=60))
    begun = bench.begun()
    assert (begun.address, begun.port) == ("", 0)
    bench.until(lambda: len(one.messages) >= 5)
    bench.taps.finish(FinishTap(endpoint_id="e", tap_id="t"))
    assert one.done.wait(PATIENCE)
    assert one.request.startswith(b"GET /in?key=secret HTTP/1.1\r\nHost: tap.test:")
    assert b"Authorization: Basic eDp5" in one.request
    *audio, last = one.messages
    assert {(opcode, len(payload)) for opcode, payload in audio} == {(0x2, 480)}
    assert last == (0x8, b"\x03\xe8")
    assert bench.closed().sentence == ""


def test_pings_are_answered(bench: Bench, site: Callable[..., Site]) -> None:
    def talk(one: Site) -> None:
        one.connection.sendall(b"\x89\x03abc\x81\x05hello")
        while one.read() != (0xA, b"abc"):
            pass

    one = site(talk)
    bench.begin(**ws(one))
    bench.until(one.done.is_set)
    assert (0xA, b"abc") in one.messages


def test_it_asks_a_silent_far_end_and_gives_it_up(bench: Bench, site: Callable[..., Site]) -> None:
    def talk(one: Site) -> None:
        while True:
            one.read()

    one = site(talk)
    bench.begin(**ws(one))
    bench.begun()
    for _ in range(65):
        bench.tick(after=1.0)
    assert bench.closed().sentence == f"ws://tap.test:{one.port}/in does not answer any more."
    bench.until(one.done.is_set)
    assert (0x9, b"") in one.messages


def test_a_far_end_that_reads_nothing_costs_a_bounded_memory_and_is_given_up(
    bench: Bench, site: Callable[..., Site]
) -> None:
    gate = threading.Event()
    one = site(lambda _: gate.wait(PATIENCE))
    bench.begin(**ws(one))
    bench.begun()
    carrier = next(iter(bench.taps._all.values())).carrier
    assert isinstance(carrier, WebSocketCarrier)
    for _ in range(200_000):
        bench.tick(after=0.0)
        if len(carrier._unsent) >= 16_384:
            break
    for _ in range(12):
        bench.tick(after=1.0)
        assert len(carrier._unsent) < 17_000
    assert "takes no audio any more" in bench.closed().sentence
    gate.set()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"\x88\x05\x03\xf1bye", "closed the WebSocket (1009 bye)."),
        (b"\x88\x00", "closed the WebSocket."),
        (b"\xff\xff\xff", "sent a frame that no WebSocket server may send."),
        (b"", "broke the connection off."),
    ],
)
def test_the_tap_says_how_the_far_end_ended_it(
    bench: Bench, site: Callable[..., Site], sent: bytes, words: str
) -> None:
    def talk(one: Site) -> None:
        one.connection.sendall(sent)
        if not sent:
            one.connection.close()

    bench.begin(**ws(site(talk)))
    assert bench.closed().sentence.endswith(words)


def test_a_server_that_refuses_is_told_of(bench: Bench, site: Callable[..., Site]) -> None:
    one = site()
    one.answer = b"HTTP/1.1 401 Unauthorized\r\n\r\n"
    bench.begin(**ws(one))
    assert bench.closed().sentence == (
        f"ws://tap.test:{one.port}/in answered 401, not 101: it does not accept the WebSocket."
    )
    assert "secret" not in bench.closed().sentence


def test_a_server_that_is_not_there_is_told_of(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    bench.begin(scheme="ws", port=port, host="tap.test")
    assert "cannot be reached: Connection refused" in bench.closed().sentence


def test_a_tap_that_ends_while_it_connects_leaves_nothing_open(
    bench: Bench, site: Callable[..., Site]
) -> None:
    one = site()
    bench.begin(**ws(one))
    bench.taps.leave("e")
    assert [type(event) for event in bench.events] == [TapClosed]
    assert one.done.wait(PATIENCE)
    assert one.messages == []


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_wss_is_encrypted_and_checked(
    bench: Bench, site: Callable[..., Site], authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    bench.ca_file = str(tmp_path / "ca.pem")
    one = site(context=context_of(authority, "tap.test"))
    bench.begin(**ws(one, scheme="wss"))
    bench.begun()
    bench.until(lambda: len(one.messages) >= 10)
    assert {len(payload) for _, payload in one.messages} == {160}


def test_a_certificate_of_another_name_is_not_trusted(
    bench: Bench, site: Callable[..., Site], authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    bench.ca_file = str(tmp_path / "ca.pem")
    bench.begin(**ws(site(context=context_of(authority, "other.test")), scheme="wss"))
    assert "certificate that cannot be trusted" in bench.closed().sentence


def test_a_certificate_of_nobody_is_not_trusted(
    bench: Bench, site: Callable[..., Site], authority: trustme.CA
) -> None:
    bench.begin(**ws(site(context=context_of(authority, "tap.test")), scheme="wss"))
    assert "certificate that cannot be trusted" in bench.closed().sentence


def test_what_is_not_tls_is_told_of(bench: Bench, site: Callable[..., Site]) -> None:
    one = site()
    one.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    threading.Timer(0.2, lambda: one.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")).start()
    bench.begin(**ws(one, scheme="wss"))
    assert "does not speak TLS as it should" in bench.closed().sentence

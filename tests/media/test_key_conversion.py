"""Keys between legs that tell them in different ways: a worker of its own, real sockets, real time."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cordboard.media.channel import event_reader, frame
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import Wish
from cordboard.media.dtmf import DigitReceiver, DigitSender
from cordboard.media.inband import digit_frame
from cordboard.media.protocol import (
    Command,
    DigitHeard,
    EndpointOpened,
    Event,
    Format,
    JoinEndpoints,
    OpenEndpoint,
    SetRemote,
)
from cordboard.media.tones import SILENT_FRAME
from cordboard.media.worker import WorkerSettings
from cordboard.testing.phone_hearing import Timeline, keys_in

KEYS = "0123456789*#ABCD"
_KEY_TICKS = 8
_LATE = 0.02
"""Seconds: less than what a jitter buffer makes up for."""
FORMATS = {
    "PCMU": Format(name="PCMU", payload_type=0),
    "PCMA": Format(name="PCMA", payload_type=8),
    "G722": Format(name="G722", payload_type=9),
    "OPUS": Format(name="opus", payload_type=111, clock_rate=48000, channels=2),
}


class Phone:
    """One far end: presses keys in its way, and hears them in any."""

    def __init__(self, codec: str, mode: str, event_type: int) -> None:
        self.format = FORMATS[codec]
        self.codec = catalogue.codec(codec)
        self.mode = mode
        self.event_type = event_type
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        assert self.codec.make_encoder is not None
        self._encoder = self.codec.make_encoder(8000, Wish())
        self._sequence = random.randrange(65_536)
        self._timestamp = 5000
        self._begun = 0
        self._keys: Iterator[str] = iter(())
        self._wanted = 0
        self._key = ""
        self._tick = 0
        self._is_late = False
        self.pressed: list[tuple[str, bool]] = []
        """Each key, and whether all of its packets left in time."""
        self._sender: DigitSender | None = None
        self.heard: list[tuple[float, bytes]] = []

    def press(self, digits: str) -> None:
        """80 ms each, 80 ms apart.  Of tones so many in time: late audio is lost audio."""
        if self.mode == "inband":
            self._keys, self._wanted = itertools.cycle(digits), len(digits)
        else:
            self._sender = DigitSender(digits, duration_ms=80, gap_ms=80, clock_rate=self.codec.clock_rate)
            self.pressed = [(digit, True) for digit in digits]

    @property
    def is_done(self) -> bool:
        return not self._wanted and (self._sender is None or self._sender.finished)

    def _next_tone(self) -> bytes:
        """20 ms of the keys that are pressed as tones, or of silence."""
        number = self._tick % _KEY_TICKS
        self._tick += 1
        if number == 0:
            self._end_key()
        return digit_frame(self._key, number) if self._key and number < _KEY_TICKS // 2 else SILENT_FRAME

    def _end_key(self) -> None:
        if self._key:
            self.pressed.append((self._key, not self._is_late))
            self._wanted -= not self._is_late
        self._key = next(self._keys) if self._wanted else ""
        self._is_late = False

    def tick(self, *, late: bool = False) -> None:
        self._is_late = self._is_late or late
        event = self._sender.next_frame() if self._sender is not None else None
        if event is not None:
            if event.start:
                self._begun = self._timestamp
            self._put(self.event_type, self._begun, event.payload)
        else:
            pcm = self._next_tone()
            self._put(self.format.payload_type, self._timestamp, self._encoder.encode(pcm))
        self._timestamp += self.codec.clock_rate // 50

    def _put(self, payload_type: int, timestamp: int, payload: bytes) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.socket.send(struct.pack("!BBHII", 0x80, payload_type, self._sequence, timestamp, 7) + payload)

    def listen(self, now: float) -> None:
        while True:
            try:
                self.heard.append((now, self.socket.recv(2048)))
            except BlockingIOError:
                return

    def events(self) -> str:
        """Keys that came as events."""
        receiver = DigitReceiver(clock_rate=self.codec.clock_rate)
        told = []
        for at, data in self.heard:
            told += receiver.handle_timeout(at)
            if data[1] & 0x7F == self.event_type:
                told += receiver.handle(data[12:], int.from_bytes(data[4:8], "big"), at)
        return "".join(digit.digit for digit in told)

    def tones(self) -> str:
        """Keys that came as tones, laid by their timestamps: this process may have fetched them late."""
        assert self.codec.make_decoder is not None
        decoder, timeline = self.codec.make_decoder(8000), Timeline()
        for at, data in self.heard:
            if data[1] & 0x7F == self.format.payload_type:
                timestamp = int.from_bytes(data[4:8], "big")
                timeline.note(at, timestamp, self.codec.clock_rate, decoder.decode(data[12:]))
        return keys_in(timeline.pcm())


class Worker:
    """The process, and calls of two phones each."""

    def __init__(self, directory: Path) -> None:
        self._socket, theirs = socket.socketpair()
        settings = WorkerSettings(
            control_fd=theirs.fileno(),
            link_path=str(directory / "link"),
            address="127.0.0.1",
            first_port=33501,
            last_port=33599,
        )
        with theirs:
            command = [sys.executable, "-m", "cordboard.media.worker", msgspec.json.encode(settings).decode()]
            self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
        self._reader = event_reader()
        self._socket.settimeout(10)
        self.phones: dict[str, Phone] = {}
        self.told: list[DigitHeard] = []

    def order(self, *commands: Command) -> None:
        self._socket.sendall(b"".join(frame(command) for command in commands))

    def events(self) -> list[Event]:
        return list(self._reader.feed(self._socket.recv(1 << 16)))

    def add(self, name: str, phone: Phone) -> None:
        self.phones[name] = phone
        self.order(OpenEndpoint(endpoint_id=name))
        (opened,) = self.events()
        assert isinstance(opened, EndpointOpened)
        phone.socket.connect(("127.0.0.1", opened.port))
        port = phone.socket.getsockname()[1]
        self.order(
            SetRemote(
                endpoint_id=name,
                address="127.0.0.1",
                port=port,
                rtcp_port=9,
                send=phone.format,
                accepted=((phone.format.payload_type, phone.format.name),),
                receive=(phone.format,),
                dtmf_send_type=phone.event_type,
                dtmf_receive_type=phone.event_type,
                dtmf_clock_rate=phone.codec.clock_rate,
                dtmf_mode=phone.mode,
            )
        )

    def run(self) -> None:
        """Until all is pressed, and heard."""
        begin = time.monotonic()
        tick, rest = 0, 40
        while rest:
            late = time.monotonic() - begin - tick * 0.02 > _LATE
            for phone in self.phones.values():
                phone.tick(late=late)
            tick += 1
            rest -= all(phone.is_done for phone in self.phones.values())
            while (now := time.monotonic()) < begin + tick * 0.02:
                time.sleep(max(0.0, begin + tick * 0.02 - now))
            for phone in self.phones.values():
                phone.listen(now)
            self._listen()

    def _listen(self) -> None:
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told += [event for event in self.events() if isinstance(event, DigitHeard)]

    def close(self) -> None:
        self._socket.close()
        self._process.wait(5)
        for phone in self.phones.values():
            phone.socket.close()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    yield made
    made.close()


CALLS = [
    (("PCMU", "rfc4733"), ("PCMA", "rfc4733")),
    (("OPUS", "rfc4733"), ("PCMU", "rfc4733")),
    (("OPUS", "rfc4733"), ("OPUS", "rfc4733")),
    (("PCMU", "rfc4733"), ("PCMA", "inband")),
    (("G722", "inband"), ("OPUS", "rfc4733")),
    (("PCMU", "inband"), ("PCMU", "rfc4733")),
    (("PCMU", "inband"), ("G722", "inband")),
    (("PCMU", "rfc4733"), ("PCMU", "info")),
    (("PCMA", "inband"), ("PCMU", "info")),
]


def _compare(number: int, told: str, pressed: list[tuple[str, bool]], *, exact: bool) -> None:
    """Of tones one that left in time may be missed; none is made up."""
    keys = "".join(key for key, _ in pressed)
    if exact or told == keys:
        assert (number, told) == (number, keys)
        return
    missed = [in_time for _, in_time in pressed]
    matching = difflib.SequenceMatcher(None, keys, told, autojunk=False).get_matching_blocks()
    for block in matching:
        missed[block.a : block.a + block.size] = [False] * block.size
    extra = len(told) - sum(block.size for block in matching)
    late = sum(not in_time for _, in_time in pressed)
    assert sum(missed) <= 1, (number, told, keys)
    assert extra <= late, (number, told, keys)


def _press_all(worker: Worker, count: int) -> None:
    """Both sides of every call press; each hears all of it, in its way and in no other."""
    rng = random.Random(8)
    for number, (a, b) in enumerate(CALLS):
        for side, (codec, mode), event_type in (("a", a, 101), ("b", b, 96)):
            name = f"{number}{side}"
            worker.add(name, Phone(codec, mode, event_type))
            # One after the other: at the same time both would be deaf while they speak.
            if side == "a":
                worker.phones[name].press("".join(rng.choice(KEYS) for _ in range(count)))
        worker.order(JoinEndpoints(a=f"{number}a", b=f"{number}b"))
    worker.run()
    for number, (_, (_, mode)) in enumerate(CALLS):
        keys, ear = worker.phones[f"{number}a"].pressed, worker.phones[f"{number}b"]
        told = "".join(one.digit for one in worker.told if one.endpoint_id == f"{number}a")
        exact = CALLS[number][0][1] == "rfc4733"
        _compare(number, told, keys, exact=exact)
        _compare(number, ear.events(), keys if mode == "rfc4733" else [], exact=exact)
        _compare(number, ear.tones(), keys if mode == "inband" else [], exact=mode != "inband")


def test_keys_reach_the_other_leg_in_its_own_way_and_once(worker: Worker) -> None:
    _press_all(worker, 15)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_two_hundred_keys_of_each_pairing(worker: Worker) -> None:
    _press_all(worker, 200)

"""The worker process by itself: its control socket, and what ends it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cordboard.media.channel import event_reader, frame
from cordboard.media.protocol import (
    CloseEndpoint,
    Command,
    EndpointClosed,
    EndpointOpened,
    Event,
    OpenEndpoint,
    Ping,
    PlayEnded,
    PlaySource,
    Pong,
    StartPlay,
)
from cordboard.media.worker import WorkerSettings


class Process:
    """A worker, spoken to over its socket."""

    def __init__(self, directory: Path) -> None:
        self.socket, theirs = socket.socketpair()
        settings = WorkerSettings(
            control_fd=theirs.fileno(),
            link_path=str(directory / "link"),
            address="127.0.0.1",
            public_address="192.0.2.1",
            first_port=31301,
            last_port=31399,
        )
        with theirs:
            command = [sys.executable, "-m", "cordboard.media.worker", msgspec.json.encode(settings).decode()]
            self.process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
        self._reader = event_reader()
        self.socket.settimeout(10)

    def events(self, count: int) -> list[Event]:
        events: list[Event] = []
        while len(events) < count:
            events += list(self._reader.feed(self.socket.recv(1 << 16)))
        return events

    def close(self) -> None:
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


def test_commands_are_carried_out_in_order_and_told(worker: Process) -> None:
    commands: list[Command] = [OpenEndpoint(endpoint_id="a"), CloseEndpoint(endpoint_id="a"), Ping(serial=5)]
    worker.socket.sendall(b"".join(frame(command) for command in commands))
    opened, closed, pong = worker.events(3)
    assert isinstance(opened, EndpointOpened)
    assert opened.address == "192.0.2.1"
    assert opened.port in range(31302, 31399, 2)
    assert isinstance(closed, EndpointClosed)
    assert isinstance(pong, Pong)
    assert (pong.serial, pong.endpoints) == (5, 0)
    assert pong.resident_kib > 1000


def test_it_ends_when_its_control_socket_closes(worker: Process) -> None:
    worker.socket.sendall(frame(OpenEndpoint(endpoint_id="a")))
    worker.events(1)
    worker.socket.close()
    assert worker.process.wait(5) == 0


def test_it_ends_when_the_channel_is_broken(worker: Process) -> None:
    worker.socket.sendall(b"\x00\x00\x00\x02\xc1\xc1")
    assert worker.process.wait(5) == 0
    assert worker.process.stderr is not None
    assert b"control channel is broken" in worker.process.stderr.read()


def test_what_cannot_be_played_is_answered(worker: Process) -> None:
    sources = (PlaySource(kind="audio", path="/dev/null"), PlaySource(kind="nonsense"))
    worker.socket.sendall(
        frame(OpenEndpoint(endpoint_id="a"))
        + frame(StartPlay(endpoint_id="a", play_id="p", sources=sources, loop=0))
    )
    _, ended = worker.events(2)
    assert isinstance(ended, PlayEnded)
    assert len(ended.errors) == 2


def test_a_parent_that_does_not_read_does_not_block_it(worker: Process) -> None:
    pings = b"".join(frame(Ping(serial=n)) for n in range(20_000))
    worker.socket.settimeout(20)
    worker.socket.sendall(pings)
    assert [event.serial for event in worker.events(20_000) if isinstance(event, Pong)] == list(range(20_000))


def test_a_leg_with_video_takes_two_pairs_of_ports_and_gives_both_back(worker: Process) -> None:
    worker.socket.sendall(
        frame(Ping(serial=1))
        + frame(OpenEndpoint(endpoint_id="a", video=True))
        + frame(OpenEndpoint(endpoint_id="b"))
        + frame(Ping(serial=2))
    )
    before, a, b, during = worker.events(4)
    assert isinstance(a, EndpointOpened)
    assert isinstance(b, EndpointOpened)
    assert isinstance(before, Pong)
    assert isinstance(during, Pong)
    assert a.video_port % 2 == 0
    assert len({a.port, a.video_port, b.port}) == 3
    assert b.video_port == 0
    assert before.free_ports - during.free_ports == 3

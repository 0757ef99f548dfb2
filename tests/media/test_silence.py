"""A far end that sends nothing any more is told of once, after the time that was asked for."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from cordboard.media import rtcp
from cordboard.media.channel import frame
from cordboard.media.protocol import (
    EndpointOpened,
    Format,
    MediaSilent,
    OpenEndpoint,
    SetRemote,
    WatchSilence,
)

from .test_worker import Process, worker

__all__ = ["worker"]

PACKET = bytes([0x80, 0]) + bytes(10) + b"\xff" * 160


class Far:
    """A phone without a voice of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp.bind(("127.0.0.1", 0))
        process.socket.sendall(frame(OpenEndpoint(endpoint_id="a")))
        [opened] = process.events(1)
        assert isinstance(opened, EndpointOpened)
        self._port = opened.port
        remote = SetRemote(
            endpoint_id="a",
            address="127.0.0.1",
            port=self.rtp.getsockname()[1],
            rtcp_port=self.rtcp.getsockname()[1],
            send=Format(name="PCMU", payload_type=0),
            accepted=((0, "PCMU"),),
        )
        process.socket.sendall(frame(remote))

    def watch(self, seconds: float) -> None:
        self.process.socket.sendall(frame(WatchSilence(endpoint_id="a", seconds=seconds)))

    def send(self, *, report: bool) -> None:
        if report:
            self.rtcp.sendto(rtcp.build(rtcp.Report(1, None, ()), "x@y"), ("127.0.0.1", self._port + 1))
        else:
            self.rtp.sendto(PACKET, ("127.0.0.1", self._port))

    def is_silent_for(self, seconds: float) -> bool:
        """The worker says nothing for so long."""
        self.process.socket.settimeout(seconds)
        try:
            self.process.events(1)
        except TimeoutError:
            return True
        finally:
            self.process.socket.settimeout(10)
        return False


@pytest.fixture
def far(worker: Process) -> Iterator[Far]:
    one = Far(worker)
    yield one
    one.rtp.close()
    one.rtcp.close()


def told_after(far: Far) -> float:
    start = time.monotonic()
    [event] = far.process.events(1)
    assert event == MediaSilent(endpoint_id="a", seconds=0.3)
    return time.monotonic() - start


def test_silence_is_told_of_after_its_time(far: Far) -> None:
    far.watch(0.3)
    assert 0.25 <= told_after(far) <= 3.0


@pytest.mark.parametrize("report", [False, True])
def test_packets_and_reports_are_signs_of_life(far: Far, report: bool) -> None:
    far.send(report=report)
    far.watch(0.3)
    for _ in range(12):
        far.send(report=report)
        assert far.is_silent_for(0.1)
    told_after(far)


def test_nobody_is_told_of_a_silence_that_is_not_watched_any_more(far: Far) -> None:
    far.watch(0.3)
    far.watch(0.0)
    assert far.is_silent_for(1.2)

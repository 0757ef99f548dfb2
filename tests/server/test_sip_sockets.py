"""The SIP socket: datagrams in and out, dead far ends, full buffers, a port that is taken."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from cordboard.server.sip_sockets import UdpSocket
from cordboard.sip.endpoint import Endpoint


class Bench:
    """One socket and all that it has told."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.received: list[tuple[bytes, Endpoint]] = []
        self.failed: list[Endpoint] = []
        self.socket = UdpSocket(address, port, self._datagram, self.failed.append)

    def _datagram(self, data: bytes, source: Endpoint) -> None:
        self.received.append((data, source))

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(3.0):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.socket.close()


def dead_end() -> Endpoint:
    """An address where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint("UDP", "127.0.0.1", probe.getsockname()[1])


async def test_datagrams_go_both_ways_with_their_source(bench: Bench) -> None:
    other = Bench()
    for one in (bench, other):
        one.socket.listen()
    other.socket.send(b"hello", bench.socket.local)
    await bench.until(lambda: bool(bench.received))
    assert bench.received == [(b"hello", other.socket.local)]
    bench.socket.send(b"back", other.socket.local)
    await other.until(lambda: bool(other.received))
    other.socket.close()


async def test_what_arrives_before_listening_waits(bench: Bench) -> None:
    """A server takes its port early, so that a conflict is known, and calls late."""
    other = Bench()
    other.socket.send(b"early", bench.socket.local)
    await asyncio.sleep(0.02)
    assert bench.received == []
    bench.socket.listen()
    await bench.until(lambda: bool(bench.received))
    other.socket.close()


async def test_a_batch_leaves_others_their_turn_and_nothing_is_lost(bench: Bench) -> None:
    other = Bench()
    for number in range(200):
        other.socket.send(b"%d" % number, bench.socket.local)
    bench.socket.listen()
    await bench.until(lambda: len(bench.received) == 200)
    assert [data for data, _ in bench.received] == [b"%d" % number for number in range(200)]
    other.socket.close()


async def test_a_dead_far_end_is_told_once_a_turn_however_much_was_sent(bench: Bench) -> None:
    bench.socket.listen()
    dead = dead_end()
    for _ in range(20):
        bench.socket.send(b"x", dead)
    await bench.until(lambda: bool(bench.failed))
    await asyncio.sleep(0.02)
    assert set(bench.failed) == {dead}
    assert len(bench.failed) <= 2, "once for those whose errors were there, once for the last"


async def test_a_dead_far_end_is_told_although_nothing_else_is_sent(bench: Bench) -> None:
    bench.socket.listen()
    dead = dead_end()
    bench.socket.send(b"x", dead)
    await bench.until(lambda: bench.failed == [dead])


async def test_errors_do_not_keep_the_loop_busy(bench: Bench) -> None:
    bench.socket.listen()
    for _ in range(300):
        bench.socket.send(b"x", dead_end())
    await bench.until(lambda: len(bench.failed) > 100)
    await asyncio.sleep(0.05)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.15


async def test_an_error_of_one_far_end_does_not_cost_another_its_message(bench: Bench) -> None:
    other = Bench()
    other.socket.listen()
    bench.socket.listen()
    dead = dead_end()
    for number in range(50):
        bench.socket.send(b"x", dead)
        bench.socket.send(b"%d" % number, other.socket.local)
    await other.until(lambda: len(other.received) == 50)
    other.socket.close()


@pytest.mark.parametrize(
    ("address", "port", "size"),
    [("::1", 5060, 1), ("255.255.255.255", 5060, 1), ("127.0.0.1", 9, 70_000), ("127.0.0.1", 70_000, 1)],
)
async def test_what_cannot_be_sent_fails_that_far_end_and_raises_nothing(
    bench: Bench, address: str, port: int, size: int
) -> None:
    bench.socket.send(b"x" * size, Endpoint("UDP", address, port))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.failed == [Endpoint("UDP", address, port)]


class Stubborn:
    """A socket whose buffer is full for the first datagrams."""

    def __init__(self, real: socket.socket, refusals: int) -> None:
        self._real = real
        self._refusals = refusals

    def sendto(self, data: bytes, where: tuple[str, int]) -> int:
        if self._refusals:
            self._refusals -= 1
            raise BlockingIOError
        return self._real.sendto(data, where)

    def fileno(self) -> int:
        return self._real.fileno()

    def close(self) -> None:
        self._real.close()


async def test_a_full_buffer_delays_and_keeps_the_order(bench: Bench) -> None:
    other = Bench()
    other.socket.listen()
    bench.socket._socket = Stubborn(bench.socket._socket, refusals=5)  # type: ignore[assignment]
    for number in range(3):
        bench.socket.send(b"%d" % number, other.socket.local)
    await other.until(lambda: len(other.received) == 3)
    assert [data for data, _ in other.received] == [b"0", b"1", b"2"]
    other.socket.close()


async def test_what_a_full_buffer_may_delay_has_a_bound(bench: Bench) -> None:
    bench.socket._socket = Stubborn(bench.socket._socket, refusals=10_000)  # type: ignore[assignment]
    for _ in range(5_000):
        bench.socket.send(b"x", bench.socket.local)
    assert bench.socket.unsendable == 5_000 - 4_096


async def test_a_port_that_is_taken_is_named(bench: Bench) -> None:
    port = bench.socket.local.port
    with pytest.raises(OSError, match=f"SIP port 127.0.0.1:{port}: Address already in use") as raised:
        Bench(port=port)
    assert raised.value.errno == errno.EADDRINUSE


async def test_closing_twice_is_harmless_and_a_closed_socket_is_silent() -> None:
    closed = Bench()
    closed.socket.send(b"x", dead_end())
    closed.socket.close()
    closed.socket.close()
    closed.socket.send(b"x", dead_end())
    await asyncio.sleep(0.02)
    assert closed.failed == []


async def test_ipv6_works_like_ipv4() -> None:
    six, other = Bench("::1"), Bench("::1")
    six.socket.listen()
    other.socket.send(b"six", six.socket.local)
    await six.until(lambda: six.received == [(b"six", other.socket.local)])
    for one in (six, other):
        one.socket.close()


@pytest.mark.parametrize("dead_ends", [1, 20])
def test_dead_far_ends_do_not_make_the_socket_deaf(dead_ends: int) -> None:
    """On the loop that `serve` runs on: libuv stops watching a socket that has an error."""

    async def talk() -> None:
        bench, other = Bench(), Bench()
        for one in (bench, other):
            one.socket.listen()
        for number in range(dead_ends):
            bench.socket.send(b"anybody?", dead_end())
            await bench.until(lambda: len(bench.failed) > len(bench.received))
            other.socket.send(b"%d" % number, bench.socket.local)
            await bench.until(lambda: len(bench.failed) == len(bench.received))
        bench.socket.close()
        other.socket.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


def test_many_dead_far_ends_at_once_do_not_make_the_socket_deaf() -> None:
    async def talk() -> None:
        bench, other = Bench(), Bench()
        for one in (bench, other):
            one.socket.listen()
        nobodies = [dead_end() for _ in range(300)]
        for nobody in nobodies:
            bench.socket.send(b"anybody?", nobody)
            other.socket.send(b"x", bench.socket.local)
        await bench.until(lambda: len(bench.received) == len(nobodies))
        other.socket.send(b"still there?", bench.socket.local)
        await bench.until(lambda: len(bench.received) == len(nobodies) + 1)
        bench.socket.close()
        other.socket.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())

"""The port pool, with real sockets on loopback and a clock of its own."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from cordboard.media.fastpath import Lane, Passenger
from cordboard.media.ports import PortPair, PortPool, bind_pair, connected_socket
from cordboard.media.srtp import Protection

PORTS = [33000, 33002, 33004]


class ByHand:
    """Serves what is readable when it is asked to."""

    def __init__(self) -> None:
        self.handlers: dict[socket.socket, Callable[[], None]] = {}

    def watch(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        self.handlers[readable] = handler

    hand_over = watch

    def forget(self, readable: socket.socket) -> None:
        del self.handlers[readable]

    def lane(self, readable: socket.socket, passenger: Passenger, protection: Protection) -> Lane | None:
        """Ports have none."""
        return None

    def serve(self) -> None:
        while ready := select.select(list(self.handlers), [], [], 0)[0]:
            for one in ready:
                self.handlers[one]()


class Pool:
    """A pool that ticks."""

    def __init__(self, ports: list[int], *, quiet: float = 5.0, spare: int = 0) -> None:
        self.loop = ByHand()
        self.pool = PortPool(address="127.0.0.1", ports=ports, readiness=self.loop, quiet=quiet, spare=spare)
        self.now = 0.0
        self.out: list[PortPair] = []

    def take(self) -> PortPair | None:
        pair = self.pool.take(self.now)
        if pair is not None:
            self.out.append(pair)
        return pair

    def give_back(self, pair: PortPair, *, heard: bool = True) -> None:
        self.out.remove(pair)
        self.pool.give_back(pair, self.now, heard=heard)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.loop.serve()
            self.pool.tend(self.now)

    def close(self) -> None:
        self.pool.close()
        for pair in self.out:
            pair.close()


@pytest.fixture
def one() -> Iterator[Pool]:
    pool = Pool(list(PORTS))
    yield pool
    pool.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def test_a_pair_is_two_neighbouring_ports(one: Pool) -> None:
    pair = one.take()
    assert pair is not None
    assert pair.rtp.getsockname() == ("127.0.0.1", 33000)
    assert pair.rtcp.getsockname() == ("127.0.0.1", 33001)


def test_when_all_are_out_there_is_none(one: Pool) -> None:
    assert [pair.port for pair in (one.take(), one.take(), one.take()) if pair] == PORTS
    assert one.take() is None
    assert one.pool.free == 0


def test_a_port_taken_by_another_program_is_passed_over(one: Pool, stranger: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 33001))
        pair = one.take()
        assert pair is not None
        assert pair.port == 33002


def test_a_pair_that_comes_back_rests_before_it_goes_out_again(one: Pool) -> None:
    pairs = [one.take() for _ in PORTS]
    assert pairs[0] is not None
    one.give_back(pairs[0])
    one.pass_time(5.5)
    assert one.take() is None
    one.pass_time(1.0)
    assert one.take() is pairs[0]


def test_a_port_on_which_the_last_call_still_talks_is_kept_back(one: Pool, stranger: socket.socket) -> None:
    pairs = [one.take() for _ in PORTS]
    assert pairs[0] is not None
    one.give_back(pairs[0])
    for _ in range(8):
        stranger.sendto(b"still here", ("127.0.0.1", 33000))
        one.pass_time(3.0)
        assert one.take() is None
    one.pass_time(12.0)
    assert one.take() is pairs[0]


def test_a_port_on_which_nothing_was_heard_rests_shortly(one: Pool, stranger: socket.socket) -> None:
    pairs = [one.take() for _ in PORTS]
    for pair in pairs[:2]:
        assert pair is not None
        one.give_back(pair, heard=False)
    stranger.sendto(b"after all", ("127.0.0.1", 33002))
    one.pass_time(1.1)
    assert (one.take(), one.take()) == (pairs[0], None)
    one.pass_time(6.0)
    assert one.take() is pairs[1]


def test_only_when_none_can_be_bound_is_there_none() -> None:
    ports = list(range(32000, 32600, 2))
    pool = Pool(ports)
    others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports[:-1]]
    try:
        for other, port in zip(others, ports, strict=False):
            other.bind(("127.0.0.1", port))
        last = pool.take()
        assert last is not None
        assert last.port == ports[-1]
        assert pool.take() is None
        others.pop().close()
        assert pool.take() is None
        pool.pass_time(3.0)
        again = pool.take()
        assert again is not None
        assert again.port == ports[-2]
    finally:
        pool.close()
        for other in others:
            other.close()


def test_a_port_that_does_not_exist_is_no_pair() -> None:
    assert bind_pair("127.0.0.1", 65_535) is None
    assert bind_pair("127.0.0.1", 70_000) is None


def test_the_pair_that_rested_longest_goes_out_first(one: Pool) -> None:
    pairs = [one.take() for _ in PORTS]
    for pair in (pairs[2], pairs[0], pairs[1]):
        assert pair is not None
        one.give_back(pair)
        one.pass_time(1.0)
    one.pass_time(20.0)
    assert [one.take(), one.take(), one.take()] == [pairs[2], pairs[0], pairs[1]]


def test_what_strangers_sent_beforehand_is_not_in_a_fresh_pair(stranger: socket.socket) -> None:
    pool = Pool([33010], spare=1)
    try:
        pool.pass_time(0.1)
        stranger.sendto(b"surprise", ("127.0.0.1", 33010))
        pool.loop.serve()
        pair = pool.take()
        assert pair is not None
        with pytest.raises(BlockingIOError):
            pair.rtp.recv(100)
    finally:
        pool.close()


def test_a_closed_pool_watches_nothing() -> None:
    pool = Pool([33010, 33012], spare=1)
    pool.pass_time(0.1)
    pair = pool.take()
    assert pair is not None
    pool.give_back(pair)
    pool.close()
    assert pool.loop.handlers == {}


def test_pairs_are_bound_ahead_gradually() -> None:
    pool = Pool(list(range(33020, 33060, 2)), spare=3)
    try:
        pool.pass_time(0.1)
        assert not pool.pool.is_settled
        pool.pass_time(0.2)
        assert pool.pool.is_settled
        assert pool.pool.free == 20
    finally:
        pool.close()


def test_a_connected_socket_hears_the_far_end_and_the_bound_one_the_others(
    stranger: socket.socket,
) -> None:
    pair = bind_pair("127.0.0.1", 33070)
    assert pair is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        second = connected_socket(pair.rtp, ("127.0.0.1", 33070), far.getsockname())
        assert second is not None
        far.sendto(b"far end", ("127.0.0.1", 33070))
        stranger.sendto(b"stranger", ("127.0.0.1", 33070))
        assert second.recv(100) == b"far end"
        assert pair.rtp.recv(100) == b"stranger"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", 33070))
        second.close()
    pair.close()

"""The port pool, with real sockets on loopback and a clock of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cordboard.media.ports import PortPair, PortPool, bind_pair, connected_socket

PORTS = [33000, 33002, 33004]


class Pool:
    """A pool that ticks."""

    def __init__(self, ports: list[int], *, quiet: float = 5.0, spare: int = 0) -> None:
        self.pool = PortPool(address="127.0.0.1", ports=ports, quiet=quiet, spare=spare)
        self.now = 0.0
        self.out: list[PortPair] = []

    def take(self) -> PortPair | None:
        pair = self.pool.take()
        if pair is not None:
            self.out.append(pair)
        return pair

    def give_back(self, pair: PortPair) -> None:
        self.out.remove(pair)
        self.pool.give_back(pair, self.now)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
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
        pair = pool.take()
        assert pair is not None
        with pytest.raises(BlockingIOError):
            pair.rtp.recv(100)
    finally:
        pool.close()


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

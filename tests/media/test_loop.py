"""The worker's loop: under load, and after it got no processor for a while."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from statistics import median

import pytest

from cordboard.media.clock import Clock
from cordboard.media.loop import TICK, Loop

_STALL = 4 * TICK


def test_what_came_during_a_stall_is_taken_in_before_the_ticks_that_were_missed() -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    done: list[str] = []
    loop = Loop(clock=Clock(0.0), tick=lambda: done.append("tick"), after=lambda: None, is_idle=lambda: False)

    def take() -> None:
        done.append(ours.recv(10).decode())
        if len(done) == 1:
            until = time.monotonic() + _STALL
            while time.monotonic() < until:
                pass
        if done[-1] == "9":
            loop.stop()

    with theirs, ours:
        for number in range(10):
            theirs.send(b"%d" % number)
        loop.watch(ours, take)
        loop.run()
    assert done[:10] == list("0123456789")
    assert done[10:].count("tick") >= 4


class Busy:
    """A loop with so many packets that it rests between turns: six on each of twenty sockets, every tick."""

    ticks = 8

    def __init__(self) -> None:
        self.loop = Loop(clock=Clock(0.0), tick=self._tick, after=self._after, is_idle=lambda: False)
        self.pairs = [_pair() for _ in range(21)]
        self.read = 0
        self.read_by_ticks: list[int] = []
        self.turns = 0
        self.turns_by_ticks: list[int] = []
        self.said_every_turn = False
        for _, ours in self.pairs[:20]:
            self.loop.watch(ours, lambda ours=ours: self._take(ours))  # type: ignore[misc]

    def close(self) -> None:
        for pair in self.pairs:
            for one in pair:
                one.close()

    def _take(self, ours: socket.socket) -> None:
        ours.recv(10)
        self.read += 1

    def _tick(self) -> None:
        self.read_by_ticks.append(self.read)
        self.turns_by_ticks.append(self.turns)
        if len(self.read_by_ticks) == self.ticks:
            self.loop.stop()
        for theirs, _ in self.pairs[:20]:
            for _ in range(6):
                theirs.send(b"packet")

    def _after(self) -> None:
        self.turns += 1
        if self.said_every_turn:
            self.pairs[20][0].send(b"word")


def void(_: object) -> None:
    """A handler has no result."""


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


@pytest.fixture
def busy() -> Iterator[Busy]:
    with ExitStack() as stack:
        made = Busy()
        stack.callback(made.close)
        yield made


def test_packets_that_came_together_do_not_wait_for_each_other_while_it_rests(busy: Busy) -> None:
    busy.loop.run()
    assert busy.read_by_ticks == [120 * number for number in range(busy.ticks)]


@pytest.mark.parametrize("urgent", [False, True])
def test_only_what_is_urgent_ends_a_rest(busy: Busy, urgent: bool) -> None:
    busy.said_every_turn = True
    words = busy.pairs[20][1]
    watch = busy.loop.watch_urgently if urgent else busy.loop.watch
    watch(words, lambda: void(words.recv(10)))
    busy.loop.run()
    of_a_tick = [after - before for before, after in pairwise(busy.turns_by_ticks[2:])]
    turns = median(of_a_tick)
    assert turns > 20 if urgent else turns <= 4

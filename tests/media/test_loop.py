"""The worker's loop after it got no processor for a while."""

from __future__ import annotations

import socket
import time

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

"""Who calls back when a socket has something: the worker's loop, or a test that turns it by hand."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from cordboard.media.fastpath import Lane, Passenger
from cordboard.media.srtp import Protection


class Readiness(Protocol):
    """One handler a socket; it is called until the socket is empty or forgotten."""

    def watch(self, readable: socket.socket, handler: Callable[[], None]) -> None:
        """From now on."""
        ...

    def hand_over(self, watched: socket.socket, handler: Callable[[], None]) -> None:
        """Another handler for a socket that is watched already: this costs no system call."""
        ...

    def forget(self, readable: socket.socket) -> None:
        """No more; before the socket is closed."""
        ...

    def lane(self, readable: socket.socket, passenger: Passenger, protection: Protection) -> Lane | None:
        """A socket that is watched gets a lane of the compiled fast path; None if there is none."""
        ...

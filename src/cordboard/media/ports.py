"""The worker's UDP ports: pairs of RTP (even) and RTCP (odd) sockets, bound ahead of need.

A pair that is given back stays bound: what the last call's far end still sends is thrown away, and only when
nothing has come for a while may the next call have the port (otherwise it would hear the last one's audio).
The pair that has rested longest goes out first.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable

_EXPEDITED_FORWARDING = 0xB8
_TRIES_A_TAKE = 64
_MOST_STRAYS_AT_ONCE = 64


class PortPair:
    """Two bound non-blocking sockets."""

    __slots__ = ("port", "rtcp", "rtp")

    def __init__(self, port: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.port = port
        self.rtp = rtp
        self.rtcp = rtcp

    def discard_waiting(self) -> bool:
        """Throw away what lies in the sockets; True if there was something."""
        rtp, rtcp = _discard(self.rtp), _discard(self.rtcp)
        return rtp or rtcp

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """Hands out the pairs of one range.  `ports` are the even ports, in the order they shall be tried."""

    def __init__(self, *, address: str, ports: list[int], quiet: float = 5.0, spare: int = 64) -> None:
        self._address = address
        self._unbound = deque(ports)
        self._quiet = quiet
        self._spare = spare
        self._ready: deque[PortPair] = deque()
        self._settling: deque[tuple[float, PortPair]] = deque()
        self._draining: deque[tuple[float, PortPair]] = deque()

    @property
    def free(self) -> int:
        """Pairs that can be had now, as far as we know (some may be taken by other programs)."""
        return len(self._ready) + len(self._unbound)

    @property
    def resting(self) -> int:
        """Pairs that nobody has and nobody may have yet."""
        return len(self._settling) + len(self._draining)

    @property
    def is_settled(self) -> bool:
        """`tend` has nothing to do."""
        return not self.resting and (len(self._ready) >= self._spare or not self._unbound)

    def take(self) -> PortPair | None:
        """A pair, or None if there is none left."""
        while self._ready:
            pair = self._ready.popleft()
            # Strangers may have sent to it while it lay here.
            pair.discard_waiting()
            return pair
        return self._bind_next()

    def give_back(self, pair: PortPair, now: float) -> None:
        """The call is over; the pair rests first."""
        self._settling.append((now + min(1.0, self._quiet), pair))

    def tend(self, now: float, *, most: int = 32) -> None:
        """Move on what has rested, and bind a little ahead.  Call it often; it never takes long."""
        # The tail of the last call's stream is emptied early, so that it does not count as noise later.
        _move(self._settling, now, most, self._settled)
        _move(self._draining, now, most, self._rested)
        if len(self._ready) < self._spare and self._unbound:
            pair = self._bind_next()
            if pair is not None:
                self._ready.append(pair)

    def close(self) -> None:
        """Give every socket that is not taken back to the system."""
        for pair in self._ready:
            pair.close()
        for _, pair in (*self._settling, *self._draining):
            pair.close()

    def _settled(self, pair: PortPair, now: float) -> None:
        pair.discard_waiting()
        self._draining.append((now + self._quiet, pair))

    def _rested(self, pair: PortPair, now: float) -> None:
        if pair.discard_waiting():
            self._draining.append((now + self._quiet, pair))
        else:
            self._ready.append(pair)

    def _bind_next(self) -> PortPair | None:
        for _ in range(min(_TRIES_A_TAKE, len(self._unbound))):
            port = self._unbound.popleft()
            pair = bind_pair(self._address, port)
            if pair is not None:
                return pair
            # Taken by somebody else, perhaps for a while only.
            self._unbound.append(port)
        return None


def _move(
    waiting: deque[tuple[float, PortPair]], now: float, most: int, then: Callable[[PortPair, float], None]
) -> None:
    while most and waiting and waiting[0][0] <= now:
        most -= 1
        then(waiting.popleft()[1], now)


def bind_pair(address: str, port: int) -> PortPair | None:
    """RTP on `port`, RTCP on the next; None if either cannot be had."""
    sockets: list[socket.socket] = []
    try:
        for number in (port, port + 1):
            sockets.append(_new_socket(address))
            sockets[-1].bind((address, number))
    except (OSError, OverflowError):
        # OverflowError: no such port number.
        for one in sockets:
            one.close()
        return None
    return PortPair(port, *sockets)


def connected_socket(
    bound: socket.socket, local: tuple[str, int], far: tuple[str, int]
) -> socket.socket | None:
    """A second socket on the same port that gets what `far` sends; `bound` keeps what everybody else sends.

    Sending and receiving without an address spares the kernel a route look-up a packet.  Both sockets need
    SO_REUSEPORT while the second is bound; it is taken back so that no third one can share the port.
    What the second holds when this returns may be anybody's: it came in between bind and connect.
    None if the system does not support this: `bound` alone does as well, only dearer.
    """
    second: socket.socket | None = None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        second = _new_socket(local[0])
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        second.bind(local)
        second.connect(far)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    except OSError:
        if second is not None:
            second.close()
        second = None
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    return second


def _new_socket(address: str) -> socket.socket:
    new = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        new.setblocking(False)
        if new.family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)
        else:
            new.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
    except OSError:
        new.close()
        raise
    return new


def _discard(one: socket.socket) -> bool:
    for count in range(_MOST_STRAYS_AT_ONCE):
        try:
            one.recv(1)
        except BlockingIOError:
            return count > 0
        except OSError:
            # An ICMP error that a packet of ours brought back; what lies behind it is still to be read.
            continue
    return True

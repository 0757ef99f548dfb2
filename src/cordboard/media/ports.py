"""The worker's UDP ports: pairs of RTP (even) and RTCP (odd) sockets, bound ahead of need.

A pair that is given back stays bound: what the last call's far end still sends is thrown away, and only when
nothing has come for a while may the next call have the port (otherwise it would hear the last one's audio).
The pair that has rested longest goes out first.

Every bound socket is watched all its life; only its handler changes when the pair goes out or comes back.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable

from cordboard.media.readiness import Readiness

_EXPEDITED_FORWARDING = 0xB8
_SETTLING = 1.0
"""Seconds in which the tail of a call's stream may come without counting against the port."""
_ELSEWHERE = 2.0
"""Seconds after which a port that another program had is tried again."""


class PortPair:
    """Two bound non-blocking sockets."""

    __slots__ = ("port", "rtcp", "rtp", "strayed")

    def __init__(self, port: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.port = port
        self.rtp = rtp
        self.rtcp = rtcp
        self.strayed = False
        """Something came that is for nobody."""

    def discard_rtp(self) -> None:
        """Throw away one datagram."""
        self._discard(self.rtp)

    def discard_rtcp(self) -> None:
        """Throw away one datagram."""
        self._discard(self.rtcp)

    def _discard(self, one: socket.socket) -> None:
        self.strayed = True
        # An ICMP error that a packet of ours brought back is read like a datagram.
        with contextlib.suppress(OSError):
            one.recv(1)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """Hands out the pairs of one range.  `ports` are the even ports, in the order they shall be tried."""

    def __init__(
        self, *, address: str, ports: list[int], readiness: Readiness, quiet: float = 5.0, spare: int = 64
    ) -> None:
        self._address = address
        self._unbound = deque(ports)
        self._readiness = readiness
        self._quiet = quiet
        self._spare = spare
        self._ready: deque[PortPair] = deque()
        self._settling: deque[tuple[float, PortPair]] = deque()
        self._draining: deque[tuple[float, PortPair]] = deque()
        self._elsewhere: deque[tuple[float, int]] = deque()
        """Ports that another program has, and when to try them again."""

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

    def take(self, now: float) -> PortPair | None:
        """A pair, or None if there is none left.  Ports that other programs have are passed over."""
        if self._ready:
            return self._ready.popleft()
        self._try_elsewhere_again(now)
        while self._unbound:
            pair = self._bind_next(now)
            if pair is not None:
                return pair
        return None

    def give_back(self, pair: PortPair, now: float, *, heard: bool = True) -> None:
        """The call is over; the pair rests first, only shortly if nothing was ever `heard` on it."""
        self._readiness.hand_over(pair.rtp, pair.discard_rtp)
        self._readiness.hand_over(pair.rtcp, pair.discard_rtcp)
        pair.strayed = heard
        self._settling.append((now + min(_SETTLING, self._quiet), pair))

    def tend(self, now: float, *, most: int = 32) -> None:
        """Move on what has rested, and bind a little ahead.  Call it often; it never takes long."""
        # The tail of the last call's stream comes early, so that it does not count as noise later.
        _move(self._settling, now, most, self._rested)
        _move(self._draining, now, most, self._rested)
        if len(self._ready) < self._spare and self._unbound:
            pair = self._bind_next(now)
            if pair is not None:
                self._ready.append(pair)

    def close(self) -> None:
        """Give every socket that is not taken back to the system."""
        for pair in (*self._ready, *(pair for _, pair in (*self._settling, *self._draining))):
            self._readiness.forget(pair.rtp)
            self._readiness.forget(pair.rtcp)
            pair.close()

    def _rested(self, pair: PortPair, now: float) -> None:
        """It goes out again if it was quiet the whole time, or else rests for longer."""
        if pair.strayed:
            pair.strayed = False
            self._draining.append((now + self._quiet, pair))
        else:
            self._ready.append(pair)

    def _bind_next(self, now: float) -> PortPair | None:
        port = self._unbound.popleft()
        pair = bind_pair(self._address, port)
        if pair is None:
            self._elsewhere.append((now + _ELSEWHERE, port))
            return None
        self._readiness.watch(pair.rtp, pair.discard_rtp)
        self._readiness.watch(pair.rtcp, pair.discard_rtcp)
        return pair

    def _try_elsewhere_again(self, now: float) -> None:
        while self._elsewhere and self._elsewhere[0][0] <= now:
            self._unbound.append(self._elsewhere.popleft()[1])


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

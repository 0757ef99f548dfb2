"""The UDP sockets of simulated phones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

Address = tuple[str, int]

_BATCH = 32
_MAX_DATAGRAM = 65_535
_TRIES = 100
_BUFFER = 1 << 20


class UdpSocket:
    """`on_datagram(data, source)` for each datagram."""

    def __init__(
        self, address: str, port: int, on_datagram: Callable[[bytes, Address], None], *, buffer: int = 0
    ) -> None:
        self._on_datagram = on_datagram
        self._socket = _bind(address, port)
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        name = self._socket.getsockname()
        self.address: Address = (name[0], name[1])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, destination: Address) -> bool:
        """Send one datagram; False if it could not be sent."""
        try:
            self._socket.sendto(data, destination)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Harmless a second time."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            self._on_datagram(data, (source[0], source[1]))


class RtpSockets:
    """An even port for RTP and the odd one after it, which takes RTCP in and keeps silent."""

    def __init__(self, address: str, on_packet: Callable[[bytes, Address], None]) -> None:
        self._rtcp = _odd_port(address)
        port: int = self._rtcp.getsockname()[1] - 1
        try:
            self._rtp = UdpSocket(address, port, on_packet)
        except OSError:
            self._rtcp.close()
            raise
        self.port = port
        self.send = self._rtp.send

    def close(self) -> None:
        """Harmless a second time."""
        self._rtp.close()
        self._rtcp.close()


def open_rtp(address: str, on_packet: Callable[[bytes, Address], None]) -> RtpSockets:
    """A free pair of ports; OSError if none was found."""
    for _ in range(_TRIES):
        try:
            return RtpSockets(address, on_packet)
        except OSError:
            continue
    raise OSError("no free pair of ports for a phone's audio")


def _odd_port(address: str) -> socket.socket:
    """Bound where the system likes, if that is odd; OSError if it was even."""
    sock = _bind(address, 0)
    if sock.getsockname()[1] % 2 == 0:
        sock.close()
        raise OSError("an even port")
    return sock


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock

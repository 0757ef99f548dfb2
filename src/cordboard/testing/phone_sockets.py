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
        self,
        address: str,
        port: int,
        on_datagram: Callable[[bytes, Address], None],
        *,
        buffer: int = 0,
        batch: int = _BATCH,
    ) -> None:
        """`batch`: datagrams read in one go; 1 saves a system call where they come one by one."""
        self._on_datagram = on_datagram
        self._batch = batch
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
        for _ in range(self._batch):
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            self._on_datagram(data, (source[0], source[1]))


class RtpSockets:
    """An even port for RTP and the odd one after it for RTCP."""

    def __init__(
        self,
        address: str,
        on_rtp: Callable[[bytes, Address], None],
        on_rtcp: Callable[[bytes, Address], None],
    ) -> None:
        """Takes the pair that the system offers; OSError if it is none, or half of it is taken."""
        self._rtp = UdpSocket(address, 0, on_rtp, batch=1)
        self.port = self._rtp.address[1]
        self.send = self._rtp.send
        try:
            if self.port % 2:
                raise OSError("an odd port")
            self._rtcp = UdpSocket(address, self.port + 1, on_rtcp)
        except OSError:
            self._rtp.close()
            raise
        self.send_rtcp = self._rtcp.send

    def close(self) -> None:
        """Harmless a second time."""
        self._rtp.close()
        self._rtcp.close()


def open_rtp(
    address: str, on_rtp: Callable[[bytes, Address], None], on_rtcp: Callable[[bytes, Address], None]
) -> RtpSockets:
    """A free pair of ports; OSError if none was found."""
    for _ in range(_TRIES):
        try:
            return RtpSockets(address, on_rtp, on_rtcp)
        except OSError:
            continue
    raise OSError("no free pair of ports for a phone's audio")


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock

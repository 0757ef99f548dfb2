"""SIP over UDP: one socket, drained in a loop, bytes in and bytes out.

An own non-blocking socket with `add_reader` costs a quarter of asyncio's datagram protocol.  ICMP errors
come through the socket's error queue, so that a dead far end fails a call at once and not after 32 s.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from cordboard.sip.endpoint import Endpoint

_log = logging.getLogger(__name__)

_IP_RECVERR = 11
_IPV6_RECVERR = 25
_MSG_ERRQUEUE = 0x2000
_MAX_DATAGRAM = 65_535
_BATCH = 64
"""Datagrams read before the loop gets its turn again."""
_BUFFER = 8 << 20
_MAX_UNSENT = 4_096


class UdpSocket:
    """`on_datagram(data, source)` for each datagram; `on_failure(destination)` for each ICMP error.

    The port is taken at once; what arrives waits in the kernel until `listen`.
    """

    def __init__(
        self,
        address: str,
        port: int,
        on_datagram: Callable[[bytes, Endpoint], None],
        on_failure: Callable[[Endpoint], None],
    ) -> None:
        self._on_datagram = on_datagram
        self._on_failure = on_failure
        self._unsent: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._failed: dict[Endpoint, None] = {}
        self._listening = False
        self.unsendable = 0
        self._socket = _bind(address, port)
        name = self._socket.getsockname()
        self.local = Endpoint("UDP", name[0], name[1])
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """From now on datagrams are handed up."""
        self._listening = True
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, destination: Endpoint) -> None:
        """Send one datagram; a full socket buffer queues it, everything else is a failure of that far end."""
        where = (destination.address, destination.port)
        for _ in range(2):
            try:
                self._socket.sendto(data, where)
            except BlockingIOError:
                self._send_later(data, where)
            except ConnectionRefusedError:
                # A pending ICMP error of an earlier datagram: this one has not been sent yet.
                self._read_errors()
                continue
            except (OSError, OverflowError) as error:
                _log.debug("cannot send to %s:%d: %s", destination.address, destination.port, error)
                self._fail(destination)
                self._read_errors()
            return

    def close(self) -> None:
        """Harmless a second time; what is sent afterwards is lost."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    # ------------------------------------------------------------ reading

    def _readable(self) -> None:
        for number in range(_BATCH):
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                if number == 0:
                    # Woken for nothing to read: an error waits, and would wake us again and again.
                    self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            self._on_datagram(data, Endpoint("UDP", source[0], source[1]))

    def _read_errors(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.call_soon(self._listen_again)
        for _ in range(_BATCH):
            try:
                _, _, _, destination = self._socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            if destination:
                self._fail(Endpoint("UDP", destination[0], destination[1]))

    def _listen_again(self) -> None:
        """libuv stops watching a socket that has an error, which for UDP is no reason to go deaf."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self.listen()

    def _fail(self, destination: Endpoint) -> None:
        """Tell later, not now: this may run in the middle of a send that a machine has asked for.

        And tell once: of a thousand datagrams to a dead far end each has its ICMP error.
        """
        if not self._failed:
            self._loop.call_soon(self._tell_failures)
        self._failed[destination] = None

    def _tell_failures(self) -> None:
        failed, self._failed = self._failed, {}
        if self._socket.fileno() >= 0:
            for destination in failed:
                self._on_failure(destination)

    # ------------------------------------------------------------ writing

    def _send_later(self, data: bytes, where: tuple[str, int]) -> None:
        if len(self._unsent) >= _MAX_UNSENT:
            self.unsendable += 1  # a lost datagram: SIP retransmits
            return
        self._unsent.append((data, where))
        self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        while self._unsent:
            data, where = self._unsent[0]
            try:
                self._socket.sendto(data, where)
            except BlockingIOError:
                return
            except OSError as error:
                _log.debug("cannot send to %s: %s", where, error)
                self._read_errors()
            self._unsent.popleft()
        self._loop.remove_writer(self._socket)


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        if family == socket.AF_INET6:
            # `::` is every IPv6 address and no IPv4 one: those have a socket of their own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"SIP port {address}:{port}: {error.strerror}") from None
    return sock

"""A TCP port that SIP connections come in at."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from cordboard.sip.endpoint import Endpoint

_log = logging.getLogger(__name__)

_BACKLOG = 1024
_BATCH = 64
"""Connections accepted before the loop gets its turn again."""
_PAUSE = 0.5
"""Seconds without accepting when the process has no file descriptor left."""

OnConnection = Callable[[socket.socket, Endpoint], None]


class SipListener:
    """The port is taken at once; who connects waits in the kernel until `listen`."""

    def __init__(self, transport: str, address: str, port: int, on_connection: OnConnection) -> None:
        """`transport`: TCP or TLS.  Raises OSError with a sentence that names the port."""
        self._on_connection = on_connection
        self._socket = _bind(address, port, transport)
        name = self._socket.getsockname()
        self.local = Endpoint(transport, name[0], name[1])
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def listen(self) -> None:
        """From now on connections are handed up."""
        self._pause = None
        self._loop.add_reader(self._socket, self._acceptable)

    def close(self) -> None:
        """Harmless a second time."""
        if self._socket.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _acceptable(self) -> None:
        for _ in range(_BATCH):
            try:
                accepted, source = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._on_connection(accepted, Endpoint(self.local.transport, source[0], source[1]))

    def _rest(self, error: OSError) -> None:
        """The connection stays in the queue and would wake us again and again."""
        _log.error("no connection can be accepted for %.1f s: %s", _PAUSE, error.strerror)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE, self.listen)


def _bind(address: str, port: int, transport: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"SIP port {address}:{port} ({transport}): {error.strerror}") from None
    return sock

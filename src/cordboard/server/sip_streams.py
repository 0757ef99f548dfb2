"""All TCP and TLS connections: which one a message goes out on, how many there may be, when they are closed.

There is one connection for each transport, address, port and server name.  A response goes back on the
connection that its request came on, for that one is known by the same endpoint.

Strangers can open connections, so each way of holding one without using it has an end: who says nothing at
all, who sends a message byte by byte, who falls silent after it.  A table that is full makes room by
closing what has never said anything, then what has been silent for long.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from cordboard.server.sip_connection import SipConnection
from cordboard.server.tls import TlsContexts, is_about_the_name
from cordboard.server.tls_reasons import CLOSED_UNANSWERED, connection_reason
from cordboard.sip.endpoint import Endpoint

_log = logging.getLogger(__name__)

OnMessage = Callable[[bytes, Endpoint], None]
OnFailure = Callable[[Endpoint, str], None]
"""(destination, why in a sentence)"""

_SWEEP = 1.0
_RECENT = 32.0
"""Seconds for which something may still wait for what was sent: 64*T1."""
_LOG_EVERY = 1.0
_HANDSHAKE = 0.9
"""Of the time for a connection: a handshake that hangs is told from an address that does not answer."""


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, and numbers of connections."""

    connections: int = 10_000
    """That far ends have opened; and as many that were opened here."""
    per_source: int = 200
    """From one IPv4 address or one IPv6 /64."""
    idle: float = 600.0
    """Silence after which a connection is closed."""
    first_message: float = 30.0
    """Until a new connection must have said something whole."""
    message: float = 10.0
    """From the first to the last byte of a message."""
    connect: float = 5.0
    """To open a connection, TLS handshake included."""
    keep_alive: float = 25.0
    """Between pings on connections that were opened here; 0: none."""
    evictable: float = 60.0
    """Silence after which a connection may be closed to make room."""


class SipStreams:
    """`local_addresses`: by IP version, where connections are made from."""

    def __init__(
        self,
        *,
        on_message: OnMessage,
        on_failure: OnFailure,
        tls: TlsContexts,
        limits: StreamLimits = StreamLimits(),  # noqa: B008 - immutable
        local_addresses: dict[int, str] | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_failure = on_failure
        self._tls = tls
        self._limits = limits
        self._local_addresses = local_addresses or {}
        self._by_endpoint: dict[Endpoint, SipConnection] = {}
        self._opened: dict[SipConnection, None] = {}
        """By this side."""
        self._newcomers: dict[SipConnection, float] = {}
        """Accepted and without a word so far, the oldest first, with the time of their coming."""
        self._spoken: dict[SipConnection, None] = {}
        """Accepted and used, the longest silent first."""
        self._begun: dict[SipConnection, float] = {}
        """A message is on its way since then, the oldest first."""
        self._sources: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self._next_log = 0.0
        self.refused = 0
        """Connections that found no room."""

    def __len__(self) -> int:
        return len(self._opened) + self._accepted

    @property
    def _accepted(self) -> int:
        return len(self._newcomers) + len(self._spoken)

    # ------------------------------------------------------------ out

    def send(self, data: bytes, destination: Endpoint) -> None:
        """On the connection that there is, or on a new one.  Whatever goes wrong is told later."""
        connection = self._by_endpoint.get(destination)
        if connection is None or connection.closing:
            connection = self._open(destination)
            if connection is None:
                return
        connection.last_sent = self._loop.time()
        if connection in self._spoken:
            self._move_back(connection)
        if not connection.send(data):
            self.fail(destination, "too much waits for it already")

    def _open(self, destination: Endpoint) -> SipConnection | None:
        if len(self._opened) >= self._limits.connections or self._closed:
            self.fail(destination, "this server has too many connections open")
            return None
        connection = SipConnection(destination, self, is_inbound=False)
        self._know(connection)
        self._opened[connection] = None
        connection.last_heard = connection.last_ping = self._loop.time()
        self._spawn(self._connect(connection))
        return connection

    def _know(self, connection: SipConnection) -> None:
        """Also without its server name: who has no name to check takes a connection that was checked."""
        self._by_endpoint[connection.endpoint] = connection
        nameless = connection.endpoint._replace(server_name="")
        known = self._by_endpoint.get(nameless)
        if known is None or known.closing:
            self._by_endpoint[nameless] = connection

    async def _connect(self, connection: SipConnection) -> None:
        try:
            async with asyncio.timeout(self._limits.connect):
                await self._reach(connection)
        except (OSError, ValueError, OverflowError) as error:
            connection.never_opened(error)

    async def _reach(self, connection: SipConnection) -> None:
        to = connection.endpoint
        if to.transport != "TLS":
            await self._create(connection, None)
            return
        try:
            await self._create(connection, self._tls.calling())
        except ssl.SSLCertVerificationError as error:
            if not is_about_the_name(error) or not to.server_name:
                raise
            # A certificate may name the domain in another way, which is for us to check.
            connection.domain, connection.doubt = to.server_name, connection_reason(error, to.server_name)
            await self._create(connection, self._tls.calling_nameless())

    async def _create(self, connection: SipConnection, context: ssl.SSLContext | None) -> None:
        to = connection.endpoint
        await self._loop.create_connection(
            lambda: connection,
            to.address,
            to.port,
            ssl=context,
            server_hostname=(to.server_name.rstrip(".") or to.address) if context else None,
            ssl_handshake_timeout=self._limits.connect * _HANDSHAKE if context else None,
            local_addr=self._from(to),
        )

    def _from(self, to: Endpoint) -> tuple[str, int] | None:
        address = self._local_addresses.get(6 if ":" in to.address else 4)
        return (address, 0) if address else None

    # ------------------------------------------------------------ in

    def accept(self, sock: socket.socket, source: Endpoint) -> None:
        """Somebody has connected."""
        key = _source(source.address)
        if self._closed or self._sources[key] >= self._limits.per_source or not self._has_room():
            self.refused += 1
            self._note("the connection from %s was refused: there are too many", source.host_port)
            sock.close()
            return
        connection = SipConnection(source, self, is_inbound=True)
        self._know(connection)
        self._sources[key] += 1
        self._newcomers[connection] = connection.last_heard = self._loop.time()
        self._start_sweeping()
        self._spawn(self._take_in(connection, sock))

    async def _take_in(self, connection: SipConnection, sock: socket.socket) -> None:
        is_tls = connection.endpoint.transport == "TLS"
        try:
            async with asyncio.timeout(self._limits.first_message):
                await self._loop.connect_accepted_socket(
                    lambda: connection, sock, ssl=self._tls.listening() if is_tls else None
                )
        except (OSError, ValueError) as error:
            sock.close()
            self._note("no connection with %s: %s", connection.endpoint.host_port, connection_reason(error))
            connection.never_opened(error)

    def _has_room(self) -> bool:
        if self._accepted < self._limits.connections:
            return True
        silent = next(iter(self._newcomers), None) or self._longest_silent()
        if silent is None:
            return False
        silent.abort("others needed the room")
        self._forget(silent)
        return True

    def _longest_silent(self) -> SipConnection | None:
        first = next(iter(self._spoken), None)
        if first is None or self._loop.time() - _last_used(first) < self._limits.evictable:
            return None
        return first

    # ------------------------------------------------------------ what connections tell

    def arrived(self, connection: SipConnection, data: bytes) -> None:
        self._on_message(data, connection.endpoint)

    def heard(self, connection: SipConnection) -> None:
        now = self._loop.time()
        if not connection.begun:
            self._begun.pop(connection, None)
        elif connection not in self._begun:
            self._begun[connection] = now
            self._start_sweeping()
        if connection.spoken:
            # What has only begun is no sign of life, else bytes one by one would hold it open.
            connection.last_heard = now
            if self._newcomers.pop(connection, None) is not None or connection in self._spoken:
                self._move_back(connection)
            connection.spoken = False

    def _move_back(self, connection: SipConnection) -> None:
        self._spoken.pop(connection, None)
        self._spoken[connection] = None

    def lost(self, connection: SipConnection, error: BaseException | None) -> None:
        was_known = self._forget(connection)
        reason = connection.reason or _reason(connection, error)
        if was_known and self._is_missed(connection):
            named = connection.endpoint
            for endpoint in dict.fromkeys((named, named._replace(server_name=""))):
                self.fail(endpoint, reason)

    def _is_missed(self, connection: SipConnection) -> bool:
        """Something was sent on it that may have no answer yet."""
        return connection.last_sent > 0.0 and self._loop.time() - connection.last_sent < _RECENT

    def _forget(self, connection: SipConnection) -> bool:
        endpoint = connection.endpoint
        for key in (endpoint, endpoint._replace(server_name="")):
            if self._by_endpoint.get(key) is connection:
                del self._by_endpoint[key]
        self._begun.pop(connection, None)
        if connection in self._opened:
            del self._opened[connection]
            return True
        if connection not in self._newcomers and connection not in self._spoken:
            return False
        self._newcomers.pop(connection, None)
        self._spoken.pop(connection, None)
        self._uncount(_source(endpoint.address))
        return True

    def _uncount(self, source: str) -> None:
        self._sources[source] -= 1
        if self._sources[source] <= 0:
            del self._sources[source]

    def fail(self, destination: Endpoint, reason: str) -> None:
        """Later, not now: this may run in the middle of a send that a machine has asked for."""
        sentence = f"{destination.host_port} ({destination.transport}): {reason}."
        self._loop.call_soon(self._tell, destination, sentence)

    def _tell(self, destination: Endpoint, sentence: str) -> None:
        if not self._closed:
            self._on_failure(destination, sentence)

    def _note(self, text: str, *details: object) -> None:
        """Strangers cannot fill the log."""
        now = self._loop.time()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY
            _log.info(text, *details)

    # ------------------------------------------------------------ the sweep

    def _start_sweeping(self) -> None:
        if self._sweeping is None and not self._closed:
            self._sweeping = self._loop.call_later(min(_SWEEP, self._limits.message / 4), self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._loop.time()
        _close_older(self._begun, now - self._limits.message, "a message took too long to arrive")
        _close_older(self._newcomers, now - self._limits.first_message, "it said nothing")
        self._close_idle(now)
        self._keep_alive(now)
        if len(self):
            self._start_sweeping()

    def _close_idle(self, now: float) -> None:
        oldest = now - self._limits.idle
        for connection in list(self._opened):
            if connection.is_open and _last_used(connection) < oldest:
                connection.close("it was not used any more")
        for connection in list(self._spoken):
            if _last_used(connection) >= oldest:
                return
            connection.close("it was not used any more")

    def _keep_alive(self, now: float) -> None:
        every = self._limits.keep_alive
        if not every:
            return
        for connection in self._opened:
            if now - max(connection.last_ping, connection.last_sent) >= every:
                connection.last_ping = now
                connection.ping()

    # ------------------------------------------------------------ the end

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._start_sweeping()

    async def close(self) -> None:
        """Close every connection after what is still to be written; nothing is told any more."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in [*self._opened, *self._newcomers, *self._spoken]:
            connection.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reason(connection: SipConnection, error: BaseException | None) -> str:
    to = connection.endpoint
    if error is None and to.transport == "TLS" and not connection.answered and not connection.is_inbound:
        # TLS 1.3 says so after the handshake, and the event loop keeps the alert to itself.
        return CLOSED_UNANSWERED
    return connection_reason(error, to.server_name)


def _last_used(connection: SipConnection) -> float:
    return max(connection.last_heard, connection.last_sent)


def _close_older(since: dict[SipConnection, float], oldest: float, reason: str) -> None:
    for connection, begin in list(since.items()):
        if begin > oldest:
            return
        connection.abort(reason)


def _source(address: str) -> str:
    """What counts as one source: who has an IPv6 network has all of its addresses."""
    if ":" not in address:
        return address
    network = ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False)
    return str(network.network_address)

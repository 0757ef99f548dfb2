"""A tap that sends binary messages over a WebSocket.

The connection, TLS and the handshake are made in a thread of their own, because they wait; afterwards the
socket belongs to the worker's loop and never does.  What the far end does not take in time is left out, and
one that takes nothing for long is given up.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import lru_cache

from cordboard.media import websocket
from cordboard.media.clock import Clock
from cordboard.media.protocol import BeginTap
from cordboard.media.websocket import Closed, Receiver, WebSocketError

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 10.0
_MOST_UNSENT = 16_384
"""Bytes: two seconds of G.711."""
_PING_EVERY = 20.0
_SILENT_FOR = 60.0
"""Seconds without a byte from the far end, though it was asked, after which it is gone."""
_STUCK_FOR = 10.0
_READ = 16_384
_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WebSocketCarrier:
    """`draw`: 32 random bits for a mask; `ca_file`: whose certificates are trusted, None = the system's."""

    def __init__(
        self, order: BeginTap, clock: Clock, draw: Callable[[], int], *, ca_file: str | None = None
    ) -> None:
        self.problem = ""
        self.address, self.port = "", 0
        self.is_open = False
        self._order = order
        self._clock = clock
        self._draw = draw
        self._ca_file = ca_file
        self._receiver = Receiver()
        self._unsent = bytearray()
        self._early = b""
        self._socket: socket.socket | None = None
        self._ready: socket.socket | None = None
        """Made by the thread, not taken over yet."""
        self._lock = threading.Lock()
        self._given_up = False
        self._pinged_at = self._heard_at = self._sent_at = 0.0
        threading.Thread(target=self._connect, name="tap", daemon=True).start()

    # -------------------------------------------------------------- in the loop

    def send(self, payload: bytes) -> None:
        """One message, unless too much waits already."""
        if len(self._unsent) < _MOST_UNSENT:
            self._unsent += websocket.binary(payload, self._draw())

    def tick(self, now: float) -> None:
        """20 ms have passed.  It reads no more than one piece, so that a flood takes nobody's time."""
        if self._socket is None:
            self._take_over(now)
        elif not self.problem:
            self._read(self._socket)
            self._keep_alive(now)
            self._write()

    def close(self) -> None:
        """Say goodbye; what cannot be said at once is not said."""
        with self._lock:
            self._given_up = True
            ready, self._ready = self._ready, None
        if self._socket is not None and not self.problem:
            self._unsent += websocket.close(websocket.NORMAL, self._draw())
            self._write()
        for one in (ready, self._socket):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.close()
        self._socket = None

    def _take_over(self, now: float) -> None:
        with self._lock:
            self._socket, self._ready = self._ready, None
        if self._socket is not None:
            self._pinged_at = self._heard_at = self._sent_at = now
            self.is_open = True
            self._handle(self._early)

    def _keep_alive(self, now: float) -> None:
        if now - self._pinged_at >= _PING_EVERY:
            self._pinged_at = now
            self._unsent += websocket.ping(self._draw())
        if now - self._heard_at >= _SILENT_FOR:
            self._fail("does not answer any more")
        elif now - self._sent_at >= _STUCK_FOR:
            self._fail("takes no audio any more")

    def _write(self) -> None:
        if self._socket is None or not self._unsent:
            self._sent_at = self._clock.now
            return
        try:
            sent = self._socket.send(self._unsent)
        except _WAITS:
            return
        except OSError:
            self._fail("broke the connection off")
            return
        del self._unsent[:sent]
        self._sent_at = self._clock.now

    def _read(self, open_: socket.socket) -> None:
        try:
            data = open_.recv(_READ)
        except _WAITS:
            return
        except OSError:
            data = b""
        if data:
            self._heard_at = self._clock.now
            self._handle(data)
        else:
            self._fail("broke the connection off")

    def _handle(self, data: bytes) -> None:
        try:
            for event in self._receiver.feed(data):
                self._answer(event)
        except WebSocketError as error:
            self._fail(str(error))

    def _answer(self, event: bytes | Closed) -> None:
        if isinstance(event, Closed):
            self._unsent += websocket.close(event.code or websocket.NORMAL, self._draw())
            self._write()
            self._fail(f"closed the WebSocket{_said(event)}")
        elif len(self._unsent) < _MOST_UNSENT:
            self._unsent += websocket.pong(event, self._draw())

    def _fail(self, what: str) -> None:
        self.problem = self.problem or f"{_shown(self._order)} {what}."

    # -------------------------------------------------------------- in the thread

    def _connect(self) -> None:
        try:
            made, self._early = self._shake_hands()
        except (OSError, ValueError, WebSocketError) as error:
            self._fail(_why(error))
            return
        with self._lock:
            if self._given_up:
                made.close()
            else:
                self._ready = made

    def _shake_hands(self) -> tuple[socket.socket, bytes]:
        """A connection over which frames can go, and what came behind the answer."""
        order = self._order
        until = time.monotonic() + TOTAL_TIMEOUT
        made = socket.create_connection((order.address, order.port), CONNECT_TIMEOUT)
        key = os.urandom(16)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(max(0.1, until - time.monotonic()))
            if order.scheme == "wss":
                made = _context(self._ca_file).wrap_socket(made, server_hostname=_server_name(order))
            host, secret = order.host, order.authorization
            made.sendall(websocket.handshake(host=host, path=order.path, key=key, authorization=secret))
            early = _await_answer(made, key, until)
            made.setblocking(False)
        except BaseException:
            made.close()
            raise
        return made, early


def _await_answer(made: socket.socket, key: bytes, until: float) -> bytes:
    answer = b""
    while (end := websocket.read_answer(answer, key)) is None:
        made.settimeout(max(0.01, until - time.monotonic()))
        data = made.recv(_READ)
        if not data:
            raise WebSocketError("closed the connection before it answered")
        answer += data
    return answer[end:]


@lru_cache(maxsize=4)
def _context(ca_file: str | None) -> ssl.SSLContext:
    """Made once: to load the system's certificates takes longer than a tick."""
    return ssl.create_default_context(cafile=ca_file)


def _server_name(order: BeginTap) -> str:
    host = order.host
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name or order.address


def _said(closed: Closed) -> str:
    """Its code and reason, if it gave any."""
    words = [str(closed.code) if closed.code else "", closed.reason[:100]]
    said = " ".join(word for word in words if word)
    return f" ({said})" if said else ""


def _why(error: Exception) -> str:
    if isinstance(error, WebSocketError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that cannot be trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS as it should: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be reached: {os.strerror(error.errno)}"
    return f"cannot be used: {error}"


def _shown(order: BeginTap) -> str:
    """Without the query: it may carry a secret."""
    return f"{order.scheme}://{order.host}{order.path.partition('?')[0]}"

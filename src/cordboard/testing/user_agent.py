"""A SIP user agent on loopback sockets: what simulated phones have in common."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event, InviteReceived, SendMessage
from cordboard.sip.headers.name_addr import NameAddr
from cordboard.sip.stack import SipStack
from cordboard.sip.timers import Timers
from cordboard.sip.uri import Uri, UriError
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.pacer import Pacer
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_report import PhoneReport
from cordboard.testing.phone_sockets import UdpSocket
from cordboard.testing.phone_streams import PhoneStreams, TlsContexts

OnMessage = Callable[[str, bytes, Endpoint, float], None]
"""(direction `in` or `out`, the message, the peer, time in seconds of the event loop's clock)"""

_KEPT_REPORTS = 1_000
_KEPT_UNSEEN = 200
"""Calls that came in and that nobody took with `next_call`."""
_FAREWELL = 0.5
_SIP_BUFFER = 4 << 20
# What even a phone that is silent to callers does not ignore: the calls that it made itself.
_OF_A_DIALOG = (b"SIP/2.0 ", b"ACK ", b"BYE ")


class UserAgent:
    """Use as an async context manager.  Subclasses say which behaviour answers."""

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        name: str = "phone",
        on_message: OnMessage | None = None,
        timers: Timers | None = None,
        pacer: Pacer | None = None,
        record: bool = False,
        tcp: bool = False,
        tls: TlsContexts | None = None,
    ) -> None:
        """`tcp`: take calls over TCP too, on the same port; `tls`: over TLS, on a port of its own."""
        self.address = address
        self.name = name
        self.pacer = pacer or Pacer()
        self.calls: list[PhoneCall] = []
        """Those that last, oldest first."""
        self.reports: deque[PhoneReport] = deque(maxlen=_KEPT_REPORTS)
        """Of calls that are over, oldest first."""
        self._wanted_port = port
        self._on_message = on_message
        self._timers = timers or Timers()
        self._record = record
        self._sessions: dict[str, PhoneCall] = {}
        self._incoming: deque[PhoneCall] = deque(maxlen=_KEPT_UNSEEN)
        self._came_in = asyncio.Event()
        self._moved = asyncio.Event()
        """The stack has done something."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self.stack: SipStack
        self._socket: UdpSocket
        self._takes_tcp = tcp
        self._takes_tls = tls is not None and tls.server is not None
        self._streams = PhoneStreams(self._stream_received, self._stream_failed, tls)
        self._stream_ends: dict[str, Endpoint] = {}
        self.loop: asyncio.AbstractEventLoop

    def behaviour_of(self, user: str) -> Behaviour:
        """What the phone of that user part does."""
        raise NotImplementedError

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Take the port; OSError if it is taken."""
        self.loop = asyncio.get_running_loop()
        self._socket = UdpSocket(self.address, self._wanted_port, self._received, buffer=_SIP_BUFFER)
        if self._takes_tcp:
            self._stream_ends["TCP"] = await self._streams.listen("TCP", self.address, self.port)
        if self._takes_tls:
            self._stream_ends["TLS"] = await self._streams.listen("TLS", self.address, 0)
        self.stack = SipStack(
            local=Endpoint("UDP", *self._socket.address),
            also=tuple(self._stream_ends.values()),
            token=lambda: secrets.token_hex(8),
            user_agent="Cordboard phone",
            timers=self._timers,
        )

    async def stop(self) -> None:
        """Hang up what lasts, wait half a second for the goodbyes, and let go of the sockets."""
        for call in list(self.calls):
            call.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while self.calls or self.stack.unanswered():
                    self._moved.clear()
                    await self._moved.wait()
        for call in list(self.calls):
            self.forget(call)
            call.close()
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()
        self._streams.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # ------------------------------------------------------------ calls

    @property
    def port(self) -> int:
        """The SIP port, known after the start."""
        return self._socket.address[1]

    def uri(self, user: str | None = None, *, transport: str | None = None) -> str:
        """Where this phone (or another user of it) can be called; `transport`: tcp or tls."""
        own = self._stream_ends.get((transport or "").upper())
        port = own.port if own is not None else self.port
        params = {"transport": transport} if transport is not None else {}
        return str(Uri(user=user or self.name, host=self.address, port=port, params=params))

    async def call(
        self,
        target: str,
        *,
        from_user: str | None = None,
        from_name: str = "",
        behaviour: Behaviour | None = None,
        through: tuple[str, int] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> PhoneCall:
        """Place a call to a SIP URI whose host is an IP literal; `through` sends it to another address.

        Raises UriError, or OSError without free ports.
        """
        uri = Uri.parse(target)
        address, port = through or (uri.host, uri.port or 5060)
        own = behaviour or self.behaviour_of(from_user or self.name)
        call = PhoneCall(self, own, "out", record=self._record)
        caller = NameAddr(
            display_name=from_name, uri=Uri(user=from_user or self.name, host=self.address, port=self.port)
        )
        transport = (uri.params.get("transport") or "udp").upper()
        call.invite(f"<{target}>", str(caller), target, Endpoint(transport, address, port), headers)
        return call

    async def next_call(self, *, within: float = 20.0) -> PhoneCall:
        """The next call that came in, in order; TimeoutError if none comes."""
        while not self._incoming:
            self._came_in.clear()
            async with asyncio.timeout(within):
                await self._came_in.wait()
        return self._incoming.popleft()

    # ------------------------------------------------------------ for calls

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return self.loop.time()

    def new_number(self) -> int:
        """31 random bits."""
        return secrets.randbits(31)

    def adopt(self, call: PhoneCall) -> None:
        """A call has its session."""
        self._sessions[call.session] = call
        self.calls.append(call)

    def forget(self, call: PhoneCall) -> None:
        """A call is over."""
        if self._sessions.pop(call.session, None) is not None:
            self.calls.remove(call)
            self.reports.append(call.report)

    def carry_out(self, outputs: Iterable[SendMessage | Event]) -> None:
        """Do what the stack wants, in order."""
        for output in outputs:
            if isinstance(output, SendMessage):
                self._send(output)
            elif isinstance(output, InviteReceived):
                self._invited(output)
            else:
                self._tell(output)
        self._rearm()
        self._moved.set()

    # ------------------------------------------------------------ SIP

    def _send(self, message: SendMessage) -> None:
        peer = message.destination
        self._observe("out", message.data, peer)
        if peer.transport != "UDP":
            self._streams.send(message.data, peer)
        elif not self._socket.send(message.data, (peer.address, peer.port)):
            self.loop.call_soon(self._failed, peer)

    def _stream_received(self, data: bytes, peer: Endpoint) -> None:
        self._observe("in", data, peer)
        if not self._is_ignored(data):
            self.carry_out(self.stack.receive(data, peer, self.now()))

    def _stream_failed(self, peer: Endpoint) -> None:
        self._failed(peer)

    def _failed(self, peer: Endpoint) -> None:
        self.carry_out(self.stack.transport_failed(peer, self.now()))

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        peer = Endpoint("UDP", *source)
        self._observe("in", data, peer)
        if not self._is_ignored(data):
            self.carry_out(self.stack.receive(data, peer, self.now()))

    def _observe(self, direction: str, data: bytes, peer: Endpoint) -> None:
        if self._on_message is not None:
            self._on_message(direction, data, peer, self.now())

    def _is_ignored(self, data: bytes) -> bool:
        if data.startswith(_OF_A_DIALOG):
            return False
        return self.behaviour_of(_user_of(data)).silent

    def _invited(self, event: InviteReceived) -> None:
        user = Uri.parse(event.request.uri).user or ""
        call = PhoneCall(self, self.behaviour_of(user), "in", record=self._record)
        call.session = event.session
        self.adopt(call)
        self._incoming.append(call)
        self._came_in.set()
        call.invited(event)

    def _tell(self, event: Event) -> None:
        call = self._sessions.get(event.session)
        if call is not None:
            call.handle(event)

    def _rearm(self) -> None:
        due = self.stack.next_timeout()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        # Not `when()`: uvloop's handle of what is due at once cannot tell.
        self._timer_due = due
        self._timer = self.loop.call_at(due, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        self.carry_out(self.stack.handle_timeout(self.now()))


def _user_of(data: bytes) -> str:
    """User part of the Request-URI of what may be a request; "" if there is none."""
    words = data[:4096].split(b" ", 2)
    try:
        return Uri.parse(words[1].decode("utf-8", "surrogateescape")).user or ""
    except (IndexError, UriError):
        return ""

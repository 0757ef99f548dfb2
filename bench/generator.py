"""The load: a process that places calls through the server, answers them, and lets both ends talk.

It is its own caller and callee (two SIP stacks), so that every figure belongs to one clock.  The process
that measures tells it what to do next and asks for nothing in between:

    place → Placed      all calls, so many a second; they stay up
    talk  → Talked      RTP both ways on all of them
    end   → Ended       BYE on all of them
"""

from __future__ import annotations

import base64
import gc
import multiprocessing
import os
import re
import select
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple

from bench.far_ends import FORMATS, KEY, SUITE, Exchanged, FarEnd, exchange, open_far_ends
from bench.machine import LOOPBACK, settle_on
from bench.pipes import answer
from cordboard.sip.events import Answered, Event, InviteReceived, Output, Refused, SendMessage, SessionEnded
from cordboard.sip.stack import Endpoint, SipStack

_FIRST_PORT = 31_000
_PATIENCE = 20.0
_KEY = re.compile(rb"^a=crypto:(\d+) " + SUITE.encode() + rb" inline:([A-Za-z0-9+/=]+)", re.MULTILINE)
_PORT = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)


class Placed(NamedTuple):
    """How the calls came up."""

    asked: int
    answered: int
    setup_ms: list[float]
    """INVITE to 200 at the caller, sorted."""
    refused: str
    """How the first one was refused; "" if none was."""


class Talked(NamedTuple):
    """How the packets went; `quantiles` of the delay instead of all delays."""

    sent: int
    received: int
    foreign: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_ms: float
    cpu_share: float

    @property
    def loss(self) -> float:
        """Share of the packets that did not arrive."""
        return 1 - self.received / self.sent if self.sent else 1.0


class Generator:
    """The measuring side; a context manager.  Codecs are those of `far_ends.FORMATS`.

    `secure`: the callee speaks SRTP (SDES).
    """

    def __init__(
        self,
        calls: int,
        *,
        caller_codec: str = "PCMU",
        callee_codec: str = "PCMU",
        secure: bool = False,
        core: int,
        priority: int = 0,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, calls, caller_codec, callee_codec, secure, core, priority)
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self.callee_port = 0

    def __enter__(self) -> Generator:
        self._process.start()
        self.callee_port = int(self._answer(30))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
        self._pipe.close()

    def place(self, port: int, *, rate: int, count: int | None = None) -> Placed:
        """`count` calls (default: all) to the server on this port, or straight to `callee_port`.

        Raises RuntimeError when the load itself fails.
        """
        return Placed(*self._ask("place", (port, rate, count), 300))

    def begin_talking(self, seconds: float, *, directly: bool = False) -> None:
        """Both ends of all calls talk; `directly`: without a server, either end to the other."""
        self._pipe.send(("talk", (seconds, directly)))

    def talked(self) -> Talked:
        """Wait for the end of `begin_talking`."""
        return Talked(*self._answer(300))

    def end(self) -> int:
        """Hang up everything; returns how many calls have ended properly."""
        return int(self._ask("end", (), 60))

    def _ask(self, what: str, arguments: tuple[object, ...], patience: float) -> Any:
        self._pipe.send((what, arguments))
        return self._answer(patience)

    def _answer(self, patience: float) -> Any:
        return answer(self._pipe, patience, "the load")


# ------------------------------------------------------------------ the process


class _Phones:
    """One SIP stack on a socket of its own."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((LOOPBACK, 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        local = Endpoint("UDP", LOOPBACK, self.port)
        self.stack = SipStack(local=local, token=lambda: os.urandom(8).hex(), user_agent="load")
        self.sessions: dict[str, int] = {}
        """Session → number of its leg."""

    def carry(self, outputs: list[Output]) -> list[Event]:
        """Send what is to be sent; the rest is news."""
        news: list[Event] = []
        for output in outputs:
            if isinstance(output, SendMessage):
                self.socket.sendto(output.data, (output.destination.address, output.destination.port))
            else:
                news.append(output)
        return news

    def read(self) -> list[Event]:
        """Take everything that has arrived, and what is due."""
        outputs: list[Output] = []
        while True:
            try:
                data, source = self.socket.recvfrom(65_535)
            except BlockingIOError:
                break
            outputs += self.stack.receive(data, Endpoint("UDP", source[0], source[1]), time.monotonic())
        due = self.stack.next_timeout()
        if due is not None and due <= time.monotonic():
            outputs += self.stack.handle_timeout(time.monotonic())
        return self.carry(outputs)


class _Load:
    """Caller and callee of all calls."""

    def __init__(self, calls: int, caller_codec: str, callee_codec: str, secure: bool) -> None:
        self.codecs = caller_codec, callee_codec
        self.callers, self.callees = _Phones(), _Phones()
        kinds = [(caller_codec, False), (callee_codec, secure)] * calls
        ends = open_far_ends(kinds, first_port=_FIRST_PORT)
        self._secure = secure
        self.calling: list[FarEnd] = ends[::2]
        self.called: list[FarEnd] = ends[1::2]
        self._free_called = list(range(calls))
        self._invited: list[float] = []
        self._setup: dict[int, float] = {}
        self._failed: dict[int, str] = {}
        self._ended = 0
        self._poll = select.poll()
        for phones in (self.callers, self.callees):
            self._poll.register(phones.socket, select.POLLIN)

    # -------------------------------------------------------------- what it is told

    def place(self, port: int, rate: int, wanted: int | None) -> tuple[int, int, list[float], str]:
        count = wanted or len(self.calling)
        self._free_called = list(range(count))
        self._invited, self._setup, self._failed, self._ended = [], {}, {}, 0
        began = time.monotonic()
        deadline = began + count / rate + _PATIENCE
        while len(self._setup) + len(self._failed) < count and time.monotonic() < deadline:
            while len(self._invited) < min(count, int((time.monotonic() - began) * rate) + 1):
                self._invite(port)
            self._turn(0.5 / rate)
        self._listen_for(0.2)
        return count, len(self._setup), sorted(self._setup.values()), next(iter(self._failed.values()), "")

    def talk(self, seconds: float, directly: bool) -> tuple[float, ...]:
        if directly:
            for a, b in zip(self.calling, self.called, strict=True):
                a.connect(b.port)
                b.connect(a.port)
        result = exchange(self.calling + self.called, seconds)
        self._listen_for(0.0)
        return _summary(result)

    def end(self) -> int:
        self._ended = 0
        wanted = len(self.callers.sessions)
        for session in list(self.callers.sessions):
            self._heard_by_caller(self.callers.carry(self.callers.stack.bye(session, now=time.monotonic())))
            self._turn(0.002)
        deadline = time.monotonic() + _PATIENCE
        while self._ended < wanted and time.monotonic() < deadline:
            self._turn(0.02)
        self._listen_for(0.2)
        return self._ended

    def close(self) -> None:
        for end in self.calling + self.called:
            end.close()
        self.callers.socket.close()
        self.callees.socket.close()

    # -------------------------------------------------------------- signalling

    def _turn(self, patience: float) -> None:
        self._poll.poll(max(1, int(patience * 1000)))
        self._heard_by_callee(self.callees.read())
        self._heard_by_caller(self.callers.read())

    def _listen_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._turn(0.001)
        while time.monotonic() < until:
            self._turn(0.01)

    def _invite(self, port: int) -> None:
        number = len(self._invited)
        self._invited.append(time.monotonic())
        session, outputs = self.callers.stack.invite(
            uri=f"sip:+15550100@{LOOPBACK}:{port}",
            to=f"<sip:+15550100@{LOOPBACK}>",
            from_=f"<sip:caller{number}@{LOOPBACK}>",
            destination=Endpoint("UDP", LOOPBACK, port),
            body=_description(self.calling[number].port, self.codecs[0]),
            now=time.monotonic(),
        )
        self.callers.sessions[session] = number
        self.callers.carry(outputs)

    def _heard_by_caller(self, news: list[Event]) -> None:
        for event in news:
            number = self.callers.sessions.get(getattr(event, "session", ""))
            if number is None:
                continue
            if isinstance(event, Answered):
                self._setup[number] = (time.monotonic() - self._invited[number]) * 1000
                self.calling[number].connect(_port_in(event.body))
            elif isinstance(event, Refused):
                self._failed[number] = f"{event.status} {event.reason}"
            elif isinstance(event, SessionEnded):
                self._ended += 1
                del self.callers.sessions[event.session]

    def _heard_by_callee(self, news: list[Event]) -> None:
        for event in news:
            if isinstance(event, InviteReceived):
                self._answer(event)

    def _answer(self, event: InviteReceived) -> None:
        stack, now = self.callees.stack, time.monotonic()
        if not self._free_called:
            self.callees.carry(stack.reject(event.session, status=486, now=now))
            return
        end = self.called[self._free_called.pop(0)]
        end.connect(_port_in(event.request.body))
        tag = 0
        if self._secure:
            tag, key = _key_in(event.request.body)
            end.hear_with(key)
        body = _description(end.port, self.codecs[1], tag)
        self.callees.carry(stack.ring(event.session, now=now))
        self.callees.carry(stack.accept(event.session, body=body, now=now))


def _key_in(body: bytes) -> tuple[int, bytes]:
    """Tag and key of the suite that the load speaks.  Raises RuntimeError if it is not offered."""
    found = _KEY.search(body)
    if found is None:
        raise RuntimeError(f"the server does not offer {SUITE}")
    return int(found[1]), base64.b64decode(found[2])


def _description(port: int, codec: str, tag: int = 0) -> bytes:
    """`tag`: of the keys that are taken; 0 = plain RTP."""
    number, rtpmap, _ = FORMATS[codec]
    profile = "RTP/SAVP" if tag else "RTP/AVP"
    key = base64.b64encode(KEY).decode()
    crypto = f"a=crypto:{tag} {SUITE} inline:{key}\r\n" if tag else ""
    return (
        f"v=0\r\no=- {port} 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\n"
        f"m=audio {port} {profile} {number} 101\r\n{crypto}a=rtpmap:{number} {rtpmap}\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    ).encode()


def _port_in(body: bytes) -> int:
    found = _PORT.search(body)
    return int(found[1]) if found else 9


def _summary(result: Exchanged) -> tuple[float, ...]:
    delays = result.delays_ms
    quantiles = (delays[int(len(delays) * share)] if delays else 0.0 for share in (0.5, 0.99, 0.999))
    return (
        result.sent, result.received, result.foreign, *quantiles, result.late_ms, result.cpu_share,
    )  # fmt: skip


def _run(
    pipe: Connection, calls: int, caller_codec: str, callee_codec: str, secure: bool, core: int, priority: int
) -> None:
    os.setsid()
    settle_on(core, priority)
    gc.disable()
    load = _Load(calls, caller_codec, callee_codec, secure)
    pipe.send(load.callees.port)
    orders: dict[str, Callable[..., Any]] = {"place": load.place, "talk": load.talk, "end": load.end}
    try:
        # A load that nobody directs still answers what arrives, so that no far end has to resend.
        while True:
            while not pipe.poll(0):
                load._turn(0.02)
            order = pipe.recv()
            if order is None:
                break
            pipe.send(orders[order[0]](*order[1]))
    except EOFError:
        pass
    finally:
        load.close()

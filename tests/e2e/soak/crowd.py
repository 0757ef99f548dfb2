"""Everybody outside the server: the phones that are called, and callers with no patience."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.timers import Timers
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank
from cordboard.testing.phone_call import PhoneCall

from .people import behaviour_of

_CALL_ID = re.compile(rb"^Call-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)
_LONGEST = 45.0
"""Seconds that a caller lasts whatever happens: a CANCEL that nobody answers takes 64*T1."""
_TIME_TRAVEL = 65.0
_LOST = (
    "INVITE sip:{number}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{mark};rport\r\n"
    "From: <sip:lost@{own}>;tag={mark}\r\nTo: <sip:{number}@{server}>\r\nCall-ID: {mark}\r\n"
    "CSeq: 1 INVITE\r\nContact: <sip:lost@{own}>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n\r\n{body}"
)
_LOST_BODY = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
)


class Crowd:
    """A bank of phones and callers on three sockets; an async context manager."""

    def __init__(self, seed: int, *, timers: Timers | None = None, callers: int = 3) -> None:
        self._random = random.Random(seed)
        self.phones = PhoneBank(behaviour_of, timers=timers, on_message=self._seen, tcp=True)
        self._callers = [PhoneBank(behaviour_of, timers=timers, tcp=True) for _ in range(callers)]
        self._tending: asyncio.Task[None] | None = None
        self._doing: set[asyncio.Task[None]] = set()
        self.deeds: Counter[str] = Counter()
        """What was done in the middle of calls."""
        self._stack = AsyncExitStack()
        self._lost: list[socket.socket] = []
        self.outcomes: Counter[str] = Counter()
        """How calls ended at the callers: the cause, and the status of refusals."""
        self.placed = 0
        self.invited: dict[str, float] = {}
        """Call-ID of each INVITE that reached a phone → when it came (seconds since the epoch)."""

    async def __aenter__(self) -> Self:
        for agent in (self.phones, *self._callers):
            await self._stack.enter_async_context(agent)
        self._tending = asyncio.create_task(self._tend())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._tending, *self._doing):
            if task is not None:
                task.cancel()
        await self.forget(expire=True)
        await self._stack.aclose()

    async def forget(self, *, expire: bool = False) -> None:
        """Let go of the calls that are over, and of the sockets of callers that vanished.

        `expire`: the phones' transactions that wait for repetitions end now (timer D …).
        """
        for lost in self._lost:
            lost.close()
        self._lost.clear()
        for agent in (self.phones, *self._callers):
            agent.reports.clear()
            if expire:
                agent.carry_out(agent.stack.handle_timeout(agent.now() + _TIME_TRAVEL))
        with contextlib.suppress(TimeoutError):
            while True:
                await self.phones.next_call(within=0.0)

    @property
    def bank(self) -> str:
        """`address:port` of the phones."""
        return f"{self.phones.address}:{self.phones.port}"

    def connected(self) -> int:
        """Callers that talk now."""
        return sum(call.report.answered_at is not None for agent in self._callers for call in agent.calls)

    def _seen(self, direction: str, data: bytes, peer: Endpoint, now: float) -> None:
        if direction == "in" and data.startswith(b"INVITE ") and (match := _CALL_ID.search(data)):
            self.invited.setdefault(match[1].decode(), time.time())

    # ------------------------------------------------------------ calls

    async def place(self, server: str, numbers: Sequence[str], *, calls: int, rate: float) -> None:
        """`calls` calls to random numbers, `rate` a second on average; returns when the last has begun."""
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(self._one(server, self._random.choice(numbers)))
                await asyncio.sleep(self._random.expovariate(rate))

    async def warm_up(self, server: str, number: str) -> None:
        """Each caller calls once over TCP, so that its connection is there."""
        for caller in self._callers:
            call = await caller.call(f"sip:{number}@{server};transport=tcp", behaviour=self._patience())
            await self._outcome(call)

    async def _one(self, server: str, number: str) -> None:
        self.placed += 1
        if self._random.random() < 0.02:
            self._vanish(server, number)
            return
        caller = self._callers[self.placed % len(self._callers)]
        transport = ";transport=tcp" if self._random.random() < 0.2 else ""
        call = await caller.call(f"sip:{number}@{server}{transport}", behaviour=self._patience())
        self._meddle(call)
        self.outcomes[await self._outcome(call)] += 1

    def _patience(self) -> Behaviour:
        """Some cancel at once, some in the last moment; nobody talks for ever."""
        chance, uniform = self._random.random, self._random.uniform
        hasty = chance() < 0.3
        return Behaviour(
            give_up_after=uniform(0.0, 2.5) if hasty else 12.0,
            hang_up_after=uniform(0.0, 1.5) if chance() < 0.5 else 4.0,
            muted=chance() < 0.8,
            tone_hz=350.0,
        )

    async def _outcome(self, call: PhoneCall) -> str:
        try:
            report = await call.ended(within=_LONGEST)
        except TimeoutError:
            return "never ended"
        return f"{report.cause} {report.status}" if report.status >= 300 else report.cause

    # ------------------------------------------------------------ in the middle of calls

    async def _tend(self) -> None:
        """Those who are called do things too."""
        while True:
            with contextlib.suppress(TimeoutError):
                self._meddle(await self.phones.next_call(within=10.0))

    def _meddle(self, call: PhoneCall) -> None:
        if self._random.random() < 0.3:
            task = asyncio.create_task(self._do_things(call))
            self._doing.add(task)
            task.add_done_callback(self._doing.discard)

    async def _do_things(self, call: PhoneCall) -> None:
        """One to three things at random moments of a call, if it gets that far."""
        with contextlib.suppress(TimeoutError):
            if not await call.answered(within=10.0):
                return
            for _ in range(self._random.randint(1, 3)):
                await asyncio.sleep(self._random.uniform(0.0, 0.6))
                if call.is_over:
                    return
                deed = self._random.choice(list(_DEEDS))
                self.deeds[deed] += 1
                _DEEDS[deed](self, call)

    def _refer(self, call: PhoneCall) -> None:
        user = self._random.choice(
            ("talk-0.1-0.5", "talk-0.3-1.0-aloud", "busy", "ring", "refuse-603", "nosdp")
        )
        transport = ";transport=tcp" if self._random.random() < 0.2 else ""
        call.refer(f"sip:{user}@{self.bank}{transport}")

    def _vanish(self, server: str, number: str) -> None:
        """Sends an INVITE and is never heard of again: no ACK, no BYE, no audio; or not even a socket."""
        lost = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        lost.bind(("127.0.0.1", 0))
        own, mark = f"127.0.0.1:{lost.getsockname()[1]}", f"lost{self._random.getrandbits(60):x}"
        host, _, port = server.rpartition(":")
        body = _LOST_BODY.format(port=lost.getsockname()[1])
        message = _LOST.format(number=number, server=server, own=own, mark=mark, length=len(body), body=body)
        lost.sendto(message.encode(), (host, int(port)))
        self.outcomes["vanished"] += 1
        if self._random.random() < 0.5:
            lost.close()
        else:
            self._lost.append(lost)


def _refresh(call: PhoneCall) -> None:
    call.ask("UPDATE", headers=[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")])


_DEEDS: dict[str, Callable[[Crowd, PhoneCall], None]] = {
    "hold": lambda _, call: call.hold("sendonly"),
    "hold without audio": lambda _, call: call.hold("inactive"),
    "resume": lambda _, call: call.resume(),
    "hold by UPDATE": lambda _, call: call.change("sendonly", by="UPDATE"),
    "refer": Crowd._refer,
    "press": lambda _, call: call.press("12"),
    "refresh": lambda _, call: _refresh(call),
}

"""Programs that do anything with calls, at any moment: all drawn from one seeded generator."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp

from .people import People
from .relay_client import CallView, ClientDeadError, RelayClient
from .relay_subject import RelaySubject

Json = dict[str, Any]
_LONGEST = 6.0
"""Seconds after which a program hangs up, whatever goes on."""
_UNANSWERED = 60.0
_SILENCE = {"type": "silence", "params": {"duration": 0.2}}
_RINGING = {"type": "ringtone", "params": {"name": "us", "duration": 0.4}}


class Programs:
    """Many clients, and what they do.  `calls`: dials that they make themselves."""

    def __init__(
        self, subject: RelaySubject, http: aiohttp.ClientSession, people: People, *, seed: int, timeouts: Any
    ) -> None:
        self._subject = subject
        self._http = http
        self._people = people
        self._timeouts = timeouts
        self._random = random.Random(seed)
        self.living: list[RelayClient] = []
        self.dead: list[RelayClient] = []
        self.deeds: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._storm: asyncio.Task[None] | None = None
        self.failures: list[BaseException] = []
        self.dialled = 0
        self._names = 0

    # ------------------------------------------------------------ clients

    async def start(self, count: int, contexts: list[str]) -> None:
        """So many clients; each is subscribed to all contexts."""
        for _ in range(count):
            await self._new_client(contexts)

    async def _new_client(self, contexts: list[str]) -> None:
        client = RelayClient(
            self._subject.url, self._http, acks=self._random.random() < 0.5, contexts=contexts
        )
        client.on_offer = lambda call: self._spawn(self._offered(client, call))
        client.on_peer = lambda call: self._spawn(self._peer(client, call))
        client.away = lambda: self._random.uniform(0.0, 0.6)
        self.living.append(client)
        await client.start()

    def make_trouble(self, every: float, contexts: list[str]) -> None:
        """Cut connections, `every` so many seconds on average; some clients never come back."""
        self._storm = asyncio.create_task(self._trouble(every, contexts))

    async def _trouble(self, every: float, contexts: list[str]) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / every))
            client = self._random.choice(self.living)
            if self._random.random() < 0.08:
                self.deeds["killed"] += 1
                self.living.remove(client)
                self.dead.append(client)
                await client.stop()
                await self._new_client(contexts)
            else:
                self.deeds["cut"] += 1
                client.cut()

    async def dial(self, count: int, rate: float) -> None:
        """Outbound calls."""
        for _ in range(count):
            self._spawn(self._outbound(self._random.choice(self.living)))
            await asyncio.sleep(self._random.expovariate(rate))

    async def quiet(self, within: float) -> None:
        """No more trouble; wait until every living client has seen the end of all that it knows."""
        if self._storm is not None:
            self._storm.cancel()
            await asyncio.gather(self._storm, return_exceptions=True)
            self._storm = None
        async with asyncio.timeout(within):
            while self._tasks:
                await asyncio.wait(list(self._tasks))
            # Peers that were disconnected live on until somebody ends them.
            left = [(it, call) for it in self.living for call in it.calls.values() if not call.is_over]
            self.deeds["left to the end"] = len(left)
            await asyncio.gather(*(self._end(client, call) for client, call in left))
            for client in self.living:
                await client.until(lambda it=client: all(c.is_over for c in it.calls.values()), within)  # type: ignore[misc]

    async def stop(self) -> None:
        """All go away without a goodbye."""
        if self._storm is not None:
            self._storm.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self.living:
            await client.stop()

    def unsettled(self) -> list[str]:
        """Calls that have not ended for their living client, with what it knows of them."""
        return [
            f"{call.call_id}: {call.states}"
            for client in self.living
            for call in client.calls.values()
            if not call.is_over
        ]

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ClientDeadError):
            self.failures.append(error)

    # ------------------------------------------------------------ inbound

    async def _offered(self, client: RelayClient, call: CallView) -> None:
        kind = self._random.choices(("answer", "unanswered", "reject", "pass", "ignore"), (70, 12, 6, 6, 6))[
            0
        ]
        self.deeds[f"offer: {kind}"] += 1
        if kind == "pass":
            await client.command(call, "pass")
        elif kind == "reject":
            await self._end(client, call)
        elif kind == "unanswered":
            await self._work(client, call)
        elif kind == "answer":
            if self._random.random() < 0.3:
                await asyncio.sleep(self._random.uniform(0.0, 0.5))
            await client.command(call, "answer")
            await self._work(client, call)

    # ------------------------------------------------------------ outbound

    async def _outbound(self, client: RelayClient) -> None:
        self.dialled += 1
        self._names += 1
        tag = f"dial-{self._names}"
        decided = await client.dial(tag, self._devices())
        if decided is None or decided["dial_state"] == "failed":
            return
        call = client.calls.get(decided["call"]["call_id"])
        if call is not None:
            await self._work(client, call)

    def _devices(self) -> list[list[Json]]:
        chance = self._random.random
        if chance() < 0.4:
            return [[self._device()]]
        return [
            [self._device() for _ in range(self._random.randint(1, 3))]
            for _ in range(self._random.randint(1, 2))
        ]

    def _device(self) -> Json:
        to, timeout = self._people.somebody(), self._random.choice(self._timeouts)
        if to.startswith("+"):
            return {
                "type": "phone",
                "params": {"to_number": to, "from_number": "+15550009", "timeout": timeout},
            }
        return {"type": "sip", "params": {"to": to, "from": "sip:soak@127.0.0.1", "timeout": timeout}}

    async def _peer(self, client: RelayClient, call: CallView) -> None:
        """Some are commanded too, whether they are bridged or not."""
        if self._random.random() < 0.25:
            self.deeds["at a peer"] += 1
            await call.until(
                lambda: call.is_over or "answered" in call.states, self._random.uniform(0.0, 3.0)
            )
            await self._work(client, call)

    # ------------------------------------------------------------ on a call

    async def _work(self, client: RelayClient, call: CallView) -> None:
        """A few things, some of them beside each other; then hang up, or wait for the far end."""
        for _ in range(self._random.randint(0, 5)):
            if call.is_over:
                return
            deed = self._random.choices(list(_DEEDS), [weight for weight, _ in _DEEDS.values()])[0]
            self.deeds[deed] += 1
            work = _DEEDS[deed][1](self, client, call)
            if self._random.random() < 0.3:
                self._spawn(work)
            else:
                await work
            await call.until(lambda: call.is_over, self._random.uniform(0.0, 0.6))
        if self._random.random() < 0.3:
            await call.until(lambda: call.is_over or client.is_dead, _LONGEST)
        await self._end(client, call)

    async def _end(self, client: RelayClient, call: CallView) -> None:
        """Also what has ended already: the answer is 404 then."""
        reason = self._random.choice(("hangup", "busy", "decline", "cancel", "error"))
        await client.command(call, "end", reason=reason)
        assert await call.until(lambda: call.is_over or client.is_dead, _UNANSWERED), call.states

    def _control_id(self) -> str:
        self._names += 1
        return f"control-{self._names}"

    async def _play(self, client: RelayClient, call: CallView) -> None:
        control, items = self._control_id(), [self._random.choice((_SILENCE, _RINGING)) for _ in range(2)]
        await client.command(call, "play", control_id=control, play=items)
        for _ in range(self._random.randint(0, 2)):
            what = self._random.choice(("play.pause", "play.resume", "play.stop", "play.volume"))
            more = {"volume": -3} if what == "play.volume" else {}
            await client.command(call, what, control_id=control, **more)
        await client.command(call, "play.resume", control_id=control)

    async def _prompt(self, client: RelayClient, call: CallView) -> None:
        control = self._control_id()
        collect = {"initial_timeout": 0.4, "digits": {"max": 2, "digit_timeout": 0.3}}
        await client.command(
            call, "play_and_collect", control_id=control, play=[_SILENCE, _RINGING], collect=collect
        )
        if self._random.random() < 0.3:
            await client.command(call, "play_and_collect.stop", control_id=control)

    async def _collect(self, client: RelayClient, call: CallView) -> None:
        control = self._control_id()
        digits = {"max": 2, "digit_timeout": 0.3}
        await client.command(
            call, "collect", control_id=control, initial_timeout=0.4, digits=digits, partial_results=True
        )
        if self._random.random() < 0.3:
            await client.command(call, "collect.stop", control_id=control)

    async def _detect(self, client: RelayClient, call: CallView) -> None:
        control, kind = self._control_id(), self._random.choice(("digit", "machine", "fax"))
        await client.command(
            call, "detect", control_id=control, timeout=0.5, detect={"type": kind, "params": {}}
        )
        if self._random.random() < 0.3:
            await client.command(call, "detect.stop", control_id=control)

    async def _record(self, client: RelayClient, call: CallView) -> None:
        control = self._control_id()
        audio = {"format": "wav", "initial_timeout": 0.5, "end_silence_timeout": 0.5}
        await client.command(call, "record", control_id=control, record={"audio": audio})
        if self._random.random() < 0.5:
            await client.command(call, "record.stop", control_id=control)

    async def _send_digits(self, client: RelayClient, call: CallView) -> None:
        await client.command(call, "send_digits", control_id=self._control_id(), digits="12#")

    async def _hold(self, client: RelayClient, call: CallView) -> None:
        await client.command(call, "hold")
        await client.command(call, "unhold")

    async def _connect(self, client: RelayClient, call: CallView) -> None:
        self._names += 1
        more: Json = {"ringback": [_RINGING]} if self._random.random() < 0.3 else {}
        await client.command(call, "connect", tag=f"connect-{self._names}", devices=self._devices(), **more)
        if self._random.random() < 0.7:
            await call.until(lambda: call.is_over, self._random.uniform(0.0, 2.0))
        if self._random.random() < 0.4:
            await client.command(call, "disconnect")

    async def _disconnect(self, client: RelayClient, call: CallView) -> None:
        await client.command(call, "disconnect")


_DEEDS: dict[str, tuple[int, Any]] = {
    "play": (20, Programs._play),
    "prompt": (12, Programs._prompt),
    "collect": (8, Programs._collect),
    "detect": (6, Programs._detect),
    "record": (10, Programs._record),
    "send digits": (5, Programs._send_digits),
    "hold": (4, Programs._hold),
    "connect": (30, Programs._connect),
    "disconnect": (5, Programs._disconnect),
}

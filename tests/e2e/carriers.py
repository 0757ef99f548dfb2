"""Carriers: phone banks whose numbers do what a test says, and registrars that answer what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from cordboard.sip.message import Request, Response, parse
from cordboard.sip.uri import Uri
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.challenge import Challenge
from cordboard.testing.phone import PhoneBank

BRIEF = Behaviour(hang_up_after=0.05)
"""Answers, and hangs up soon."""


class Carriers:
    """`behaviours[carrier, number]`, else that of `(carrier, "")`, else a brief answer."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.behaviours: dict[tuple[str, str], Behaviour] = {}
        self.banks: dict[str, PhoneBank] = {}
        self._stack = stack

    async def start(self, name: str, **options: object) -> str:
        """`address:port` of a new carrier."""

        def choose(user: str) -> Behaviour:
            return self.behaviours.get((name, user)) or self.behaviours.get((name, ""), BRIEF)

        bank = await self._stack.enter_async_context(PhoneBank(choose, name=name, **options))
        self.banks[name] = bank
        return f"127.0.0.1:{bank.port}"

    def called(self, name: str, number: str) -> int:
        """How many calls to a number a carrier got."""
        bank = self.banks[name]
        uris = [call.report.local_uri for call in bank.calls] + [r.local_uri for r in bank.reports]
        return sum(Uri.parse(uri).user == number for uri in uris)


@asynccontextmanager
async def carriers(*names: str) -> AsyncIterator[Carriers]:
    async with AsyncExitStack() as stack:
        made = Carriers(stack)
        for name in names:
            await made.start(name)
        yield made


class Registrar(asyncio.DatagramProtocol):
    """Answers requests with `status` (0: not at all), a REGISTER only after `challenge`, calls with 486."""

    def __init__(self) -> None:
        self.status = 200
        self.challenge: Challenge | None = None
        self.requests: list[Request] = []
        self.pings = 0
        """Keep-alives of RFC 5626."""
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    @property
    def address(self) -> str:
        host, port = self.transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if not data.strip():
            self.pings += 1
            return
        request = parse(data)
        if isinstance(request, Request) and request.method != "ACK":
            self.requests.append(request)
            if self.status:
                self.transport.sendto(self._answer(request).to_bytes(), address)

    def _answer(self, request: Request) -> Response:
        if request.method == "INVITE":
            return request.response(486, to_tag="r")
        challenge = self.challenge if request.method == "REGISTER" else None
        demand = challenge.demand(request) if challenge else None
        if challenge is not None and demand is not None:
            return request.response(challenge.status, to_tag="r", headers=(demand,))
        return request.response(self.status, to_tag="r")

    def of(self, method: str) -> Iterator[Request]:
        return (request for request in self.requests if request.method == method)

    def count(self, method: str) -> int:
        return sum(1 for _ in self.of(method))


@asynccontextmanager
async def registrar() -> AsyncIterator[Registrar]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Registrar, local_addr=("127.0.0.1", 0))
    try:
        yield made
    finally:
        transport.close()

"""Trunks are registered and asked for signs of life, against a registrar on loopback."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import pytest

from cordboard.server.config import SipSection, Trunk
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.registrations import TrunkWatch, granted
from cordboard.server.resolver import Resolver
from cordboard.server.sip_transports import SipTransports
from cordboard.server.trunk_requests import TrunkRequests
from cordboard.server.trunks import Trunks
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import ResponseReceived, SendMessage
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.stack import SipStack

Answer = tuple[int, tuple[tuple[str, str], ...]]
CHALLENGE: Answer = (401, (("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"'),))


class Registrar(asyncio.DatagramProtocol):
    """Gives the answers in turn, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # UDP
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        self.requests.append(request)
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.transport.sendto(request.response(status, to_tag="r", headers=headers).to_bytes(), address)


class Bench:
    """A real stack on real sockets, pauses that are noted and not waited for."""

    def __init__(self, registrar: Registrar, **fields: object) -> None:
        port = registrar.transport.get_extra_info("sockname")[1]
        self.trunk = Trunk.model_validate(
            {"address": f"127.0.0.1:{port}", "username": "bob", "password": "secret", **fields}
        )
        self.trunks = Trunks({"t": self.trunk}, random=lambda: 0.0, clock=lambda: 0.0)
        self.pauses: list[float] = []
        self.enough = 3
        self.transports = SipTransports(
            SipSection(port=0), on_message=self._message, on_failure=lambda endpoint, sentence: None
        )
        ids = itertools.count(1)
        self.stack = SipStack(local=self.transports.local[0], token=lambda: f"{next(ids):032x}")
        self.requests = TrunkRequests(self.stack, self._carry)
        self.watch = TrunkWatch(
            {"t": self.trunk},
            self.trunks,
            Resolver(OutboundPolicy(allow_private=True), random=lambda: 0.0),
            self.requests,
            told=self.transports.local,
            random=lambda: 0.0,
            sleep=self._sleep,
        )
        self.transports.listen()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) >= self.enough:
            raise EOFError

    def _message(self, data: bytes, source: Endpoint) -> None:
        self._carry(self.stack.receive(data, source, asyncio.get_running_loop().time()))

    def _carry(self, outputs: Sequence[object]) -> None:
        for output in outputs:
            if isinstance(output, SendMessage):
                self.transports.send(output.data, output.destination)
            elif isinstance(output, ResponseReceived):
                self.requests.arrived(output)

    async def register(self) -> None:
        async with asyncio.timeout(20):
            await self.watch.keep_registered("t", self.trunk)

    async def ask(self) -> None:
        async with asyncio.timeout(20):
            await self.watch.keep_asking("t", self.trunk)


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(
        lambda: Registrar((200, ())), local_addr=("127.0.0.1", 0)
    )
    yield made
    transport.close()


async def test_a_registration_is_renewed_at_nine_tenths_under_one_call_id(registrar: Registrar) -> None:
    bench = Bench(registrar, register_expires=100)
    with pytest.raises(EOFError):
        await bench.register()
    assert bench.pauses == [90.0, 90.0, 90.0]
    first = registrar.requests[0]
    local = bench.transports.local[0]
    assert first.uri == f"sip:{bench.trunk.address}"
    assert first.headers.get("Contact") == f"<sip:bob@{local.host_port}>"
    assert first.headers.get("Expires") == "100"
    assert len({request.call_id for request in registrar.requests}) == 1
    numbers = [request.cseq.number for request in registrar.requests]
    assert numbers == sorted(set(numbers)), "each higher than the one before"
    await bench.transports.close()


async def test_a_challenge_is_answered(registrar: Registrar) -> None:
    registrar.answers = [CHALLENGE, (200, (("Expires", "60"),))]
    bench = Bench(registrar)
    bench.enough = 1
    with pytest.raises(EOFError):
        await bench.register()
    assert [("Authorization" in [n for n, _ in r.headers]) for r in registrar.requests] == [False, True]
    assert bench.pauses == [54.0]
    await bench.transports.close()


async def test_a_wrong_password_is_tried_once_and_told_once(
    registrar: Registrar, caplog: pytest.LogCaptureFixture
) -> None:
    registrar.answers = [CHALLENGE]
    bench = Bench(registrar)
    await bench.register()
    assert len(registrar.requests) == 2, "the request, and one answer to its challenge"
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1
    assert "check trunks.t.username and password" in told[0]
    assert "secret" not in caplog.text
    assert bench.trunks.mark_up("t", "register"), "it was marked down"
    await bench.transports.close()


async def test_failures_are_followed_by_growing_pauses_and_a_success_ends_them(registrar: Registrar) -> None:
    registrar.answers = [(500, ()), (500, ()), (500, ()), (200, ())]
    bench = Bench(registrar, register_expires=100)
    bench.enough = 4
    with pytest.raises(EOFError):
        await bench.register()
    assert bench.pauses == [2.5, 5.0, 10.0, 90.0]
    assert not bench.trunks.mark_up("t", "register"), "it is up again"
    await bench.transports.close()


async def test_a_longer_time_is_asked_for_where_the_registrar_demands_it(registrar: Registrar) -> None:
    registrar.answers = [(423, (("Min-Expires", "3600"),)), (200, ())]
    bench = Bench(registrar, register_expires=60)
    bench.enough = 1
    with pytest.raises(EOFError):
        await bench.register()
    assert [request.headers.get("Expires") for request in registrar.requests] == ["60", "3600"]
    assert bench.pauses == [3240.0]
    await bench.transports.close()


@pytest.mark.parametrize(("status", "lives"), [(200, True), (404, True), (405, True), (503, False)])
async def test_a_trunk_lives_while_it_answers_options(registrar: Registrar, status: int, lives: bool) -> None:
    registrar.answers = [(status, ())]
    bench = Bench(registrar, options_interval=30)
    with pytest.raises(EOFError):
        await bench.ask()
    assert bench.pauses == [30.0, 30.0, 30.0]
    assert registrar.requests[0].method == "OPTIONS"
    assert bench.trunks.mark_up("t", "options") is not lives
    await bench.transports.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 300.0),
        ((("Expires", "120"),), 120.0),
        ((("Contact", "<sip:x@192.0.2.1:5060>;expires=70"), ("Expires", "120")), 70.0),
        ((("Contact", "<sip:o@203.0.113.1>;expires=20, <sip:x@192.0.2.1:5060>;expires=80"),), 80.0),
        ((("Contact", "<sip:o@203.0.113.1>;expires=20"), ("Expires", "120")), 120.0),
        ((("Contact", "<sip:x@192.0.2.1:5060>;expires=0"),), 10.0),
        ((("Expires", "rubbish"),), 300.0),
    ],
)
def test_the_granted_time_is_that_of_our_contact(
    headers: tuple[tuple[str, str], ...], seconds: float
) -> None:
    assert granted(Response(200, headers=headers), [Endpoint("UDP", "192.0.2.1", 5060)], 300) == seconds

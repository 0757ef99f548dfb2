"""From a name to the host that answers (RFC 3263), through a whole server: NAPTR, SRV, hosts that fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import dns.flags
import dns.message
import dns.rrset
import pytest

from cordboard.sip.timers import Timers
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .book import Book
from .conftest import StartServer
from .explained import explain_last

NAME, NUMBER = "carrier.test", "+15553090001"
CLOSED = 1
"""A port where nothing listens."""


class NameServer(asyncio.DatagramProtocol):
    """Answers from `zone`, by (name, type); everything else has no records."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        records = self.zone.get((question.name.to_text(omit_final_dot=True), question.rdtype.name))
        if records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *records))
        self.transport.sendto(answer.to_wire(), address)

    @property
    def section(self) -> dict[str, Any]:
        host, port = self.transport.get_extra_info("sockname")
        return {"servers": [f"{host}:{port}"]}

    def hosts(self, *ports: int, transport: str = "udp", order: int = 1) -> None:
        """NAPTR and SRV of the name: these ports of this machine, in this order."""
        service = f"_sip._{transport}.{NAME}"
        letter = transport[0].upper()
        self.zone.setdefault((NAME, "NAPTR"), []).append(f'{order} 1 "s" "SIP+D2{letter}" "" {service}.')
        self.zone[service, "SRV"] = [f"{n} 0 {port} host{n}.{NAME}." for n, port in enumerate(ports)]
        for n in range(len(ports)):
            self.zone[f"host{n}.{NAME}", "A"] = ["127.0.0.1"]


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield made
    transport.close()


@pytest.fixture
async def ben() -> AsyncIterator[SimulatedPhone]:
    async with SimulatedPhone(Behaviour(tone_hz=620.0), name="ben", tcp=True) as phone:
        yield phone


async def call_ben(
    start_server: StartServer, names: NameServer, ben: SimulatedPhone, to: str
) -> list[tuple[str, int]]:
    """Ben is reached; (transport, port) of every INVITE that the server sent, repetitions left out."""
    server = await start_server(
        f"sections: {{main: [{{connect: {{to: '{to}', answer_on_bridge: true, timeout: 30}}}}]}}",
        dns=names.section,
        trunks={"srv": {"address": NAME, "allowed_prefixes": ["+1555309"], "from_names": True}},
    )
    tried: dict[tuple[str, int], None] = {}

    def note(way: str, data: bytes, peer: Any) -> None:
        if way == "sent" and data.startswith(b"INVITE "):
            tried[peer.transport, peer.port] = None

    server.exchange.taps.append(note)
    book = Book(server)
    async with SimulatedPhone(Behaviour(tone_hz=440.0), name="ann") as ann:
        call = await ann.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.answered(within=25.0)
        assert await call.hears(620.0)
        call.hang_up()
        await call.ended()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    return list(tried)


@pytest.mark.parametrize("to", [f"sip:ben@{NAME}", NUMBER])
async def test_the_next_host_of_srv_is_asked_where_nothing_listens(
    to: str, start_server: StartServer, names: NameServer, ben: SimulatedPhone
) -> None:
    names.hosts(CLOSED, ben.port)
    assert await call_ben(start_server, names, ben, to) == [("UDP", CLOSED), ("UDP", ben.port)]


@pytest.mark.parametrize("to", [f"sip:ben@{NAME}", NUMBER])
async def test_the_next_host_of_srv_is_asked_after_64_t1_of_silence(
    to: str, start_server: StartServer, names: NameServer, ben: SimulatedPhone, brisk: Timers
) -> None:
    """A fifth of T1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        names.hosts(port, ben.port)
        began = asyncio.get_running_loop().time()
        assert await call_ben(start_server, names, ben, to) == [("UDP", port), ("UDP", ben.port)]
        assert asyncio.get_running_loop().time() - began > 64 * brisk.t1


async def test_the_next_host_of_srv_is_asked_after_503(
    start_server: StartServer, names: NameServer, ben: SimulatedPhone
) -> None:
    async with SimulatedPhone(Behaviour(refuse=503), name="full") as full:
        names.hosts(full.port, ben.port)
        tried = await call_ben(start_server, names, ben, f"sip:ben@{NAME}")
        assert tried == [("UDP", full.port), ("UDP", ben.port)]


async def test_naptr_says_which_transport_comes_first_and_another_follows(
    start_server: StartServer, names: NameServer, ben: SimulatedPhone
) -> None:
    names.hosts(ben.port, transport="udp", order=2)
    names.zone[f"_sip._tcp.{NAME}", "SRV"] = [f"0 0 {CLOSED} host0.{NAME}."]
    names.zone[NAME, "NAPTR"].append(f'1 1 "s" "SIP+D2T" "" _sip._tcp.{NAME}.')
    tried = await call_ben(start_server, names, ben, f"sip:ben@{NAME}")
    assert tried == [("TCP", CLOSED), ("UDP", ben.port)]


async def test_a_name_without_any_record_fails_with_a_sentence_that_names_it(
    start_server: StartServer, names: NameServer
) -> None:
    server = await start_server(
        f"sections: {{main: [{{connect: {{to: 'sip:ben@{NAME}', answer_on_bridge: true}}}}]}}",
        dns=names.section,
    )
    async with SimulatedPhone(Behaviour(), name="ann") as ann:
        call = await ann.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert not await call.answered()
    await Book(server).rest()
    said = await explain_last(server)
    assert "(dns_failed)" in said
    assert f"sip:ben@{NAME}" in said

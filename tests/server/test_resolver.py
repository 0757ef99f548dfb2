"""From names to addresses (RFC 3263), against a name server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from cordboard.server.config import DnsSection
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.server.resolver import DnsRecords, Hop, Resolver, Srv, Wanted, in_order

ZONE = {
    ("full.test", "NAPTR"): [
        '20 10 "s" "SIP+D2U" "" _sip._udp.full.test.',
        '10 20 "s" "SIP+D2T" "" _sip._tcp.full.test.',
        '10 10 "s" "SIPS+D2T" "" _sips._tcp.full.test.',
        '5 10 "s" "XMPP+D2T" "" _xmpp._tcp.full.test.',
        '1 10 "u" "SIP+D2U" "!.*!sip:x@y!" .',
    ],
    ("_sips._tcp.full.test", "SRV"): ["0 0 5071 one.test."],
    ("_sip._tcp.full.test", "SRV"): ["0 0 5072 one.test."],
    ("_sip._udp.full.test", "SRV"): ["10 0 5073 two.test.", "5 0 5074 one.test."],
    ("srv.test", "A"): ["192.88.98.9"],
    ("_sip._udp.srv.test", "SRV"): ["0 0 5080 one.test.", "1 0 5081 gone.test.", "2 0 5082 two.test."],
    ("plain.test", "A"): ["8.8.4.4"],
    ("plain.test", "AAAA"): ["2606:2800::1"],
    ("one.test", "A"): ["8.8.8.1"],
    ("two.test", "A"): ["8.8.8.2"],
    ("_sip._udp.trap.test", "SRV"): ["0 0 5060 one.test.", "1 0 5060 inside.test."],
    ("inside.test", "A"): ["10.0.0.5"],
    ("_sip._udp.none.test", "SRV"): ["0 0 0 ."],
    ("none.test", "A"): ["8.8.8.9"],
}


class NameServer(asyncio.DatagramProtocol):
    """Answers from `ZONE`; `broken.test` fails and `silent.test` has no answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # UDP
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype.name
        self.asked.append((name, kind))
        if name.endswith("silent.test"):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name.endswith("broken.test"):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in ZONE:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *ZONE[name, kind]))
        elif not any(name == known or known.endswith("." + name) for known, _ in ZONE):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield made
    transport.close()


Make = Callable[..., Resolver]


@pytest.fixture
def make(server: NameServer) -> Make:
    def resolver(
        *, default: str = "UDP", versions: tuple[int, ...] = (4,), timeout: float = 2.0, private: bool = False
    ) -> Resolver:
        port = server.transport.get_extra_info("sockname")[1]
        records = DnsRecords(DnsSection(servers=(f"127.0.0.1:{port}",), timeout=timeout))
        return Resolver(
            OutboundPolicy(allow_private=private, lookup=records.addresses, hosts={"fixed.test": "8.8.8.7"}),
            records=records,
            default_transport=default,
            versions=versions,
            timeout=timeout,
            random=lambda: 0.0,
        )

    return resolver


@pytest.mark.parametrize(
    ("wanted", "hops"),
    [
        # Addresses, explicit ports and fixed names ask for no NAPTR and no SRV.
        (Wanted(host="8.8.8.8"), [Hop("UDP", "8.8.8.8", 5060)]),
        (Wanted(host="8.8.8.8", secure=True), [Hop("TLS", "8.8.8.8", 5061)]),
        (Wanted(host="one.test", port=5090), [Hop("UDP", "8.8.8.1", 5090)]),
        (Wanted(host="full.test", port=5090, transport="TCP"), None),
        (Wanted(host="fixed.test"), [Hop("UDP", "8.8.8.7", 5060)]),
        # NAPTR orders the transports, SRV the hosts.
        (
            Wanted(host="full.test"),
            [
                Hop("TLS", "8.8.8.1", 5071),
                Hop("TCP", "8.8.8.1", 5072),
                Hop("UDP", "8.8.8.1", 5074),
                Hop("UDP", "8.8.8.2", 5073),
            ],
        ),
        (Wanted(host="full.test", secure=True), [Hop("TLS", "8.8.8.1", 5071)]),
        # A transport in the URI asks for its SRV alone.
        (Wanted(host="full.test", transport="TCP"), [Hop("TCP", "8.8.8.1", 5072)]),
        # Without NAPTR, SRV; a host of it that is gone is left out.
        (
            Wanted(host="srv.test"),
            [Hop("UDP", "8.8.8.1", 5080), Hop("UDP", "8.8.8.2", 5082)],
        ),
        # Without both, addresses at the usual port.
        (Wanted(host="srv.test", secure=True), [Hop("TLS", "192.88.98.9", 5061)]),
        (Wanted(host="plain.test"), [Hop("UDP", "8.8.4.4", 5060)]),
        (Wanted(host="plain.test", transport="TLS"), [Hop("TLS", "8.8.4.4", 5061)]),
        (Wanted(host="none.test"), [Hop("UDP", "8.8.8.9", 5060)]),
    ],
)
async def test_names_become_addresses(make: Make, wanted: Wanted, hops: list[Hop] | None) -> None:
    if hops is None:
        with pytest.raises(OSError, match="Name or service not known"):
            await make().locate(wanted)
    else:
        assert await make().locate(wanted) == hops


async def test_both_ip_versions_are_used_where_there_are_sockets_for_both(make: Make) -> None:
    hops = await make(versions=(4, 6)).locate(Wanted(host="plain.test"))
    assert [hop.address for hop in hops] == ["2606:2800::1", "8.8.4.4"]
    with pytest.raises(OSError, match="has only IPv4 addresses, and this server's SIP address is IPv6"):
        await make(versions=(6,)).locate(Wanted(host="one.test"))


async def test_one_host_of_srv_that_is_refused_refuses_all(make: Make) -> None:
    with pytest.raises(PolicyError, match=r"inside\.test is refused"):
        await make().locate(Wanted(host="trap.test"))
    assert len(await make(private=True).locate(Wanted(host="trap.test"))) == 2


@pytest.mark.parametrize("host", ["nowhere.test", "broken.test", "silent.test"])
async def test_a_name_that_cannot_be_resolved_fails_in_time(make: Make, host: str) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(OSError, match=r"not known|could not say|no name server answered"):
            await make(timeout=0.6).locate(Wanted(host=host))


async def test_answers_are_kept_also_that_there_is_none(make: Make, server: NameServer) -> None:
    resolver = make()
    await resolver.locate(Wanted(host="srv.test"))
    count = len(server.asked)
    await resolver.locate(Wanted(host="srv.test"))
    again = server.asked[count:]
    assert ("_sip._udp.srv.test", "SRV") not in again
    assert ("one.test", "A") not in again


def test_srv_is_ordered_by_priority_and_drawn_by_weight() -> None:
    records = [Srv(1, 0, 1, "c"), Srv(0, 10, 1, "a"), Srv(0, 30, 1, "b"), Srv(2, 0, 1, ".")]
    assert [r.host for r in in_order(records, lambda: 0.0)] == ["a", "b", "c"]
    assert [r.host for r in in_order(records, lambda: 0.5)] == ["b", "a", "c"]

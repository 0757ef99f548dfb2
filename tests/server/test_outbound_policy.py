"""Which addresses can be reached, in whatever disguise; and that nothing else is connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.server.address_rules import METADATA, PUBLIC, kind_of, parse_address, source_filter
from cordboard.server.http_client import failure, open_session, send
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.webhooks.payloads import signed_request
from cordboard.webhooks.target import parse_target

CLOSED = OutboundPolicy()
OPEN = OutboundPolicy(allow_private=True)

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "::1", "fc00::1", "fd12:3456::1", "fe80::1",
    "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2001:0:0:1::f5ff:fffe", "fe80::5efe:10.0.0.1",
    "2606:4700::5efe:127.0.0.1",
    "2130706433", "0x7f000001", "017700000001", "0x7f.1", "127.1", "0177.0.0.1", "[::1]", "fe80::1%eth0",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xA9.0xFE.0xA9.0xFE",
    "0.0.0.0", "0", "::", "224.0.0.1", "239.255.255.250", "ff02::1", "255.255.255.255", "240.0.0.1",
]  # fmt: skip
FINE = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "134744072"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_needs_permission(address: str) -> None:
    assert not CLOSED.check_address(address).allowed
    assert "outbound.allow_private" in CLOSED.check_address(address).sentence
    assert OPEN.check_address(address).allowed


@pytest.mark.parametrize("address", NEVER)
def test_what_is_never_wanted_is_refused_whatever_the_configuration_says(address: str) -> None:
    generous = OutboundPolicy(allow_private=True, allowed_networks=["0.0.0.0/0", "::/0"])
    assert not generous.check_address(address).allowed
    assert "never" in generous.check_address(address).sentence


@pytest.mark.parametrize("address", FINE)
def test_a_public_address_is_allowed(address: str) -> None:
    assert CLOSED.check_address(address).allowed


def test_a_listed_network_is_allowed_and_its_neighbour_is_not() -> None:
    policy = OutboundPolicy(allowed_networks=["10.5.0.0/16"])
    assert policy.check_address("10.5.1.1").allowed
    assert not policy.check_address("10.6.1.1").allowed


@pytest.mark.parametrize("text", ["", "example.com", "1.2.3.4.5", "256.1.1.1", "08.1.1.1", "1..2", "9" * 99])
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    assert parse_address(text) is None
    assert not OPEN.check_address(text).allowed


@given(st.text(alphabet="0123456789abcdefx.:[]%", max_size=40))
def test_old_spellings_mean_what_the_c_library_takes_them_for(text: str) -> None:
    try:
        expected = socket.inet_aton(text)
    except (OSError, ValueError):
        return
    parsed = parse_address(text)
    if " " not in text:
        assert parsed is not None
        assert parsed.packed == expected


@given(st.ip_addresses(v=4))
def test_an_address_is_not_better_for_being_carried(address: ipaddress.IPv4Address) -> None:
    for carrier in (f"::ffff:{address}", f"64:ff9b::{address}", f"::ffff:0:{address}"):
        assert kind_of(ipaddress.ip_address(carrier)) == kind_of(address)


@given(st.ip_addresses(v=4))
def test_what_is_public_here_is_global_for_python_too(address: ipaddress.IPv4Address) -> None:
    assert address.is_global or kind_of(address) != PUBLIC


def test_metadata_has_a_kind_of_its_own() -> None:
    assert kind_of(ipaddress.ip_address("169.254.169.254")) == METADATA


def test_sources_are_matched_by_block_mapped_addresses_as_ipv4() -> None:
    may_call = source_filter(("127.0.0.0/8", "2001:db8::/32"))
    assert may_call("127.0.0.1")
    assert may_call("::ffff:127.0.0.1")
    assert may_call("2001:db8::9")
    assert not may_call("10.0.0.1")
    assert not may_call("nonsense")


# ------------------------------------------------------------------ names


def names(table: dict[str, list[str]]) -> OutboundPolicy:
    async def lookup(host: str, port: int) -> list[str]:
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return table[host]

    return OutboundPolicy(lookup=lookup, hosts={"Fixed.test": "8.8.4.4", "inner.test": "10.0.0.1"})


async def test_a_name_is_resolved_to_its_checked_addresses() -> None:
    policy = names({"a.test": ["8.8.8.8", "2606:4700::1111"]})
    assert await policy.resolve("a.test", 80) == ["8.8.8.8", "2606:4700::1111"]
    assert await policy.resolve("8.8.8.8", 80) == ["8.8.8.8"]


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    with pytest.raises(PolicyError, match=r"The host a\.test is refused: The address 10\.0\.0\.1 is private"):
        await names({"a.test": ["8.8.8.8", "10.0.0.1"]}).resolve("a.test", 80)


async def test_fixed_hosts_are_asked_before_dns_and_checked_too() -> None:
    policy = names({"fixed.test": ["10.0.0.1"]})
    assert await policy.resolve("FIXED.test.", 80) == ["8.8.4.4"]
    with pytest.raises(PolicyError):
        await policy.resolve("inner.test", 80)


async def test_an_unknown_name_is_not_a_refusal() -> None:
    with pytest.raises(OSError, match="Name or service not known") as caught:
        await names({}).resolve("nowhere.test", 80)
    assert not isinstance(caught.value, PolicyError)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "localhost", "::ffff:127.0.0.1"])
async def test_spellings_of_loopback_do_not_resolve_in_production(host: str) -> None:
    with pytest.raises(PolicyError):
        await OutboundPolicy().resolve(host, 80)


# ------------------------------------------------------------------ connections


async def _get(policy: OutboundPolicy, url: str) -> str:
    request = signed_request("GET", parse_target(url), b"", key=b"k")
    async with open_session(policy) as session:
        try:
            async with await send(session, request, aiohttp.ClientTimeout(total=2)) as response:
                return f"status {response.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return failure(error, url)


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self.connections = 0

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_a_refused_address_is_never_connected_to(host: str) -> None:
    async with Listener() as listener:
        sentence = await _get(OutboundPolicy(), f"http://{host}:{listener.port}/")
    assert listener.connections == 0
    assert sentence.endswith(".")
    assert "status" not in sentence


async def test_the_name_is_not_looked_up_again_between_the_check_and_the_connection() -> None:
    """A name with an allowed address when it is checked, and another one a moment later."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    asked: list[str] = []

    async def flipping(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked) - 1, 1)]

    policy = OutboundPolicy(allowed_networks=["127.0.0.2/32"], lookup=flipping)
    async with Listener() as listener:
        first = await _get(policy, f"http://flip.test:{listener.port}/")
        second = await _get(policy, f"http://flip.test:{listener.port}/")
    assert listener.connections == 0
    assert "status" not in first
    assert "The host flip.test is refused: The address 127.0.0.1 is loopback" in second


async def test_an_allowed_address_is_reached_through_a_fixed_name() -> None:
    policy = OutboundPolicy(allow_private=True, hosts={"phones.test": "127.0.0.1"})
    async with Listener() as listener:
        assert await _get(policy, f"http://phones.test:{listener.port}/") == "status 200"
    assert listener.connections == 1

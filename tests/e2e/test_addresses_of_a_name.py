"""A name with several addresses: each is tried, those without a socket of ours are passed over (RFC 3263)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .conftest import StartServer
from .test_name_servers import CLOSED, NAME, NameServer, ben, call_ben, names

__all__ = ["ben", "names"]

DEAD, NEXT_HOST = "127.0.0.1", "127.0.0.2"


@pytest.fixture
async def next_host() -> AsyncIterator[SimulatedPhone]:
    """At the same port as nobody at the first address."""
    async with SimulatedPhone(Behaviour(tone_hz=620.0), name="ben", address=NEXT_HOST) as phone:
        yield phone


@pytest.mark.parametrize("addresses", [[DEAD, NEXT_HOST], [NEXT_HOST, DEAD]])
async def test_every_address_of_a_name_is_asked_until_one_answers(
    addresses: list[str], start_server: StartServer, names: NameServer, next_host: SimulatedPhone
) -> None:
    """In whatever order they are asked, one of the two ways begins with the dead one."""
    names.zone[NAME, "A"] = addresses
    to = f"sip:ben@{NAME}:{next_host.port}"
    assert await call_ben(start_server, names, next_host, to) == [("UDP", next_host.port)]


async def test_both_addresses_of_a_host_of_srv_come_before_the_next_host(
    start_server: StartServer, names: NameServer, ben: SimulatedPhone
) -> None:
    names.hosts(CLOSED, ben.port)
    names.zone[f"host0.{NAME}", "A"] = [DEAD, NEXT_HOST]
    assert await call_ben(start_server, names, ben, f"sip:ben@{NAME}") == [("UDP", CLOSED), ("UDP", ben.port)]


async def test_an_ipv6_address_is_passed_over_where_there_is_no_socket_for_it(
    start_server: StartServer, names: NameServer, ben: SimulatedPhone
) -> None:
    names.zone[NAME, "AAAA"], names.zone[NAME, "A"] = ["::1"], ["127.0.0.1"]
    assert await call_ben(start_server, names, ben, f"sip:ben@{NAME}:{ben.port}") == [("UDP", ben.port)]

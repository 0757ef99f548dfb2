"""The production profile opens nothing that the configuration does not name; and a full server says so."""

from __future__ import annotations

import pytest

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank, SimulatedPhone

from .book import Book
from .conftest import StartServer

PRODUCTION = {"profile": "production", "signing_key": "a key of our own"}
CONNECT = "sections: {{main: [{{connect: {{to: '{to}', answer_on_bridge: true}}}}]}}"


async def dialled(start_server: StartServer, to: str, **sections: object) -> tuple[int, str]:
    """(status that the caller got, cause of the failed connect)"""
    server = await start_server(CONNECT.format(to=to), **sections)
    book = Book(server)
    async with SimulatedPhone(name="caller") as caller:
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        report = await call.ended(within=10.0)
    await book.rest()
    (leg,) = [record for record in await server.store.calls() if record.start.direction == "outbound"]
    assert leg.end is not None
    return report.status, leg.end.cause


@pytest.mark.parametrize("to", ["sip:bob@127.0.0.1:9", "sip:bob@10.0.0.1", "sip:a@169.254.169.254"])
async def test_production_reaches_no_private_address(start_server: StartServer, to: str) -> None:
    assert await dialled(start_server, to, server=PRODUCTION) == (403, "policy_refused")


async def test_production_dials_no_number_without_a_trunk(start_server: StartServer) -> None:
    assert await dialled(start_server, "+15550100", server=PRODUCTION) == (503, "no_trunk")


async def test_a_trunk_serves_only_the_prefixes_that_it_names(start_server: StartServer) -> None:
    trunks = {"carrier": {"address": "127.0.0.1:9", "allowed_prefixes": ["+1555"]}}
    refused = await dialled(start_server, "+8821600", server=PRODUCTION, trunks=trunks)
    assert refused == (403, "prefix_not_allowed")


async def test_production_has_no_simulated_phones(start_server: StartServer) -> None:
    server = await start_server(CONNECT.format(to="+15550100"), server=PRODUCTION)
    assert server.phones is None


async def test_without_a_free_port_callers_get_503_and_the_server_lives_on(
    start_server: StartServer,
) -> None:
    """Six ports are three legs: a second conversation finds one port pair and no other."""
    async with PhoneBank() as bank:
        document = CONNECT.format(to=bank.uri("answer-after-0"))
        first = 61_000
        server = await start_server(document, media={"port_min": first, "port_max": first + 5})
        async with SimulatedPhone(Behaviour(), name="caller") as caller:
            target = f"sip:+15551230000@{server.socket.local.host_port}"
            talking = await caller.call(target)
            assert await talking.answered()
            turned_away = await (await caller.call(target)).ended()
            assert turned_away.status == 503
            assert not talking.is_over
            talking.hang_up()
            await talking.ended()
        await server.exchange.quiet()
        assert server.exchange.switchboard.defects == 0

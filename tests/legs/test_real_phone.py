"""REFER and hold over real sockets: UDP, TCP and TLS, with a simulated phone as the far end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
import trustme

from cordboard.call.facts import HoldAnswered, LegEnded, LegHeld, ReferProgressed
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.challenge import Challenge
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_streams import TlsContexts

from .real_legs import RealLegs

CAROL = "sip:carol@example.com"


def certificates() -> TlsContexts:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return TlsContexts(server=server, client=client)


async def until(condition: Callable[[], bool], within: float = 3.0) -> None:
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def outcome(legs: RealLegs) -> list[tuple[int | None, int | None]]:
    """(status of the REFER, status in the NOTIFY) of all that is told until the last word."""
    told = []
    while True:
        fact = await legs.next_fact(ReferProgressed)
        told.append((fact.refer_code, fact.notify_code))
        if fact.is_final:
            return told


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_phone_is_referred(transport: str) -> None:
    tls = certificates() if transport == "TLS" else None
    async with SimulatedPhone(tcp=True, tls=tls) as phone, RealLegs(tls) as legs:
        call = await legs.call(phone, transport)
        for _ in range(2):
            legs.refer(CAROL)
            assert await outcome(legs) == [(202, None), (202, 100), (202, 200)]
        assert call.referred_to == [f"<{CAROL}>"] * 2
        assert call.requests[-1].headers.get("X-Case") == "7"
        await until(lambda: call.answers == [("NOTIFY", 200)] * 4)


async def test_a_phone_that_does_not_want_to_be_referred() -> None:
    async with SimulatedPhone(Behaviour(refer_refuse=603)) as phone, RealLegs() as legs:
        call = await legs.call(phone)
        legs.refer(CAROL)
        fact = await legs.next_fact(ReferProgressed)
        assert (fact.refer_code, fact.is_final) == (603, True)
        assert not call.is_over
        assert call.referred_to == []


async def test_a_transfer_that_fails() -> None:
    async with SimulatedPhone(Behaviour(refer_told=(100, 180, 486))) as phone, RealLegs() as legs:
        await legs.call(phone)
        legs.refer(CAROL)
        assert await outcome(legs) == [(202, None), (202, 100), (202, 180), (202, 486)]


@pytest.mark.parametrize("status", [401, 407])
async def test_a_phone_that_asks_who_refers_it(status: int) -> None:
    behaviour = Behaviour(refer_challenge=Challenge(status=status))
    async with SimulatedPhone(behaviour) as phone, RealLegs() as legs:
        call = await legs.call(phone)
        legs.refer(CAROL, "user", "wrong")
        assert await outcome(legs) == [(status, None)]
        legs.refer(CAROL, "user", "secret")
        assert (await outcome(legs))[-1] == (202, 200)
        assert len(call.referred_to) == 1


async def test_a_phone_that_hangs_up_on_its_transfer() -> None:
    async with SimulatedPhone(Behaviour(refer_told=(100,))) as phone, RealLegs() as legs:
        call = await legs.call(phone)
        legs.refer(CAROL)
        await until(lambda: ("NOTIFY", 200) in call.answers)
        call.hang_up()
        assert (await outcome(legs))[-1] == (202, 100)
        await legs.next_fact(LegEnded)


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_phone_is_held_and_taken_back(transport: str) -> None:
    tls = certificates() if transport == "TLS" else None
    async with SimulatedPhone(tcp=True, tls=tls) as phone, RealLegs(tls) as legs:
        call = await legs.call(phone, transport)
        await until(lambda: legs.packets > 5)
        legs.hold(True)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=True)
        assert call.is_held
        assert (legs.orders[-1].sending, legs.orders[-1].receiving) == (True, False)
        assert call.audio.destination is None
        legs.hold(False)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=False)
        assert not call.is_held
        before = legs.packets
        await until(lambda: legs.packets > before + 5)


async def test_a_phone_that_will_not_be_held() -> None:
    async with SimulatedPhone(Behaviour(refuse_hold=488)) as phone, RealLegs() as legs:
        call = await legs.call(phone)
        legs.hold(True)
        fact = await legs.next_fact(HoldAnswered)
        assert (fact.held, fact.ok) == (False, False)
        assert "488" in fact.sentence
        assert not call.is_held
        assert not call.is_over


async def test_both_ends_hold_at_once_and_each_comes_back() -> None:
    async with SimulatedPhone() as phone, RealLegs() as legs:
        call = await legs.call(phone)
        call.hold()
        legs.hold(True)
        assert (await legs.next_fact(HoldAnswered, within=10)).ok
        await until(lambda: ("INVITE", 200) in call.answers, within=10)
        assert call.is_held
        assert not legs.orders[-1].sending
        assert not legs.orders[-1].receiving
        legs.hold(False)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=False)
        assert (legs.orders[-1].sending, legs.orders[-1].receiving) == (False, True)
        call.resume()
        await until(lambda: legs.orders[-1].sending)


async def test_a_phone_that_holds_is_held_too() -> None:
    async with SimulatedPhone() as phone, RealLegs() as legs:
        call = await legs.call(phone)
        call.hold()
        await legs.next_fact(LegHeld)
        legs.hold(True)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=True)
        assert call.is_held


async def test_a_keyed_phone_is_held_with_the_keys_that_it_has() -> None:
    from .offering import keyed

    behaviour = Behaviour(encryption="optional")
    async with SimulatedPhone(behaviour) as phone, RealLegs(rules=keyed(encryption="optional")) as legs:
        call = await legs.call(phone)
        before = legs.orders[-1].srtp
        assert before is not None
        assert call.is_secure
        legs.hold(True)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=True)
        now = legs.orders[-1].srtp
        assert now is not None
        assert now.send == before.send
        assert call.is_secure


async def test_what_the_network_loses_is_sent_again() -> None:
    async with SimulatedPhone() as phone, RealLegs() as legs:
        call = await legs.call(phone)
        seen: set[bytes] = set()

        def is_first(data: bytes) -> bool:
            method = data.split(b" ", 1)[0]
            known = method in seen
            seen.add(method)
            return method in (b"REFER", b"INVITE") and not known

        legs.lost = is_first
        legs.refer(CAROL)
        assert (await outcome(legs))[-1] == (202, 200)
        legs.hold(True)
        assert await legs.next_fact(HoldAnswered) == HoldAnswered(held=True)
        assert [request.method for request in call.requests] == ["REFER", "INVITE"]

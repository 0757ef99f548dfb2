"""Servers with one trunk each: registration and its end, public addresses, owned numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cordboard.server.config import Config
from cordboard.server.trunk_check import TrunkCheck
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.challenge import Challenge
from cordboard.testing.phone import SimulatedPhone

from .carriers import Registrar, carriers, registrar
from .cases import CALLER, refuses, until
from .conftest import StartServer

SECRET = Challenge(username="account", password="a password", realm="carrier")


def registering(register: Registrar) -> dict[str, Any]:
    return {"address": register.address, "register": True, "username": "account", "password": "a password"}


async def test_a_server_that_is_stopped_takes_its_registration_back(start_server: StartServer) -> None:
    async with registrar() as register:
        register.challenge = SECRET
        server = await start_server("sections: {main: [hangup: {}]}", trunks={"t": registering(register)})
        await until(lambda: server.trunks.mark_up("t", "register") or register.count("REGISTER") >= 2)
        await server.stop()
        *_, last = register.of("REGISTER")
        assert last.headers.get("Expires") == "0"
        assert "Authorization" in last.headers
        first, *others = register.of("REGISTER")
        assert {other.call_id for other in others} == {first.call_id}
        numbers = [request.cseq.number for request in register.of("REGISTER")]
        assert numbers == sorted(set(numbers))


async def test_a_registrar_that_is_dead_holds_up_no_stop_for_long(start_server: StartServer) -> None:
    async with registrar() as register:
        server = await start_server("sections: {main: [hangup: {}]}", trunks={"t": registering(register)})
        await until(lambda: register.count("REGISTER") >= 1)
        await asyncio.sleep(0.05)  # for its answer
        register.status = 0
        began = asyncio.get_running_loop().time()
        await server.stop()
        assert register.count("REGISTER") >= 2
        assert asyncio.get_running_loop().time() - began < 4.0


# ---------------------------------------------------------------- behind NAT


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
async def test_far_ends_are_told_the_public_addresses(start_server: StartServer, address: str) -> None:
    """In Via, Contact, SDP and REGISTER"""
    async with registrar() as register:
        server = await start_server(
            "sections: {main: [{connect: {to: '+15553090001', answer_on_bridge: true}}]}",
            sip={"address": address, "public_address": "192.0.2.9", "public_port": 5999},
            media={"address": address, "public_address": "192.0.2.10"},
            trunks={"t": {**registering(register), "allowed_prefixes": ["+1555309"]}},
        )
        await until(lambda: register.count("REGISTER") >= 1)
        async with SimulatedPhone(name=CALLER) as phone:
            call = await phone.call(f"sip:+15551230000@127.0.0.1:{server.socket.local.port}")
            assert (await call.ended()).status == 486
        await server.stop()
        for request in (next(register.of("REGISTER")), next(register.of("INVITE"))):
            assert request.vias[0].host == "192.0.2.9"
            assert request.vias[0].port == 5999
            contact = request.contact
            assert contact is not None
            assert (contact.uri.host, contact.uri.port) == ("192.0.2.9", 5999)
        body = next(register.of("INVITE")).body.decode()
        assert "c=IN IP4 192.0.2.10" in body
        assert "127.0.0.1" not in body
        assert "0.0.0.0" not in body


# ---------------------------------------------------------------- owned numbers


async def test_only_owned_numbers_are_presented_to_carriers(start_server: StartServer) -> None:
    async with carriers("one") as made:
        bank = made.banks["one"]
        server = await start_server(
            "sections: {main: [{connect: {to: '+15553090001', answer_on_bridge: true}}]}",
            server={"numbers": [CALLER]},
            trunks={"t": {"address": f"127.0.0.1:{bank.port}", "allowed_prefixes": ["+1555309"]}},
        )
        made.behaviours["one", ""] = refuses(486)
        statuses = []
        for caller in (CALLER, "+15550000666"):
            async with SimulatedPhone(name=caller) as phone:
                call = await phone.call(f"sip:+15551230000@127.0.0.1:{server.socket.local.port}")
                statuses.append((await call.ended()).status)
        assert statuses == [486, 403]
        assert made.called("one", "+15553090001") == 1
        await server.store.flush()
        causes = [r.end.cause for r in await server.store.calls() if r.end and r.start.to == "+15553090001"]
        assert sorted(causes) == ["from_not_allowed", "user_busy"]


# ---------------------------------------------------------------- a call for a test


@pytest.mark.parametrize(
    ("behaviour", "encryption", "ok", "told"),
    [
        (Behaviour(ring=False, challenge=SECRET), "forbidden", True, "took the call: PCMU, without SRTP"),
        (Behaviour(ring=False, encryption="mandatory"), "mandatory", True, "PCMU, with SRTP"),
        (Behaviour(answer_after=None), "forbidden", True, "rings (180)"),
        (refuses(403), "forbidden", False, "403 Forbidden"),
        (refuses(488), "mandatory", False, "488 Not Acceptable Here"),
        (Behaviour(ring=False, answer_without_sdp=True), "forbidden", False, "no session description"),
    ],
)
async def test_a_test_call_says_what_the_carrier_makes_of_it(
    tmp_path: Path, behaviour: Behaviour, encryption: str, ok: bool, told: str
) -> None:
    async with carriers("one") as made:
        made.behaviours["one", "+15550001"] = behaviour
        trunk = {
            "address": f"127.0.0.1:{made.banks['one'].port}",
            "allowed_prefixes": ["+1"],
            "test_number": "+15550001",
            "username": SECRET.username,
            "password": SECRET.password,
            "encryption": encryption,
        }
        findings = await TrunkCheck(Config.model_validate({"trunks": {"t": trunk}}), "t", tmp_path).run()
        (call,) = [finding for finding in findings if finding.step == "call"]
        assert call.ok is ok, call
        assert told in call.text
        assert bool(call.fix) is not ok
        # It is hung up, or cancelled.
        await until(lambda: not made.banks["one"].calls)

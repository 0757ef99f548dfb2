"""Calls to phone numbers through trunks, and calls that come from them: against carriers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from cordboard.server.sip_log import decode
from cordboard.server.sip_log import trunks_of as trunks_in
from cordboard.sip.headers import NameAddr
from cordboard.sip.message import Request
from cordboard.sip.uri import Uri
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.challenge import Challenge
from cordboard.testing.phone import SimulatedPhone

from .carriers import BRIEF, Carriers, Registrar, carriers, registrar
from .cases import CALLER, Case, Lab, Packet, laboratory, refuses, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_TRUNK = "127.0.0.3"
"""Calls from here come from the trunk `uk`."""
STRANGER = "127.0.0.2"
SECRET = Challenge(username="account", password="a password", realm="carrier", status=407)


class World(msgspec.Struct):
    """A server with trunks, and who is behind them."""

    lab: Lab
    carriers: Carriers
    registrar: Registrar


def trunks_of(made: Carriers, register: Registrar) -> dict[str, dict[str, Any]]:
    """Each group of tests has a prefix of its own."""
    one, two = (f"127.0.0.1:{made.banks[name].port}" for name in ("one", "two"))

    def trunk(address: str, prefix: str, **fields: Any) -> dict[str, Any]:
        return {"address": address, "allowed_prefixes": [prefix], **fields}

    return {
        "first": trunk(one, "+15553010"),
        "second": trunk(two, "+15553010", priority=1),
        "closed-port": trunk("127.0.0.1:1", "+15553020"),
        "after-closed-port": trunk(two, "+15553020", priority=1),
        "closed-tcp": trunk("127.0.0.1:1", "+15553021", transport="tcp"),
        "after-closed-tcp": trunk(two, "+15553021", priority=1),
        "only-closed-tcp": trunk("127.0.0.1:1", "+15553022", transport="tcp"),
        "light": trunk(one, "+15553030", weight=1),
        "heavy": trunk(two, "+15553030", weight=3),
        "uk": trunk(
            one,
            "+44",
            username="account",
            password="a password",
            from_domain="sip.uk.example",
            rewrite_to=[[r"^\+44", "0"]],
            rewrite_from=[[r"^\+1", "001"]],
            allowed_sources=[f"{OF_TRUNK}/32"],
            max_calls=1,
        ),
        "account": trunk(one, "+15553040", from_user="account-4711", codecs="PCMA", asserted_identity=False),
        "optional": trunk(one, "+15553050", encryption="optional"),
        "two-lines": trunk(one, "+15553051", encryption="optional", two_media_lines=True),
        "mandatory": trunk(one, "+15553052", encryption="mandatory"),
        "narrow": trunk(one, "+15553060", max_calls=1),
        "after-narrow": trunk(two, "+15553060", priority=1),
        "only-narrow": trunk(one, "+15553061", max_calls=1),
        "slow": trunk(one, "+15553070", max_calls_per_second=0.01),
        "after-slow": trunk(two, "+15553070", priority=1),
        "only-slow": trunk(one, "+15553071", max_calls_per_second=0.01),
        "asked": trunk(register.address, "+15553080", options_interval=0.05),
        "after-asked": trunk(two, "+15553080", priority=1),
        "registered": trunk(
            register.address,
            "+15553090",
            register=True,
            username="account",
            password="a password",
        ),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with carriers("one", "two") as made, registrar() as register:
        register.challenge = msgspec.structs.replace(SECRET, status=401)
        async with laboratory(
            tmp_path_factory.mktemp("trunks"),
            sip={"port": 0, "allowed_sources": ["127.0.0.1/32"], "keep_alive": 0.05},
            trunks=trunks_of(made, register),
        ) as lab:
            yield World(lab, made, register)
            await lab.server.watch.farewell()


@pytest.fixture
def case(world: World) -> Case:
    return world.lab.case()


def invites(case: Case, number: str) -> list[Packet]:
    """To a number, as the carrier writes it."""
    sent = [packet for packet in case.lab.packets if packet.label == "> INVITE"]
    return [packet for packet in sent if _user(packet) == number]


def _user(packet: Packet) -> str | None:
    return Uri.parse(packet.message.uri).user if isinstance(packet.message, Request) else None


def invite(case: Case, number: str) -> Request:
    message = invites(case, number)[0].message
    assert isinstance(message, Request)
    return message


def trunk_of(world: World, packet: Packet) -> str:
    ports = {bank.port: name for name, bank in world.carriers.banks.items()}
    return ports.get(packet.peer.port, str(packet.peer.port))


async def sentence_of(case: Case, number: str) -> str:
    """Why the call to a number ended, as its record and its callback say it."""
    await case.lab.server.store.flush()
    records = [r for r in await case.lab.server.store.calls() if r.start.to == number]
    assert len(records) == 1
    end = records[0].end
    assert end is not None
    return f"{end.cause}: {end.sentence}"


async def recorded_trunks(case: Case, number: str) -> list[str]:
    """That the record of the call names, which `explain` prints."""
    server = case.lab.server
    await until(lambda: not server.exchange.counts()["calls"])
    server.exchange.sip_log.sweep(everything=True)
    await server.store.flush()
    (record,) = [r for r in await server.store.calls() if number in (r.start.to, r.start.from_)]
    return trunks_in(decode(await server.store.ladder(record.start.call_id)))


# ---------------------------------------------------------------- the next trunk


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_trunk_that_fails_is_followed_by_the_next(world: World, case: Case, status: int) -> None:
    number = f"+15553010{status}"
    world.carriers.behaviours["one", number] = refuses(status)
    assert await case.outcome({"to": number}) == ("connected", "")
    assert [trunk_of(world, packet) for packet in invites(case, number)] == ["one", "two"]
    assert await recorded_trunks(case, number) == ["first", "second"]


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "busy"), (600, "busy"), (603, "declined"), (404, "error"), (403, "declined")]
)
async def test_what_is_said_of_the_callee_holds_for_every_trunk(
    world: World, case: Case, status: int, reason: str
) -> None:
    number = f"+15553010{status}"
    world.carriers.behaviours["one", number] = refuses(status)
    assert await case.outcome({"to": number}) == ("failed", reason)
    assert [trunk_of(world, packet) for packet in invites(case, number)] == ["one"]


@pytest.mark.parametrize("prefix", ["+15553020", "+15553021"])
async def test_a_port_where_nothing_listens_is_passed_at_once(world: World, case: Case, prefix: str) -> None:
    number = f"{prefix}001"
    began = asyncio.get_running_loop().time()
    assert await case.outcome({"to": number}) == ("connected", "")
    assert asyncio.get_running_loop().time() - began < 4.5
    assert trunk_of(world, invites(case, number)[-1]) == "two"


async def test_why_the_connection_to_a_trunk_failed_is_in_the_record(case: Case) -> None:
    number = "+15553022001"
    assert await case.outcome({"to": number}) == ("failed", "error")
    assert await sentence_of(case, number) == (
        f"connection_failed: {number} could not be reached: 127.0.0.1:1 (TCP): "
        "it refused the connection: check that something listens on that port."
    )


async def test_the_last_trunk_gives_the_reason(world: World, case: Case) -> None:
    number = "+15553010999"
    for carrier in ("one", "two"):
        world.carriers.behaviours[carrier, number] = refuses(503)
    assert await case.outcome({"to": number}) == ("failed", "error")
    assert (await sentence_of(case, number)).startswith(f"server_failure: {number} failed")


async def test_calls_are_shared_by_weight(world: World) -> None:
    """One to three; that a side gets no call of 40 at all has odds of 1 to 100,000"""
    for carrier in ("one", "two"):
        world.carriers.behaviours[carrier, ""] = refuses(486)
    try:
        cases = [(world.lab.case(), f"+15553030{n:03d}") for n in range(40)]
        await asyncio.gather(*(case.outcome({"to": number}) for case, number in cases))
    finally:
        for carrier in ("one", "two"):
            world.carriers.behaviours[carrier, ""] = BRIEF
    used = [trunk_of(world, invites(case, number)[0]) for case, number in cases]
    assert set(used) == {"one", "two"}
    assert used.count("two") > used.count("one")


async def test_a_number_that_no_prefix_covers_is_not_dialled(case: Case) -> None:
    assert await case.outcome({"to": "+8821600"}) == ("failed", "error")
    assert not invites(case, "+8821600")
    assert (await sentence_of(case, "+8821600")).startswith("prefix_not_allowed: ")


# ---------------------------------------------------------------- what the carrier wants


async def test_numbers_identity_and_password_are_those_of_the_trunk(world: World, case: Case) -> None:
    number, written = "+442071234567", "02071234567"
    world.carriers.behaviours["one", written] = msgspec.structs.replace(BRIEF, challenge=SECRET)
    assert await case.outcome({"to": number}) == ("connected", "")
    sent = [packet.message for packet in invites(case, written)]
    assert ["Proxy-Authorization" in message.headers for message in sent] == [False, True]
    first = sent[0]
    assert (first.from_.uri.user, first.from_.uri.host) == ("0015557770001", "sip.uk.example")
    asserted = NameAddr.parse(first.headers.get("P-Asserted-Identity") or "")
    assert asserted.uri.user == CALLER, "what is not E.164 would tell the carrier nothing"
    assert "a password" not in str(first.to_bytes() + sent[1].to_bytes())


async def test_a_wrong_password_fails_with_what_to_change(world: World, case: Case) -> None:
    number, written = "+442071230000", "02071230000"
    wrong = msgspec.structs.replace(SECRET, password="another")
    world.carriers.behaviours["one", written] = msgspec.structs.replace(BRIEF, challenge=wrong)
    assert await case.outcome({"to": number}) == ("failed", "declined")
    assert len(invites(case, written)) == 2, "tried once: carriers block accounts"
    assert "set the user name and password" in await sentence_of(case, number)


async def test_from_is_the_account_where_the_carrier_wants_that(case: Case) -> None:
    number = "+15553040001"
    assert await case.outcome({"to": number}) == ("connected", "")
    sent = invite(case, number)
    assert sent.from_.uri.user == "account-4711"
    assert "P-Asserted-Identity" not in sent.headers
    (line,) = (text for text in sent.body.decode().splitlines() if text.startswith("m=audio"))
    assert line.split(" RTP/AVP ")[1].split()[0] == "8"
    assert " 0" not in line.split("RTP/AVP")[1]


@pytest.mark.parametrize(
    ("prefix", "profiles", "keys"),
    [
        ("+15553050", ["RTP/AVP"], True),
        ("+15553051", ["RTP/SAVP", "RTP/AVP"], True),
        ("+15553052", ["RTP/SAVP"], True),
        ("+15553040", ["RTP/AVP"], False),
    ],
)
async def test_keys_are_offered_as_the_trunk_wants_it(
    world: World, case: Case, prefix: str, profiles: list[str], keys: bool
) -> None:
    number = f"{prefix}100"
    policy = "mandatory" if profiles == ["RTP/SAVP"] else "optional" if keys else "forbidden"
    world.carriers.behaviours["one", number] = msgspec.structs.replace(BRIEF, encryption=policy)
    assert await case.outcome({"to": number}) == ("connected", "")
    lines = invite(case, number).body.decode().splitlines()
    assert [line.split()[2] for line in lines if line.startswith("m=audio")] == profiles
    assert any(line.startswith("a=crypto:") for line in lines) is keys


# ---------------------------------------------------------------- limits


async def test_a_trunk_without_a_place_is_passed_over_until_a_call_ends(world: World, case: Case) -> None:
    talks = Behaviour(answer_after=0.0)
    for name in ("one", "two"):
        world.carriers.behaviours[name, "+15553060001"] = talks
    caller = await case.connect({"to": "+15553060001"})
    await until(lambda: world.lab.server.trunks.calls("narrow") == 1)
    second, third = world.lab.case(), world.lab.case()
    assert await second.outcome({"to": "+15553060002"}) == ("connected", "")
    assert trunk_of(world, invites(second, "+15553060002")[0]) == "two"
    caller.hang_up()
    await until(lambda: world.lab.server.trunks.calls("narrow") == 0)
    assert await third.outcome({"to": "+15553060003"}) == ("connected", "")
    assert trunk_of(world, invites(third, "+15553060003")[0]) == "one"


async def test_where_all_places_are_taken_the_sentence_says_which_limit(world: World, case: Case) -> None:
    world.carriers.behaviours["one", "+15553061001"] = Behaviour(answer_after=0.0)
    caller = await case.connect({"to": "+15553061001"})
    await until(lambda: world.lab.server.trunks.calls("only-narrow") == 1)
    second = world.lab.case()
    assert await second.outcome({"to": "+15553061002"}) == ("failed", "error")
    assert not invites(second, "+15553061002")
    told = await sentence_of(second, "+15553061002")
    assert told.startswith("trunk_unavailable: ")
    assert "only-narrow: it carries max_calls = 1 already" in told
    caller.hang_up()


async def test_calls_that_come_too_fast_take_the_next_trunk_or_fail(world: World) -> None:
    used = []
    for number in ("+15553070001", "+15553070002"):
        case = world.lab.case()
        assert await case.outcome({"to": number}) == ("connected", "")
        used.append(trunk_of(world, invites(case, number)[0]))
    assert used == ["one", "two"]
    alone = [world.lab.case(), world.lab.case()]
    assert await alone[0].outcome({"to": "+15553071001"}) == ("connected", "")
    assert await alone[1].outcome({"to": "+15553071002"}) == ("failed", "error")
    assert "max_calls_per_second = 0.01 is reached" in await sentence_of(alone[1], "+15553071002")


# ---------------------------------------------------------------- life signs


async def test_a_trunk_that_is_down_is_passed_over_until_it_is_back(world: World) -> None:
    asked = world.registrar.address.rpartition(":")[2]
    for status, carrier in ((200, asked), (503, "two"), (200, asked)):
        world.registrar.status = status
        count = world.registrar.count("OPTIONS")
        await until(partial(_asked, world.registrar, count + 3))
        case = world.lab.case()
        number = f"+15553080{case.serial:03d}"
        await case.outcome({"to": number})
        assert trunk_of(world, invites(case, number)[0]) == carrier, status


def _asked(register: Registrar, times: int) -> bool:
    return register.count("OPTIONS") >= times


async def test_a_trunk_is_registered_with_its_password(world: World) -> None:
    await until(lambda: world.registrar.count("REGISTER") >= 2)
    first, second = list(world.registrar.of("REGISTER"))[:2]
    assert "Authorization" not in first.headers
    assert "Authorization" in second.headers
    local = world.lab.server.socket.local
    assert second.headers.get("Contact") == f"<sip:account@{local.host_port}>"
    assert second.to.uri.user == "account"
    assert world.registrar.count("REGISTER") == 2


async def test_the_way_from_a_registrar_is_held_open(world: World) -> None:
    await until(lambda: world.registrar.count("REGISTER") >= 2)
    before = world.registrar.pings
    await until(lambda: world.registrar.pings >= before + 3)


# ---------------------------------------------------------------- calls from a trunk


async def called_from(
    world: World, case: Case, address: str, *headers: tuple[str, str], from_user: str = "+15551110000"
) -> int:
    """The status that a call from an address gets; its document hangs up."""
    lab = world.lab
    lab.documents[case.number] = {
        "version": "1.0.0",
        "sections": {"main": [{"answer": {}}, case.mark("seen"), {"hangup": {}}]},
    }
    async with SimulatedPhone(BRIEF, address=address, name=from_user) as phone:
        call = await phone.call(f"sip:{case.number}@{lab.server.socket.local.host_port}", headers=headers)
        report = await call.ended()
        return report.status


ASSERTED = ("P-Asserted-Identity", "<sip:+442079990000@sip.uk.example>")


async def test_a_stranger_gets_403_and_nothing_is_fetched(world: World, case: Case) -> None:
    """A trusted From or an asserted identity is no ticket: the source counts"""
    before = len(world.lab.site.hits)
    assert await called_from(world, case, STRANGER, ASSERTED, from_user=CALLER) == 403
    assert len(world.lab.site.hits) == before
    assert not [info for info, _ in world.lab.book.events if info.to == case.number]


@pytest.mark.parametrize(("source", "known_as"), [("127.0.0.1", "+15551110000"), (OF_TRUNK, "+442079990000")])
async def test_an_asserted_identity_is_believed_from_a_trunk_only(
    world: World, case: Case, source: str, known_as: str
) -> None:
    assert await called_from(world, case, source, ASSERTED) == 200
    assert (await case.told("seen"))["call"]["from"] == known_as


async def test_a_call_from_a_trunk_takes_one_of_its_places(
    world: World, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    lab, trunks = world.lab, world.lab.server.trunks
    await until(lambda: trunks.calls("uk") == 0)
    lab.documents[case.number] = {"version": "1.0.0", "sections": {"main": [{"answer": {}}, HANG_ON]}}
    with caplog.at_level("INFO", logger="cordboard"):
        async with SimulatedPhone(Behaviour(), address=OF_TRUNK, name="+15551110000") as phone:
            call = await phone.call(f"sip:{case.number}@{lab.server.socket.local.host_port}")
            assert await call.answered()
            assert trunks.calls("uk") == 1
            other = lab.case()
            assert await other.outcome({"to": "+442071230001"}) == ("failed", "error")
            assert "max_calls = 1" in await sentence_of(other, "+442071230001")
            call.hang_up()
            await call.ended()
    await until(lambda: trunks.calls("uk") == 0)
    assert "comes from the trunk uk" in caplog.text
    assert await recorded_trunks(case, case.number) == ["uk"]


HANG_ON = {"play": {"url": "silence:30"}}
IDENTITY = (
    ASSERTED,
    ("P-Preferred-Identity", "<sip:+15550009999@example.com>"),
    ("Remote-Party-ID", "<sip:+15550009999@example.com>"),
    ("Diversion", "<sip:+15550009999@example.com>"),
    ("Refer-To", "<sip:+19005550000@example.com>"),
    ("Identity", "eyJhbGciOiJFUzI1NiJ9..x;info=<https://example.com/>"),
    ("X-Account", "4711"),
)


async def test_identity_headers_of_a_caller_do_not_reach_the_far_end(world: World, case: Case) -> None:
    number = "+15553040200"
    document = {"version": "1.0.0", "sections": {"main": [{"connect": {"to": number}}]}}
    world.lab.documents[case.number] = document
    async with SimulatedPhone(name="+15551110000") as phone:
        call = await phone.call(
            f"sip:{case.number}@{world.lab.server.socket.local.host_port}", headers=IDENTITY
        )
        await call.ended()
    sent = invite(case, number)
    assert not [name for name, _ in IDENTITY if name in sent.headers]
    assert b"+15550009999" not in sent.to_bytes()
    assert b"442079990000" not in sent.to_bytes()

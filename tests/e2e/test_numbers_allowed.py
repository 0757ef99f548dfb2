"""Which numbers may be dialled and shown through trunks, against a carrier on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cordboard.server.server import Server
from cordboard.server.store import CallEnd
from cordboard.sip.message import Request, parse
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank, SimulatedPhone
from cordboard.testing.phone_report import PhoneReport

from .book import Book
from .conftest import StartServer

OWN = "+15557770001"
FOREIGN = "+15550009999"
TO = "+15551230001"
PREMIUM = "+19005551234"
BRIEF = Behaviour(tone_hz=659.0, hang_up_after=0.2)


class Carrier:
    """A bank of phones, by their numbers."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {TO: BRIEF, PREMIUM: BRIEF}
        self.bank = PhoneBank(lambda user: self.behaviours.get(user, Behaviour(refuse=404)))

    @property
    def trunks(self) -> dict[str, Any]:
        return {"acme": {"address": f"127.0.0.1:{self.bank.port}", "allowed_prefixes": ["+1555"]}}

    def uri(self, number: str) -> str:
        return f"sip:{number}@127.0.0.1:{self.bank.port}"


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    made = Carrier()
    async with made.bank:
        yield made


class Outcome:
    """One call to `TO`: how the caller and the dialled leg ended, and the INVITEs for it."""

    def __init__(self, report: PhoneReport, end: CallEnd, invites: list[Request]) -> None:
        self.status = report.status
        self.cause = end.cause
        self.sentence = end.sentence
        self.invites = invites
        self.asked = [request.uri.partition("@")[0].removeprefix("sip:") for request in invites]


async def placed(server: Server, *, caller: str = OWN, headers: tuple[tuple[str, str], ...] = ()) -> Outcome:
    """A caller who waits for the end."""
    book = Book(server)
    sent: list[Request] = []

    def note(direction: str, data: bytes, peer: object) -> None:
        message = parse(data)
        if direction == "sent" and isinstance(message, Request) and message.method == "INVITE":
            sent.append(message)

    server.exchange.taps.append(note)
    async with SimulatedPhone(name=caller) as phone:
        call = await phone.call(f"sip:+15551239999@{server.socket.local.host_port}", headers=headers)
        report = await call.ended(within=10.0)
    await book.rest()
    (leg,) = [record for record in await server.store.calls() if record.start.direction == "outbound"]
    assert leg.end is not None
    return Outcome(report, leg.end, sent)


def connecting(options: str = "") -> str:
    return f"sections: {{main: [{{connect: {{to: '{TO}', answer_on_bridge: true{options}}}}}]}}"


@pytest.mark.parametrize(
    ("caller", "options", "is_allowed"),
    [
        (OWN, "", True),
        (FOREIGN, "", False),
        (FOREIGN, f", from: '{OWN}'", True),
        (OWN, f", from: '{FOREIGN}'", False),
    ],
)
async def test_only_owned_numbers_are_shown_to_phones_where_they_are_listed(
    start_server: StartServer, carrier: Carrier, caller: str, options: str, is_allowed: bool
) -> None:
    settings = {"server": {"numbers": [OWN]}, "trunks": carrier.trunks}
    outcome = await placed(await start_server(connecting(options), **settings), caller=caller)
    if is_allowed:
        assert outcome.invites[0].from_.uri.user == OWN
        return
    assert (outcome.status, outcome.cause, outcome.asked) == (403, "from_not_allowed", [])
    assert FOREIGN in outcome.sentence
    assert "use an owned number" in outcome.sentence


async def test_the_carrier_is_told_who_withholds_his_number_and_the_callee_is_not(
    start_server: StartServer, carrier: Carrier
) -> None:
    server = await start_server(connecting(), trunks=carrier.trunks)
    [invite] = (await placed(server, headers=(("Privacy", "id"),))).invites
    assert (invite.from_.uri.user, invite.from_.uri.host) == ("anonymous", "anonymous.invalid")
    assert invite.headers.get("Privacy") == "id"
    assert OWN in (invite.headers.get("P-Asserted-Identity") or "")


@pytest.mark.parametrize("user", [PREMIUM, "1-900-555-1234"])
async def test_a_carrier_cannot_redirect_to_a_number_that_is_closed(
    start_server: StartServer, carrier: Carrier, user: str
) -> None:
    carrier.behaviours[TO] = Behaviour(refuse=302, contacts=(carrier.uri(user),))
    outcome = await placed(await start_server(connecting(), trunks=carrier.trunks))
    assert (outcome.status, outcome.cause, outcome.asked) == (403, "prefix_not_allowed", [TO])
    assert "redirected to it" in outcome.sentence


async def test_a_carrier_may_redirect_to_a_number_that_is_open(
    start_server: StartServer, carrier: Carrier
) -> None:
    carrier.behaviours["+15551230002"] = BRIEF
    carrier.behaviours[TO] = Behaviour(refuse=302, contacts=(carrier.uri("+15551230002"),))
    outcome = await placed(await start_server(connecting(), trunks=carrier.trunks))
    assert (outcome.cause, outcome.asked) == ("hangup_far_end", [TO, "+15551230002"])

"""Transfers by REFER through a whole server: a phone that was connected hands its party on.

`ann` calls, `ben` is whom the script connects her with, `cleo` whom she shall talk to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from cordboard.testing.phone import MANUAL
from cordboard.testing.phone_call import PhoneCall

from .cases import (
    CALLER_TONE,
    FAR_TONE,
    Behaviour,
    Case,
    Json,
    Lab,
    in_order,
    laboratory,
    refuses,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEN_TONE, CLEO_TONE = FAR_TONE, 880.0
BEN = Behaviour(tone_hz=BEN_TONE)
CLEO = Behaviour(tone_hz=CLEO_TONE)
CLOSED = "+19005551234"
"""No trunk may dial it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


class Talk:
    """Ann and Ben, connected by a script that posts what happens."""

    def __init__(self, case: Case, ann: PhoneCall, ben: PhoneCall) -> None:
        self.case = case
        self.ann = ann
        self.ben = ben

    @classmethod
    async def begin(cls, case: Case) -> Talk:
        ben = {"to": case.phone("ben", BEN), "call_state_url": case.url("ben"), "call_state_events": STATES}
        ann = await case.connect({**ben, "status_url": case.url("connect")})
        talk = cls(case, ann, await case.incoming("ben"))
        assert await ann.hears(BEN_TONE)
        assert await talk.ben.hears(CALLER_TONE)
        return talk

    async def asks_cleo(self) -> tuple[PhoneCall, PhoneCall]:
        """Ben's own call through the server, by a second script, and Cleo's end of it."""
        other = self.case.lab.case()
        to = other.phone("cleo", CLEO)
        other.lab.documents[other.number] = _document({"to": to, "status_url": other.url("connect")})
        server = self.case.lab.server.socket.local.host_port
        asking = await other.lab.phones.call(f"sip:{other.number}@{server}", from_user="ben", behaviour=BEN)
        assert await asking.hears(CLEO_TONE)
        self.other = other
        return asking, await other.incoming("cleo")

    async def told(self, status: int, *, within: float = 5.0) -> str:
        """The last NOTIFY to Ben, which has this status."""
        await until(lambda: any(f" {status} " in line for line in self.ben.notices), within)
        return self.ben.notices[-1]

    async def goes_on(self) -> None:
        """Nothing has changed for Ann and Ben; the end of their talk ends the connect."""
        self.ann.audio.speak(FRESH)
        assert await self.ben.hears(FRESH)
        self.ben.hang_up()
        assert await self.case.until_states("connect", 3) == ["connecting", "connected", "disconnected"]
        await self.case.told()


STATES = ["created", "ringing", "answered", "ended"]
FRESH = 1200.0
"""A tone that nobody has heard before."""


def _document(connect: Json) -> Json:
    return {"version": "1.0.0", "sections": {"main": [{"connect": {"answer_on_bridge": True, **connect}}]}}


# ---------------------------------------------------------------- attended


async def test_an_attended_transfer_joins_the_parties_of_both_calls(case: Case) -> None:
    talk = await Talk.begin(case)
    asking, cleo = await talk.asks_cleo()
    talk.ben.refer(f"{case.phone('cleo')}?Replaces={asking.replaces}")
    assert await talk.ann.hears(CLEO_TONE)
    assert await cleo.hears(CALLER_TONE)
    assert [(await one.ended()).cause for one in (talk.ben, asking)] == ["bye_received"] * 2
    assert talk.ben.notices == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
    assert talk.ben.answers == [("REFER", 202)]
    assert await case.until_states("ben", 4) == [*STATES[:3], "ended hangup"]
    cleo.hang_up()
    states = await case.until_states("connect", 4)
    assert states == ["connecting", "connected", "connected", "disconnected"]
    devices = [event["params"]["peer"]["device"]["params"] for event in case.events("connect")[1:3]]
    assert [device["to"].partition("-")[0] for device in devices] == ["ben", "cleo"]
    assert await talk.other.until_states("connect", 3) == ["connecting", "connected", "disconnected"]
    assert (await case.told())["params"] == {"r": "connected", "f": ""}


async def test_who_hangs_up_his_own_calls_at_once_has_transferred_nevertheless(case: Case) -> None:
    talk = await Talk.begin(case)
    asking, cleo = await talk.asks_cleo()
    talk.ben.refer(f"{case.phone('cleo')}?Replaces={asking.replaces}")
    talk.ben.hang_up()
    assert await talk.ann.hears(CLEO_TONE)
    assert await cleo.hears(CALLER_TONE)
    assert (await asking.ended()).ended_by == "them"
    cleo.hang_up()
    assert (await case.until_states("connect", 4))[-2:] == ["connected", "disconnected"]


async def test_a_dialog_of_somebody_else_is_dialled_with_its_replaces(case: Case) -> None:
    """The far end decides: here it knows no such dialog."""
    talk = await Talk.begin(case)
    to = case.phone("cleo", refuses(481))
    talk.ben.refer(f"{to}?Replaces=nowhere%3Bto-tag%3Da%3Bfrom-tag%3Db")
    assert await talk.told(481) == "SIP/2.0 481 Call/Transaction Does Not Exist"
    assert case.invite("cleo").headers.get("Replaces") == "nowhere;to-tag=a;from-tag=b"
    await talk.goes_on()


async def test_a_call_of_this_server_that_is_over_cannot_be_replaced(case: Case) -> None:
    talk = await Talk.begin(case)
    asking, cleo = await talk.asks_cleo()
    asking.hang_up()
    await cleo.ended()
    talk.ben.refer(f"{case.phone('cleo', refuses(481))}?Replaces={asking.replaces}")
    assert (await talk.told(481)).startswith("SIP/2.0 481 ")
    await talk.goes_on()


# ---------------------------------------------------------------- blind


async def test_a_blind_transfer_keeps_the_parties_together_until_the_new_one_answers(case: Case) -> None:
    talk = await Talk.begin(case)
    talk.ben.refer(case.phone("cleo", msgspec.structs.replace(MANUAL, tone_hz=CLEO_TONE)))
    cleo = await case.incoming("cleo")
    cleo.ring()
    await case.seen("< 180", "cleo")
    talk.ann.audio.speak(FRESH)
    assert await talk.ben.hears(FRESH)
    cleo.accept()
    assert await talk.ann.hears(CLEO_TONE)
    assert (await talk.ben.ended()).cause == "bye_received"
    assert talk.ben.notices[0] == "SIP/2.0 100 Trying"
    assert talk.ben.notices[-1] == "SIP/2.0 200 OK"
    (await case.incoming("cleo")).hang_up()
    states = await case.until_states("connect", 4)
    assert states == ["connecting", "connected", "connected", "disconnected"]


async def test_the_transferor_may_leave_at_once(case: Case) -> None:
    """Ann hears ringing, then the new destination."""
    talk = await Talk.begin(case)
    talk.ben.refer(case.phone("cleo", Behaviour(tone_hz=CLEO_TONE, answer_after=0.3)))
    talk.ben.hang_up()
    assert await talk.ann.hears(CLEO_TONE)
    assert not talk.ann.is_over
    (await case.incoming("cleo")).hang_up()
    states = await case.until_states("connect", 4)
    assert states == ["connecting", "connected", "connected", "disconnected"]


async def test_a_transferor_who_left_and_whose_destination_refuses_ends_the_connect(case: Case) -> None:
    talk = await Talk.begin(case)
    talk.ben.refer(case.phone("cleo", refuses(486, after=0.3)))
    talk.ben.hang_up()
    assert await case.until_states("connect", 3) == ["connecting", "connected", "disconnected"]
    assert (await case.told())["params"]["r"] == "connected"


async def test_a_transfer_to_a_closed_number_is_refused_and_the_record_says_why(case: Case) -> None:
    """The transferor may be a stranger: it gets the status, not the advice for the operator."""
    talk = await Talk.begin(case)
    talk.ben.refer(f"tel:{CLOSED}")
    assert await talk.told(403) == "SIP/2.0 403 Forbidden"
    assert in_order(["< REFER", "> 202 (REFER)", "> NOTIFY", "> NOTIFY"], case.labels("ben"))
    await talk.goes_on()
    assert (await case.lab.book.sentence(CLOSED)).startswith(
        f"{CLOSED} was not dialled because no allowed prefix covers it"
    )

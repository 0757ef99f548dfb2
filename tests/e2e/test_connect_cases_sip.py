"""What connects put on the wire: identity, credentials, codecs, encryption, timers, redirects (O, H, F)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from cordboard.sip.message import Request
from cordboard.testing.challenge import Challenge

from .cases import (
    CALLER_TONE,
    FAR_TONE,
    Behaviour,
    Case,
    Lab,
    laboratory,
    refuses,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWERS = Behaviour(tone_hz=FAR_TONE)
BRIEF = Behaviour(tone_hz=FAR_TONE, hang_up_after=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def dialled(case: Case, behaviour: Behaviour = BRIEF, **connect: Any) -> Request:
    """The INVITE of a connect that succeeds."""
    assert await case.outcome({"to": case.phone("b1", behaviour), **connect}) == ("connected", "")
    return case.invite("b1")


def invites(case: Case, name: str = "b1") -> list[Request]:
    sent = [packet.message for packet in case.ladder(name) if packet.label == "> INVITE"]
    return [message for message in sent if isinstance(message, Request)]


def media_lines(request: Request) -> list[str]:
    return [line for line in request.body.decode().splitlines() if line.startswith("m=")]


# ---------------------------------------------------------------- O: overrides


async def test_names_are_overridden_by_destination(case: Case) -> None:
    """O2"""
    connect = {
        "from": "+15551000001",
        "from_name": "Support Team",
        "serial": [
            {"to": case.phone("b1", refuses(480))},
            {"to": case.phone("b2", BRIEF), "from_name": "Billing Dept"},
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    shown = [
        (case.invite(name).from_.display_name, case.invite(name).from_.uri.user) for name in ("b1", "b2")
    ]
    assert shown == [("Support Team", "+15551000001"), ("Billing Dept", "+15551000001")]


async def test_codecs_are_overridden_by_destination(case: Case) -> None:
    """O8"""
    connect = {
        "codecs": "PCMA",
        "serial": [
            {"to": case.phone("b1", refuses(480))},
            {"to": case.phone("b2", BRIEF), "codecs": "PCMU"},
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    formats = [media_lines(case.invite(name))[0].split()[3:] for name in ("b1", "b2")]
    assert [line[0] for line in formats] == ["8", "0"]
    assert [len(line) for line in formats] == [2, 2]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256", "MD5-sess"])
@pytest.mark.parametrize("status", [401, 407])
async def test_a_challenge_is_answered(case: Case, algorithm: str, status: int) -> None:
    """O11, H8"""
    asks = msgspec.structs.replace(BRIEF, challenge=Challenge(algorithm=algorithm, status=status))
    headers = [{"name": "X-A", "value": "1"}]
    await dialled(case, asks, username="user", password="secret", headers=headers)
    first, second = invites(case)
    assert (second.cseq.number, second.call_id) == (first.cseq.number + 1, first.call_id)
    assert [one.headers.get("X-A") for one in (first, second)] == ["1", "1"]
    assert "> ACK" in case.labels("b1")[:4]


@pytest.mark.parametrize("qop", ["auth-int", "auth,auth-int", ""])
async def test_every_quality_of_protection_is_answered(case: Case, qop: str) -> None:
    """O11, other qualities of protection"""
    asks = msgspec.structs.replace(BRIEF, challenge=Challenge(qop=qop, opaque="o"))
    await dialled(case, asks, username="user", password="secret")


async def test_a_stale_nonce_is_answered_once_more(case: Case) -> None:
    """O11, stale"""
    asks = msgspec.structs.replace(BRIEF, challenge=Challenge(nonces=("old", "new")))
    await dialled(case, asks, username="user", password="secret")
    assert len(invites(case)) == 3


async def test_credentials_stand_for_every_destination_unless_one_has_its_own(case: Case) -> None:
    """O11, in arrays"""
    own = Challenge(username="other", password="one")
    connect = {
        "username": "user",
        "password": "secret",
        "serial": [
            {"to": case.phone("b1", msgspec.structs.replace(refuses(486), challenge=Challenge()))},
            {
                "to": case.phone("b2", msgspec.structs.replace(BRIEF, challenge=own)),
                "username": "other",
                "password": "one",
            },
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    assert [len(invites(case, name)) for name in ("b1", "b2")] == [2, 2]


async def test_a_wrong_password_ends_after_one_try(case: Case) -> None:
    """F11"""
    asks = msgspec.structs.replace(BRIEF, challenge=Challenge(status=407))
    connect = {"to": case.phone("b1", asks), "username": "user", "password": "wrong"}
    assert await case.outcome(connect) == ("failed", "declined")
    assert len(invites(case)) == 2


async def test_nothing_of_sip_reaches_a_phone(case: Case) -> None:
    """O13"""
    number = case.pstn(BRIEF)
    connect = {
        "to": number,
        "from": "+15551112222",
        "from_name": "X",
        "headers": [{"name": "X-A", "value": "1"}],
        "codecs": "OPUS",
        "encryption": "mandatory",
        "session_timeout": 300,
    }
    assert await case.outcome(connect) == ("connected", "")
    invite = case.invite(number)
    assert invite.headers.get("X-A") is None
    assert invite.from_.display_name in (None, "")
    assert media_lines(invite)[0].split()[2:5] == ["RTP/AVP", "0", "8"]
    assert "a=crypto" not in invite.body.decode()
    assert not (invite.headers.get("Session-Expires") or "").startswith("300")


# ---------------------------------------------------------------- F: redirects and fallbacks


async def test_a_refused_offer_is_made_once_more_without_keys(case: Case) -> None:
    """F8"""
    assert await case.outcome({"to": case.phone("b1", refuses(488))}) == ("failed", "error")
    first, second = invites(case)
    assert "a=crypto" in first.body.decode()
    assert "a=crypto" not in second.body.decode()


async def test_a_redirection_is_followed(case: Case) -> None:
    """3xx: each target once"""
    there = case.phone("b2", BRIEF)
    moved = Behaviour(refuse=302, contacts=(there,))
    assert await case.outcome({"to": case.phone("b1", moved)}) == ("connected", "")
    assert "< 200" in case.labels("b2")


async def test_a_loop_of_redirections_ends(case: Case) -> None:
    """F14"""
    here = case.phone("b1")
    case.phone("b1", Behaviour(refuse=302, contacts=(here,)))
    assert await case.outcome({"to": here}) == ("failed", "error")
    assert 1 <= len(invites(case)) <= 6


# ---------------------------------------------------------------- H: codecs, encryption, timers


async def test_the_order_of_codecs_is_kept(case: Case) -> None:
    """H9"""
    invite = await dialled(case, codecs="PCMA,PCMU")
    [line] = media_lines(invite)
    assert line.split()[2:5] == ["RTP/AVP", "8", "0"]
    assert "telephone-event/8000" in invite.body.decode()


async def test_without_a_known_codec_nobody_is_dialled(case: Case) -> None:
    """H10"""
    assert await case.outcome({"to": case.phone("b1", ANSWERS), "codecs": "FOO"}) == ("failed", "error")
    assert case.labels("b1") == []


async def test_opus_may_be_narrower(case: Case) -> None:
    """H11"""
    await case.connect({"to": case.phone("b1", refuses(486)), "codecs": "OPUS@16000H@20I"})
    await case.told()
    text = case.invite("b1").body.decode()
    assert "opus/48000/2" in text.lower()
    assert "maxplaybackrate=16000" in text
    assert "sprop-maxcapturerate=16000" in text
    assert "a=ptime:20" in text


async def test_mandatory_encryption_is_spoken_both_ways(case: Case) -> None:
    """H13"""
    secure = Behaviour(tone_hz=FAR_TONE, encryption="mandatory")
    caller = await case.connect({"to": case.phone("b1", secure), "encryption": "mandatory"})
    assert await caller.hears(FAR_TONE)
    b1 = await case.incoming("b1")
    assert await b1.hears(CALLER_TONE)
    text = case.invite("b1").body.decode()
    assert "RTP/SAVP" in text
    assert "RTP/AVP" not in text
    caller.hang_up()


@pytest.mark.parametrize("theirs", ["optional", "forbidden"])
async def test_optional_encryption_is_one_line_with_keys(case: Case, theirs: str) -> None:
    """H14"""
    phone = Behaviour(tone_hz=FAR_TONE, encryption=theirs)
    caller = await case.connect({"to": case.phone("b1", phone)})
    assert await caller.hears(FAR_TONE)
    b1 = await case.incoming("b1")
    assert await b1.hears(CALLER_TONE)
    [line] = media_lines(case.invite("b1"))
    assert "RTP/AVP " in line
    assert "a=crypto:1 " in case.invite("b1").body.decode()
    assert ("a=crypto" in case.packet("< 200", "b1").text) is (theirs == "optional")
    caller.hang_up()


async def test_forbidden_encryption_is_never_offered(case: Case) -> None:
    """H15"""
    invite = await dialled(case, encryption="forbidden")
    assert "a=crypto" not in invite.body.decode()
    assert "SAVP" not in invite.body.decode()


async def test_mandatory_encryption_takes_no_plain_answer(case: Case) -> None:
    """H13, with a far end that answers plainly"""
    assert await case.outcome({"to": case.phone("b1", BRIEF), "encryption": "mandatory"}) == (
        "failed",
        "error",
    )


async def test_a_session_timer_is_asked_for(case: Case) -> None:
    """H17, the offer (the refresh itself is tested in virtual time)"""
    invite = await dialled(case, session_timeout=120)
    assert invite.headers.get("Session-Expires") == "120;refresher=uac"
    assert "timer" in (invite.headers.get("Supported") or "")


async def test_a_session_timer_below_the_floor_is_raised(case: Case) -> None:
    """decisions: sent as 90 with a warning"""
    invite = await dialled(case, session_timeout=30)
    assert (invite.headers.get("Session-Expires") or "").startswith("90")
    assert case.warnings()


# ---------------------------------------------------------------- inside the dialog


async def test_a_transfer_by_the_far_end_moves_the_caller(case: Case) -> None:
    """REFER, blind: the caller talks to somebody else, and the script goes on after that"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS), "status_url": case.url("status")})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    b1.refer(case.phone("b2", Behaviour(tone_hz=850.0, hang_up_after=1.5)))
    assert await caller.hears(850.0)
    await until(lambda: any("200" in notice for notice in b1.notices) or b1.is_over)
    told = await case.told()
    assert told["vars"]["connect_result"] == "connected"
    await until(lambda: case.states("status")[-1:] == ["disconnected"])
    assert case.states("status").count("disconnected") == 1


async def test_a_transfer_by_the_caller_moves_the_far_end(case: Case) -> None:
    """REFER, blind, from the other side"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS)})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    caller.refer(case.phone("b2", Behaviour(tone_hz=850.0)))
    assert await b1.hears(850.0)
    b1.hang_up()
    b2 = await case.incoming("b2")
    assert (await b2.ended()).cause == "bye_received"


async def test_a_transfer_to_nobody_leaves_the_bridge(case: Case) -> None:
    """REFER to somebody busy"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS)})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    b1.refer(case.phone("b2", refuses(486)))
    await until(lambda: any("486" in notice for notice in b1.notices))
    assert await b1.hears(CALLER_TONE)
    b1.speak(600.0)
    assert await caller.hears(600.0)
    caller.hang_up()


@pytest.mark.parametrize("by", ["INVITE", "UPDATE"])
async def test_hold_is_heard_and_taken_back(case: Case, by: str) -> None:
    """re-INVITE and UPDATE: hold with music, resume"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS)})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    b1.change("inactive", by=by)
    await until(lambda: not caller.audio.hears(FAR_TONE))
    music = caller.audio.report().packets_received
    await until(lambda: caller.audio.report().packets_received > music + 10)
    b1.change("sendrecv", by=by)
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    caller.hang_up()


async def test_keys_by_info_reach_a_far_end_with_rfc_4733_and_back(case: Case) -> None:
    """DTMF: SIP INFO on one side, RFC 4733 on the other"""
    by_info = Behaviour(tone_hz=FAR_TONE, digits_by_info=True)
    caller = await case.connect({"to": case.phone("b1", by_info)})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    b1.press("1#")
    assert await caller.hears_digits("1#")
    assert [status for method, status in b1.answers if method == "INFO"] == [200, 200]
    caller.hang_up()

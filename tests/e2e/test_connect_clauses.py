"""Clauses of swml.md 7 that no case of its own has: confirm, the end of a bridge, identity, credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.sip.headers import NameAddr
from cordboard.sip.message import Request
from cordboard.testing.challenge import Challenge

from .cases import (
    FAR_TONE,
    TALKS_BRIEFLY,
    Behaviour,
    Case,
    Lab,
    about,
    laboratory,
    refuses,
    until,
)
from .sounds import FILE_TONE, rings, share_of, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWERS = Behaviour(tone_hz=FAR_TONE)
SECOND_TONE = 990.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


# ---------------------------------------------------------------- confirm (7.10)


async def test_the_time_for_a_confirm_document_is_part_of_the_confirm_time(case: Case) -> None:
    """One timer covers the fetch and the script (Q25a)."""
    case.lab.site.on(f"/{case.serial}/confirm", lambda _: web.Response(status=500), delay=3.0)
    connect = {"to": case.phone("b1", ANSWERS), "confirm": case.url("confirm"), "confirm_timeout": 1}
    assert await case.outcome(connect) == ("failed", "no_answer")
    took = case.packet("> BYE", "b1").at - case.packet("< 200", "b1").at
    assert took == about(1.0)


async def test_the_confirm_document_is_asked_for_with_the_caller_id_that_the_far_end_is_shown(
    case: Case,
) -> None:
    url = case.lab.site.document(f"/{case.serial}/confirm", {"sections": {"main": [{"hangup": {}}]}})
    number = case.pstn(ANSWERS)
    connect = {"to": number, "from": "+15551112222", "confirm": url}
    assert await case.outcome(connect) == ("failed", "declined")
    [hit] = case.lab.site.at(f"/{case.serial}/confirm")
    call = hit.body["call"]
    assert (call["type"], call["from"], call["to"]) == ("phone", "+15551112222", number)
    assert (call["from_number"], call["to_number"]) == ("+15551112222", number)
    assert "sip_data" not in call
    assert hit.body["params"] == {}


async def test_a_play_in_a_confirm_script_has_its_events_and_variable(case: Case) -> None:
    play = {"play": {"url": "silence:0.1", "status_url": case.url("play")}}
    document = {"sections": {"main": [play, case.mark("b")]}}
    url = case.lab.site.document(f"/{case.serial}/confirm", document)
    connect = {"to": case.phone("b1", ANSWERS), "confirm": url, "max_duration": 1}
    assert await case.outcome(connect) == ("connected", "")
    await until(lambda: len(case.events("play")) == 2)
    b = await case.told("b")
    assert b["vars"]["play_result"] == "success"
    assert [event["event_type"] for event in case.events("play")] == ["calling.call.play"] * 2
    assert case.states("play") == ["playing", "finished"]
    assert {event["params"]["call_id"] for event in case.events("play")} == {b["call"]["call_id"]}
    assert case.events("play")[0]["params"]["control_id"]


async def test_a_caller_who_cancels_while_the_far_end_confirms_ends_both(case: Case) -> None:
    connect = {
        "to": case.phone("b1", ANSWERS),
        "answer_on_bridge": True,
        "confirm": [{"play": "silence:30"}],
    }
    caller = await case.connect(connect, answered=False)
    await case.seen("> ACK", "b1")
    caller.hang_up()
    await case.seen("> BYE", "b1")
    await case.seen("> 487")
    assert caller.report.answered_at is None
    assert not case.was_told()


@pytest.mark.parametrize(("reason", "cause"), [("busy", 17), ("decline", 21)])
async def test_a_confirm_script_that_hangs_up_says_why_in_its_bye(
    case: Case, reason: str, cause: int
) -> None:
    connect = {"to": case.phone("b1", ANSWERS), "confirm": [{"hangup": {"reason": reason}}]}
    assert await case.outcome(connect) == ("failed", "declined")
    assert f"cause={cause}" in (case.packet("> BYE", "b1").header("Reason") or "")


async def test_the_caller_never_sees_what_a_confirm_script_has_set(case: Case) -> None:
    steps = [{"set": {"mine": "b"}}, {"play": "silence:0.1"}]
    connect = {"to": case.phone("b1", ANSWERS), "confirm": steps, "max_duration": 1}
    await case.call({"answer": {}}, {"set": {"mine": "a"}}, {"connect": connect}, case.tail)
    assert (await case.told())["vars"]["mine"] == "a"


# ---------------------------------------------------------------- the end of a bridge (7.5, 7.13)


async def test_neither_result_nor_transfer_runs_when_the_caller_hangs_up(case: Case) -> None:
    """7.13, 4"""
    connect = {
        "to": case.phone("b1", ANSWERS),
        "transfer_after_bridge": case.url("after"),
        "result": {"case": {"connected": [case.mark("result")]}},
        "status_url": case.url("status"),
    }
    caller = await case.connect(connect)
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    caller.hang_up()
    await b1.ended()
    assert await case.until_states("status", 3) == ["connecting", "connected", "disconnected"]
    await case.lab.book.rest()
    assert case.lab.site.at(f"/{case.serial}/after") == []
    assert not case.was_told("result")
    assert not case.was_told()


async def test_after_the_longest_duration_the_caller_is_transferred(case: Case) -> None:
    """7.5: only the far end is hung up"""
    after = case.lab.site.document(f"/{case.serial}/after", {"sections": {"main": [case.mark("done")]}})
    connect = {"to": case.phone("b1", ANSWERS), "max_duration": 1, "transfer_after_bridge": after}
    caller = await case.connect(connect)
    told = await case.told("done")
    assert told["call"]["call_state"] == "answered"
    assert told["vars"]["connect_result"] == "connected"
    await caller.ended()
    assert case.labels("b1").count("> BYE") == 1
    assert not case.was_told()


async def test_the_longest_duration_counts_from_the_bridge_and_not_from_the_answer(case: Case) -> None:
    connect = {"to": case.phone("b1", ANSWERS), "max_duration": 1, "confirm": [{"play": "silence:1"}]}
    assert await case.outcome(connect) == ("connected", "")
    took = case.packet("> BYE", "b1").at - case.packet("< 200", "b1").at
    assert took == about(2.0)


async def test_result_runs_when_nothing_could_be_dialled(case: Case) -> None:
    connect = {"to": "ftp://x", "result": {"case": {"failed": [case.mark("result")]}}}
    assert await case.outcome(connect) == ("failed", "error")
    assert case.was_told("result")


# ---------------------------------------------------------------- identity and headers (7.6, 7.7)


async def test_custom_headers_stand_in_the_invite_alone(case: Case) -> None:
    connect = {
        "to": case.phone("b1", ANSWERS),
        "headers": [{"name": "X-A", "value": "1"}],
        "max_duration": 1,
    }
    assert await case.outcome(connect) == ("connected", "")
    sent = {p.label: p.header("X-A") for p in case.ladder("b1") if p.sent}
    assert sent == {"> INVITE": "1", "> ACK": None, "> BYE": None}


@pytest.mark.parametrize("name", ['He said "no"', "back\\slash", "Jürgen <sip:x@y>;tag=1"])
async def test_a_display_name_is_quoted_on_the_wire(case: Case, name: str) -> None:
    connect = {"to": case.phone("b1", TALKS_BRIEFLY), "from_name": name, "from": "desk"}
    assert await case.outcome(connect) == ("connected", "")
    invite = case.invite("b1")
    assert (invite.from_.display_name, invite.from_.uri.user) == (name, "desk")


@pytest.mark.parametrize("from_", ["+15551112222", "desk", "sip:chris@example.com"])
async def test_a_sip_destination_is_told_the_asserted_identity_where_that_is_wanted(
    tmp_path: Path, from_: str
) -> None:
    """7.6: the same as in From, without the name"""
    async with laboratory(tmp_path, sip={"port": 0, "asserted_identity": True}) as lab:
        case = lab.case()
        connect = {"to": case.phone("b1", TALKS_BRIEFLY), "from": from_, "from_name": "Support"}
        assert await case.outcome(connect) == ("connected", "")
        invite = case.invite("b1")
    asserted = NameAddr.parse(invite.headers.get("P-Asserted-Identity") or "")
    assert asserted.uri == invite.from_.uri
    assert (asserted.display_name, invite.from_.display_name) == ("", "Support")


async def test_a_destination_without_headers_of_its_own_may_refuse_those_of_the_top(case: Case) -> None:
    connect = {
        "headers": [{"name": "X-A", "value": "1"}],
        "serial": [{"to": case.phone("b1", TALKS_BRIEFLY), "headers": []}],
    }
    assert await case.outcome(connect) == ("connected", "")
    assert case.invite("b1").headers.get("X-A") is None


# ---------------------------------------------------------------- credentials (7.8)


async def test_a_host_that_a_redirection_names_learns_no_credentials(case: Case) -> None:
    asks = msgspec.structs.replace(TALKS_BRIEFLY, challenge=Challenge())
    there = case.phone("b2", asks).replace("127.0.0.1", "localhost")
    moved = Behaviour(refuse=302, contacts=(there,), challenge=Challenge())
    connect = {"to": case.phone("b1", moved), "username": "user", "password": "secret"}
    assert await case.outcome(connect) == ("failed", "declined")
    to_b2 = [p.message for p in case.ladder("b2") if p.label == "> INVITE"]
    assert len([one for one in to_b2 if isinstance(one, Request) and "b2" in one.uri]) == 1
    assert all("localhost" not in (p.header("Authorization") or "") for p in case.ladder("b2"))


# ---------------------------------------------------------------- what the caller hears (7.11)


async def test_the_next_attempt_rings_after_early_media_and_is_heard_when_it_answers(case: Case) -> None:
    """An unanswered caller who has got 183 hears a generated ring from then on."""
    early = Behaviour(tone_hz=FAR_TONE, early_media=True, refuse=486, refuse_after=0.8)
    connect = {
        "serial": [
            {"to": case.phone("b1", early)},
            {"to": case.phone("b2", Behaviour(tone_hz=SECOND_TONE, answer_after=1.0))},
        ],
        "answer_on_bridge": True,
    }
    caller = await case.connect(connect, answered=False)
    assert await caller.hears(FAR_TONE)
    await case.seen("< 180", "b2")
    await until(lambda: rings(caller))
    assert caller.report.answered_at is None
    assert await caller.hears(SECOND_TONE)
    assert not caller.audio.hears(FAR_TONE)
    assert case.labels().count("> 183") == 1
    caller.hang_up()


async def test_a_ringback_has_no_gap_from_one_attempt_to_the_next(case: Case) -> None:
    case.lab.site.on("/long.wav", lambda _: web.Response(body=tone(0.5), content_type="audio/wav"))
    connect = {
        "serial": [
            {"to": case.phone("b1", refuses(486, after=0.6))},
            {"to": case.phone("b2", refuses(486, after=0.6))},
            {"to": case.phone("b3", Behaviour(answer_after=None))},
        ],
        "ringback": f"{case.lab.site.url}/long.wav",
    }
    caller = await case.connect(connect)
    assert await caller.hears(FILE_TONE)
    began = len(caller.audio.recording or b"")
    await case.seen("< 180", "b3")
    await until(lambda: len(caller.audio.recording or b"") > began + 16_000)
    heard = bytes(caller.audio.recording or b"")[began:]
    assert share_of(heard, FILE_TONE) > 0.8
    caller.hang_up()

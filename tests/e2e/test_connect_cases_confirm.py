"""Confirm scripts, and what happens after a bridge (cases C, X, M1, T8, O10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.webhooks.signature import verify_signature

from .cases import (
    CALLER_TONE,
    FAR_TONE,
    Behaviour,
    Case,
    Json,
    Lab,
    about,
    as_text,
    laboratory,
    refuses,
    result_of,
    until,
)
from .sounds import FILE_TONE, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATES = ["created", "ringing", "answered", "ended"]
PRESS_1: list[Json] = [
    {"prompt": {"play": "silence:0.2", "initial_timeout": 1.0}},
    {"cond": [{"when": "prompt_value != '1'", "then": [{"hangup": {}}]}]},
]


def presses(digits: str, after: float = 0.5, **more: Any) -> Behaviour:
    return Behaviour(tone_hz=FAR_TONE, digits=digits, digits_after=after, **more)


ANSWERS = Behaviour(tone_hz=FAR_TONE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


# ---------------------------------------------------------------- C: confirm


async def test_the_caller_is_answered_when_the_confirm_script_is_over(case: Case) -> None:
    """C1"""
    case.lab.site.on("/whisper.wav", lambda _: web.Response(body=tone(0.6), content_type="audio/wav"))
    confirm = [{"play": {"url": f"{case.lab.site.url}/whisper.wav"}}]
    connect = {"to": case.phone("b1", ANSWERS), "answer_on_bridge": True, "confirm": confirm}
    caller = await case.connect(connect, answered=False)
    b1 = await case.incoming("b1")
    assert await b1.hears(FILE_TONE)
    assert caller.report.answered_at is None
    assert not caller.audio.hears(FAR_TONE)
    assert await caller.answered()
    assert case.packet("> 200").at - case.packet("< 200", "b1").at > 0.5
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    caller.hang_up()


async def test_a_confirm_script_that_hangs_up_declines(case: Case) -> None:
    """C2"""
    connect = {"to": case.phone("b1", ANSWERS), "confirm": [{"hangup": {}}]}
    assert await case.outcome(connect) == ("failed", "declined")
    assert "> BYE" in case.labels("b1")


async def test_the_right_key_accepts(case: Case) -> None:
    """C3"""
    caller = await case.connect({"to": case.phone("b1", presses("1")), "confirm": PRESS_1})
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


@pytest.mark.parametrize("behaviour", [ANSWERS, presses("2")], ids=["none", "another"])
async def test_no_key_or_another_rejects(case: Case, behaviour: Behaviour) -> None:
    """C5"""
    connect = {"to": case.phone("b1", behaviour), "confirm": PRESS_1}
    assert await case.outcome(connect) == ("failed", "declined")


async def test_a_confirm_document_is_fetched_with_the_dialled_call(case: Case) -> None:
    """C6"""
    url = case.url("confirm")
    case.lab.site.document(f"/{case.serial}/confirm", {"sections": {"main": [{"play": "silence:0.1"}]}})
    caller = await case.call(
        {"set": {"x": 1}}, {"connect": {"to": case.phone("b1", ANSWERS), "confirm": url}}
    )
    assert await caller.hears(FAR_TONE)
    [hit] = case.lab.site.at(f"/{case.serial}/confirm")
    assert hit.body["call"]["direction"] == "outbound"
    assert hit.body["call"]["parent"]["call_id"] != hit.body["call"]["call_id"]
    assert hit.body["vars"] == {}
    key = case.lab.server.config.server.signing_key
    assert verify_signature(key, url, hit.raw, hit.headers)
    caller.hang_up()


async def test_a_confirm_document_that_cannot_be_had_rejects(case: Case) -> None:
    """C7"""
    case.lab.site.on(f"/{case.serial}/confirm", lambda _: web.Response(status=500))
    connect = {"to": case.phone("b1", ANSWERS), "confirm": case.url("confirm")}
    assert await case.outcome(connect) == ("failed", "error")
    assert "> BYE" in case.labels("b1")


async def test_a_confirm_script_has_its_time(case: Case) -> None:
    """C9"""
    confirm = [{"play": "silence:30"}]
    connect = {"to": case.phone("b1", ANSWERS), "confirm": confirm, "confirm_timeout": 1}
    assert await case.outcome(connect) == ("failed", "no_answer")
    took = case.packet("> BYE", "b1").at - case.packet("< 200", "b1").at
    assert took == about(1.0)


async def test_the_confirm_time_is_counted_from_the_answer(case: Case) -> None:
    """T8"""
    behaviour = Behaviour(tone_hz=FAR_TONE, answer_after=0.8)
    connect = {"to": case.phone("b1", behaviour), "confirm": [{"play": "silence:30"}], "timeout": 1}
    assert await case.outcome(connect) == ("failed", "no_answer")
    took = case.packet("> BYE", "b1").at - case.packet("< 200", "b1").at
    assert took == about(1.0)


async def test_a_far_end_that_hangs_up_while_it_confirms_is_out(case: Case) -> None:
    """C10"""
    first = Behaviour(tone_hz=FAR_TONE, hang_up_after=0.3)
    connect = {
        "serial": [
            {"to": case.phone("b1", first), "confirm": [{"play": "silence:30"}]},
            {"to": case.phone("b2", refuses(486))},
        ]
    }
    assert await case.outcome(connect) == ("failed", "busy")
    single = {"to": case.phone("b3", first), "confirm": [{"play": "silence:30"}]}
    again = case.lab.case()
    single["to"] = again.phone("b1", first)
    assert await again.outcome(single) == ("failed", "declined")


async def test_a_connect_inside_a_confirm_is_no_confirm(case: Case) -> None:
    """C13"""
    confirm = [{"cond": [{"when": "true", "then": [{"connect": {"to": "sip:x@127.0.0.1"}}]}]}]
    connect = {"to": case.phone("b1", ANSWERS), "confirm": confirm}
    assert await case.outcome(connect) == ("failed", "error")
    assert case.labels("b1") == []


async def test_events_of_a_confirmed_call_come_in_order(case: Case) -> None:
    """C15"""
    case.lab.site.document(f"/{case.serial}/events", {})
    url = case.url("events")
    connect = {
        "to": case.phone("b1", presses("1")),
        "confirm": PRESS_1,
        "call_state_url": url,
        "call_state_events": STATES,
        "status_url": url,
    }
    caller = await case.connect(connect)
    b1 = await case.incoming("b1")
    await until(lambda: "answered" in case.states("events"))
    assert "connected" not in case.states("events")
    assert b1.report.digits_heard == ""
    await until(lambda: "connected" in case.states("events"))
    wanted = ["connecting", "created", "ringing", "answered", "connected"]
    assert case.states("events") == wanted
    caller.hang_up()


async def test_a_caller_who_leaves_ends_a_confirm(case: Case) -> None:
    """C16"""
    connect = {
        "to": case.phone("b1", ANSWERS),
        "confirm": [{"play": "silence:30"}],
        "status_url": case.url("status"),
    }
    caller = await case.connect(connect)
    b1 = await case.incoming("b1")
    assert await b1.answered()
    await case.seen("> ACK", "b1")
    caller.hang_up()
    assert (await b1.ended()).cause == "bye_received"
    assert await case.until_states("status", 2) == ["connecting", "failed cancel"]


async def test_each_destination_may_have_its_own_confirm(case: Case) -> None:
    """O10"""
    connect = {
        "confirm": case.url("confirm"),
        "serial": [
            {"to": case.phone("b1", refuses(486))},
            {"to": case.phone("b2", ANSWERS), "confirm": [{"hangup": {}}]},
        ],
    }
    assert await case.outcome(connect) == ("failed", "declined")
    assert case.lab.site.at(f"/{case.serial}/confirm") == []
    assert "> BYE" in case.labels("b2")


async def test_the_first_to_finish_its_confirm_wins(case: Case) -> None:
    """7.10: others ring on until one has accepted"""
    connect = {
        "parallel": [
            {"to": case.phone("b1", presses("1", after=1.2)), "confirm": PRESS_1},
            {"to": case.phone("b2", presses("1", after=0.4, answer_after=0.3)), "confirm": PRESS_1},
            {"to": case.phone("b3", Behaviour(answer_after=None))},
        ]
    }
    caller = await case.connect(connect)
    b2 = await case.incoming("b2")
    assert await caller.hears(FAR_TONE)
    assert await b2.hears(CALLER_TONE)
    await case.seen("> BYE", "b1")
    await case.seen("> CANCEL", "b3")
    assert "> BYE" not in case.labels("b2")
    caller.hang_up()


# ---------------------------------------------------------------- X: after the bridge, M1


BRIEF = Behaviour(tone_hz=FAR_TONE, hang_up_after=0.2)


async def test_after_the_bridge_the_caller_is_transferred(case: Case) -> None:
    """X1"""
    after = case.url("after")
    done = {"sections": {"main": [case.mark("done"), {"hangup": {}}]}}
    case.lab.site.document(f"/{case.serial}/after", done)
    connect = {"to": case.phone("b1", BRIEF), "transfer_after_bridge": after}
    caller = await case.connect(connect)
    await caller.ended()
    [hit] = case.lab.site.at(f"/{case.serial}/after")
    assert hit.body["vars"]["connect_result"] == "connected"
    assert hit.body["call"]["direction"] == "inbound"
    assert case.was_told("done")
    assert not case.was_told()


async def test_after_a_failure_nobody_is_transferred(case: Case) -> None:
    """X2"""
    connect = {"to": case.phone("b1", refuses(486)), "transfer_after_bridge": case.url("after")}
    assert await case.outcome(connect) == ("failed", "busy")
    assert case.lab.site.at(f"/{case.serial}/after") == []


async def test_a_transfer_may_be_an_inline_document(case: Case) -> None:
    """X3"""
    inline = as_text({"sections": {"main": [case.mark("done")]}})
    connect = {"to": case.phone("b1", BRIEF), "transfer_after_bridge": inline}
    caller = await case.connect(connect)
    await caller.ended()
    assert case.was_told("done")
    assert not case.was_told()


async def test_after_a_failure_the_result_runs(case: Case) -> None:
    """X5"""
    connect = {
        "to": case.phone("b1", refuses(486)),
        "transfer_after_bridge": case.url("after"),
        "result": {"case": {"failed": [case.mark("failed")]}},
    }
    assert await case.outcome(connect) == ("failed", "busy")
    assert case.was_told("failed")


async def test_a_transfer_to_a_dead_document_ends_the_call(case: Case) -> None:
    """X7"""
    case.lab.site.on(f"/{case.serial}/after", lambda _: web.Response(status=500))
    connect = {"to": case.phone("b1", BRIEF), "transfer_after_bridge": case.url("after")}
    caller = await case.connect(connect)
    assert (await caller.ended()).cause == "bye_received"
    assert not case.was_told()
    assert case.codes()


async def test_a_connected_call_has_a_longest_duration(case: Case) -> None:
    """M1"""
    connect = {
        "to": case.phone("b1", ANSWERS),
        "max_duration": 1,
        "call_state_url": case.url("state"),
    }
    assert await case.outcome(connect) == ("connected", "")
    took = case.packet("> BYE", "b1").at - case.packet("< 200", "b1").at
    assert took == about(1.0)
    assert await case.until_states("state", 1) == ["ended hangup"]
    assert result_of(await case.told()) == ("connected", "")

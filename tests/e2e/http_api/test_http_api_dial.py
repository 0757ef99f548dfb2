"""Calls that the HTTP API of a whole server makes, to real SIP phones."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.testing.phone import MANUAL

from ..api_cases import WAIT, dialled, document
from ..api_client import Api, found
from ..cases import ANSWERS, CALLER, FAR_TONE, RINGS, Case, Json, refuses

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_dialled_phone_hears_its_document_which_sees_the_call(api: Api, case: Case) -> None:
    made = await dialled(api, case, {"play": "silence:0.5"}, case.mark("seen", n=1))
    assert (made["direction"], made["type"]) == ("outbound-api", "relay_sip_call")
    assert (made["from"], made["to"], made["url"], made["warnings"]) == (CALLER, made["to"], None, [])
    phone = await case.incoming("b")
    assert phone.report.local_uri.startswith("sip:b-")
    told = await case.told("seen")
    assert told["call"]["call_id"] == made["id"]
    assert (told["call"]["direction"], told["call"]["call_state"]) == ("outbound", "answered")
    assert (told["call"]["project_id"], told["call"]["from"]) == ("alpha", CALLER)
    ended = await api.until_state(made["id"], "ended")
    assert ended["end"]["reason"] == "hangup"
    assert ended["duration_ms"] >= 400
    media = await found(lambda: figures_of(api, made["id"]))
    assert media["packets_sent"] > 0
    assert ended["variables"]["return_value"] == "seen"


async def figures_of(api: Api, call_id: str) -> Json | None:
    """Of the media of a call that is over; its worker tells them a moment later."""
    figures: Json | None = (await api.call(call_id))["media"]
    return figures if figures and "packets_sent" in figures else None


async def test_a_document_is_fetched_when_the_phone_has_answered(api: Api, case: Case) -> None:
    case.lab.site.document(f"/{case.serial}/doc", document(case.mark("ran")))
    made = await dialled(api, case, behaviour=MANUAL, url=case.url("doc"))
    assert made["url"] == case.url("doc")
    phone = await case.incoming("b")
    phone.ring()
    await api.until_state(made["id"], "ringing")
    assert not case.lab.site.at(f"/{case.serial}/doc")
    phone.accept()
    await case.told("ran")
    (hit,) = case.lab.site.at(f"/{case.serial}/doc")
    assert hit.body["call"]["call_id"] == made["id"]


async def test_a_fallback_is_fetched_where_the_document_is_not_there(api: Api, case: Case) -> None:
    case.lab.site.document(f"/{case.serial}/spare", document(case.mark("ran")))
    await dialled(api, case, url="http://127.0.0.1:1/none", fallback_url=case.url("spare"))
    await case.told("ran")


async def test_what_is_dialled_is_as_it_was_asked(api: Api, case: Case) -> None:
    made = await dialled(
        api,
        case,
        WAIT,
        behaviour=MANUAL,
        caller_id="+15550009",
        from_name="Office",
        headers=[{"name": "X-Order", "value": "7"}, {"name": "Subject", "value": "no"}],
        codecs=["PCMA"],
    )
    assert made["from"] == "+15550009"
    assert any("Subject" in warning for warning in made["warnings"])
    await case.incoming("b")
    invite = case.invite("b")
    assert invite.from_.display_name == "Office"
    assert invite.from_.uri.user == "+15550009"
    assert (invite.headers.get("X-Order"), invite.headers.get("Subject")) == ("7", None)
    assert b" RTP/AVP 8 " in invite.body
    assert invite.call_id == made["id"]
    await api.command("calling.end", id=made["id"])
    assert (await api.until_state(made["id"], "ended"))["answered_at"] is None
    await case.seen("> CANCEL", "b")


async def test_a_number_goes_through_a_trunk(api: Api, case: Case) -> None:
    params: Json = {"from": CALLER, "to": case.pstn(ANSWERS), "swml": document()}
    made = await api.command("dial", **params)
    assert made["type"] == "relay_pstn_call"
    assert (await api.until_state(made["id"], "ended"))["answered_at"] is not None


async def test_a_number_of_unknown_price_is_not_dialled_where_the_price_counts(api: Api, case: Case) -> None:
    params: Json = {"from": CALLER, "to": case.pstn(ANSWERS), "swml": document()}
    made = await api.command("dial", max_price_per_minute=0.01, **params)
    ended = await api.until_state(made["id"], "ended")
    assert ended["end"]["reason"] == "error"
    assert "rate" in ended["end"]["sentence"]
    assert case.labels(params["to"]) == []


async def test_a_server_that_stops_makes_no_calls(api: Api, case: Case) -> None:
    case.lab.server.exchange.draining = True
    try:
        params: Json = {"from": CALLER, "to": case.phone("b"), "swml": document()}
        refused = await api.command("dial", status=503, **params)
    finally:
        case.lab.server.exchange.draining = False
    assert refused["code"] == "server_stopping"
    assert case.labels("b") == []


@pytest.mark.parametrize(
    ("behaviour", "reason", "code"), [(refuses(486), "busy", 486), (refuses(603), "declined", 603)]
)
async def test_who_refuses_is_told_of_in_the_record(
    api: Api, case: Case, behaviour: Any, reason: str, code: int
) -> None:
    made = await dialled(api, case, case.mark("ran"), behaviour=behaviour)
    ended = await api.until_state(made["id"], "ended")
    assert (ended["end"]["reason"], ended["end"]["sip_code"]) == (reason, code)
    assert f"b-{case.serial}@" in ended["end"]["sentence"]
    assert (ended["answered_at"], ended["duration"]) == (None, None)
    assert not case.was_told("ran")


async def test_nobody_answers_in_time(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT, behaviour=RINGS, timeout=1)
    ended = await api.until_state(made["id"], "ended")
    assert ended["end"]["reason"] == "no_answer"


async def test_a_call_lasts_no_longer_than_it_may(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT, max_duration=1)
    ended = await api.until_state(made["id"], "ended")
    assert 900 <= ended["duration_ms"] < 8000


async def test_states_are_posted_where_they_are_wanted(api: Api, case: Case) -> None:
    made = await dialled(
        api,
        case,
        {"sleep": 100},
        status_url=case.url("state"),
        status_events=["created", "ringing", "answered", "ended"],
    )
    await case.until_states("state", 4)
    assert case.states("state") == ["created", "ringing", "answered", "ended hangup"]
    assert {event["params"]["call_id"] for event in case.events("state")} == {made["id"]}


async def test_a_script_connects_the_dialled_phone_with_another(api: Api, case: Case) -> None:
    other = case.phone("c", ANSWERS)
    made = await dialled(api, case, {"connect": {"to": other}}, behaviour=ANSWERS)
    phone = await case.incoming("b")
    assert await phone.hears(FAR_TONE)
    (child,) = (await api.call(made["id"]))["child_ids"]
    told = await api.call(child)
    assert (told["direction"], told["parent_id"], told["peer_id"]) == (
        "outbound-dial",
        made["id"],
        made["id"],
    )
    assert (await api.call(made["id"]))["peer_id"] == child
    assert child in await api.ids("?direction=outbound-dial&state=answered")
    assert child not in await api.ids("?direction=outbound-api")
    phone.hang_up()
    await api.until_state(child, "ended")

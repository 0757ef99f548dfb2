"""Calls with real SIP phones that the HTTP API changes, ends and commands."""

from __future__ import annotations

import pytest
from aiohttp import web

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import MANUAL

from ..api_cases import PLAY, WAIT, dialled, document
from ..api_client import CALLS, Api, found
from ..cases import ANSWERS, CALLER, FAR_TONE, Case, Json, until
from ..explained import explain_last
from ..sounds import FILE_TONE, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_call_gets_another_document(api: Api, case: Case) -> None:
    made = await dialled(api, case, case.mark("first"), WAIT)
    await case.told("first")
    updated = await api.command("update", id=made["id"], swml=document(case.mark("second"), WAIT))
    assert (updated["id"], updated["status"]) == (made["id"], "answered")
    assert (await case.told("second"))["call"]["call_id"] == made["id"]
    assert (await api.call(made["id"]))["state"] == "answered"
    case.lab.site.document(f"/{case.serial}/third", document(case.mark("third-ran")))
    await api.ask(
        "PUT", CALLS, json={"command": "update", "params": {"id": made["id"], "url": case.url("third")}}
    )
    await case.told("third-ran")
    await api.until_state(made["id"], "ended")


async def test_a_call_that_rings_gets_another_document_for_later(api: Api, case: Case) -> None:
    made = await dialled(api, case, case.mark("first"), behaviour=MANUAL)
    phone = await case.incoming("b")
    phone.ring()
    await api.until_state(made["id"], "ringing")
    await api.command("update", id=made["id"], swml=document(case.mark("second")))
    phone.accept()
    await case.told("second")
    assert not case.was_told("first")


async def test_an_inbound_call_is_updated_and_ended(api: Api, case: Case) -> None:
    caller = await case.call({"answer": {}}, case.mark("here"), WAIT)
    call_id = (await case.told("here"))["call"]["call_id"]
    assert (await api.call(call_id))["direction"] == "inbound"
    await api.command("update", id=call_id, swml=document(case.mark("there"), WAIT))
    await case.told("there")
    await api.ask("POST", CALLS, json={"command": "update", "id": call_id, "params": {"status": "completed"}})
    await caller.ended()
    assert (await api.until_state(call_id, "ended"))["end"]["reason"] == "hangup"


async def test_canceled_ends_only_what_has_not_been_answered(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT)
    await api.until_state(made["id"], "answered")
    body = {"command": "update", "params": {"id": made["id"], "status": "canceled"}}
    refused = await api.ask("POST", CALLS, status=409, json=body)
    assert refused["code"] == "call_answered"
    await api.command("calling.end", id=made["id"])
    await api.until_state(made["id"], "ended")


async def test_an_end_reaches_the_phone_and_a_second_one_finds_the_call_over(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT)
    phone = await case.incoming("b")
    await api.until_state(made["id"], "answered")
    ended = await api.command("calling.end", id=made["id"], reason="hangup")
    assert ended["result"]["code"] == "200"
    await phone.ended()
    await api.until_state(made["id"], "ended")
    for command, params in (("calling.end", {}), ("update", {"swml": document()}), ("calling.play", PLAY)):
        assert (await api.command(command, status=409, id=made["id"], **params))["code"] == "call_ended"


async def test_a_play_is_begun_and_stopped_by_its_control_id(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT)
    await api.until_state(made["id"], "answered")
    phone = await case.incoming("b")
    case.lab.site.on("/tone.wav", lambda _: web.Response(body=tone(30.0), content_type="audio/wav"))
    play: Json = {"play": [{"type": "audio", "params": {"url": f"{case.lab.site.url}/tone.wav"}}]}
    begun = await api.command("calling.play", id=made["id"], **play)
    control_id = begun["result"]["control_id"]
    assert await phone.hears(FILE_TONE)
    again = await api.command("calling.play", status=409, id=made["id"], control_id=control_id, **PLAY)
    assert again["code"] == "conflict"
    stopped = await api.command("calling.play.stop", id=made["id"], control_id=control_id)
    assert stopped["result"]["code"] == "200"
    states = await until_states(api, made["id"], "calling.call.play", 2)
    assert states == [(control_id, "playing"), (control_id, "finished")]
    assert (await api.command("calling.play.stop", status=404, id=made["id"], control_id="none"))["message"]
    await api.command("calling.end", id=made["id"])


async def until_states(api: Api, call_id: str, kind: str, count: int) -> list[tuple[str, str]]:
    """(control id, state) of so many events of a kind."""

    async def there() -> list[Json] | None:
        events = await api.listed(f"{CALLS}/{call_id}/events?limit=2")
        params = [event["params"] for event in events if event["event_type"] == kind]
        return params if len(params) >= count else None

    return [(params["control_id"], params["state"]) for params in await found(there)]


async def test_a_key_is_collected_and_told_at_a_url(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT)
    await api.until_state(made["id"], "answered")
    phone = await case.incoming("b")
    begun = await api.command(
        "calling.collect",
        id=made["id"],
        digits={"max": 1},
        initial_timeout=10,
        status_url=case.url("keys"),
    )
    phone.press("5")
    await until(lambda: bool(case.events("keys")))
    (told,) = case.events("keys")
    assert told["params"]["control_id"] == begun["result"]["control_id"]
    assert told["params"]["result"] == {"type": "digit", "params": {"digits": "5", "terminator": ""}}
    await api.command("calling.end", id=made["id"])


async def test_keys_are_sent_and_a_recording_has_its_link(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT)
    await api.until_state(made["id"], "answered")
    phone = await case.incoming("b")
    begun = await api.command("calling.record", id=made["id"], record={"audio": {"direction": "both"}})
    assert begun["result"]["url"].startswith("http")
    await api.command("calling.send_digits", id=made["id"], digits="12")
    assert await phone.hears_digits("12")
    await api.command("calling.record.stop", id=made["id"], control_id=begun["result"]["control_id"])
    states = await until_states(api, made["id"], "calling.call.record", 2)
    assert [state for _, state in states] == ["recording", "finished"]
    await api.command("calling.end", id=made["id"])


async def test_a_script_connects_its_call_itself_and_may_be_disconnected(api: Api, case: Case) -> None:
    connect = {"connect": {"to": case.phone("c", ANSWERS)}}
    made = await dialled(api, case, case.mark("here"), connect, case.mark("after"), WAIT)
    await case.told("here")
    device = {"type": "sip", "params": {"from": CALLER, "to": case.phone("d", ANSWERS)}}
    await api.command("calling.connect", status=409, id=made["id"], devices=[[device]])
    assert await (await case.incoming("b")).hears(FAR_TONE)
    await api.command("calling.disconnect", id=made["id"])
    await case.told("after")
    assert (await api.call(made["id"]))["peer_id"] is None
    await api.command("calling.end", id=made["id"])


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("calling.hold", {}),
        ("calling.detect", {"detect": {"type": "digit", "params": {"digits": "1"}}}),
        ("calling.detect", {"detect": {"type": "machine", "params": {}}}),
    ],
)
async def test_other_commands_are_taken(api: Api, case: Case, command: str, params: Json) -> None:
    made = await dialled(api, case, WAIT)
    await api.until_state(made["id"], "answered")
    assert (await api.command(command, id=made["id"], **params))["result"]["code"] == "200"
    await api.command("calling.end", id=made["id"])


@pytest.mark.parametrize(
    ("behaviour", "reason", "sentence"),
    [
        (Behaviour(refer_refuse=603), "declined", "{who} refused to be transferred (603 Decline): "),
        (Behaviour(refer_refuse=405), "declined", "{who} refused to be transferred (405 "),
        (Behaviour(refer_told=(100, 486)), "busy", "sip:carol@h is busy (486 Busy Here): add another "),
        (
            Behaviour(refer_told=(100, 404)),
            "error",
            "sip:carol@h does not exist there (404 Not Found): check ",
        ),
    ],
)
async def test_a_transfer_by_refer_that_fails_says_who_failed_and_what_to_change(
    api: Api, case: Case, behaviour: Behaviour, reason: str, sentence: str
) -> None:
    made = await dialled(api, case, WAIT, behaviour=behaviour)
    await api.until_state(made["id"], "answered")
    device = {"type": "sip", "params": {"to": "sip:carol@h"}}
    await api.command("calling.refer", id=made["id"], device=device)

    async def over() -> Json | None:
        events = await api.listed(f"{CALLS}/{made['id']}/events")
        told = [one["params"] for one in events if one["event_type"] == "calling.call.refer"]
        return told[-1] if told and told[-1]["state"] != "inProgress" else None

    last = await found(over)
    assert (last["state"], last["failed_reason"]) == ("failed", reason)
    assert last["message"].startswith(sentence.format(who=made["to"]))
    await api.command("calling.end", id=made["id"])
    await api.until_state(made["id"], "ended")
    assert f"call.refer failed {reason}: {last['message']}\n" in await explain_last(case.lab.server)


async def test_a_transfer_to_somebody_connects_the_call(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT, behaviour=ANSWERS)
    await api.until_state(made["id"], "answered")
    moved = await api.command("calling.transfer", id=made["id"], dest=case.phone("c", ANSWERS))
    assert moved["result"]["code"] == "200"
    assert await (await case.incoming("b")).hears(FAR_TONE)
    await api.command("calling.end", id=made["id"])

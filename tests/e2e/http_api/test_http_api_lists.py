"""What the HTTP API tells of calls: lists, ladders, deliveries."""

from __future__ import annotations

import asyncio

import pytest

from ..api_cases import NOWHERE, WAIT, dialled, document, until_dead
from ..api_client import CALLS, Api, found
from ..cases import ANSWERS, CALLER, Case, Json, refuses

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_calls_are_listed_by_state_and_time(api: Api, case: Case) -> None:
    over = await dialled(api, case, behaviour=refuses(486))
    over = await api.until_state(over["id"], "ended")
    live = await dialled(api, case, WAIT)
    await api.until_state(live["id"], "answered")
    assert {over["id"], live["id"]} <= set(await api.ids("?limit=3"))
    running, ended = await api.ids("?state=answered"), await api.ids("?state=ended&limit=1000")
    assert live["id"] in running
    assert over["id"] not in running
    assert over["id"] in ended
    assert live["id"] not in ended
    assert await api.ids("?state=ringing") == []
    assert over["id"] not in await api.ids(f"?since={live['created_at']}")
    assert live["id"] in await api.ids(f"?since={live['created_at']}")
    assert (await api.get(f"{CALLS}?state=up", status=400))["path"] == "state"
    await api.command("calling.end", id=live["id"])


async def test_pages_are_whole_while_calls_begin_and_end(api: Api, case: Case) -> None:
    names = [case.phone(f"p{n}", ANSWERS if n % 2 else refuses(486)) for n in range(20)]
    before = set(await api.ids())
    bodies = [{"from": CALLER, "to": name, "swml": document()} for name in names]
    made = await asyncio.gather(
        *(api.ask("POST", CALLS, json={"command": "dial", "params": params}) for params in bodies)
    )
    ids = {call["id"] for call in made}
    assert len(ids) == 20
    for limit in (1, 3, 7):
        listed = await api.ids(f"?limit={limit}")
        assert len(listed) == len(set(listed))
        assert set(listed) == before | ids
    for call_id in ids:
        await api.until_state(call_id, "ended")
    assert ids <= set(await api.ids("?state=ended&limit=7"))


async def test_a_ladder_tells_what_was_said_while_the_call_lasts_and_afterwards(api: Api, case: Case) -> None:
    made = await dialled(api, case, WAIT, status_url=case.url("state"), status_events=["answered"])
    await api.until_state(made["id"], "answered")
    live = await api.get(f"{CALLS}/{made['id']}/ladder")
    (leg,) = live["legs"]
    lines = [message["line"] for message in leg["messages"]]
    assert lines[0].startswith("INVITE sip:b-")
    assert "200 OK [INVITE]" in lines
    assert "goes on" in live["verdict"]
    assert [event["event_type"] for event in leg["events"]][:1] == ["calling.call.state"]
    await api.command("calling.end", id=made["id"])
    await api.until_state(made["id"], "ended")

    async def stored() -> Json | None:
        told = await api.get(f"{CALLS}/{made['id']}/ladder")
        (leg,) = told["legs"]
        has_bye = any(message["line"].startswith("BYE") for message in leg["messages"])
        is_under_way = any(callback["state"] == "pending" for callback in told["callbacks"])
        return told if has_bye and not is_under_way else None

    over = await found(stored)
    assert over["legs"][0]["end"]["cause"]
    assert [callback["state"] for callback in over["callbacks"]] == ["delivered"]


async def test_a_dead_callback_is_sent_again(api: Api, case: Case) -> None:
    made = await dialled(api, case, status_url=NOWHERE)
    delivery = await until_dead(api, made["id"])
    assert (delivery["attempts"], delivery["method"]) == (1, "POST")
    assert delivery["last_error"]
    again = await api.ask("POST", f"/api/deliveries/{delivery['id']}/resend")
    assert again["state"] in ("pending", "dead")
    await until_dead(api, made["id"], attempts=2)
    await api.ask("POST", "/api/deliveries/999999/resend", status=404)
    await api.ask("POST", "/api/deliveries/x/resend", status=404)


async def test_a_callback_that_arrived_is_not_sent_again(api: Api, case: Case) -> None:
    made = await dialled(api, case, status_url=case.url("state"))
    await case.until_states("state", 1)

    async def mine() -> Json | None:
        listed = await api.listed("/api/deliveries?state=delivered&limit=1000")
        return next((one for one in listed if one["call_id"] == made["id"]), None)

    delivery = await found(mine)
    refused = await api.ask("POST", f"/api/deliveries/{delivery['id']}/resend", status=409)
    assert "delivered" in refused["message"]
    assert len(case.events("state")) == 1

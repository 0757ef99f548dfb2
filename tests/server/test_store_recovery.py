"""What a server that died left open is closed and reported at the next start."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import structs

from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.recovery import recover, unfinished
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import CallEnd, NewCall, NewEvent, OpenConnect
from cordboard.server.webhook_sender import WebhookSender

STATUS, STATE = "http://127.0.0.1:1/status", "http://127.0.0.1:1/state"


def new_call(name: str, *, parent: str | None = None, events: str = "ended") -> NewCall:
    direction = "outbound" if parent else "inbound"
    return NewCall(
        name, "session", "segment", "node", "project", "space", direction, "phone",
        "+1555", "+1666", None, parent, 10.0, STATE if parent else None, events,
    )  # fmt: skip


def died(path: Path) -> SqliteStore:
    return SqliteStore.open(path / "s")


async def bodies(store: SqliteStore, call_id: str) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in await store.events(call_id)]


async def recovered(path: Path) -> tuple[SqliteStore, list[bytes], int]:
    store = died(path)
    sender = WebhookSender(store, OutboundPolicy(allow_private=True), signing_key="k")
    hung_up: list[bytes] = []
    return store, hung_up, await recover(store, sender, hung_up.append)


async def test_a_bridged_pair_gets_its_last_events_the_dialled_call_first(tmp_path: Path) -> None:
    store = died(tmp_path)
    a = store.add_call(new_call("a"))
    b = store.add_call(new_call("b", parent="a"))
    store.add_event(NewEvent(a, 1, "e1", "t", 1.0, b'{"params":{}}'))
    store.connect_changed(a, OpenConnect("connected", STATUS, "b", "phone", "+1555", "+1666"))
    store.save_dialog(a, b"dialog a")
    store.save_dialog(b, b"dialog b")
    await store.close()

    store, hung_up, count = await recovered(tmp_path)
    assert count == 2
    assert sorted(hung_up) == [b"dialog a", b"dialog b"]
    (last_of_b,) = await bodies(store, "b")
    assert last_of_b["event_type"] == "calling.call.state"
    assert last_of_b["params"]["call_state"] == "ended"
    assert last_of_b["params"]["end_reason"] == "error"
    assert last_of_b["params"]["parent"]["call_id"] == "a"
    _, disconnected, ended = await bodies(store, "a")
    assert disconnected["params"]["connect_state"] == "disconnected"
    assert disconnected["params"]["peer"]["call_id"] == "b"
    assert ended["params"]["call_state"] == "ended"
    deliveries = [(record.url, record.number) for record in reversed(await store.deliveries())]
    assert [url for url, _ in deliveries] == [STATE, STATUS]
    record = await store.call("b")
    assert record is not None
    assert record.end is not None
    assert (record.end.reason, record.end.cause) == ("error", "server_restarted")
    assert "restarted" in record.end.sentence
    assert record.dialog is None
    await store.close()


async def test_a_connect_that_was_dialling_has_failed(tmp_path: Path) -> None:
    store = died(tmp_path)
    a = store.add_call(new_call("a"))
    store.connect_changed(a, OpenConnect("connecting", STATUS))
    await store.close()
    store, _, _ = await recovered(tmp_path)
    failed, _ = await bodies(store, "a")
    assert failed["params"]["connect_state"] == "failed"
    assert failed["params"]["failed_reason"] == "error"
    assert "peer" not in failed["params"]
    await store.close()


def operation(kind: str, control_id: str, state: str) -> bytes:
    body = {"event_type": f"calling.call.{kind}", "params": {"control_id": control_id, "state": state}}
    return json.dumps(body).encode()


async def test_what_went_on_beside_the_script_gets_its_last_events(tmp_path: Path) -> None:
    store = died(tmp_path)
    a = store.add_call(new_call("a"))
    events = [
        operation("play", "p1", "playing"),
        operation("play", "p1", "finished"),
        operation("record", "r1", "recording"),
        operation("tap", "t1", "tapping"),
        operation("play", "p2", "playing"),
        operation("play", "p2", "paused"),
    ]
    for seq, body in enumerate(events, 1):
        event = NewEvent(a, seq, f"e{seq}", json.loads(body)["event_type"], 1.0, body)
        store.add_event(event)
        if seq == 3:
            store.add_delivery(event, "session", origin="http://127.0.0.1:1", url=STATUS, method="POST")
    await store.close()

    store, _, _ = await recovered(tmp_path)
    last = [
        (body["params"].get("control_id"), body["params"].get("state")) for body in await bodies(store, "a")
    ]
    assert last[6:] == [("r1", "error"), ("t1", "finished"), ("p2", "finished"), (None, None)]
    assert [record.url for record in await store.deliveries()] == [STATUS, STATUS]
    await store.close()
    store, _, count = await recovered(tmp_path)
    assert count == 0
    assert len(await bodies(store, "a")) == 10
    await store.close()


@pytest.mark.parametrize(
    ("kind", "told", "last"),
    [
        (
            "collect",
            {"result": {"type": "digit", "params": {"digits": "1"}}, "final": False, "state": "collecting"},
            {"result": {"type": "no_input"}},
        ),
        (
            "detect",
            {"detect": {"type": "machine", "params": {"event": "MACHINE"}}},
            {"detect": {"type": "machine", "params": {"event": "finished"}}},
        ),
        (
            "refer",
            {"sip_refer_to": "sip:x@y", "state": "inProgress"},
            {"sip_refer_to": "sip:x@y", "state": "failed"},
        ),
        ("play", {"state": "finished"}, None),
        ("play", {"state": "error"}, None),
        ("record", {"state": "no_input"}, None),
        ("record", {"state": "error"}, None),
        ("collect", {"result": {"type": "no_input"}}, None),
        ("detect", {"detect": {"type": "fax", "params": {"event": "error"}}}, None),
        ("send_digits", {"state": "finished"}, None),
        ("refer", {"state": "success"}, None),
        ("hold", {"state": "hold"}, None),
    ],
)
def test_a_callback_tells_of_the_end_of_what_goes_on_and_of_nothing_else(
    kind: str, told: dict[str, Any], last: dict[str, Any] | None
) -> None:
    body = {"event_type": f"calling.call.{kind}", "params": {"control_id": "c", **told}}
    ends = unfinished([(json.dumps(body).encode(), STATUS)])
    assert ends == ([] if last is None else [(body["event_type"], {"control_id": "c", **last}, STATUS)])


async def test_what_has_the_same_control_id_and_is_of_another_kind_stays_apart(tmp_path: Path) -> None:
    store = died(tmp_path)
    a = store.add_call(new_call("a"))
    told = (("record", "recording"), ("play", "playing"), ("play", "finished"))
    for seq, (kind, state) in enumerate(told, 1):
        store.add_event(NewEvent(a, seq, f"e{seq}", f"calling.call.{kind}", 1.0, operation(kind, "x", state)))
    await store.close()
    store, _, _ = await recovered(tmp_path)
    last = [body["params"].get("state") for body in await bodies(store, "a")]
    assert last[3:] == ["error", None]
    await store.close()


async def test_a_call_whose_end_was_stored_does_not_end_twice(tmp_path: Path) -> None:
    store = died(tmp_path)
    a = store.add_call(new_call("a"))
    store.connect_changed(a, OpenConnect("connecting", STATUS))
    store.call_ended(a, CallEnd(12.0, "hangup", "x", None, "", "Bye."))
    await store.close()
    store, _, count = await recovered(tmp_path)
    assert count == 1
    assert [body["event_type"] for body in await bodies(store, "a")] == ["calling.call.connect"]
    record = await store.call("a")
    assert record is not None
    assert record.end == CallEnd(12.0, "hangup", "x", None, "", "Bye.")
    await store.close()


async def test_a_callback_that_did_not_ask_for_the_end_gets_none(tmp_path: Path) -> None:
    store = died(tmp_path)
    store.add_call(new_call("b", parent="a", events="answered ringing"))
    await store.close()
    store, _, _ = await recovered(tmp_path)
    assert await store.deliveries() == []
    assert len(await bodies(store, "b")) == 1
    await store.close()


async def test_a_second_start_finds_nothing_to_close(tmp_path: Path) -> None:
    store = died(tmp_path)
    store.add_call(new_call("a"))
    await store.close()
    store, _, first = await recovered(tmp_path)
    await store.close()
    store, hung_up, second = await recovered(tmp_path)
    assert (first, second, hung_up) == (1, 0, [])
    await store.close()


async def test_the_last_events_reach_the_receiver_after_what_was_left_before_them(tmp_path: Path) -> None:
    seen: list[str] = []

    async def take(request: web.BaseRequest) -> web.Response:
        params = (await request.json())["params"]
        seen.append(params["call_state"])
        return web.Response()

    runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/state"

    store = died(tmp_path)
    b = store.add_call(structs.replace(new_call("b", parent="a"), call_state_url=url))
    for seq, state in enumerate(("created", "ringing", "answered"), 1):
        left = NewEvent(
            b, seq, f"e{seq}", "t", time.time(), b'{"params":{"call_state":"%s"}}' % state.encode()
        )
        store.add_event(left)
        store.add_delivery(left, "session", origin=url.removesuffix("/state"), url=url, method="POST")
    await store.close()

    store = died(tmp_path)
    sender = WebhookSender(store, OutboundPolicy(allow_private=True), signing_key="k")
    await recover(store, sender, lambda dialog: None)
    await sender.start()
    async with asyncio.timeout(10):
        while sender.delivered < 4:
            await sender.idle()
    assert seen == ["created", "ringing", "answered", "ended"]
    assert sender.failed_tries == 0
    await sender.stop()
    await store.close()
    await runner.cleanup()

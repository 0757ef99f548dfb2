"""The HTTP API of a whole server: calls made, changed, ended, listed and explained, with real SIP phones."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import MANUAL

from .api_client import CALLS, Api, found
from .cases import ANSWERS, CALLER, FAR_TONE, RINGS, Case, Json, Lab, laboratory, refuses, until
from .explained import explain_last
from .sounds import FILE_TONE, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"alpha": "alpha-token", "beta": "beta-token"}
WAIT: Json = {"sleep": -1}
NOWHERE = "http://[nowhere"
"""A URL that no callback can be sent to: it is given up at the first try."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    def routes(url: str) -> Json:
        return {"*": {"document": f"{url}/doc", "project": "alpha"}}

    projects = {name: {"tokens": [token]} for name, token in TOKENS.items()}
    async with laboratory(tmp_path_factory.mktemp("lab"), routes=routes, projects=projects) as made:
        yield made


def basic(project: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{project}:{token}".encode()).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apis(lab: Lab) -> AsyncIterator[dict[str, Api]]:
    async with AsyncExitStack() as stack:
        base, made = f"http://127.0.0.1:{lab.server.http.port}", {}
        for project, token in TOKENS.items():
            headers = {"Authorization": basic(project, token)}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            async with session.get(f"{base}/api/openapi.json") as response:
                made[project] = Api(base, session, await response.json())
        yield made


@pytest.fixture
def api(apis: dict[str, Api]) -> Api:
    return apis["alpha"]


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def document(*steps: Any) -> Json:
    return {"version": "1.0.0", "sections": {"main": list(steps) or [{"hangup": {}}]}}


async def dialled(api: Api, case: Case, *steps: Any, behaviour: Any = ANSWERS, **params: Any) -> Json:
    """A call that the API has made to the phone `b` of a case."""
    to = case.phone("b", behaviour)
    swml = {} if "url" in params else {"swml": document(*steps)}
    return await api.command("dial", **{"from": CALLER, "to": to, **swml, **params})


# ---------------------------------------------------------------- dial


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
    return figures


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


# ---------------------------------------------------------------- update, end, commands


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


PLAY: Json = {"play": [{"type": "ringtone", "params": {"name": "us", "duration": 30}}]}


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


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        ({}, 400, "invalid_parameter", "`command`"),
        ({"command": "fly"}, 400, "invalid_request", "no command"),
        ({"command": "dail", "params": {}}, 400, "invalid_request", "`dial`"),
        ({"command": "dial", "parms": {}}, 400, "unknown_parameter", "Did you mean `params`?"),
        ({"command": "dial", "params": []}, 400, "invalid_parameter", "`params` is required"),
        ({"command": "dial", "params": [1]}, 400, "invalid_parameter", "must be an object"),
        ({"command": "calling.end"}, 400, "invalid_parameter", "`id`"),
        ({"command": "calling.end", "id": 7}, 400, "invalid_parameter", "`id`"),
        ({"command": "calling.end", "id": "nobody"}, 404, "not_found", "Call not found."),
        ({"command": "update", "id": "nobody", "params": {"url": "http://h/"}}, 404, "not_found", "Call not"),
        ({"command": "calling.dial", "id": "x"}, 400, "invalid_request", "`dial`"),
        ({"command": "calling.ai", "id": "x"}, 501, "not_built", "calling.ai"),
        ({"command": "calling.play", "id": "x", "params": {}}, 400, "invalid_request", "`play`"),
    ],
)
async def test_mistakes_in_commands(api: Api, body: Json, status: int, code: str, part: str) -> None:
    refused = await api.ask("POST", CALLS, status=status, json=body)
    assert refused["code"] == code
    assert part in refused["message"] or "required" in refused["message"]


async def test_a_bad_document_is_refused_before_anybody_is_dialled(api: Api, case: Case) -> None:
    text = "sections:\n  main:\n    - plya: x\n"
    params = {"from": CALLER, "to": case.phone("b"), "swml": text}
    refused = await api.command("dial", status=400, **params)
    assert (refused["code"], refused["line"], refused["nearest"]) == ("invalid_document", 3, "play")
    assert case.labels("b") == []


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"data": {"command": "dial"}}, 415, "unsupported_media_type"),
        ({"data": b"{", "headers": JSON}, 400, "invalid_json"),
        ({"data": b"[1]", "headers": JSON}, 400, "invalid_json"),
        ({"data": b"\xff", "headers": JSON}, 400, "invalid_json"),
        ({"data": b"[" * 100_000, "headers": JSON}, 400, "invalid_json"),
        ({"data": b'{"a":' * 5_000, "headers": JSON}, 400, "invalid_json"),
        (
            {"data": io.BytesIO(b" " * (1 << 21)), "headers": JSON},
            413,
            "too_large",
        ),
    ],
)
async def test_bodies_that_are_none(api: Api, options: Json, status: int, code: str) -> None:
    assert (await api.ask("POST", CALLS, status=status, **options))["code"] == code


# ---------------------------------------------------------------- who may see what


async def test_a_project_neither_sees_nor_touches_anothers_calls(
    lab: Lab, apis: dict[str, Api], case: Case
) -> None:
    alpha, beta = apis["alpha"], apis["beta"]
    made = await dialled(alpha, case, WAIT, status_url=NOWHERE, status_events=["answered"])
    await alpha.until_state(made["id"], "answered")
    assert made["id"] in await alpha.ids()
    assert made["id"] not in await beta.ids()
    unknown = await beta.get(f"{CALLS}/nobody", status=404)
    for path in ("", "/events", "/ladder"):
        assert await beta.get(f"{CALLS}/{made['id']}{path}", status=404) == unknown
    for command, params in (
        ("calling.end", {}),
        ("update", {"swml": document()}),
        ("calling.play", PLAY),
        ("calling.transfer", {"dest": "+15550001"}),
    ):
        assert await beta.command(command, status=404, id=made["id"], **params) == unknown
    delivery = await until_dead(alpha, made["id"])
    assert await beta.listed("/api/deliveries") == []
    await beta.ask("POST", f"/api/deliveries/{delivery['id']}/resend", status=404)
    assert (await alpha.call(made["id"]))["state"] == "answered"
    await alpha.command("calling.end", id=made["id"])
    await alpha.until_state(made["id"], "ended")
    assert await beta.get(f"{CALLS}/{made['id']}", status=404) == unknown
    assert await beta.command("calling.end", status=404, id=made["id"]) == unknown


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", CALLS), ("POST", CALLS), ("GET", f"{CALLS}/x/ladder"), ("POST", "/api/deliveries/1/resend")],
)
async def test_without_credentials_nothing_is_said(lab: Lab, method: str, path: str) -> None:
    url = f"http://127.0.0.1:{lab.server.http.port}{path}"
    async with aiohttp.ClientSession() as session:
        async with session.request(method, url) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic")
            assert (await response.json())["code"] == "unauthorized"
        headers = {"Authorization": f"Bearer {TOKENS['alpha']}"}
        async with session.request(method, url, headers=headers) as response:
            assert response.status != 401


async def test_the_description_is_public(lab: Lab) -> None:
    url = f"http://127.0.0.1:{lab.server.http.port}/api/openapi.json"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert (await response.json())["openapi"] == "3.1.0"


# ---------------------------------------------------------------- lists, events, ladders, deliveries


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

    async def stored() -> bool:
        (leg,) = (await api.get(f"{CALLS}/{made['id']}/ladder"))["legs"]
        return any(message["line"].startswith("BYE") for message in leg["messages"])

    await found(stored)
    over = await api.get(f"{CALLS}/{made['id']}/ladder")
    assert over["legs"][0]["end"]["cause"]
    assert [callback["state"] for callback in over["callbacks"]] == ["delivered"]


async def until_dead(api: Api, call_id: str, *, attempts: int = 1) -> Json:
    """The delivery of a call that has been given up, after so many tries."""

    async def there() -> Json | None:
        dead = await api.listed("/api/deliveries?state=dead")
        mine = (one for one in dead if one["call_id"] == call_id and one["attempts"] >= attempts)
        return next(mine, None)

    return await found(there)


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

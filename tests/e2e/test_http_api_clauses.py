"""What the page of the HTTP API says besides `http_api`: errors, methods, RELAY too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from cordboard.client import Call, Client
from cordboard.relay.methods.unbuilt import UNBUILT

from .api_client import CALLS, Api
from .cases import ANSWERS, CALLER, Case, Lab, laboratory

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT, TOKEN = "alpha", "alpha-token"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    projects = {PROJECT: {"tokens": [TOKEN]}}
    async with laboratory(tmp_path_factory.mktemp("lab"), projects=projects) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def api(lab: Lab) -> AsyncIterator[Api]:
    base = f"http://127.0.0.1:{lab.server.http.port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{base}/api/openapi.json") as response,
    ):
        yield Api(base, session, await response.json())


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allowed"),
    [
        ("GET", "/api/nothing", 404, "not_found", None),
        ("POST", "/api/calling", 404, "not_found", None),
        ("DELETE", CALLS, 405, "method_not_allowed", {"GET", "POST", "PUT"}),
        ("POST", f"{CALLS}/1", 405, "method_not_allowed", {"GET"}),
    ],
)
async def test_what_is_no_operation_is_told_in_the_shape_of_all_errors(
    lab: Lab, method: str, path: str, status: int, code: str, allowed: set[str] | None
) -> None:
    url = f"http://127.0.0.1:{lab.server.http.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        body = await response.json()
        assert (response.status, body["code"]) == (status, code)
        assert body["message"] == f"There is no {method} {path} here: /api/openapi.json says what there is."
        said = response.headers.get("Allow")
        assert (None if said is None else set(said.split(","))) == allowed


async def test_outside_of_the_api_errors_keep_their_own_shape(lab: Lab) -> None:
    url = f"http://127.0.0.1:{lab.server.http.port}/nothing"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert (response.status, await response.json()) == (404, {"error": "Not Found."})


@pytest.mark.parametrize("method", sorted(UNBUILT))
async def test_a_method_that_is_not_built_is_refused_by_its_name(api: Api, method: str) -> None:
    body = {"command": method, "id": "any", "params": {}}
    told = await api.ask("POST", CALLS, status=501, json=body)
    assert told == {"code": "not_built", "message": f"{method} is not built into this server."}


# ------------------------------------------------------------ RELAY beside it


@pytest_asyncio.fixture(loop_scope="module")
async def client(lab: Lab) -> AsyncIterator[Client]:
    async with Client(PROJECT, TOKEN, f"ws://127.0.0.1:{lab.server.http.port}") as made:
        yield made


async def dialled(client: Client, case: Case) -> Call:
    return await client.dial_sip(to=case.phone("b", ANSWERS), from_=f"sip:{CALLER}@example.com", timeout=20)


async def states(api: Api, call_id: str) -> list[str]:
    told = await api.get(f"{CALLS}/{call_id}/events")
    params = [event["params"] for event in told["data"] if event["event_type"] == "calling.call.state"]
    return [param["call_state"] for param in params]


async def test_a_call_of_a_client_is_listed_and_ended_over_http_and_the_client_is_told(
    api: Api, client: Client, case: Case
) -> None:
    call = await dialled(client, case)
    far = await case.incoming("b")
    listed = await api.get(f"{CALLS}?state=answered&limit=1")
    assert [one["id"] for one in listed["data"]] == [call.id]
    await api.command("calling.end", id=call.id)
    async with asyncio.timeout(5.0):
        await call.ended()
    assert call.end_reason == "hangup"
    await far.ended()
    assert await states(api, call.id) == ["created", "ringing", "answered", "ended"]


async def test_a_play_that_http_began_can_be_stopped_by_the_client(
    api: Api, client: Client, case: Case
) -> None:
    call = await dialled(client, case)
    silence = {"type": "silence", "params": {"duration": 60}}
    told = await api.command("calling.play", id=call.id, play=[silence])
    control_id = told["result"]["control_id"]
    await call.request("play.stop", control_id=control_id)
    await call.hangup()
    listed = await api.get(f"{CALLS}/{call.id}/events")
    plays = [one["params"] for one in listed["data"] if one["event_type"] == "calling.call.play"]
    assert [play["state"] for play in plays] == ["playing", "finished"]
    assert {play["control_id"] for play in plays} == {control_id}


async def test_an_update_takes_the_call_of_a_client_over(api: Api, client: Client, case: Case) -> None:
    call = await dialled(client, case)
    await api.command("update", id=call.id, swml={"sections": {"main": [{"hangup": {"reason": "busy"}}]}})
    async with asyncio.timeout(5.0):
        await call.ended()
    record = await api.call(call.id)
    assert record["end"]["reason"] == "busy"

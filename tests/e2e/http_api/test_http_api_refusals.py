"""What the HTTP API refuses: mistakes, and calls of other projects."""

from __future__ import annotations

import io

import aiohttp
import pytest

from ..api_cases import NOWHERE, PLAY, TOKENS, WAIT, dialled, document, until_dead
from ..api_client import CALLS, Api
from ..cases import CALLER, Case, Json, Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")


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

"""Documents from the web: what is asked, what is accepted, what a caller gets when there is none."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.server import server as server_module
from cordboard.server.fetcher import DocumentFetcher

from .cases import CALLER, Case, Hit, Json, Lab, as_text, laboratory

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = b"the key of this project"
BUSY: Json = {"sections": {"main": [{"hangup": {"reason": "busy"}}]}}
DECLINE: Json = {"sections": {"main": [{"hangup": {"reason": "decline"}}]}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """+1555700… is answered by `/first` and its `/fallback`, +1555701… by `/only`."""
    directory = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        impatient = functools.partial(DocumentFetcher, total_timeout=1.0)
        patch.setattr(server_module, "DocumentFetcher", impatient)
        async with laboratory(
            directory,
            server={"data_directory": str(directory / "data"), "signing_key": KEY.decode()},
            routes=lambda url: {
                "*": f"{url}/doc",
                "+1555700*": {"document": f"{url}/first", "fallback_url": f"{url}/fallback"},
                "+1555701*": f"{url.replace('http://', 'http://user:p%40ss@')}/only?tenant=a%20b&x=1#part",
            },
            envs={"COLOUR": "blue"},
        ) as made:
            yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    lab.site.hits.clear()
    lab.site.document("/fallback", DECLINE)
    return lab.case()


async def dial(lab: Lab, number: str, **options: Any) -> int:
    """The final status that a caller of that number gets."""
    call = await lab.caller.call(f"sip:{number}@{lab.server.socket.local.host_port}", **options)
    return (await call.ended()).status


def paths(lab: Lab) -> list[str]:
    return [hit.path for hit in lab.site.hits]


def check_signatures(hit: Hit, url: str) -> None:
    """With nothing but hmac."""
    material = url.encode() + hit.raw
    assert hit.headers["x-signalwire-signature"] == hmac.new(KEY, material, hashlib.sha1).hexdigest()
    sha256 = hmac.new(KEY, material, hashlib.sha256).hexdigest()
    assert hit.headers["x-signalwire-sha256-signature"] == sha256


# ---------------------------------------------------------------- the request


async def test_the_request_says_what_the_call_is(lab: Lab, case: Case) -> None:
    """2.2 for a number that calls a number"""
    lab.site.document("/first", BUSY)
    assert await dial(lab, "+15557000001") == 486
    (hit,) = lab.site.hits
    assert hit.method == "POST"
    assert hit.headers["content-type"].startswith("application/json")
    body = json.loads(hit.raw)
    assert set(body) == {"call", "vars", "envs", "params"}
    assert (body["vars"], body["params"], body["envs"]) == ({}, {}, {"COLOUR": "blue"})
    call = body["call"]
    assert {"call_id", "node_id", "segment_id", "project_id", "space_id"} <= set(call)
    wanted = {
        "call_state": "created",
        "direction": "inbound",
        "type": "phone",
        "from": CALLER,
        "to": "+15557000001",
        "from_number": CALLER,
        "to_number": "+15557000001",
        "headers": [],
    }
    assert {name: call[name] for name in wanted} == wanted
    assert not {"tag", "parent", "peer", "sip_data", "dial_winner"} & set(call)


async def test_the_request_says_more_of_a_sip_call(lab: Lab, case: Case) -> None:
    """2.2 with `sip_data` and custom headers"""
    lab.site.document("/first", BUSY)
    headers = [("X-Ticket", "7"), ("Subject", "not ours")]
    assert await dial(lab, "+15557000002", from_user="erika", headers=headers) == 486
    call = lab.site.hits[0].body["call"]
    assert (call["type"], call["from"], call["to"]) == ("sip", "sip:erika@127.0.0.1", "+15557000002")
    assert call["headers"] == [{"name": "X-Ticket", "value": "7"}]
    assert not {"from_number", "to_number"} & set(call)
    data = call["sip_data"]
    assert data["sip_from_uri"] == "erika@127.0.0.1"
    assert data["sip_from_user"] == "erika"
    assert data["sip_req_user"] == data["sip_to_user"] == "+15557000002"
    assert data["sip_req_uri"] == "+15557000002@127.0.0.1"
    assert data["sip_contact_host"] == "127.0.0.1"
    assert data["sip_contact_port"] == str(lab.caller.port)
    assert isinstance(data["sip_contact_params"], dict)
    assert all(isinstance(value, str) for name, value in data.items() if name != "sip_contact_params")


async def test_the_request_is_signed_without_the_password(lab: Lab, case: Case) -> None:
    """2.2: userinfo goes into Basic, the fragment nowhere, the query is signed as it is sent"""
    lab.site.document("/only", BUSY)
    assert await dial(lab, "+15557010001") == 486
    (hit,) = lab.site.hits
    assert hit.headers["authorization"] == "Basic dXNlcjpwQHNz"
    check_signatures(hit, f"{lab.site.url}/only?tenant=a%20b&x=1")


# ---------------------------------------------------------------- the response


def said(text: str, kind: str, _: Hit) -> web.Response:
    return web.Response(text=text, content_type=kind)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/yaml", "text/x-yaml", "text/html", "text/plain"]
)
async def test_any_content_type_will_do(lab: Lab, case: Case, kind: str) -> None:
    """2.3, JSON as well as YAML"""
    yaml = "sections:\n  main:\n    - hangup: {reason: busy}\n"
    for text in (yaml, as_text(BUSY)):
        lab.site.on("/first", functools.partial(said, text, kind))
        assert await dial(lab, "+15557000003") == 486


@pytest.mark.parametrize(
    ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
async def test_redirects_are_followed(lab: Lab, case: Case, status: int, method: str) -> None:
    """2.3: POST stays POST on 307 and 308, and is signed anew"""
    lab.site.on("/first", lambda _: web.Response(status=status, headers={"Location": "/second"}))
    lab.site.document("/second", BUSY)
    assert await dial(lab, "+15557000004") == 486
    assert [hit.method for hit in lab.site.hits] == ["POST", method]
    second = lab.site.hits[1]
    assert bool(second.raw) == (method == "POST")
    check_signatures(second, f"{lab.site.url}/second")


async def test_five_redirects_are_followed_and_not_six(lab: Lab, case: Case) -> None:
    """Q9"""

    def onward(hit: Hit) -> web.Response:
        left = int(hit.url.rpartition("=")[2]) if "=" in hit.url else start
        if left == 0:
            return web.Response(text=as_text(BUSY))
        return web.Response(status=307, headers={"Location": f"/first?left={left - 1}"})

    lab.site.on("/first", onward)
    start = 5
    assert await dial(lab, "+15557000005") == 486
    start = 6
    assert await dial(lab, "+15557000005") == 603


# ---------------------------------------------------------------- failure


async def answers(lab: Lab, path: str, what: str) -> None:
    replies: dict[str, Any] = {
        "500": lambda _: web.Response(status=500),
        "404": lambda _: web.Response(status=404),
        "204": lambda _: web.Response(status=204),
        "not a document": lambda _: web.Response(text="<html>hello</html>"),
        "not YAML": lambda _: web.Response(text="a: [b"),
        "no sections": lambda _: web.Response(text='{"version": "1.0.0"}'),
        "another version": lambda _: web.Response(
            text='{"version": "2.0.0", "sections": {"main": ["hangup"]}}'
        ),
        "empty main": lambda _: web.Response(text='{"sections": {"main": []}}'),
        "too large": lambda _: web.Response(text=as_text(BUSY) + " " * (1 << 20)),
        "too slow": lambda _: web.Response(text=as_text(BUSY)),
    }
    lab.site.on(path, replies[what], delay=1.5 if what == "too slow" else 0.0)


FAILURES = (
    *("500", "404", "204", "not a document", "not YAML", "no sections", "another version"),
    *("empty main", "too large", "too slow"),
)


@pytest.mark.parametrize("what", FAILURES)
async def test_the_fallback_is_asked_once_with_the_same_body(lab: Lab, case: Case, what: str) -> None:
    """2.4"""
    await answers(lab, "/first", what)
    assert await dial(lab, "+15557000006") == 603
    assert paths(lab) == ["/first", "/fallback"]
    first, second = (hit.body for hit in lab.site.hits)
    assert first == second
    check_signatures(lab.site.hits[1], f"{lab.site.url}/fallback")


@pytest.mark.parametrize("what", ["500", "not a document", "too slow"])
async def test_without_any_document_an_unanswered_caller_gets_503(lab: Lab, case: Case, what: str) -> None:
    """2.4: both fail, or there is no fallback"""
    await answers(lab, "/first", what)
    await answers(lab, "/fallback", "500")
    assert await dial(lab, "+15557000007") == 503
    assert paths(lab) == ["/first", "/fallback"]
    await answers(lab, "/only", what)
    assert await dial(lab, "+15557010007") == 503


async def test_a_fallback_that_cannot_be_parsed_gives_503(lab: Lab, case: Case) -> None:
    await answers(lab, "/first", "500")
    await answers(lab, "/fallback", "not a document")
    assert await dial(lab, "+15557000008") == 503


async def test_the_record_says_why_there_was_no_document(lab: Lab, case: Case) -> None:
    """One sentence that names the cause"""
    await answers(lab, "/only", "404")
    assert await dial(lab, "+15557010009") == 503
    await lab.server.exchange.quiet()
    info = lab.book.calls()[-1]
    await lab.server.store.flush()
    record = await lab.server.store.call(info.call_id)
    assert record is not None
    assert record.end is not None
    assert record.end.reason == "error"
    assert "404" in record.end.sentence
    assert "/only" in record.end.sentence
    assert "p%40ss" not in record.end.sentence


# ---------------------------------------------------------------- execute and transfer


async def test_execute_posts_params_and_variables_and_comes_back(case: Case) -> None:
    """2.1: params stringified, vars as they are"""
    sub: Json = {"sections": {"main": [{"set": {"from_sub": "${params.n}"}}, {"return": {"answer": 42}}]}}
    url = case.lab.site.document(f"/{case.serial}/sub", sub)
    await case.call(
        {"set": {"colour": "red", "count": 3}},
        {"execute": {"dest": url, "params": {"n": 12345, "deep": {"yes": True}}}},
        case.mark("after", value="${return_value.answer}", n="${params.n}"),
    )
    told = await case.told("after")
    assert told["params"] == {"value": "42", "n": ""}
    assert told["vars"]["from_sub"] == "12345"
    (hit,) = case.lab.site.at(f"/{case.serial}/sub")
    assert hit.body["params"] == {"n": "12345", "deep": {"yes": "true"}}
    assert hit.body["vars"] == {"colour": "red", "count": 3}
    check_signatures(hit, url)


async def test_transfer_never_comes_back(case: Case) -> None:
    """4.2: variables survive, what stood behind it does not run"""
    there = {"sections": {"main": [case.mark("there", colour="${colour}", n="${params.n}")]}}
    url = case.lab.site.document(f"/{case.serial}/there-document", there)
    caller = await case.call(
        {"set": {"colour": "red"}}, {"transfer": {"dest": url, "params": {"n": 7}}}, case.mark("behind")
    )
    assert (await case.told("there"))["params"] == {"colour": "red", "n": "7"}
    await caller.ended()
    assert not case.was_told("behind")


@pytest.mark.parametrize("method", ["execute", "transfer"])
@pytest.mark.parametrize("what", ["500", "not YAML", "too slow"])
async def test_a_sub_document_that_cannot_be_had_is_an_error_of_its_step(
    case: Case, method: str, what: str
) -> None:
    """2.4, 4.4: no fallback; the script goes on"""
    await answers(case.lab, f"/{case.serial}/sub", what)
    await case.call({method: {"dest": case.url("sub")}}, case.mark("after"))
    told = await case.told("after")
    assert told["vars"]["script_error"] in ("relay_script_method_execute_failed", "relay_script_parse_error")
    assert len(case.lab.site.at(f"/{case.serial}/sub")) == 1


async def test_an_inline_document_is_run(case: Case) -> None:
    """1.4"""
    inline = as_text({"sections": {"main": [{"return": "from ${who}"}]}})
    await case.call({"set": {"who": "inside"}}, {"execute": inline}, case.mark("after", v="${return_value}"))
    assert (await case.told("after"))["params"] == {"v": "from inside"}


async def test_a_document_may_not_lead_into_forbidden_networks(case: Case) -> None:
    """The outbound policy, also behind a redirect"""
    metadata = "http://169.254.169.254/latest/meta-data"
    case.lab.site.on(
        f"/{case.serial}/sub", lambda _: web.Response(status=307, headers={"Location": metadata})
    )
    await case.call(
        {"execute": {"dest": metadata}},
        case.mark("one"),
        {"execute": {"dest": case.url("sub")}},
        case.mark("two"),
    )
    for name in ("one", "two"):
        assert (await case.told(name))["vars"]["script_error"] == "relay_script_method_execute_failed"
    assert sum("169.254.169.254" in warning for warning in case.warnings()) == 2

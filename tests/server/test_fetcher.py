"""Documents over real HTTP: the request, redirects, limits, the fallback, and a sentence for each failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from cordboard.call.actions import CallInfo, DocumentFailed, DocumentFetched, FetchDocument
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.webhooks import verify_signature

KEY = "secret"
DOCUMENT = b"sections: {main: [answer]}"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
INFO = CallInfo(
    call_id="c",
    node_id="n",
    segment_id="s",
    project_id="p",
    space_id="sp",
    session_id="x",
    call_state="created",
    direction="inbound",
    type="sip",
    from_="sip:a@h",
    to="sip:b@h",
    headers=(("X-Team", "support"),),
    sip_data={"sip_req_user": "b"},
)


class Site:
    """A web service; `answers` by path."""

    def __init__(self, **answers: Answer) -> None:
        self._answers = answers
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        app = web.Application()
        app.router.add_route("*", "/{name:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self._answers.get(request.match_info["name"], document)(request)


async def document(request: web.Request) -> web.StreamResponse:
    return web.Response(body=DOCUMENT, content_type="text/html")


def redirect(status: int, location: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": location})

    return answer


def status(code: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, body=b"x" * 100_000)

    return answer


async def fetch(
    url: str, *, policy: OutboundPolicy | None = None, total: float = 5.0, **changes: Any
) -> DocumentFetched | DocumentFailed:
    fetcher = DocumentFetcher(
        policy or OutboundPolicy(allow_private=True), signing_key=KEY, total_timeout=total
    )
    try:
        request = FetchDocument(url=url, params={"a": "1"}, vars={"v": [1]}, **changes)
        return await fetcher.fetch(request, INFO, {"region": "eu"})
    finally:
        await fetcher.close()


async def test_the_request_says_what_the_call_is_and_is_signed() -> None:
    async with Site().running() as site:
        url = site.base + "/doc?lang=en"
        found = await fetch(url.replace("//", "//user:pass@") + "#top")
        assert isinstance(found, DocumentFetched)
        assert found.body == DOCUMENT
        (request,) = site.requests
        assert request.method == "POST"
        assert request.headers["Authorization"] == "Basic dXNlcjpwYXNz"
        assert request.headers["Content-Type"] == "application/json"
        assert verify_signature(KEY, url, site.bodies[0], request.headers)
        body = json.loads(site.bodies[0])
        assert body["call"]["call_id"] == "c"
        assert body["call"]["headers"] == [{"name": "X-Team", "value": "support"}]
        assert body["call"]["sip_data"] == {"sip_req_user": "b"}
        assert (body["vars"], body["envs"], body["params"]) == ({"v": [1]}, {"region": "eu"}, {"a": "1"})


@pytest.mark.parametrize(
    ("code", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
async def test_a_redirect_keeps_or_changes_the_method_and_is_signed_anew(code: int, method: str) -> None:
    async with Site(old=redirect(code, "/new?x=1")).running() as site:
        found = await fetch(site.base.replace("//", "//u:p@") + "/old")
        assert isinstance(found, DocumentFetched)
        second = site.requests[1]
        assert second.method == method
        assert site.bodies[1] == (site.bodies[0] if method == "POST" else b"")
        assert verify_signature(KEY, site.base + "/new?x=1", site.bodies[1], second.headers)
        assert "Authorization" in second.headers


async def test_credentials_do_not_follow_a_redirect_to_another_origin() -> None:
    async with Site().running() as other, Site(old=redirect(307, other.base + "/doc")).running() as site:
        found = await fetch(site.base.replace("//", "//u:p@") + "/old")
        assert isinstance(found, DocumentFetched)
        assert "Authorization" not in other.requests[0].headers


async def test_five_redirects_are_followed_and_six_are_not() -> None:
    hops = {f"hop{n}": redirect(302, f"/hop{n + 1}") for n in range(1, 6)}
    async with Site(**hops).running() as site:
        assert isinstance(await fetch(site.base + "/hop1"), DocumentFetched)
    async with Site(loop=redirect(302, "/loop")).running() as site:
        found = await fetch(site.base + "/loop")
        assert isinstance(found, DocumentFailed)
        assert "More than 5 redirects" in found.sentence
        assert len(site.requests) == 6


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/", "http://[::ffff:a9fe:a9fe]/", "file:///etc/passwd", "http://[", "//"],
)
async def test_a_redirect_to_where_nobody_may_go_fails(location: str) -> None:
    async with Site(old=redirect(307, location)).running() as site:
        found = await fetch(site.base + "/old")
        assert isinstance(found, DocumentFailed)
        assert found.sentence.endswith(".")


async def test_each_redirect_passes_the_policy_again() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    policy = OutboundPolicy(allow_private=True, hosts={"inner.test": "169.254.169.254"}, lookup=lookup)
    async with Site(old=redirect(302, "http://inner.test/")).running() as site:
        found = await fetch(site.base + "/old", policy=policy)
        assert isinstance(found, DocumentFailed)
        assert "inner.test is refused" in found.sentence


@pytest.mark.parametrize("code", [204, 301, 304, 401, 404, 500])
async def test_what_is_no_success_fails_with_its_code(code: int) -> None:
    async with Site(bad=status(code)).running() as site:
        found = await fetch(site.base + "/bad")
    if code == 204:
        assert isinstance(found, DocumentFetched)
    else:
        assert isinstance(found, DocumentFailed)
        assert f"answered {code}" in found.sentence


async def test_the_fallback_is_asked_once_with_the_same_body() -> None:
    async with Site(bad=status(500)).running() as site:
        found = await fetch(site.base + "/bad", fallback_url=site.base + "/spare")
        assert isinstance(found, DocumentFetched)
        assert found.url == site.base + "/spare"
        assert [request.path for request in site.requests] == ["/bad", "/spare"]
        assert site.bodies[0] == site.bodies[1]


async def test_when_both_fail_the_sentence_names_both() -> None:
    async with Site(bad=status(500), spare=status(404)).running() as site:
        found = await fetch(site.base + "/bad", fallback_url=site.base + "/spare")
        assert isinstance(found, DocumentFailed)
        assert "answered 500" in found.sentence
        assert "answered 404" in found.sentence
        assert len(site.requests) == 2


async def test_a_document_over_a_mebibyte_is_refused_without_reading_on() -> None:
    sent = 0

    async def huge(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(3200):
            await response.write(b"#" * 16_384)
            sent += 16_384
        return response

    async with Site(huge=huge).running() as site:
        found = await fetch(site.base + "/huge")
    assert isinstance(found, DocumentFailed)
    assert "more than 1 MiB" in found.sentence
    assert sent < 16 << 20


async def test_one_deadline_holds_for_all_of_it_redirects_included() -> None:
    async def slow_redirect(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.Response(status=302, headers={"Location": "/slow"})

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"#")
            await asyncio.sleep(0.05)
        return response

    async with Site(slow=slow_redirect, trickle=trickle).running() as site:
        for path in ("/slow", "/trickle"):
            found = await fetch(site.base + path, total=0.5)
            assert isinstance(found, DocumentFailed)
            assert "no answer in time" in found.sentence


async def test_a_document_in_an_encoding_that_was_not_asked_for_is_refused() -> None:
    async def zipped(request: web.Request) -> web.StreamResponse:
        assert "Accept-Encoding" not in request.headers
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with Site(zipped=zipped).running() as site:
        found = await fetch(site.base + "/zipped")
    assert isinstance(found, DocumentFailed)
    assert "'gzip'" in found.sentence


@pytest.mark.parametrize("url", ["", "ftp://h/", "http://h:0x/", "http://127.0.0.1:1/", "http://no such/"])
async def test_a_url_that_leads_nowhere_fails_with_a_sentence_without_credentials(url: str) -> None:
    found = await fetch(url.replace("//", "//user:hidden@"))
    assert isinstance(found, DocumentFailed)
    assert found.sentence.endswith(".")
    assert "hidden" not in found.sentence


async def test_variables_that_cannot_be_sent_fail_the_fetch_only() -> None:
    fetcher = DocumentFetcher(OutboundPolicy(), signing_key=KEY)
    request = FetchDocument(url="http://h/", params={}, vars={"x": object()})
    found = await fetcher.fetch(request, INFO, {})
    assert isinstance(found, DocumentFailed)
    assert "variables cannot be sent" in found.sentence

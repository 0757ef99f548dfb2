"""The requests of scripts over real HTTP: what is sent, what is kept, and a sentence for each failure."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from cordboard.call.actions import CallInfo, RequestAnswered, SendRequest
from cordboard.call.effects import AskShell
from cordboard.server.asking import Asking
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.requester import MAX_BODY, Requester, headers_for
from cordboard.webhooks.target import parse_target

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
)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """A web service that keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/{name:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self.base = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self._answer(request)


async def fine(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"a": 1}', content_type="application/json", headers={"X-Id": "7"})


@asynccontextmanager
async def requester(**options: Any) -> AsyncIterator[Requester]:
    made = Requester(OutboundPolicy(allow_private=True), **options)
    try:
        yield made
    finally:
        await made.close()


async def test_method_headers_body_and_credentials_are_sent_and_nothing_is_signed() -> None:
    async with Site(fine).running() as site, requester() as sender:
        order = SendRequest(
            url=f"http://u:p%40@127.0.0.1:{site.port}/x?y=1",
            method="PUT",
            headers=(("X-A", "1"), ("Content-Type", "text/plain")),
            body=b"hello",
        )
        answer = await sender.send(order)
    (request,) = site.requests
    assert (request.method, request.path_qs, site.bodies) == ("PUT", "/x?y=1", [b"hello"])
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"u:p@").decode()
    assert request.headers["X-A"] == "1"
    assert request.headers["Content-Type"] == "text/plain"
    assert not [name for name in request.headers if "signature" in name.lower()]
    assert (answer.url, answer.status) == (f"{site.base}/x?y=1", 200)
    assert answer.body == b'{"a": 1}'
    assert ("x-id", "7") in answer.headers


async def test_a_failure_of_the_service_is_an_answer() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="later")

    async with Site(broken).running() as site, requester() as sender:
        answer = await sender.send(SendRequest(url=site.base, method="GET"))
    assert (answer.status, answer.body, answer.sentence) == (503, b"later", "")


async def test_only_the_first_64_kib_of_a_body_are_kept() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(1000):
                await response.write(b"x" * 8192)
        except ConnectionResetError:
            pass
        return response

    async with Site(endless).running() as site, requester() as sender:
        answer = await sender.send(SendRequest(url=site.base, method="GET"))
    assert (answer.status, len(answer.body)) == (200, MAX_BODY)


async def test_at_most_64_headers_are_kept() -> None:
    async def many(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={f"X-{n}": "a" for n in range(80)})

    async with Site(many).running() as site, requester() as sender:
        answer = await sender.send(SendRequest(url=site.base, method="GET"))
    assert len(answer.headers) == 64


@pytest.mark.parametrize(("status", "method", "body"), [(307, "POST", b"hello"), (303, "GET", b"")])
async def test_redirects_are_followed(status: int, method: str, body: bytes) -> None:
    async def moved(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=status, headers={"Location": "/new"})
        return await fine(request)

    order_headers = (("Authorization", "Bearer t"), ("Content-Type", "text/plain"))
    async with Site(moved).running() as site, requester() as sender:
        answer = await sender.send(
            SendRequest(url=f"{site.base}/old", method="POST", headers=order_headers, body=b"hello")
        )
    last = site.requests[-1]
    assert (answer.status, last.method, site.bodies[-1]) == (200, method, body)
    assert last.headers["Authorization"] == "Bearer t"


def test_credentials_never_go_to_another_origin() -> None:
    order = SendRequest(url="https://u:p@a/", method="GET", headers=(("authorization", "Bearer t"),))
    first = parse_target(order.url)
    assert headers_for(order, first, first, b"") == {"Authorization": "Bearer t"}
    assert headers_for(order, first, parse_target("https://b/"), b"") == {}


async def test_a_service_that_does_not_answer_in_the_scripts_time_is_given_up() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with Site(slow).running() as site, requester() as sender:
        answer = await sender.send(SendRequest(url=site.base, method="GET", timeout=0.1))
    assert answer.status is None
    assert "no answer in time" in answer.sentence


async def test_the_servers_own_limit_holds_where_the_script_has_none() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with Site(slow).running() as site, requester(total_timeout=0.1) as sender:
        answer = await sender.send(SendRequest(url=site.base, method="GET"))
    assert "no answer in time" in answer.sentence


async def test_nobody_listening_is_a_sentence_without_credentials() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with requester() as sender:
            answer = await sender.send(SendRequest(url=f"http://u:secret@127.0.0.1:{port}/", method="GET"))
    assert answer == RequestAnswered(
        url=f"http://127.0.0.1:{port}/", sentence=f"http://127.0.0.1:{port}/: Connection refused."
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://169.254.169.254/"])
async def test_the_outbound_policy_is_asked(url: str) -> None:
    sender = Requester(OutboundPolicy())
    answer = await sender.send(SendRequest(url=url, method="GET"))
    await sender.close()
    assert answer.status is None
    assert "allow" in answer.sentence


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "http://h:99999/", "http://" + "a" * 9000])
async def test_what_cannot_be_requested_is_a_sentence(url: str) -> None:
    async with requester() as sender:
        answer = await sender.send(SendRequest(url=url, method="GET"))
    assert answer.status is None
    assert answer.sentence


async def test_the_answer_reaches_the_call_that_asked() -> None:
    replies: list[tuple[str, Any]] = []
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[Any, Any, None], call_id: str) -> asyncio.Task[None]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    documents = DocumentFetcher(OutboundPolicy(allow_private=True), signing_key="k")
    asking = Asking(
        documents, {}, lambda call_id, reply: replies.append((call_id, reply)), spawn, CompiledDocuments()
    )
    async with Site(fine).running() as site:
        asking.ask(INFO, AskShell(ticket=3, request=SendRequest(url=site.base, method="GET")))
        await asyncio.gather(*tasks)
    await documents.close()
    ((call_id, reply),) = replies
    assert (call_id, reply.ticket, reply.result.status) == ("c", 3, 200)

"""Callbacks over real HTTP: receivers that fail, hang, reset, talk too much; order; restart."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import DEAD, DELIVERED, PENDING, DeliveryRecord, NewCall, NewEvent
from cordboard.server.webhook_sender import WebhookSender
from cordboard.webhooks import verify_signature
from cordboard.webhooks.delivery import DeliveryLimits

KEY = "secret"
QUICK = DeliveryLimits(first_pause=0.01, longest_pause=0.05)

Answer = Callable[[web.Request, str], Awaitable[web.StreamResponse]]


class Receiver:
    """Keeps what arrived with a 2xx, by event id; `answer` decides."""

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.requests: list[web.Request] = []
        self.tries = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver]:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def url(self, path: str = "cb") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.tries += 1
        self.requests.append(request)
        body = await request.read()
        event_id = request.headers["X-Cordboard-Event-Id"]
        response = await self._answer(request, event_id) if self._answer else web.Response()
        if 200 <= response.status < 300:
            self.seen.append(event_id)
            self.bodies.append(body)
        return response

    @property
    def first_arrivals(self) -> list[str]:
        """What a receiver that drops repeated ids has seen."""
        return list(dict.fromkeys(self.seen))


def new_call(name: str) -> NewCall:
    return NewCall(
        name, name, "g", "n", "p", "sp", "inbound", "sip", "a", "b", None, None, time.time(), None, ""
    )


class Bench:
    """A store and a sender, with events to send."""

    def __init__(
        self, directory: Path, policy: OutboundPolicy, limits: DeliveryLimits, timeout: float
    ) -> None:
        self.store = SqliteStore.open(directory / "store.sqlite3")
        self.sender = WebhookSender(self.store, policy, signing_key=KEY, limits=limits, try_timeout=timeout)
        self._calls: dict[str, tuple[int, int]] = {}

    def send(self, url: str, *, session: str = "s", method: str = "POST") -> str:
        if session not in self._calls:
            row = new_call(session)
            self._calls[session] = (self.store.add_call(row), 0)
        number, seq = self._calls[session]
        self._calls[session] = (number, seq + 1)
        event_id = f"{session}-{number}-{seq + 1}"
        body = b'{"params":{"seq":%d}}' % (seq + 1)
        event = NewEvent(number, seq + 1, event_id, "calling.call.state", time.time(), body)
        self.sender.send(event, session, url, method)
        return event_id

    async def until(self, done: Callable[[], bool], within: float = 15.0) -> None:
        async with asyncio.timeout(within):
            while not done():  # noqa: ASYNC110  (what is waited for happens in sockets)
                await asyncio.sleep(0.005)

    async def only_delivery(self) -> DeliveryRecord:
        (record,) = await self.store.deliveries()
        return record


@asynccontextmanager
async def bench(
    directory: Path,
    *,
    policy: OutboundPolicy | None = None,
    limits: DeliveryLimits = QUICK,
    try_timeout: float = 5.0,
) -> AsyncIterator[Bench]:
    made = Bench(directory, policy or OutboundPolicy(allow_private=True), limits, try_timeout)
    await made.sender.start()
    try:
        yield made
    finally:
        await made.sender.stop()
        await made.store.close()


async def test_a_callback_arrives_signed_with_its_id_and_credentials(tmp_path: Path) -> None:
    async with Receiver().running() as receiver, bench(tmp_path) as b:
        event_id = b.send(receiver.url("cb?x=1").replace("//", "//user:pass@") + "#fragment")
        await b.until(lambda: b.sender.delivered == 1)
        (request,) = receiver.requests
        assert receiver.seen == [event_id]
        assert request.headers["Authorization"] == "Basic dXNlcjpwYXNz"
        assert request.headers["Content-Type"] == "application/json"
        assert verify_signature(KEY, receiver.url("cb?x=1"), receiver.bodies[0], request.headers)
        assert (await b.only_delivery()).state == DELIVERED


async def test_a_get_callback_has_its_body_in_the_query(tmp_path: Path) -> None:
    async with Receiver().running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url(), method="GET")
        await b.until(lambda: b.sender.delivered == 1)
        assert receiver.requests[0].method == "GET"
        assert receiver.requests[0].query["params.seq"] == "1"


async def test_with_a_third_of_the_answers_failing_each_event_arrives_once_by_id_and_in_order(
    tmp_path: Path,
) -> None:
    dice = random.Random(7)

    async def answer(request: web.Request, event_id: str) -> web.StreamResponse:
        return web.Response(status=500 if dice.random() < 0.3 else 200)

    async with Receiver(answer).running() as receiver, bench(tmp_path) as b:
        sent = [b.send(receiver.url(), session=f"s{index % 10}") for index in range(200)]
        await b.until(lambda: b.sender.delivered == 200)
        assert sorted(receiver.first_arrivals) == sorted(sent)
        for session in range(10):
            mine = [event for event in receiver.first_arrivals if event.startswith(f"s{session}-")]
            assert mine == [event for event in sent if event.startswith(f"s{session}-")]
        assert receiver.tries > 200


@pytest.mark.parametrize("status", [301, 400, 404, 410, 500, 503])
async def test_an_answer_that_is_no_success_is_kept_with_its_code_and_tried_again(
    tmp_path: Path, status: int
) -> None:
    async def answer(request: web.Request, event_id: str) -> web.StreamResponse:
        return web.Response(status=status if receiver.tries == 1 else 204, headers={"Location": "/x"})

    async with Receiver(answer).running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url())
        await b.until(lambda: b.sender.delivered == 1)
        record = await b.only_delivery()
        (failed,) = await b.store.attempts(record.number)
        assert (record.attempts, record.last_status) == (2, 204)
        assert failed.status == status
        assert f"answered {status}" in failed.error
        assert [request.path for request in receiver.requests] == ["/cb", "/cb"]


async def test_a_redirect_to_the_metadata_service_is_not_followed(tmp_path: Path) -> None:
    async def answer(request: web.Request, event_id: str) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    async with Receiver(answer).running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url())
        await b.until(lambda: b.sender.failed_tries >= 2)
        record = await b.only_delivery()
        assert (record.state, record.last_status) == (PENDING, 307)
        assert "do not follow redirects" in record.last_error


async def test_a_receiver_that_hangs_is_given_up_after_the_timeout_and_holds_up_no_other(
    tmp_path: Path,
) -> None:
    async def hang(request: web.Request, event_id: str) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with (
        Receiver(hang).running() as hanging,
        Receiver().running() as good,
        bench(tmp_path, try_timeout=1.0) as b,
    ):
        for index in range(50):
            b.send(hanging.url(), session=f"h{index}")
        for index in range(20):
            b.send(good.url(), session=f"g{index}")
        await b.until(lambda: len(good.seen) == 20)
        assert b.sender.failed_tries == 0, "not one of those that hang had to end first"
        await b.until(lambda: b.sender.failed_tries >= 1)
        failed = [record for record in await b.store.deliveries(limit=1000) if record.last_error]
        assert "no answer in time" in failed[0].last_error


async def test_a_connection_that_is_reset_or_refused_is_tried_again(tmp_path: Path) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver = Receiver()
    receiver.port = port
    async with bench(tmp_path) as b:
        event_id = b.send(receiver.url())
        await b.until(lambda: b.sender.failed_tries >= 1)
        server.close()
        await server.wait_closed()
        seen = b.sender.failed_tries
        await b.until(lambda: b.sender.failed_tries >= seen + 2)
        async with receiver.running():
            await b.until(lambda: receiver.seen == [event_id])
            await b.until(lambda: b.sender.delivered == 1)
            errors = " ".join(record.error for record in await b.store.attempts(1))
    assert "closed before an answer came" in errors
    assert "refused" in errors.lower()


async def test_a_huge_answer_is_not_read_and_counts_by_its_status(tmp_path: Path) -> None:
    written = 0

    async def talk(request: web.Request, event_id: str) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(640):
            await response.write(b"x" * 16_384)
            written += 16_384
        return response

    async with Receiver(talk).running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url())
        await b.until(lambda: b.sender.delivered == 1)
    assert written < 8 << 20


async def test_an_answer_whose_body_never_ends_counts_by_its_status(tmp_path: Path) -> None:
    async def trickle(request: web.Request, event_id: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x")
            await asyncio.sleep(0.1)
        return response

    async with Receiver(trickle).running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url())
        await b.until(lambda: b.sender.delivered == 1, within=4.0)


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff" * 100, b"SSH-2.0-x\r\n", b"HTTP/1.1 999999 x\r\n\r\n"])
async def test_what_is_not_http_is_a_failed_try(tmp_path: Path, garbage: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(garbage)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with bench(tmp_path) as b:
        b.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await b.until(lambda: b.sender.failed_tries >= 2)
        record = await b.only_delivery()
        assert record.state == PENDING
        assert record.last_error.endswith(".")
        assert "internal" not in record.last_error
    server.close()


async def test_a_refused_address_is_reported_with_what_to_change(tmp_path: Path) -> None:
    async with Receiver().running() as receiver:
        async with bench(tmp_path, policy=OutboundPolicy()) as b:
            b.send(receiver.url())
            await b.until(lambda: b.sender.failed_tries >= 1)
            assert "outbound.allow_private" in (await b.only_delivery()).last_error
        assert receiver.tries == 0


async def test_a_url_that_cannot_be_requested_is_dead_at_once_and_listed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.send("ftp://example.com/x")
        await b.until(lambda: b.sender.dead == 1)
        (record,) = await b.store.deliveries(state=DEAD)
        assert "not an http or https URL" in record.last_error


async def test_a_dead_callback_is_sent_again_on_request(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiver.running():
        pass  # takes a port and leaves it
    limits = DeliveryLimits(first_pause=0.01, longest_pause=0.02, lifetime=0.1)
    async with bench(tmp_path, limits=limits) as b:
        event_id = b.send(receiver.url())
        await b.until(lambda: b.sender.dead == 1)
        (dead,) = await b.store.deliveries(state=DEAD)
        async with receiver.running():
            assert await b.sender.resend([dead.number, 12345]) == [dead.number]
            await b.until(lambda: receiver.seen == [event_id])
            await b.until(lambda: b.sender.delivered == 1)
            assert await b.store.deliveries(state=DEAD) == []


async def test_what_was_not_delivered_is_picked_up_by_the_next_run_in_order(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiver.running():
        pass
    async with bench(tmp_path) as b:
        sent = [b.send(receiver.url(), session=f"s{index % 3}") for index in range(30)]
        await b.until(lambda: b.sender.failed_tries >= 5)
        assert b.sender.receivers_down() == [f"http://127.0.0.1:{receiver.port}"]
    async with receiver.running(), bench(tmp_path) as b:
        await b.until(lambda: b.sender.delivered == 30)
        assert sorted(receiver.first_arrivals) == sorted(sent)
        for session in range(3):
            mine = [event for event in receiver.first_arrivals if event.startswith(f"s{session}-")]
            assert mine == [event for event in sent if event.startswith(f"s{session}-")]


async def test_a_stop_with_a_drain_lets_running_tries_end(tmp_path: Path) -> None:
    async def slow(request: web.Request, event_id: str) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.Response()

    async with Receiver(slow).running() as receiver, bench(tmp_path) as b:
        b.send(receiver.url())
        await b.until(lambda: receiver.tries == 1)
        await b.sender.stop(drain=2.0)
        assert b.sender.delivered == 1


async def test_idle_waits_for_what_is_on_its_way_and_not_for_pauses(tmp_path: Path) -> None:
    limits = DeliveryLimits(first_pause=60.0)
    async with Receiver().running() as receiver, bench(tmp_path, limits=limits) as b:
        for index in range(20):
            b.send(receiver.url(), session=f"s{index}")
        b.send("http://127.0.0.1:1/nobody", session="other")
        async with asyncio.timeout(5):
            await b.sender.idle()
        assert len(receiver.seen) == 20
        assert b.sender.counts()["held"] == 1


def test_new_tries_that_are_due_at_once_do_no_harm_on_the_loop_of_the_product(tmp_path: Path) -> None:
    """uvloop's handle for what is due now is no timer: it cannot tell its time."""

    async def deliver() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        receiver = Receiver()
        async with receiver.running():
            pass  # now nobody listens there: tries fail at once, several in one turn of the loop
        hasty = DeliveryLimits(first_pause=0.0004, longest_pause=0.0004)
        async with bench(tmp_path, limits=hasty) as b:
            for session in range(50):
                b.send(receiver.url(), session=f"s{session}")
            await b.until(lambda: b.sender.failed_tries > 300)
            async with receiver.running():
                await b.until(lambda: b.sender.delivered == 50)

    failures: list[dict[str, object]] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(deliver())
        gc.collect()
    assert not failures

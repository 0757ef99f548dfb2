"""Sends callbacks: drives the delivery machine with a store, a clock and an HTTP client.

A callback gets here when its row is on the disk.  Nothing here is ever waited for by a call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence

import aiohttp
import msgspec

from cordboard.events.encoding import readable
from cordboard.server.http_client import FAILURES, failure, open_session, read_at_most, send
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.store import DEAD, DELIVERED, PENDING, Delivery, NewEvent, Settlement, Store
from cordboard.webhooks.delivery import (
    DeliveryLimits,
    DeliveryMachine,
    Input,
    Load,
    Loaded,
    Offered,
    Output,
    Reoffered,
    Settled,
    Stored,
    Tried,
    Try,
)
from cordboard.webhooks.lane import Item
from cordboard.webhooks.payloads import callback_request
from cordboard.webhooks.target import UrlError, parse_target, shown

_log = logging.getLogger(__name__)

TRY_TIMEOUT = 5.0
_MAX_ANSWER = 65_536
"""Longer answers are not read: the connection is closed instead of being used again."""
_ANSWER_TIMEOUT = 1.0
_MAX_ERROR = 300


class _Outcome(msgspec.Struct, frozen=True):
    """What one try came to."""

    status: int | None = None
    error: str = ""
    hopeless: bool = False


_NOTHING = _Outcome()


class WebhookSender:
    """`start` before calls are taken, `stop` after the last of them."""

    def __init__(
        self,
        store: Store,
        policy: OutboundPolicy,
        *,
        signing_key: str,
        limits: DeliveryLimits | None = None,
        try_timeout: float = TRY_TIMEOUT,
    ) -> None:
        self._store = store
        self._key = signing_key.encode()
        self._loop = asyncio.get_running_loop()
        self._limits = limits or DeliveryLimits()
        self._machine = DeliveryMachine(random=random.random, limits=self._limits)
        self._policy = policy
        self._timeout = aiohttp.ClientTimeout(total=try_timeout)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        """Kept here: uvloop's handle of what is due at once cannot tell."""
        self._is_stopped = False
        self.delivered = 0
        self.failed_tries = 0
        self.dead = 0
        store.on_stored = self.stored

    def send(self, event: NewEvent, session_id: str, url: str, method: str = "POST") -> None:
        """Store an event of a call together with the callback that is to carry it; never blocks or raises."""
        try:
            origin = parse_target(url).origin
        except UrlError:
            origin = "invalid"  # found dead at the first try, with the sentence that says why
        self._store.add_event(event)
        self._store.add_delivery(event, session_id, origin=origin, url=readable(url), method=method)

    async def idle(self) -> None:
        """Wait until nothing is on its way; what failed and waits for its next try does not count."""
        await self._store.flush()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def start(self) -> None:
        """Pick up all that is pending in the store.  Raises `StoreError`."""
        origins = await self._store.pending_origins()
        self._session = open_session(self._policy)
        for origin in origins:
            self._feed(Stored(origin))

    async def stop(self, *, drain: float = 0.0) -> None:
        """End; what is not delivered stays in the store.  `drain`: seconds to wait for what is due now."""
        deadline = self._loop.time() + drain
        while self._tasks and self._loop.time() < deadline:
            await asyncio.wait(self._tasks, timeout=deadline - self._loop.time())
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def stored(self, deliveries: Sequence[Delivery]) -> None:
        """Newly committed deliveries: the store's `on_stored`.

        Before the start they are left to it: what an earlier run left behind goes first.
        """
        if self._session is None:
            return
        for delivery in deliveries:
            self._feed(Offered(self._item(delivery)))

    async def resend(self, delivery_numbers: Sequence[int]) -> list[int]:
        """Try dead deliveries again, for another lifetime.  Returns those that were dead.

        Raises `StoreError`.
        """
        revived = await self._store.revive(delivery_numbers, time.time())
        for delivery in revived:
            self._feed(Reoffered(self._item(delivery)))
        return [delivery.number for delivery in revived]

    def counts(self) -> dict[str, int]:
        """For metrics: what is held, under way, and was done since the start."""
        return {
            "held": self._machine.held,
            "running": self._machine.running,
            "delivered": self.delivered,
            "failed_tries": self.failed_tries,
            "dead": self.dead,
        }

    def receivers_down(self) -> list[str]:
        """Origins that failed several times in a row and have something waiting."""
        return [origin for origin, is_down in self._machine.origins().items() if is_down]

    # ------------------------------------------------------------ the machine

    def _feed(self, given: Input, outcome: _Outcome = _NOTHING, took: float = 0.0) -> None:
        if self._is_stopped:
            return
        now = self._loop.time()
        for output in self._machine.handle(given, now):
            if isinstance(output, Settled):
                self._keep(output, outcome, took, now)
            else:
                self._carry_out(output)
        self._arm()

    def _time_out(self) -> None:
        self._timer = None
        for output in self._machine.handle_timeout(self._loop.time()):
            self._carry_out(output)
        self._arm()

    def _carry_out(self, output: Output) -> None:
        if isinstance(output, Try):
            task = self._loop.create_task(self._attempt(output.item))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(output, Load):
            self._load(output)

    def _arm(self) -> None:
        due = self._machine.next_timeout()
        if self._timer is not None:
            if self._timer_due == due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer_due = due
            self._timer = self._loop.call_at(due, self._time_out)

    def _load(self, wanted: Load) -> None:
        def loaded(deliveries: list[Delivery]) -> None:
            items = tuple(self._item(delivery) for delivery in deliveries)
            self._feed(Loaded(wanted.origin, items, wanted.limit))

        self._store.next_pending(wanted.origin, wanted.after, wanted.limit, loaded)

    def _item(self, delivery: Delivery) -> Item:
        """The store counts in seconds since the epoch, the machine by a clock that is never set."""
        now, epoch_now = self._loop.time(), time.time()
        age = min(max(0.0, epoch_now - delivery.created_at), self._limits.lifetime)
        wait = min(delivery.next_try_at - epoch_now, self._limits.longest_pause)
        return Item(
            number=delivery.number,
            queue=(delivery.session_id, delivery.url),
            origin=delivery.origin,
            created_at=now - age,
            due=now + wait,
            attempts=delivery.attempts,
            payload=delivery,
        )

    def _keep(self, settled: Settled, outcome: _Outcome, took: float, now: float) -> None:
        epoch_now = time.time()
        self._store.settle(
            Settlement(
                number=settled.item.number,
                state=settled.state,
                attempts=settled.attempts,
                next_try_at=epoch_now + settled.due - now if settled.state == PENDING else epoch_now,
                status=outcome.status,
                error=outcome.error,
                at=epoch_now,
                took_ms=int(took * 1000),
            )
        )
        self._count(settled, outcome)

    def _count(self, settled: Settled, outcome: _Outcome) -> None:
        if settled.state == DELIVERED:
            self.delivered += 1
            return
        self.failed_tries += 1
        if settled.state == DEAD:
            self.dead += 1
            _log.warning("callback %s is given up: %s", _event_id(settled.item), outcome.error)

    # ------------------------------------------------------------ one try

    async def _attempt(self, item: Item) -> None:
        started = self._loop.time()
        try:
            outcome = await self._try(item)
        except Exception:
            # Whatever it was, the machine must hear of the end, or the queue would stand still for ever.
            _log.exception("callback %s: internal error", _event_id(item))
            outcome = _Outcome(error="internal error of the sender")
        delivered = not outcome.error
        tried = Tried(number=item.number, delivered=delivered, hopeless=outcome.hopeless)
        self._feed(tried, outcome, self._loop.time() - started)

    async def _try(self, item: Item) -> _Outcome:
        delivery = item.payload
        assert isinstance(delivery, Delivery)
        assert self._session is not None, "start() was not awaited"
        try:
            request = callback_request(
                delivery.url, delivery.method, delivery.body, event_id=delivery.event_id, key=self._key
            )
        except UrlError as error:
            return _Outcome(error=str(error), hopeless=True)
        try:
            response = await send(self._session, request, self._timeout)
        except FAILURES as error:
            return _Outcome(error=failure(error, delivery.url)[:_MAX_ERROR])
        async with response:
            await _read_away(response)
            return _judged(response.status, delivery.url)


def _judged(status: int, url: str) -> _Outcome:
    if 200 <= status < 300:
        return _Outcome(status)
    if 300 <= status < 400:
        return _Outcome(status, f"{shown(url)} answered {status}; callbacks do not follow redirects")
    return _Outcome(status, f"{shown(url)} answered {status}")


async def _read_away(response: aiohttp.ClientResponse) -> None:
    """The answer's body does not matter: it is only read so that the connection can be used again."""
    if response.content.is_eof():
        return  # all of it has come with the head, and the connection is free already
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            if await read_at_most(response, _MAX_ANSWER) is None:
                response.close()
    except FAILURES:
        response.close()


def _event_id(item: Item) -> str:
    return item.payload.event_id if isinstance(item.payload, Delivery) else str(item.number)

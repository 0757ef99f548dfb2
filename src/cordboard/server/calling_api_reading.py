"""The lists and records of the HTTP API, from the store and from what goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cordboard.call.info import CallInfo
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_queries import call_query, delivery_query, event_query, links
from cordboard.server.calling_api_records import (
    call_data,
    delivery_data,
    event_data,
    full_call_data,
    state_of,
)
from cordboard.server.control import Control
from cordboard.server.sip_log import SipLog
from cordboard.server.store import DEAD, CallRecord, Store
from cordboard.server.store_file import StoreFile
from cordboard.server.story import Leg, Story, as_data, read_story
from cordboard.server.webhook_sender import WebhookSender

Data = dict[str, Any]
Query = Mapping[str, str]

NOT_FOUND = "Call not found"
"""Also of a call that is another project's."""
MAX_LEGS = 100
MAX_EVENTS = 1_000
_LADDERS_AT_ONCE = 2


class Reading:
    """Everything is of one project, and raises `ApiError` or `StoreError`."""

    def __init__(
        self, store: Store, store_path: Path, control: Control, sip_log: SipLog, sender: WebhookSender
    ) -> None:
        self._store = store
        self._path = store_path
        self._control = control
        self._sip_log = sip_log
        self._sender = sender
        self._ladders = asyncio.Semaphore(_LADDERS_AT_ONCE)

    # ------------------------------------------------------------ calls

    async def calls(self, path: str, query: Query, project: str) -> Data:
        """A page of calls, the latest first."""
        asked = call_query(query, project)
        page = await self._store.call_page(asked.wanted, limit=asked.limit, before=asked.cursor)
        now, told = time.time(), []
        for record in page.records:
            live = self._live(record.start.call_id)
            if asked.state in (None, state_of(record, live)):
                told.append(call_data(record, live, now))
        return {"links": links(path, query, page.next), "data": told}

    async def call(self, call_id: str, project: str) -> Data:
        """One call with all that is kept of it."""
        record = await self.record(call_id, project)
        session = await self._store.session(call_id)
        return full_call_data(record, self._live(call_id), time.time(), session)

    async def brief(self, call_id: str, project: str) -> Data:
        """One call as lists have it."""
        record = await self.record(call_id, project)
        return call_data(record, self._live(call_id), time.time())

    async def record(self, call_id: str, project: str) -> CallRecord:
        """Raises `ApiError` (404)."""
        found = await self._store.call(call_id)
        if found is None or found.start.project_id != project:
            raise ApiError(404, NOT_FOUND)
        return found

    async def events(self, path: str, query: Query, call_id: str, project: str) -> Data:
        """A page of a call's events, the earliest first."""
        after, limit = event_query(query)
        await self.record(call_id, project)
        found = await self._store.events(call_id, after=after, limit=limit)
        following = found[-1].seq if len(found) == limit else None
        return {"links": links(path, query, following), "data": [event_data(event) for event in found]}

    async def ladder(self, call_id: str, project: str) -> Data:
        """The story of the call's session: its SIP messages, events and callbacks, and the verdict."""
        await self.record(call_id, project)
        await self._store.flush()
        async with self._ladders:
            story = await asyncio.to_thread(self._read_story, call_id)
        if story is None:
            raise ApiError(404, NOT_FOUND)
        return as_data(self._with_live_messages(story))

    def _read_story(self, call_id: str) -> Story | None:
        """Beside the writer: what it looks for in all deliveries must not hold up a commit."""
        with StoreFile(self._path) as beside:
            return read_story(beside, call_id, most_legs=MAX_LEGS, most_events=MAX_EVENTS)

    def _with_live_messages(self, story: Story) -> Story:
        return msgspec.structs.replace(story, legs=[self._with_messages(leg) for leg in story.legs])

    def _with_messages(self, leg: Leg) -> Leg:
        record = leg.record
        messages = leg.messages or self._sip_log.notes(record.start.call_id, record.number)
        return msgspec.structs.replace(leg, messages=messages)

    def _live(self, call_id: str) -> CallInfo | None:
        call = self._control.call(call_id)
        return call.info if call is not None else None

    # ------------------------------------------------------------ deliveries

    async def deliveries(self, path: str, query: Query, project: str) -> Data:
        """A page of callbacks, the latest first."""
        state, limit, cursor = delivery_query(query)
        page = await self._store.delivery_page(project, state=state, limit=limit, before=cursor)
        return {
            "links": links(path, query, page.next),
            "data": [delivery_data(record) for record in page.records],
        }

    async def resend(self, number: str, project: str) -> Data:
        """Send a dead callback again."""
        wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 18 else 0
        record = await self._store.delivery(wanted, project)
        if record is None:
            raise ApiError(404, "Delivery not found")
        if record.state != DEAD or not await self._sender.resend([wanted]):
            sentence = f"The delivery is {record.state}: only one that is dead can be sent again"
            raise ApiError(409, sentence)
        again = await self._store.delivery(wanted, project)
        return delivery_data(again or record)

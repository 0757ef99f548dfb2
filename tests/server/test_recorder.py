"""What a call leaves in the books, in which order, whatever its parts contain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cordboard.call.actions import CallInfo
from cordboard.call.call import Call
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Report
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.media.protocol import LegStatistics
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.recorder import MAX_VARIABLES, Recorder
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.webhook_sender import WebhookSender
from cordboard.testing.virtual import ListDriver

URL = "http://127.0.0.1:9/cb"


class Books:
    """A recorder on a real store."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore.open(path / "s.sqlite3")
        self.sender = WebhookSender(self.store, OutboundPolicy(allow_private=True), signing_key="k")
        self._serial = 0
        self.recorder = Recorder(self.store, self.sender, self._new_id)

    def _new_id(self) -> str:
        self._serial += 1
        return f"event-{self._serial}"

    async def events(self, call_id: str) -> list[tuple[int, str, str]]:
        found = await self.store.events(call_id)
        bodies = [msgspec.json.decode(event.body)["params"] for event in found]
        states = [
            body.get("call_state") if "connect_state" not in body else body["connect_state"]
            for body in bodies
        ]
        return [(event.seq, event.event_id, state) for event, state in zip(found, states, strict=True)]


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    made = Books(tmp_path)
    yield made
    await made.sender.stop()
    await made.store.close()


def call(call_id: str = "c", variables: dict[str, Any] | None = None, **changes: Any) -> Call:
    values: dict[str, Any] = {
        "node_id": "n",
        "segment_id": "g",
        "project_id": "p",
        "space_id": "s",
        "session_id": "session",
        "call_state": "created",
        "direction": "inbound",
        "type": "sip",
        "from_": "sip:a@h",
        "to": "sip:b@h",
    }
    destination = changes.pop("destination", None)
    driver = ListDriver([])
    if variables is not None:
        driver.variables = lambda: variables  # type: ignore[method-assign]
    made = CallInfo(call_id=call_id, **{**values, **changes})
    return Call(info=made, driver=driver, destination=destination, new_id=lambda: "id")


def state(name: str, *, cause: str | None = None, url: str | None = None) -> Report:
    end = ending(cause, sip_code=486, sip_reason="Busy") if cause else None
    return Report(happening=CallStateChanged(state=name, ending=end), callback_url=url)


async def test_a_whole_life_is_in_the_record(books: Books) -> None:
    made = call(variables={"x": 1})
    recorder = books.recorder
    recorder.begin(made)
    recorder.report(made, state("created"))
    recorder.media_opened("c")
    recorder.report(made, state("answered"))
    recorder.dialog_saved("c", b"dialog")
    recorder.report(made, state("ended", cause="user_busy"))
    recorder.over(made)
    assert len(recorder) == 1, "the figures of its media are still to come"
    recorder.media_closed("c", LegStatistics(packets_sent=7))
    assert len(recorder) == 0
    record = await books.store.call("c")
    assert record is not None
    assert record.answered_at is not None
    assert record.end is not None
    assert (record.end.reason, record.end.cause, record.end.sip_code) == ("busy", "user_busy", 486)
    assert record.end.sentence
    assert msgspec.json.decode(record.statistics or b"")["packets_sent"] == 7
    assert record.variables == b'{"x":1}'
    assert record.dialog is None
    assert [(seq, name) for seq, _, name in await books.events("c")] == [
        (1, "created"),
        (2, "answered"),
        (3, "ended"),
    ]


async def test_events_of_calls_that_run_side_by_side_are_numbered_for_themselves(books: Books) -> None:
    first, second = call("c1"), call("c2")
    for made in (first, second):
        books.recorder.begin(made)
    for name in ("created", "answered"):
        for made in (first, second):
            books.recorder.report(made, state(name))
    assert [seq for seq, _, _ in await books.events("c1")] == [1, 2]
    assert [event_id for _, event_id, _ in await books.events("c2")] == ["event-2", "event-4"]


async def test_a_callback_is_stored_with_its_event(books: Books) -> None:
    made = call()
    books.recorder.begin(made)
    books.recorder.report(made, state("created"))
    books.recorder.report(made, state("answered", url=URL))
    await books.store.flush()
    [delivery] = await books.store.deliveries()
    assert (delivery.event_id, delivery.url, delivery.state) == ("event-2", URL, "pending")


async def test_an_open_connect_is_kept_until_its_last_event(books: Books) -> None:
    made = call()
    books.recorder.begin(made)
    happening = ConnectStateChanged(state="connecting")
    books.recorder.report(made, Report(happening=happening, callback_url=URL))
    record = await books.store.call("c")
    assert record is not None
    assert record.connect is not None
    assert (record.connect.state, record.connect.status_url) == ("connecting", URL)
    books.recorder.report(
        made, Report(happening=ConnectStateChanged(state="failed", ending=ending("user_busy")))
    )
    record = await books.store.call("c")
    assert record is not None
    assert record.connect is None


async def test_what_the_destination_wanted_to_hear_is_kept_for_a_restart(books: Books) -> None:
    wanted = frozenset({"ended", "answered"})
    destination = Destination(kind="sip", to="sip:b@h", call_state_url=URL, call_state_events=wanted)
    books.recorder.begin(call(destination=destination))
    record = await books.store.call("c")
    assert record is not None
    assert (record.start.call_state_url, record.start.call_state_events) == (URL, "answered ended")


# ---------------------------------------------------------------- the end of media, in every order


@pytest.mark.parametrize("opened", [False, True])
async def test_without_open_media_the_record_is_closed_with_the_call(books: Books, opened: bool) -> None:
    made = call()
    books.recorder.begin(made)
    if opened:
        books.recorder.media_opened("c")
        books.recorder.media_closed("c", None)
    books.recorder.over(made)
    assert len(books.recorder) == 0


async def test_media_that_open_after_the_end_do_not_bring_the_record_back(books: Books) -> None:
    made = call()
    books.recorder.begin(made)
    books.recorder.over(made)
    books.recorder.media_opened("c")
    books.recorder.media_closed("c", LegStatistics())
    assert len(books.recorder) == 0


async def test_unknown_calls_are_ignored(books: Books) -> None:
    books.recorder.report(call(), state("created"))
    books.recorder.dialog_saved("c", b"x")
    books.recorder.over(call())
    assert await books.store.calls() == []


# ---------------------------------------------------------------- what far ends and documents write


async def test_text_in_no_valid_utf8_is_kept_as_far_as_it_is_valid(books: Books) -> None:
    bad = "sip:\udcff\u202e@h"
    made = call(from_=bad, from_name="\ud800", variables={"v": "\udcfe"})
    books.recorder.begin(made)
    books.recorder.report(made, state("created"))
    books.recorder.report(made, state("ended", cause="user_busy"))
    books.recorder.over(made)
    record = await books.store.call("c")
    assert record is not None
    assert record.start.from_ == "sip:\ufffd\u202e@h"
    assert len(await books.events("c")) == 2
    assert books.store.lost_rows == 0


async def test_large_variables_are_not_kept(books: Books) -> None:
    made = call(variables={"v": "x" * MAX_VARIABLES})
    books.recorder.begin(made)
    books.recorder.over(made)
    record = await books.store.call("c")
    assert record is not None
    assert record.variables == b'{"":"too large to keep"}'


async def test_listeners_hear_every_event_of_every_call_in_order(books: Books) -> None:
    heard: list[tuple[str, str]] = []
    books.recorder.listeners.append(
        lambda info, happening, body: heard.append((info.call_id, body["event_type"]))
    )
    for call_id in ("c1", "c2"):
        made = call(call_id)
        books.recorder.begin(made)
        books.recorder.report(made, state("created"))
        books.recorder.report(made, Report(happening=ConnectStateChanged(state="connecting")))
    assert heard == [
        (c, kind) for c in ("c1", "c2") for kind in ("calling.call.state", "calling.call.connect")
    ]
    await asyncio.sleep(0)


async def test_who_controls_a_call_is_in_its_record_and_changes_with_its_next_event(books: Books) -> None:
    made = call(owner="first")
    books.recorder.begin(made)
    record = await books.store.call("c")
    assert record is not None
    assert record.start.owner == "first"
    made.info.owner = "second"
    books.recorder.report(made, state("answered"))
    record = await books.store.call("c")
    assert record is not None
    assert record.start.owner == "second"

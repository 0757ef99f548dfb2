"""What every store must do.  A new implementation is one more parameter of `store`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import (
    DEAD,
    DELIVERED,
    PENDING,
    CallEnd,
    Delivery,
    NewCall,
    NewEvent,
    OpenConnect,
    Settlement,
    Store,
)
from cordboard.server.store_file import StoreFile

ORIGIN, URL = "http://h:80", "http://user:pass@h/cb"
END = CallEnd(12.0, "busy", "user_busy", 486, "Busy Here", "The far end is busy.")


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    assert request.param == "sqlite"
    opened = SqliteStore.open(tmp_path / "store.sqlite3")
    yield opened
    await opened.close()


def new_call(call_id: str = "c1", started_at: float = 10.0) -> NewCall:
    return NewCall(
        call_id, "session", "segment", "node", "project", "space", "outbound", "sip",
        "sip:a@h", "sip:b@h", None, "parent", started_at, "http://h/state", "answered ended",
    )  # fmt: skip


def event(call_number: int, seq: int, at: float = 11.0) -> NewEvent:
    return NewEvent(call_number, seq, f"id-{call_number}-{seq}", "calling.call.state", at, b'{"n":%d}' % seq)


def deliver(store: Store, call_number: int, seq: int, *, origin: str = ORIGIN, at: float = 11.0) -> None:
    new = event(call_number, seq, at)
    store.add_event(new)
    store.add_delivery(new, "session", origin=origin, url=URL, method="POST")


def settled(number: int, state: str, *, attempts: int = 1, error: str = "") -> Settlement:
    status = 200 if state == DELIVERED else 500
    return Settlement(number, state, attempts, 20.0, status, error, 19.0, 7)


async def loaded(store: Store, origin: str, after: int = 0, limit: int = 10) -> list[Delivery]:
    future: asyncio.Future[list[Delivery]] = asyncio.get_running_loop().create_future()
    store.next_pending(origin, after, limit, future.set_result)
    return await future


async def test_a_call_is_read_back_as_it_was_written(store: Store) -> None:
    number = store.add_call(new_call())
    store.call_answered(number, 11.5)
    store.connect_changed(number, OpenConnect("connected", URL, "c2", "phone", "+1", "+2"))
    store.save_dialog(number, b"\x00dialog")
    found = await store.call("c1")
    assert found is not None
    assert (found.number, found.start, found.answered_at, found.end) == (number, new_call(), 11.5, None)
    assert found.connect == OpenConnect("connected", URL, "c2", "phone", "+1", "+2")
    assert found.dialog == b"\x00dialog"


async def test_a_call_may_get_another_owner(store: Store) -> None:
    number = store.add_call(msgspec.structs.replace(new_call(), owner="first"))
    store.owner_changed(number, "second")
    (open_call,) = await store.unfinished_calls()
    assert open_call.start.owner == "second"
    store.owner_changed(number, None)
    found = await store.call("c1")
    assert found is not None
    assert found.start.owner is None


async def test_a_finished_call_has_its_end_and_figures_and_no_dialog(store: Store) -> None:
    number = store.add_call(new_call())
    store.save_dialog(number, b"dialog")
    store.call_ended(number, END)
    store.finish_call(number, b'{"mos":4.2}', b'{"a":1}')
    found = await store.call("c1")
    assert found is not None
    assert (found.end, found.statistics, found.variables, found.dialog) == (
        END,
        b'{"mos":4.2}',
        b'{"a":1}',
        None,
    )


async def test_a_ladder_is_read_back_by_call(store: Store) -> None:
    number = store.add_call(new_call())
    assert await store.ladder("c1") is None
    store.save_ladder(number, b"ladder")
    assert await store.ladder("c1") == b"ladder"
    assert await store.ladder("nobody") is None


async def test_a_session_has_all_its_calls_the_oldest_first(store: Store) -> None:
    for name in ("c1", "c2"):
        store.add_call(new_call(name))
    store.add_call(msgspec.structs.replace(new_call("c3"), session_id="another"))
    for name in ("c1", "c2"):
        assert [record.start.call_id for record in await store.session(name)] == ["c1", "c2"]
    assert await store.session("nobody") == []


async def test_an_unknown_call_is_none(store: Store) -> None:
    assert await store.call("nobody") is None
    assert await store.events("nobody") == []


async def test_calls_are_listed_page_by_page_the_latest_first(store: Store) -> None:
    for index in range(5):
        store.add_call(new_call(f"c{index}"))
    first = await store.calls(limit=2)
    second = await store.calls(limit=2, before=first[-1].number)
    assert [record.start.call_id for record in first + second] == ["c4", "c3", "c2", "c1"]


async def test_events_of_a_call_come_in_their_order(store: Store) -> None:
    one, two = store.add_call(new_call("c1")), store.add_call(new_call("c2"))
    for seq in (1, 2, 3):
        store.add_event(event(one, seq))
        store.add_event(event(two, seq))
    assert [found.seq for found in await store.events("c1")] == [1, 2, 3]
    assert [found.body for found in await store.events("c1", after=2)] == [b'{"n":3}']


async def test_a_listing_is_bounded_whatever_is_asked_for(store: Store) -> None:
    number = store.add_call(new_call())
    for seq in range(1, 1502):
        store.add_event(event(number, seq))
    assert len(await store.events("c1", limit=100_000)) == 1000
    assert len(await store.events("c1", after=1000, limit=100_000)) == 501


async def test_a_callback_is_announced_only_after_it_is_on_the_disk(store: Store) -> None:
    announced: list[Delivery] = []
    on_disk: list[int] = []

    def stored(deliveries: list[Delivery]) -> None:
        announced.extend(deliveries)

    store.on_stored = stored
    number = store.add_call(new_call())
    deliver(store, number, 1)
    assert announced == []
    on_disk = [record.number for record in await store.deliveries()]
    assert [delivery.number for delivery in announced] == on_disk
    assert announced[0].body == b'{"n":1}'
    assert (announced[0].session_id, announced[0].url) == ("session", URL)


async def test_what_is_pending_is_loaded_in_order_and_by_origin(store: Store) -> None:
    number = store.add_call(new_call())
    for seq in range(1, 7):
        deliver(store, number, seq, origin=ORIGIN if seq % 2 else "http://other:80")
    everything = await loaded(store, ORIGIN)
    assert [delivery.body for delivery in everything] == [b'{"n":1}', b'{"n":3}', b'{"n":5}']
    assert await loaded(store, ORIGIN, after=everything[0].number, limit=1) == [everything[1]]
    assert sorted(await store.pending_origins()) == [ORIGIN, "http://other:80"]


async def test_a_load_comes_after_the_announcement_of_all_that_it_can_see(store: Store) -> None:
    told: list[str] = []
    store.on_stored = lambda deliveries: told.extend(f"stored {d.number}" for d in deliveries)
    number = store.add_call(new_call())
    deliver(store, number, 1)
    store.next_pending(ORIGIN, 0, 9, lambda found: told.extend(f"loaded {d.number}" for d in found))
    deliver(store, number, 2)
    await asyncio.sleep(0)
    deliver(store, number, 3)
    await store.flush()
    first_load = told.index("loaded 1")
    seen = [entry.split()[1] for entry in told if entry.startswith("loaded")]
    assert all(told.index(f"stored {number}") < first_load for number in seen)
    assert [entry for entry in told if entry.startswith("stored")] == ["stored 1", "stored 2", "stored 3"]


async def test_results_of_attempts_are_kept(store: Store) -> None:
    number = store.add_call(new_call())
    deliver(store, number, 1)
    (delivery,) = await loaded(store, ORIGIN)
    store.settle(settled(delivery.number, PENDING, error="h answered 500"))
    (waiting,) = await loaded(store, ORIGIN)
    assert (waiting.attempts, waiting.next_try_at) == (1, 20.0)
    store.settle(settled(delivery.number, DELIVERED, attempts=2))
    (record,) = await store.deliveries()
    assert (record.state, record.attempts, record.last_status) == (DELIVERED, 2, 200)
    assert await store.pending_origins() == []
    (attempt,) = await store.attempts(delivery.number)
    assert (attempt.number, attempt.status, attempt.error) == (1, 500, "h answered 500")


async def test_of_many_failed_attempts_the_latest_are_kept(store: Store) -> None:
    deliver(store, store.add_call(new_call()), 1)
    for attempt in range(1, 101):
        store.settle(settled(1, PENDING, attempts=attempt, error="no"))
    kept = [record.number for record in await store.attempts(1)]
    assert kept[-1] == 100
    assert len(kept) <= 32


async def test_requests_of_another_process_to_send_again_are_taken_once(store: Store, tmp_path: Path) -> None:
    number = store.add_call(new_call())
    deliver(store, number, 1)
    deliver(store, number, 2)
    store.settle(settled(1, DEAD, error="refused"))
    await store.flush()
    with StoreFile(tmp_path / "store.sqlite3") as beside:
        assert [record.number for record in beside.deliveries(state=DEAD, call_id="c1", limit=9)] == [1]
        assert [r.number for r in beside.deliveries(state=None, call_id="parent", limit=9)] == [2, 1]
        assert beside.deliveries(state=None, call_id="other", limit=9) == []
        assert beside.request_resend([1, 2, 99]) == [1]
    assert await store.take_resend_requests() == [1]
    assert await store.take_resend_requests() == []


async def test_dead_deliveries_are_listed_and_revived_on_request(store: Store) -> None:
    number = store.add_call(new_call())
    for seq in (1, 2, 3):
        deliver(store, number, seq)
    store.settle(settled(1, DEAD, error="no"))
    store.settle(settled(2, DELIVERED))
    assert [record.number for record in await store.deliveries(state=DEAD)] == [1]
    (revived,) = await store.revive([1, 2, 3, 99], at=50.0)
    assert (revived.number, revived.created_at, revived.body) == (1, 50.0, b'{"n":1}')
    assert await store.deliveries(state=DEAD) == []
    assert [delivery.number for delivery in await loaded(store, ORIGIN)] == [1, 3]


async def test_unfinished_calls_are_those_without_an_end_or_with_an_open_connect(store: Store) -> None:
    ended, in_connect, opened = (store.add_call(new_call(name)) for name in ("c1", "c2", "c3"))
    store.call_ended(ended, END)
    store.connect_changed(in_connect, OpenConnect("connecting"))
    store.call_ended(in_connect, END)
    store.add_event(event(opened, 1))
    store.add_event(event(opened, 2))
    found = await store.unfinished_calls()
    assert [record.number for record in found] == [in_connect, opened]
    assert found[1].last_seq == 2
    store.connect_changed(in_connect, None)
    assert [record.number for record in await store.unfinished_calls()] == [opened]


async def test_pruning_forgets_what_is_old_and_settled_only(store: Store) -> None:
    old, waiting, opened = (store.add_call(new_call(f"c{n}", 10.0)) for n in (1, 2, 3))
    young = store.add_call(new_call("c4", 1000.0))
    for call in (old, waiting, opened, young):
        deliver(store, call, 1, at=1000.0 if call == young else 10.0)
    for call in (old, waiting, young):
        store.call_ended(call, END)
    for number in (1, 3, 4):
        store.settle(settled(number, DELIVERED))
    await store.prune(older_than=500.0)
    assert [record.start.call_id for record in await store.calls()] == ["c4", "c3", "c2"]
    assert [record.number for record in await store.deliveries()] == [4, 2]
    assert [delivery.number for delivery in await loaded(store, ORIGIN)] == [2]
    assert len(await store.events("c3")) == 1


async def test_text_that_is_no_unicode_is_stored_without_its_bad_bytes(store: Store) -> None:
    store.add_call(new_call("c\udcfc1"))
    number = store.add_call(new_call("c2"))
    store.connect_changed(number, OpenConnect("connected", peer_from="\udcff"))
    records = await store.calls()
    assert [record.start.call_id for record in records] == ["c2", "c\ufffd1"]
    assert records[0].connect == OpenConnect("connected", peer_from="\ufffd")


async def test_a_row_that_can_never_be_written_harms_no_other(store: Store) -> None:
    number = store.add_call(new_call())
    store.add_event(NewEvent(number, 1 << 70, "e", "t", 1.0, b""))
    store.add_event(event(number, 2))
    assert [found.seq for found in await store.events("c1")] == [2]
    assert store.is_healthy

"""Lists of one project's calls and deliveries: what is in them, and that no page looks at too much."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from cordboard.server import sqlite_lists
from cordboard.server import store_schema as schema
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import (
    DEAD,
    DELIVERED,
    PENDING,
    CallEnd,
    CallFilter,
    NewCall,
    NewEvent,
    OpenConnect,
    Settlement,
)

END = CallEnd(12.0, "hangup", "far_end_hung_up", None, "", "Bye.")
CALL = NewCall("c", "s", "g", "n", "mine", "sp", "inbound", "sip", "a", "b", None, None, 10.0, None, "")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "s")
    yield opened
    await opened.close()


def add(store: SqliteStore, name: str, **changes: Any) -> int:
    return store.add_call(structs.replace(CALL, call_id=name, **changes))


async def listed(store: SqliteStore, limit: int = 100, before: int | None = None, **wanted: Any) -> list[str]:
    page = await store.call_page(CallFilter(project_id="mine", **wanted), limit=limit, before=before)
    return [record.start.call_id for record in page.records]


async def test_a_project_sees_its_own_calls_and_no_others(store: SqliteStore) -> None:
    for name, project in (("a", "mine"), ("b", "other"), ("c", "mine")):
        add(store, name, project_id=project)
    assert await listed(store) == ["c", "a"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"direction": "inbound"}, ["open", "old"]),
        ({"direction": "outbound"}, ["dialled", "made"]),
        ({"direction": "outbound", "is_dialled": True}, ["dialled"]),
        ({"direction": "outbound", "is_dialled": False}, ["made"]),
        ({"is_over": True}, ["made", "old"]),
        ({"is_over": False}, ["dialled", "open"]),
        ({"is_over": False, "direction": "inbound"}, ["open"]),
        ({"since": 20.0}, ["dialled", "made", "open"]),
        ({"since": 20.5}, ["dialled"]),
        ({"since": 9000.0}, []),
    ],
)
async def test_filters(store: SqliteStore, wanted: dict[str, Any], expected: list[str]) -> None:
    old = add(store, "old")
    add(store, "open", started_at=20.0)
    made = add(store, "made", direction="outbound", started_at=20.0)
    add(store, "dialled", direction="outbound", parent_call_id="open", started_at=21.0)
    store.call_ended(old, END)
    store.call_ended(made, END)
    store.connect_changed(made, OpenConnect("connected"))
    assert await listed(store, **wanted) == expected


async def test_a_clock_that_was_set_back_hides_no_call(store: SqliteStore) -> None:
    add(store, "before", started_at=5_000.0)
    add(store, "after", started_at=4_000.0)
    assert await listed(store, since=4_500.0) == ["before"]


async def all_pages(store: SqliteStore, limit: int, **wanted: Any) -> tuple[list[str], int]:
    """All that is found, and in how many pages."""
    names: list[str] = []
    before: int | None = None
    for count in itertools.count(1):
        page = await store.call_page(CallFilter(project_id="mine", **wanted), limit=limit, before=before)
        names += [record.start.call_id for record in page.records]
        before = page.next
        if before is None:
            return names, count
    raise AssertionError


@pytest.mark.parametrize(("limit", "pages"), [(1, 5), (2, 3), (4, 2), (5, 1), (9, 1)])
async def test_pages_follow_each_other_without_gap_or_repetition(
    store: SqliteStore, limit: int, pages: int
) -> None:
    for index in range(5):
        add(store, f"c{index}")
    assert await all_pages(store, limit) == (["c4", "c3", "c2", "c1", "c0"], pages)


async def test_a_page_looks_at_so_many_calls_and_the_next_goes_on(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_lists, "MAX_LOOKED_AT", 3)
    for index in range(7):
        add(store, f"c{index}", direction="outbound" if index == 1 else "inbound")
    names, count = await all_pages(store, 2, direction="outbound")
    assert (names, count) == (["c1"], 3)


def deliver(store: SqliteStore, call: int, seq: int) -> None:
    event = NewEvent(call, seq, f"e{call}-{seq}", "t", 11.0, b"{}")
    store.add_event(event)
    store.add_delivery(event, "s", origin="http://h:80", url="http://u:p@h/cb", method="POST")


def settle(store: SqliteStore, number: int, state: str) -> None:
    store.settle(Settlement(number, state, 1, 20.0, None, "no" if state == DEAD else "", 19.0, 7))


async def test_deliveries_of_a_project_by_state_and_page(store: SqliteStore) -> None:
    mine, other = add(store, "mine"), add(store, "other", project_id="other")
    for seq in (1, 2, 3):
        deliver(store, mine, seq)
        deliver(store, other, seq)
    for number, state in ((1, DEAD), (2, DEAD), (3, DELIVERED)):
        settle(store, number, state)

    async def numbers(state: str | None, **paging: Any) -> list[int]:
        page = await store.delivery_page("mine", state=state, **paging)
        assert {record.call_id for record in page.records} <= {"mine"}
        return [record.number for record in page.records]

    assert await numbers(None) == [5, 3, 1]
    assert [await numbers(state) for state in (PENDING, DEAD, DELIVERED)] == [[5], [1], [3]]
    first = await store.delivery_page("mine", limit=2)
    assert [record.number for record in first.records] == [5, 3]
    assert await numbers(None, before=first.next) == [1]


async def test_a_delivery_of_another_project_is_not_there(store: SqliteStore) -> None:
    deliver(store, add(store, "c"), 1)
    found = await store.delivery(1, "mine")
    assert found is not None
    assert (found.number, found.call_id, found.state) == (1, "c", PENDING)
    assert await store.delivery(1, "other") is None
    assert await store.delivery(2, "mine") is None


async def test_lists_use_their_indexes(store: SqliteStore, tmp_path: Path) -> None:
    """A table of millions of rows is never gone through while commits wait."""

    def plan(connection: Any, statement: str, *values: Any) -> str:
        return " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))

    await store.flush()

    with sqlite3.connect(tmp_path / "s") as connection:
        assert "calls_by_project" in plan(connection, schema.LOOK_AT_CALLS, "p", 1, 1)
        assert "calls_unfinished" in plan(connection, schema.LOOK_AT_RUNNING, "p", 1, 1)
        assert "calls_by_session" in plan(connection, schema.SELECT_SESSION, "c", 1)
        for state, index in (("pending", "deliveries_pending"), ("dead", "deliveries_dead")):
            assert index in plan(connection, schema.LOOK_AT_DELIVERIES[state], 1, 1)
        for statement in (schema.LOOK_AT_CALLS, schema.LOOK_AT_RUNNING):
            assert "TEMP B-TREE" not in plan(connection, statement, "p", 1, 1)
    connection.close()

"""The SQLite store: transactions, a crash, a failing disk, a second server."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
import textwrap
from pathlib import Path

import pytest
from msgspec import structs

from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import CallEnd, CallFilter, Delivery, NewCall, NewEvent, OpenConnect, StoreError


def new_call(name: str) -> NewCall:
    return NewCall(name, "s", "g", "n", "p", "sp", "inbound", "sip", "a", "b", None, None, 1.0, None, "")


async def test_what_was_written_is_there_after_a_close_and_numbers_go_on(tmp_path: Path) -> None:
    first = SqliteStore.open(tmp_path / "s")
    number = first.add_call(new_call("c1"))
    await first.close()
    second = SqliteStore.open(tmp_path / "s")
    assert [record.number for record in await second.calls()] == [number]
    assert second.add_call(new_call("c2")) == number + 1
    await second.close()


async def test_two_servers_cannot_use_one_file(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s")
    with pytest.raises(StoreError, match="in use by another running server"):
        SqliteStore.open(tmp_path / "s")
    await store.close()
    await SqliteStore.open(tmp_path / "s").close()


async def test_a_file_that_is_no_store_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"important notes" * 100)
    with pytest.raises(StoreError, match="not usable as a store"):
        SqliteStore.open(tmp_path / "s")
    assert (tmp_path / "s").read_bytes().startswith(b"important notes")


async def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore.open(tmp_path / "s")


_EVENTS_OF_VERSION_1 = """
DROP INDEX calls_by_project;
DROP INDEX calls_by_session;
ALTER TABLE calls DROP COLUMN owner;
ALTER TABLE calls DROP COLUMN ladder;
DROP TABLE events;
CREATE TABLE events (
  call_number INTEGER NOT NULL, seq INTEGER NOT NULL, event_id TEXT NOT NULL, event_type TEXT NOT NULL,
  created_at REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY (call_number, seq)) WITHOUT ROWID;
INSERT INTO events VALUES (1, 1, 'e1', 't', 1.0, x'31'), (1, 2, 'e2', 't', 2.0, x'32'),
  (2, 1, 'e3', 't', 3.0, x'33');
PRAGMA user_version = 1;
"""


async def test_a_store_of_the_version_before_keeps_its_events_and_their_callbacks(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s")
    numbers = [store.add_call(new_call(name)) for name in ("c1", "c2")]
    event = NewEvent(numbers[0], 2, "e2", "t", 2.0, b"2")
    store.add_delivery(event, "s", origin="o", url="http://o/", method="POST")
    await store.close()
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.executescript(_EVENTS_OF_VERSION_1)
    connection.close()

    store = SqliteStore.open(tmp_path / "s")
    assert [(found.seq, found.event_id, found.body) for found in await store.events("c1")] == [
        (1, "e1", b"1"),
        (2, "e2", b"2"),
    ]
    assert [found.event_id for found in await store.events("c2")] == ["e3"]
    assert [record.last_seq for record in await store.unfinished_calls()] == [2, 1]
    pending: asyncio.Future[list[Delivery]] = asyncio.get_running_loop().create_future()
    store.next_pending("o", 0, 10, pending.set_result)
    assert [delivery.body for delivery in await pending] == [b"2"]
    await store.close()


async def test_calls_of_a_store_that_knew_no_owners_belong_to_nobody(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s")
    store.add_call(new_call("old"))
    await store.close()
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.executescript(
            "DROP INDEX calls_by_project; DROP INDEX calls_by_session;"
            "ALTER TABLE calls DROP COLUMN owner; PRAGMA user_version = 3;"
        )
    connection.close()

    store = SqliteStore.open(tmp_path / "s")
    store.add_call(structs.replace(new_call("new"), owner="client"))
    assert [(found.start.call_id, found.start.owner) for found in await store.unfinished_calls()] == [
        ("old", None),
        ("new", "client"),
    ]
    page = await store.call_page(CallFilter(project_id="p"))
    assert [found.start.call_id for found in page.records] == ["new", "old"]
    await store.close()


async def test_writes_after_the_close_are_counted_and_change_nothing(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s")
    await store.close()
    store.add_call(new_call("late"))
    assert store.lost_rows == 1
    with pytest.raises(StoreError, match="closed"):
        await store.calls()
    await store.close()


_CRASHING = """
    import asyncio, os, sys
    from pathlib import Path
    from cordboard.server.sqlite_store import SqliteStore
    from cordboard.server.store import CallEnd, CallFilter, Delivery, NewCall, NewEvent

    async def main():
        store = SqliteStore.open(Path(sys.argv[1]))
        print("open", flush=True)
        for index in range(1_000_000):
            n = store.add_call(NewCall(f"c{index}", *["x"] * 9, None, None, 1.0, None, ""))
            store.add_event(NewEvent(n, 1, f"a{index}", "t", 1.0, b"first"))
            await asyncio.sleep(0)
            store.add_event(NewEvent(n, 2, f"b{index}", "t", 1.0, b"last"))
            store.call_ended(n, CallEnd(2.0, "hangup", "x", None, "", ""))
            if index % 10 == 0:
                await asyncio.sleep(0.001)

    asyncio.run(main())
"""


async def test_a_kill_leaves_no_event_without_its_call_and_no_end_without_its_event(tmp_path: Path) -> None:
    path = tmp_path / "s"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(_CRASHING), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    await asyncio.sleep(0.5)
    process.kill()
    await process.wait()
    await SqliteStore.open(path).close()
    with sqlite3.connect(path) as connection:
        count = connection.execute("SELECT COUNT(*) FROM calls").fetchone()[0]
        orphans = connection.execute(
            "SELECT COUNT(*) FROM events WHERE call_number NOT IN (SELECT number FROM calls)"
        ).fetchone()[0]
        ends = connection.execute("SELECT COUNT(*) FROM calls WHERE ended_at IS NOT NULL").fetchone()[0]
        lasts = connection.execute("SELECT COUNT(*) FROM events WHERE seq = 2").fetchone()[0]
    connection.close()
    assert count > 20
    assert orphans == 0
    assert ends == lasts


async def test_a_full_disk_harms_no_call_and_all_is_written_once_there_is_room(tmp_path: Path) -> None:
    """The limit on the size of files stands in for the full disk."""
    store = SqliteStore.open(tmp_path / "s")
    number = store.add_call(new_call("c1"))
    await store.flush()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        for seq in range(1, 51):
            store.add_event(NewEvent(number, seq, f"e{seq}", "t", 1.0, b"x" * 2000))
        store.call_ended(number, CallEnd(2.0, "hangup", "x", None, "", ""))
        async with asyncio.timeout(5):
            while store.is_healthy:  # noqa: ASYNC110  (there is no event to wait for)
                await asyncio.sleep(0.01)
        assert store.write_failures >= 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    async with asyncio.timeout(10):
        events = await store.events("c1")
    assert [event.seq for event in events] == list(range(1, 51))
    assert store.is_healthy
    assert store.lost_rows == 0
    await store.close()


async def test_of_changes_that_one_commit_takes_together_the_latest_counts(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s")
    first, second = store.add_call(new_call("c1")), store.add_call(new_call("c2"))
    store.connect_changed(first, OpenConnect("connecting"))
    store.save_dialog(first, b"dialog")
    store.call_answered(second, 3.0)
    store.call_answered(first, 2.0)
    store.connect_changed(first, OpenConnect("connected"))
    await asyncio.sleep(0)
    store.connect_changed(second, None)
    store.finish_call(second, b"{}", None)
    store.connect_changed(first, None)
    store.connect_changed(first, OpenConnect("connecting", status_url="u"))
    one, two = await store.call("c1"), await store.call("c2")
    assert one is not None
    assert two is not None
    assert (one.answered_at, one.connect, one.dialog) == (2.0, OpenConnect("connecting", "u"), b"dialog")
    assert (two.answered_at, two.connect, two.statistics) == (3.0, None, b"{}")
    assert (store.backlog, store.lost_rows) == (0, 0)
    await store.close()

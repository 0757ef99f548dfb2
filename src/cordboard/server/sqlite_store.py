"""The store in one SQLite file: write-ahead log, every commit on the disk before it counts."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from cordboard.events.encoding import encode
from cordboard.server import store_schema as schema
from cordboard.server.sqlite_lists import call_page, delivery_page, one_delivery
from cordboard.server.sqlite_rows import Row, call_record, delivery_record
from cordboard.server.sqlite_writer import Batch, Done, Work, Writer
from cordboard.server.store import (
    DEAD,
    AttemptRecord,
    CallEnd,
    CallFilter,
    CallPage,
    CallRecord,
    Delivery,
    DeliveryPage,
    DeliveryRecord,
    EventRecord,
    NewCall,
    NewEvent,
    OpenConnect,
    Settlement,
    StoredCallback,
    StoreError,
)
from cordboard.server.store_schema import Write

_T = TypeVar("_T")

MAX_BACKLOG = 200_000
"""Writes in memory that the disk has not taken; beyond it writes are counted and dropped."""
SHARE = 0.05
"""Seconds that a row may wait for others to share its commit.  A callback goes at once, with all rows
before it.  What a crash loses of an attempt's result is sent once more, with the same event id."""
READ_TIMEOUT = 15.0
READ_AGAIN = 1.0
MAX_LISTED = 1000


class SqliteStore:
    """One server, one file, one writer thread.  See `store.Store`."""

    def __init__(
        self, connection: sqlite3.Connection, lock: IO[bytes], on_stored: StoredCallback | None = None
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(connection, self._loop, self._committed)
        self._batch: Batch | None = None
        self._is_urgent = False
        self._hand_over_later: asyncio.TimerHandle | None = None
        self._waiting = 0
        """Writes handed over and not yet committed."""
        self._dropped = 0
        self._is_closed = False
        self._last_call = _highest(connection, "calls")
        self._last_delivery = _highest(connection, "deliveries")
        self.on_stored: StoredCallback = on_stored or (lambda deliveries: None)
        self._writer.start()

    @classmethod
    def open(cls, path: Path) -> SqliteStore:
        """Open or create the file, in a running loop.  Raises `StoreError`; blocks for some milliseconds."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened: {error.strerror or error}") from None
        try:
            return cls(_connect(path), lock)
        except sqlite3.Error as error:
            lock.close()
            raise StoreError(f"{path}: not usable as a store: {error}") from None
        except BaseException:
            lock.close()
            raise

    # ------------------------------------------------------------ writing

    def add_call(self, call: NewCall) -> int:
        self._last_call = number = self._last_call + 1
        self._write(Write.ADD_CALL, (number, *msgspec.structs.astuple(call)))
        return number

    def call_answered(self, call_number: int, at: float) -> None:
        self._change(call_number, {"answered_at": at})

    def call_ended(self, call_number: int, end: CallEnd) -> None:
        self._change(call_number, msgspec.structs.asdict(end))

    def owner_changed(self, call_number: int, owner: str | None) -> None:
        self._change(call_number, {"owner": owner})

    def connect_changed(self, call_number: int, connect: OpenConnect | None) -> None:
        self._change(call_number, {"connect": None if connect is None else encode(connect).decode()})

    def save_dialog(self, call_number: int, dialog: bytes) -> None:
        self._change(call_number, {"dialog": dialog})

    def finish_call(self, call_number: int, statistics: bytes | None, variables: bytes | None) -> None:
        self._change(call_number, {"statistics": statistics, "variables": variables, "dialog": None})

    def save_ladder(self, call_number: int, ladder: bytes) -> None:
        self._change(call_number, {"ladder": ladder})

    def add_event(self, event: NewEvent) -> None:
        number = (event.call_number << schema.SEQ_BITS) | event.seq
        row = (number, event.event_id, event.event_type, event.created_at, event.body)
        self._write(Write.ADD_EVENT, row)

    def add_delivery(self, event: NewEvent, session_id: str, *, origin: str, url: str, method: str) -> None:
        self._last_delivery = number = self._last_delivery + 1
        at = event.created_at
        row = (number, event.call_number, event.seq, event.event_id, session_id, origin, url, method, at, at)
        batch = self._write(Write.ADD_DELIVERY, row)
        if batch is not None:
            batch.stored.append(
                Delivery(number, event.event_id, session_id, origin, url, method, event.body, at, 0, at)
            )
            self._hurry()

    def settle(self, settlement: Settlement) -> None:
        s = settlement
        row = (s.state, s.attempts, s.next_try_at, s.status, s.error, s.at, s.number)
        self._write(Write.SETTLED, row)
        if s.error:
            slot = s.attempts % schema.KEPT_ATTEMPTS
            attempt = (s.number, slot, s.attempts, s.at, s.took_ms, s.status, s.error)
            self._write(Write.ATTEMPT, attempt)

    def _write(self, kind: Write, row: Row) -> Batch | None:
        batch = self._batch
        if (batch is None or batch.size >= batch.room) and (batch := self._with_room()) is None:
            return None
        batch.size += 1
        batch.rows[kind].append(row)
        return batch

    def _change(self, call_number: int, values: dict[str, Any]) -> None:
        batch = self._batch
        if (batch is None or batch.size >= batch.room) and (batch := self._with_room()) is None:
            return
        batch.size += 1
        known = batch.changes.setdefault(call_number, values)
        if known is not values:
            known.update(values)

    def _with_room(self) -> Batch | None:
        """Where one more write goes; None when there is no room for it, and it is lost."""
        if not self._is_closed:
            batch = self._batch or self._open_batch()
            batch.room = MAX_BACKLOG - self._waiting
            if batch.size < batch.room:
                return batch
        self._dropped += 1
        return None

    def _open_batch(self) -> Batch:
        """All that is written until it is handed over goes into one batch, and so into one transaction."""
        batch = self._batch = Batch(MAX_BACKLOG - self._waiting)
        self._is_urgent = False
        self._hand_over_later = self._loop.call_later(SHARE, self._hand_over)
        return batch

    def _hurry(self) -> None:
        """Somebody waits for what this turn of the loop writes."""
        if not self._is_urgent:
            self._is_urgent = True
            self._cancel_hand_over()
            self._loop.call_soon(self._hand_over)

    def _cancel_hand_over(self) -> None:
        if self._hand_over_later is not None:
            self._hand_over_later.cancel()
            self._hand_over_later = None

    def _hand_over(self) -> None:
        self._cancel_hand_over()
        batch, self._batch = self._batch, None
        if batch is not None:
            self._waiting += batch.size
            self._writer.put(batch)

    def _committed(self, batch: Batch) -> None:
        self._waiting -= batch.size
        if batch.stored:
            self.on_stored(batch.stored)

    # ------------------------------------------------------------ reading

    def next_pending(
        self, origin: str, after: int, limit: int, loaded: Callable[[list[Delivery]], None]
    ) -> None:
        def work(connection: sqlite3.Connection) -> list[Delivery]:
            rows = connection.execute(schema.SELECT_PENDING, (origin, after, limit)).fetchall()
            return [Delivery(*row) for row in rows]

        def done(result: list[Delivery] | StoreError) -> None:
            if not isinstance(result, StoreError):
                loaded(result)
            elif not self._is_closed:
                self._loop.call_later(READ_AGAIN, self._do, work, done)

        self._do(work, done)

    async def pending_origins(self) -> list[str]:
        query = "SELECT DISTINCT origin FROM deliveries WHERE state = 'pending'"
        return [row[0] for row in await self._rows(query, ())]

    async def unfinished_calls(self) -> list[CallRecord]:
        query = (
            f"SELECT {schema.CALL_COLUMNS}, {schema.LAST_SEQ} FROM calls"
            " WHERE ended_at IS NULL OR connect IS NOT NULL ORDER BY number"
        )
        return [call_record(row) for row in await self._rows(query, ())]

    async def calls(self, *, limit: int = 100, before: int | None = None) -> list[CallRecord]:
        query = f"SELECT {schema.CALL_COLUMNS} FROM calls WHERE number < ? ORDER BY number DESC LIMIT ?"
        rows = await self._rows(query, (_before(before), min(limit, MAX_LISTED)))
        return [call_record(row) for row in rows]

    async def call_page(self, wanted: CallFilter, *, limit: int = 100, before: int | None = None) -> CallPage:
        return await self._result(lambda connection: call_page(connection, wanted, limit, _before(before)))

    async def call(self, call_id: str) -> CallRecord | None:
        rows = await self._rows(f"SELECT {schema.CALL_COLUMNS} FROM calls WHERE call_id = ?", (call_id,))
        return call_record(rows[0]) if rows else None

    async def session(self, call_id: str) -> list[CallRecord]:
        return [call_record(row) for row in await self._rows(schema.SELECT_SESSION, (call_id, MAX_LISTED))]

    async def open_operations(self) -> dict[int, list[tuple[bytes, str | None]]]:
        found: dict[int, list[tuple[bytes, str | None]]] = {}
        for number, body, url in await self._rows(schema.SELECT_OPERATIONS, ()):
            found.setdefault(number, []).append((body, url))
        return found

    async def ladder(self, call_id: str) -> bytes | None:
        rows = await self._rows(schema.SELECT_LADDER, (call_id,))
        return rows[0][0] if rows else None

    async def events(self, call_id: str, *, after: int = 0, limit: int = MAX_LISTED) -> list[EventRecord]:
        rows = await self._rows(schema.SELECT_EVENTS, (after, call_id, min(limit, MAX_LISTED)))
        return [
            EventRecord(seq=seq, event_id=event_id, event_type=kind, created_at=at, body=body)
            for seq, event_id, kind, at, body in rows
        ]

    async def deliveries(
        self, *, state: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[DeliveryRecord]:
        query = schema.SELECT_DELIVERIES + " WHERE number < ?"
        values: tuple[Any, ...] = (_before(before),)
        if state is not None:
            query, values = query + " AND state = ?", (*values, state)
        rows = await self._rows(query + " ORDER BY number DESC LIMIT ?", (*values, min(limit, MAX_LISTED)))
        return [delivery_record(row) for row in rows]

    async def delivery_page(
        self, project_id: str, *, state: str | None = None, limit: int = 100, before: int | None = None
    ) -> DeliveryPage:
        return await self._result(
            lambda connection: delivery_page(connection, project_id, state, limit, _before(before))
        )

    async def delivery(self, number: int, project_id: str) -> DeliveryRecord | None:
        return await self._result(lambda connection: one_delivery(connection, number, project_id))

    async def attempts(self, delivery_number: int) -> list[AttemptRecord]:
        rows = await self._rows(schema.SELECT_ATTEMPTS, (delivery_number,))
        return [
            AttemptRecord(number=number, at=at, took_ms=took, status=status, error=error)
            for number, at, took, status, error in rows
        ]

    async def revive(self, delivery_numbers: Sequence[int], at: float) -> list[Delivery]:
        def work(connection: sqlite3.Connection) -> list[Delivery]:
            connection.execute("BEGIN IMMEDIATE")
            revived = [found for number in delivery_numbers if (found := _revive(connection, number, at))]
            connection.execute("COMMIT")
            return revived

        return await self._result(work)

    async def take_resend_requests(self) -> list[int]:
        return [row[0] for row in await self._rows(schema.TAKE_RESEND_REQUESTS, ())]

    async def _rows(self, query: str, values: tuple[Any, ...]) -> list[Row]:
        return await self._result(lambda connection: connection.execute(query, values).fetchall())

    async def _result(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._do(work, lambda result: None if future.done() else future.set_result(result))
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                result = await future
        except TimeoutError:
            raise StoreError("the store does not answer: its disk is stuck or full") from None
        if isinstance(result, StoreError):
            raise result
        value: _T = result
        return value

    def _do(self, work: Work, done: Done) -> None:
        if self._is_closed:
            self._loop.call_soon(done, StoreError("the store is closed"))
            return
        batch = self._batch or self._open_batch()
        batch.jobs.append((work, done))
        self._hurry()

    # ------------------------------------------------------------ life

    async def flush(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._do(lambda connection: None, lambda result: None if future.done() else future.set_result(None))
        await future

    async def prune(self, older_than: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            for statement in schema.PRUNE:
                connection.execute(statement, {"time": older_than} if ":time" in statement else {})
            connection.execute("COMMIT")

        await self._result(work)

    async def close(self) -> None:
        """Commit what waits, then close the file.  A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._hand_over()
        if await asyncio.to_thread(self._writer.stop, 10.0):
            self._connection.close()
        self._lock.close()

    @property
    def is_healthy(self) -> bool:
        return not self._writer.is_failing and self.backlog < MAX_BACKLOG // 2

    @property
    def backlog(self) -> int:
        """Writes that are not yet on the disk."""
        return self._waiting + (self._batch.size if self._batch is not None else 0)

    @property
    def lost_rows(self) -> int:
        """Writes that will never be on the disk."""
        return self._dropped + self._writer.lost_rows

    @property
    def write_failures(self) -> int:
        """Commits that the disk refused; each was tried again."""
        return self._writer.failures


def _locked(path: Path) -> IO[bytes]:
    """Held until the process ends, however it ends: two servers on one file would end each other's calls."""
    lock = open(path.with_name(path.name + ".lock"), "ab")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"{path}: in use by another running server") from None
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        _create_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_tables(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise StoreError(f"the store was written by a newer version of this program (format {version})")
    if version < schema.VERSION:
        changes = (
            schema.SCHEMA
            if version == 0
            else "".join(schema.UPGRADES[step] for step in range(version, schema.VERSION))
        )
        connection.executescript(f"BEGIN;{changes}PRAGMA user_version = {schema.VERSION};COMMIT;")


def _highest(connection: sqlite3.Connection, table: str) -> int:
    number: int = connection.execute(f"SELECT COALESCE(MAX(number), 0) FROM {table}").fetchone()[0]
    return number


def _before(number: int | None) -> int:
    return (1 << 62) if number is None else number


def _revive(connection: sqlite3.Connection, number: int, at: float) -> Delivery | None:
    row = connection.execute(schema.SELECT_BY_NUMBER, (number, DEAD)).fetchone()
    if row is None:
        return None
    connection.execute(schema.REVIVE, (at, at, number))
    delivery = Delivery(*row)
    delivery.created_at = delivery.next_try_at = at
    return delivery

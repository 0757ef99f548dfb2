"""The one thread that touches the database: group commit, and work in between, in order.

Batches come in from the loop; all that wait are committed together.  When nothing happened for a while a
batch is committed at once; under load a commit is made every twenty milliseconds, so that the cost of getting
to the disk is shared.  A disk that fails stops only this thread: it tries again until it succeeds.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from cordboard.events.encoding import readable
from cordboard.server.store import Delivery, StoreError
from cordboard.server.store_schema import STATEMENTS, update_call

_log = logging.getLogger(__name__)

Row = tuple[Any, ...]
Work = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any], None]

COMMIT_GAP = 0.02
"""Seconds from one commit to the next while there is always something to write."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
MAX_ROWS = 5000


class Batch:
    """What one turn of the loop wrote, and what it wants to know afterwards."""

    __slots__ = ("changes", "jobs", "room", "rows", "size", "stored")

    def __init__(self, room: int) -> None:
        self.room = room
        """How many writes it may hold, as far as is known."""
        self.rows: list[list[Row]] = [[] for _ in STATEMENTS]
        self.changes: dict[int, dict[str, Any]] = {}
        """Call number → columns: what happens to a call within one commit is one update of its row."""
        self.stored: list[Delivery] = []
        self.jobs: list[tuple[Work, Done]] = []
        self.size = 0

    def change(self, call_number: int, values: dict[str, Any]) -> None:
        known = self.changes.get(call_number)
        if known is None:
            self.changes[call_number] = values
        else:
            known.update(values)

    def take_in(self, other: Batch) -> None:
        for mine, theirs in zip(self.rows, other.rows, strict=True):
            mine += theirs
        for call_number, values in other.changes.items():
            self.change(call_number, values)
        self.stored += other.stored
        self.jobs += other.jobs
        self.size += other.size


class Writer:
    """`committed(batch)` is called in the loop after each commit, in order."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        committed: Callable[[Batch], None],
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._committed = committed
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._next_commit = 0.0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.is_failing = False
        self.failures = 0
        """Commits that the disk refused; each was tried again."""
        self.lost_rows = 0
        """Rows that the database can never take, or that were waiting at a stop with a dead disk."""

    def start(self) -> None:
        self._thread.start()

    def put(self, batch: Batch) -> None:
        self._batches.put(batch)

    def stop(self, timeout: float) -> bool:
        """Commit what waits and end.  Blocks.  False when the thread is still stuck in the disk."""
        self._stopping.set()
        self._batches.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            pause = self._next_commit - time.monotonic()
            if pause > 0 and not batch.jobs:
                time.sleep(pause)
            is_last = self._gather(batch)
            self._write(batch)
            self._post(self._committed, batch)
            for work, done in batch.jobs:
                self._post(done, self._carry_out(work))
            if is_last:
                return

    def _gather(self, batch: Batch) -> bool:
        """Take in what else waits; a job ends the gathering, because it must see no later write."""
        while batch.size < MAX_ROWS and not batch.jobs:
            try:
                other = self._batches.get_nowait()
            except queue.Empty:
                return False
            if other is None:
                return True
            batch.take_in(other)
        return False

    def _write(self, batch: Batch) -> None:
        pause = FIRST_PAUSE
        while batch.size and not self._try_to_write(batch):
            if self._stopping.wait(pause):
                self.lost_rows += batch.size
                _log.error("store: %d writes lost, the disk still refuses them at the stop", batch.size)
                batch.stored.clear()
                return
            pause = min(pause * 2, LONGEST_PAUSE)
        self.is_failing = False
        self._next_commit = time.monotonic() + COMMIT_GAP

    def _try_to_write(self, batch: Batch) -> bool:
        try:
            self._transact(batch, self._insert)
        except (sqlite3.OperationalError, sqlite3.InternalError) as error:
            return self._refused(error)
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:
                return self._refused(error)
            return self._write_row_by_row(batch)
        except Exception:
            return self._write_row_by_row(batch)
        return True

    def _write_row_by_row(self, batch: Batch) -> bool:
        """Some row cannot be bound; the others must not suffer for it."""
        try:
            self._transact(batch, self._insert_what_is_possible)
        except sqlite3.Error as error:
            return self._refused(error)
        return True

    def _transact(self, batch: Batch, insert: Callable[[str, list[Row]], None]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in zip(STATEMENTS, batch.rows, strict=True):
                if rows:
                    insert(statement, rows)
            for call_number, values in batch.changes.items():
                insert(update_call(tuple(values)), [(*values.values(), call_number)])
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _insert(self, statement: str, rows: list[Row]) -> None:
        self._connection.executemany(statement, rows)

    def _insert_what_is_possible(self, statement: str, rows: list[Row]) -> None:
        for row in rows:
            try:
                self._connection.execute(statement, _bindable(row))
            except (sqlite3.OperationalError, sqlite3.InternalError):
                raise
            except Exception:
                self.lost_rows += 1
                _log.exception("store: a row cannot be written: %s", statement[:40])

    def _refused(self, error: Exception) -> bool:
        if not self.is_failing:
            _log.error("store: cannot write (%s); trying again until it works", error)
        self.is_failing = True
        self.failures += 1
        return False

    def _carry_out(self, work: Work) -> Any:
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            return StoreError(f"the store cannot be read: {error}")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _post(self, callback: Callable[[Any], None], value: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:
            _log.debug("store: the loop is closed, nobody hears of the commit")


def _bindable(row: Row) -> Row:
    return tuple(readable(value) if isinstance(value, str) else value for value in row)

"""The SQLite store of a server, seen from another process: what operators list, and what they ask for.

The running server keeps writing; a request is a row that it finds within a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from cordboard.server import store_schema as schema
from cordboard.server.sqlite_rows import call_record, delivery_record
from cordboard.server.store import CallRecord, DeliveryRecord, EventRecord, StoreError

_MAX_LEGS = 1_000
_MAX_EVENTS = 10_000


class StoreFile:
    """Use as a context manager.  Everything raises `StoreError`."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreError(f"{path}: there is no store; has a server run with this configuration?")
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from None

    def __enter__(self) -> StoreFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def deliveries(self, *, state: str | None, call_id: str | None, limit: int) -> list[DeliveryRecord]:
        """The latest first; of a call and of the calls that it dialled."""
        values: dict[str, object] = {"state": state, "call": call_id, "limit": limit}
        return [delivery_record(row) for row in self._execute(schema.LIST_DELIVERIES, values).fetchall()]

    def session_deliveries(self, session_id: str) -> list[DeliveryRecord]:
        """Callbacks of a session, in the order in which they were made."""
        return [delivery_record(row) for row in self._execute(schema.SESSION_DELIVERIES, (session_id,))]

    def latest_call(self) -> str | None:
        """The call that came in, or was made, last."""
        row = self._execute(schema.SELECT_LATEST, ()).fetchone()
        return row[0] if row is not None else None

    def session(self, call_id: str) -> list[CallRecord]:
        """All calls of the session that this call belongs to, the oldest first."""
        return [call_record(row) for row in self._execute(schema.SELECT_SESSION, (call_id, _MAX_LEGS))]

    def events(self, call_id: str, *, limit: int = _MAX_EVENTS) -> list[EventRecord]:
        """Of one call, in order."""
        rows = self._execute(schema.SELECT_EVENTS, (0, call_id, limit))
        return [
            EventRecord(seq=seq, event_id=event_id, event_type=kind, created_at=at, body=body)
            for seq, event_id, kind, at, body in rows
        ]

    def ladder(self, call_id: str) -> bytes | None:
        """As `sip_log` encodes it."""
        row = self._execute(schema.SELECT_LADDER, (call_id,)).fetchone()
        return row[0] if row is not None else None

    def request_resend(self, numbers: Sequence[int]) -> list[int]:
        """Ask for dead deliveries to be sent again; returns those that are dead."""
        return [number for number in numbers if self._execute(schema.REQUEST_RESEND, (number,)).rowcount]

    def _execute(self, statement: str, values: dict[str, object] | tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be used: {error}") from None

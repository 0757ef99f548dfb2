"""Lists of one project's calls and deliveries, page by page.

They are read by the thread that writes, so a page looks at so many rows and no more: one that found little is
short, and the place where it stopped is where the next one begins.
"""

from __future__ import annotations

import sqlite3

from cordboard.server import store_schema as schema
from cordboard.server.sqlite_rows import Row, call_record, delivery_record
from cordboard.server.store import CallFilter, CallPage, CallRecord, DeliveryPage, DeliveryRecord

MAX_LOOKED_AT = 2_000
MAX_PAGE = 1_000
_CLOCK_STEP = 3_600.0
"""Seconds by which a call may have begun earlier than one with a lower number: clocks are set back."""


def call_page(connection: sqlite3.Connection, wanted: CallFilter, limit: int, before: int) -> CallPage:
    """The latest calls with a number below `before`."""
    statement = schema.LOOK_AT_RUNNING if wanted.is_over is False else schema.LOOK_AT_CALLS
    seen = connection.execute(statement, (wanted.project_id, before, MAX_LOOKED_AT)).fetchall()
    found: list[int] = []
    last = before
    for row in seen:
        if _is_too_old(wanted, row):
            return CallPage(_records(connection, found), None)
        last = row[0]
        if _fits(wanted, row):
            found.append(last)
        if len(found) == min(limit, MAX_PAGE):
            break
    is_more = len(seen) == MAX_LOOKED_AT or (bool(seen) and seen[-1][0] < last)
    return CallPage(_records(connection, found), last if is_more else None)


def delivery_page(
    connection: sqlite3.Connection, project_id: str, state: str | None, limit: int, before: int
) -> DeliveryPage:
    """The latest deliveries with a number below `before`."""
    statement = schema.LOOK_AT_DELIVERIES.get(state) or schema.LOOK_AT_DELIVERIES[None]
    seen = connection.execute(statement, (before, MAX_LOOKED_AT)).fetchall()
    found: list[DeliveryRecord] = []
    last = before
    for number, its_state, its_project in seen:
        last = number
        fits = its_project == project_id and state in (None, its_state)
        if fits and (record := one_delivery(connection, number, project_id)):
            found.append(record)
        if len(found) == min(limit, MAX_PAGE):
            break
    is_more = len(seen) == MAX_LOOKED_AT or (bool(seen) and seen[-1][0] < last)
    return DeliveryPage(found, last if is_more else None)


def one_delivery(connection: sqlite3.Connection, number: int, project_id: str) -> DeliveryRecord | None:
    """That delivery, if a call of this project wrote it."""
    row = connection.execute(schema.SELECT_DELIVERY, (number, project_id)).fetchone()
    return delivery_record(row) if row is not None else None


def _is_too_old(wanted: CallFilter, row: Row) -> bool:
    return wanted.since is not None and row[1] < wanted.since - _CLOCK_STEP


def _fits(wanted: CallFilter, row: Row) -> bool:
    _, started_at, direction, parent, ended_at = row
    return (
        (wanted.since is None or started_at >= wanted.since)
        and (wanted.direction is None or direction == wanted.direction)
        and (wanted.is_dialled is None or (parent is not None) == wanted.is_dialled)
        and (wanted.is_over is None or (ended_at is not None) == wanted.is_over)
    )


def _records(connection: sqlite3.Connection, numbers: list[int]) -> list[CallRecord]:
    marks = ",".join("?" * len(numbers))
    query = f"SELECT {schema.CALL_COLUMNS} FROM calls WHERE number IN ({marks}) ORDER BY number DESC"
    return [call_record(row) for row in connection.execute(query, numbers)] if numbers else []

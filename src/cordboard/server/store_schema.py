"""Tables and statements of the SQLite store."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

VERSION = 4

SEQ_BITS = 30
"""An event's number is its call's number, then this many bits of its place in the call: no run of one fills
them, and 33 bits are left for calls."""
_SEQ = (1 << SEQ_BITS) - 1

_EVENTS = f"""
CREATE TABLE events (
  number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, event_type TEXT NOT NULL,
  created_at REAL NOT NULL, body BLOB NOT NULL,
  call_number INTEGER AS (number >> {SEQ_BITS}), seq INTEGER AS (number & {_SEQ}));
"""
SCHEMA = f"""
CREATE TABLE calls (
  number INTEGER PRIMARY KEY, call_id TEXT NOT NULL, session_id TEXT NOT NULL, segment_id TEXT NOT NULL,
  node_id TEXT NOT NULL, project_id TEXT NOT NULL, space_id TEXT NOT NULL, direction TEXT NOT NULL,
  type TEXT NOT NULL, from_ TEXT NOT NULL, to_ TEXT NOT NULL, tag TEXT, parent_call_id TEXT,
  started_at REAL NOT NULL, call_state_url TEXT, call_state_events TEXT NOT NULL,
  answered_at REAL, ended_at REAL, reason TEXT, cause TEXT, sip_code INTEGER, sip_reason TEXT, sentence TEXT,
  connect TEXT, dialog BLOB, statistics TEXT, variables TEXT, ladder BLOB,
  owner TEXT);
CREATE INDEX calls_by_id ON calls (call_id);
CREATE INDEX calls_by_session ON calls (session_id);
CREATE INDEX calls_by_project ON calls (project_id);
CREATE INDEX calls_unfinished ON calls (number) WHERE ended_at IS NULL OR connect IS NOT NULL;
{_EVENTS.strip()}
CREATE TABLE deliveries (
  number INTEGER PRIMARY KEY, call_number INTEGER NOT NULL, seq INTEGER NOT NULL, event_id TEXT NOT NULL,
  session_id TEXT NOT NULL, origin TEXT NOT NULL, url TEXT NOT NULL, method TEXT NOT NULL,
  created_at REAL NOT NULL, next_try_at REAL NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0, last_status INTEGER, last_error TEXT NOT NULL DEFAULT '',
  last_at REAL);
CREATE INDEX deliveries_pending ON deliveries (origin, number) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (number) WHERE state = 'dead';
CREATE TABLE delivery_attempts (
  delivery_number INTEGER NOT NULL, slot INTEGER NOT NULL, attempt INTEGER NOT NULL, at REAL NOT NULL,
  took_ms INTEGER NOT NULL, status INTEGER, error TEXT NOT NULL,
  PRIMARY KEY (delivery_number, slot)) WITHOUT ROWID;
CREATE TABLE resend_requests (delivery_number INTEGER PRIMARY KEY);
"""
# Numbers are given out in memory in the order of writing, so that all big tables grow at their end and a
# commit touches few pages.  An event's body is kept once: a delivery finds it by its call and seq.

UPGRADES: dict[int, str] = {
    1: f"""
ALTER TABLE events RENAME TO old_events;
{_EVENTS}
INSERT INTO events (number, event_id, event_type, created_at, body)
  SELECT (call_number << {SEQ_BITS}) | seq, event_id, event_type, created_at, body FROM old_events;
DROP TABLE old_events;
""",
    2: "ALTER TABLE calls ADD COLUMN ladder BLOB;",
    3: """
ALTER TABLE calls ADD COLUMN owner TEXT;
CREATE INDEX calls_by_session ON calls (session_id);
CREATE INDEX calls_by_project ON calls (project_id);
""",
}
"""What makes a store of this version one of the next."""

KEPT_ATTEMPTS = 32
"""Latest failed attempts kept of one delivery."""


class Write(IntEnum):
    """The kinds of row, in the order in which one transaction writes them; changes of calls follow."""

    ADD_CALL = 0
    ADD_EVENT = 1
    ADD_DELIVERY = 2
    SETTLED = 3
    ATTEMPT = 4


STATEMENTS: tuple[str, ...] = (
    "INSERT OR IGNORE INTO calls (number, call_id, session_id, segment_id, node_id, project_id, space_id,"
    " direction, type, from_, to_, tag, parent_call_id, started_at, call_state_url, call_state_events,"
    " owner) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "INSERT OR IGNORE INTO events (number, event_id, event_type, created_at, body) VALUES (?,?,?,?,?)",
    "INSERT OR IGNORE INTO deliveries (number, call_number, seq, event_id, session_id, origin, url, method,"
    " created_at, next_try_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
    "UPDATE deliveries SET state = ?, attempts = ?, next_try_at = ?, last_status = ?, last_error = ?,"
    " last_at = ? WHERE number = ?",
    "INSERT OR REPLACE INTO delivery_attempts (delivery_number, slot, attempt, at, took_ms, status, error)"
    " VALUES (?,?,?,?,?,?,?)",
)


@lru_cache(maxsize=64)
def update_call(columns: tuple[str, ...]) -> str:
    """Takes the values of the columns, then the call's number."""
    return f"UPDATE calls SET {', '.join(f'{column} = ?' for column in columns)} WHERE number = ?"


CALL_COLUMNS = (
    "number, call_id, session_id, segment_id, node_id, project_id, space_id, direction, type, from_, to_,"
    " tag, parent_call_id, started_at, call_state_url, call_state_events, owner, answered_at, ended_at,"
    " reason, cause, sip_code, sip_reason, sentence, connect, dialog, statistics, variables"
)

SELECT_SESSION = (
    f"SELECT {CALL_COLUMNS} FROM calls WHERE session_id = (SELECT session_id FROM calls WHERE call_id = ?)"
    " ORDER BY number LIMIT ?"
)
SELECT_OPERATIONS = (
    "SELECT c.number, e.body, d.url FROM calls c"
    " JOIN events e"
    f" ON e.number > (c.number << {SEQ_BITS}) AND e.number <= ((c.number << {SEQ_BITS}) | {_SEQ})"
    f" LEFT JOIN deliveries d ON d.call_number = c.number AND d.seq = (e.number & {_SEQ})"
    " WHERE c.ended_at IS NULL"
    " AND e.event_type IN ('calling.call.play', 'calling.call.record', 'calling.call.tap',"
    " 'calling.call.collect', 'calling.call.detect', 'calling.call.refer', 'calling.call.send_digits')"
    " ORDER BY e.number"
)
LOOK_AT_CALLS = (
    "SELECT number, started_at, direction, parent_call_id, ended_at FROM calls"
    " WHERE project_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
LOOK_AT_RUNNING = (
    # The first condition is word for word that of the index over the few calls that are not finished.
    "SELECT number, started_at, direction, parent_call_id, ended_at FROM calls INDEXED BY calls_unfinished"
    " WHERE (ended_at IS NULL OR connect IS NOT NULL) AND ended_at IS NULL"
    " AND project_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
SELECT_LADDER = "SELECT ladder FROM calls WHERE call_id = ?"
SELECT_LATEST = "SELECT call_id FROM calls WHERE parent_call_id IS NULL ORDER BY number DESC LIMIT 1"

_EVENT_OF_DELIVERY = f"((d.call_number << {SEQ_BITS}) | d.seq)"
SELECT_PENDING = (
    "SELECT d.number, d.event_id, d.session_id, d.origin, d.url, d.method, e.body, d.created_at, d.attempts,"
    f" d.next_try_at FROM deliveries d JOIN events e ON e.number = {_EVENT_OF_DELIVERY}"
    " WHERE d.state = 'pending' AND d.origin = ? AND d.number > ? ORDER BY d.number LIMIT ?"
)
SELECT_BY_NUMBER = (
    "SELECT d.number, d.event_id, d.session_id, d.origin, d.url, d.method, e.body, d.created_at, d.attempts,"
    f" d.next_try_at FROM deliveries d JOIN events e ON e.number = {_EVENT_OF_DELIVERY}"
    " WHERE d.number = ? AND d.state = ?"
)
REVIVE = "UPDATE deliveries SET state = 'pending', created_at = ?, next_try_at = ? WHERE number = ?"
SELECT_DELIVERIES = (
    "SELECT number, event_id, session_id, origin, url, method, created_at, state, attempts, next_try_at,"
    " last_status, last_error, last_at FROM deliveries"
)
_LOOK_AT_DELIVERIES = (
    "SELECT d.number, d.state, c.project_id FROM deliveries d {}JOIN calls c ON c.number = d.call_number"
    " WHERE d.number < ?{} ORDER BY d.number DESC LIMIT ?"
)
LOOK_AT_DELIVERIES: dict[str | None, str] = {
    None: _LOOK_AT_DELIVERIES.format("", ""),
    **{
        state: _LOOK_AT_DELIVERIES.format(f"INDEXED BY deliveries_{state} ", f" AND d.state = '{state}'")
        for state in ("pending", "dead")
    },
}
"""All, and the states that have an index."""
SELECT_DELIVERY = (
    "SELECT d.number, d.event_id, d.session_id, d.origin, d.url, d.method, d.created_at, d.state, d.attempts,"
    " d.next_try_at, d.last_status, d.last_error, d.last_at, c.call_id"
    " FROM deliveries d JOIN calls c ON c.number = d.call_number WHERE d.number = ? AND c.project_id = ?"
)
SESSION_DELIVERIES = SELECT_DELIVERIES + " WHERE session_id = ? ORDER BY number LIMIT 1000"
LIST_DELIVERIES = (
    SELECT_DELIVERIES + " WHERE (:state IS NULL OR state = :state) AND (:call IS NULL OR call_number IN"
    " (SELECT number FROM calls WHERE call_id = :call OR parent_call_id = :call))"
    " ORDER BY number DESC LIMIT :limit"
)
REQUEST_RESEND = (
    "INSERT OR IGNORE INTO resend_requests SELECT number FROM deliveries WHERE number = ? AND state = 'dead'"
)
TAKE_RESEND_REQUESTS = "DELETE FROM resend_requests RETURNING delivery_number"
SELECT_EVENTS = (
    "SELECT e.seq, e.event_id, e.event_type, e.created_at, e.body FROM calls c JOIN events e"
    f" ON e.number > (c.number << {SEQ_BITS}) + ? AND e.number <= ((c.number << {SEQ_BITS}) | {_SEQ})"
    " WHERE c.call_id = ? ORDER BY e.number LIMIT ?"
)
LAST_SEQ = (
    "COALESCE((SELECT MAX(e.number) FROM events e WHERE e.number"
    f" BETWEEN (calls.number << {SEQ_BITS}) AND ((calls.number << {SEQ_BITS}) | {_SEQ})) & {_SEQ}, 0)"
)
SELECT_ATTEMPTS = (
    "SELECT attempt, at, took_ms, status, error FROM delivery_attempts WHERE delivery_number = ?"
    " ORDER BY attempt"
)

PRUNE: tuple[str, ...] = (
    # Numbers rise with time: all before the first row that is young enough may go, but for what is pending.
    "CREATE TEMP TABLE bounds AS SELECT"
    " COALESCE((SELECT number FROM calls WHERE started_at >= :time ORDER BY number LIMIT 1), 1 << 32)"
    " AS call,"
    " COALESCE((SELECT number FROM deliveries WHERE created_at >= :time ORDER BY number LIMIT 1), 1 << 62)"
    " AS delivery",
    "CREATE TEMP TABLE kept AS SELECT DISTINCT call_number FROM deliveries WHERE state = 'pending'",
    "DELETE FROM delivery_attempts WHERE delivery_number < (SELECT delivery FROM bounds) AND delivery_number"
    " NOT IN (SELECT number FROM deliveries WHERE state = 'pending')",
    "DELETE FROM deliveries WHERE number < (SELECT delivery FROM bounds) AND state <> 'pending'",
    "DELETE FROM calls WHERE number < (SELECT call FROM bounds) AND ended_at < :time AND connect IS NULL"
    " AND number NOT IN kept",
    f"DELETE FROM events WHERE number < ((SELECT call FROM bounds) << {SEQ_BITS})"
    " AND call_number NOT IN (SELECT number FROM calls)",
    "DROP TABLE kept",
    "DROP TABLE bounds",
)

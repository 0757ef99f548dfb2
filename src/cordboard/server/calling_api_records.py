"""Calls, events and deliveries as the HTTP API tells of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cordboard.call.info import CallInfo
from cordboard.server.store import CallRecord, DeliveryRecord, EventRecord
from cordboard.server.story import decoded, words_on_relay
from cordboard.webhooks.target import shown

Data = dict[str, Any]

_STATUS = {"created": "queued"}
_TYPES = {"phone": "relay_pstn_call", "sip": "relay_sip_call"}


def moment(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state_of(record: CallRecord, live: CallInfo | None) -> str:
    """created, ringing, answered, ending, ended"""
    if record.end is not None:
        return "ended"
    if live is not None:
        return live.call_state
    return "created" if record.answered_at is None else "answered"


def call_data(record: CallRecord, live: CallInfo | None, now: float) -> Data:
    """A call in a list.  `live`: what is known of it in memory; `now`: seconds since the epoch."""
    start, end, state = record.start, record.end, state_of(record, live)
    lasted = None if record.answered_at is None else (end.ended_at if end else now) - record.answered_at
    return {
        "id": start.call_id,
        "from": start.from_,
        "to": start.to,
        "direction": direction_of(record),
        "status": _STATUS.get(state, state),
        "state": state,
        "type": _TYPES.get(start.type, start.type),
        "source": "realtime_api" if direction_of(record) == "outbound-api" else None,
        "parent_id": start.parent_call_id,
        "peer_id": live.peer_call_id if live is not None else None,
        "session_id": start.session_id,
        "node_id": start.node_id,
        "tag": start.tag,
        "created_at": moment(start.started_at),
        "answered_at": moment(record.answered_at),
        "ended_at": moment(end.ended_at if end else None),
        "duration": None if lasted is None else int(lasted),
        "duration_ms": None if lasted is None else max(0, int(lasted * 1000)),
        "charge": 0,
        "charge_details": [],
        "end": _end_data(record),
    }


def full_call_data(record: CallRecord, live: CallInfo | None, now: float, session: list[CallRecord]) -> Data:
    """A call with all that is kept of it.  `session`: the calls of its session."""
    children = [one.start.call_id for one in session if one.start.parent_call_id == record.start.call_id]
    return {
        **call_data(record, live, now),
        "child_ids": children,
        "media": decoded(record.statistics) or None,
        "variables": decoded(record.variables),
    }


def direction_of(record: CallRecord) -> str:
    """Outbound calls are told apart: those that a program made, and those that another call dialled."""
    if record.start.direction == "inbound":
        return "inbound"
    return "outbound-api" if record.start.parent_call_id is None else "outbound-dial"


def _end_data(record: CallRecord) -> Data | None:
    end = record.end
    if end is None:
        return None
    return {
        "reason": end.reason,
        "relay_reason": words_on_relay(end),
        "cause": end.cause,
        "sentence": end.sentence,
        "sip_code": end.sip_code,
        "sip_reason": end.sip_reason,
    }


def event_data(event: EventRecord) -> Data:
    """The body as it was posted, and its place in the call."""
    body = decoded(event.body)
    return {**body, "seq": event.seq, "id": event.event_id, "event_type": event.event_type}


def delivery_data(record: DeliveryRecord) -> Data:
    """A callback; its URL without user and password."""
    return {
        "id": record.number,
        "event_id": record.event_id,
        "call_id": record.call_id,
        "url": shown(record.url),
        "method": record.method,
        "state": record.state,
        "attempts": record.attempts,
        "created_at": moment(record.created_at),
        "next_try_at": moment(record.next_try_at) if record.state == "pending" else None,
        "last_at": moment(record.last_at),
        "last_status": record.last_status,
        "last_error": record.last_error,
    }

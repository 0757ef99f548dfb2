"""Rows of the SQLite store as records."""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.server.store import CallEnd, CallRecord, DeliveryRecord, NewCall, OpenConnect

Row = tuple[Any, ...]

_IN_CALL = len(msgspec.structs.fields(NewCall))
_DELIVERY = tuple(field.name for field in msgspec.structs.fields(DeliveryRecord))


def call_record(row: Row) -> CallRecord:
    """A row of `CALL_COLUMNS`, perhaps with the call's last event."""
    number, rest = row[0], row[1 + _IN_CALL :]
    answered_at, *end, connect, dialog, statistics, variables = rest[:11]
    return CallRecord(
        number=number,
        start=NewCall(*row[1 : 1 + _IN_CALL]),
        answered_at=answered_at,
        end=CallEnd(*end) if end[0] is not None else None,
        connect=msgspec.json.decode(connect, type=OpenConnect) if connect else None,
        dialog=dialog,
        statistics=statistics,
        variables=variables,
        last_seq=rest[11] if len(rest) > 11 else 0,
    )


def delivery_record(row: Row) -> DeliveryRecord:
    """A row of `SELECT_DELIVERIES`, perhaps with the id of its call."""
    return DeliveryRecord(**dict(zip(_DELIVERY, row, strict=False)))

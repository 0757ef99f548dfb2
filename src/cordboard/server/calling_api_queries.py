"""What stands behind the `?` of a list.  Everything raises `ApiError` (400)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from cordboard.call.wording import shown
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_params import only_known
from cordboard.server.store import DEAD, DELIVERED, PENDING, CallFilter

STATES = ("created", "ringing", "answered", "ending", "ended")
DIRECTIONS = ("inbound", "outbound", "outbound-api", "outbound-dial")
DELIVERY_STATES = (PENDING, DELIVERED, DEAD)
MAX_LIMIT, USUAL_LIMIT = 1_000, 50
_PAGING = ("limit", "cursor")


class CallQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls, and where in the list."""

    wanted: CallFilter
    state: str | None
    limit: int
    cursor: int | None


def call_query(query: Mapping[str, str], project: str) -> CallQuery:
    """Of `GET /api/calling/calls`."""
    only_known(query, ("state", "direction", "since", *_PAGING))
    state = _one_of(query, "state", STATES)
    direction = _one_of(query, "direction", DIRECTIONS)
    return CallQuery(
        wanted=CallFilter(
            project_id=project,
            direction=direction and direction.partition("-")[0],
            is_dialled={"outbound-api": False, "outbound-dial": True}.get(direction or ""),
            is_over=None if state is None else state == "ended",
            since=_moment(query, "since"),
        ),
        state=state,
        limit=_limit(query),
        cursor=_cursor(query),
    )


def delivery_query(query: Mapping[str, str]) -> tuple[str | None, int, int | None]:
    """State, limit, cursor."""
    only_known(query, ("state", *_PAGING))
    return _one_of(query, "state", DELIVERY_STATES), _limit(query), _cursor(query)


def event_query(query: Mapping[str, str]) -> tuple[int, int]:
    """The `seq` after which events are wanted, and how many."""
    only_known(query, _PAGING)
    return _cursor(query) or 0, _limit(query)


def links(path: str, query: Mapping[str, str], cursor: int | None) -> dict[str, Any]:
    """The page that was asked for, and the one that follows, if one does."""
    following = None if cursor is None else _link(path, {**query, "cursor": str(cursor)})
    return {"self": _link(path, query), "next": following}


def _link(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _one_of(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value is None or value in allowed:
        return value
    raise _wrong(name, f"must be one of {', '.join(allowed)}, not {shown(value)}")


def _limit(query: Mapping[str, str]) -> int:
    value = query.get("limit", str(USUAL_LIMIT))
    if not (value.isascii() and value.isdigit() and len(value) < 9 and 0 < int(value) <= MAX_LIMIT):
        raise _wrong("limit", f"must be a whole number from 1 to {MAX_LIMIT}, not {shown(value)}")
    return int(value)


def _cursor(query: Mapping[str, str]) -> int | None:
    value = query.get("cursor")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 18):
        raise _wrong("cursor", f"must be what the `next` link of a page has, not {shown(value)}")
    return int(value)


def _moment(query: Mapping[str, str], name: str) -> float | None:
    """ISO 8601 (UTC where it names no zone), or seconds since the epoch."""
    value = query.get(name)
    if value is None:
        return None
    try:
        # A plus sign of a zone is a space where nobody has escaped it.
        at = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 1e11:
        raise _wrong(name, f"must be a time such as 2026-01-31T12:00:00Z, not {shown(value)}")
    return seconds


def _wrong(name: str, what: str) -> ApiError:
    return ApiError(400, f"`{name}` {what}", code="invalid_parameter", path=name)

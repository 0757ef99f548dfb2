"""What must be true of the callbacks that a receiver has seen."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from .receiver import FlakyReceiver

Body = dict[str, Any]


class Stored(NamedTuple):
    """A delivery as the store has it."""

    number: int
    event_id: str
    session_id: str
    url: str
    state: str


def deliveries(database: Path) -> list[Stored]:
    """All, in the order of their making; may be read while a server writes."""
    columns = "number, event_id, session_id, url, state"
    return [Stored(*row) for row in _rows(database, f"SELECT {columns} FROM deliveries ORDER BY number")]


def pending(database: Path) -> int:
    """Callbacks that are not yet delivered."""
    (count,) = _rows(database, "SELECT COUNT(*) FROM deliveries WHERE state = 'pending'")[0]
    return int(count)


def causes(database: Path) -> Counter[str]:
    """How the calls of the store ended; "" for those that did not."""
    return Counter({cause or "": count for cause, count in _rows(database, _CAUSES)})


def is_settled(database: Path) -> bool:
    """All calls have ended, and all callbacks are made."""
    return not pending(database) and "" not in causes(database)


def _rows(database: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10.0)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


_CAUSES = "SELECT cause, COUNT(*) FROM calls GROUP BY cause"


def faults_of_delivery(receiver: FlakyReceiver, stored: list[Stored]) -> list[str]:
    """Each stored callback was seen, in its order; nothing else was."""
    faults = list(receiver.faults)
    faults += [f"{one.event_id} is {one.state}" for one in stored if one.state != "delivered"]
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in stored:
        wanted[one.session_id, one.url].append(one.event_id)
    for lane in wanted.keys() | receiver.lanes.keys():
        if wanted.get(lane) != receiver.lanes.get(lane):
            faults.append(f"lane {lane}: stored {wanted.get(lane)}, seen {receiver.lanes.get(lane)}")
    return faults


def faults_of_calls(receiver: FlakyReceiver) -> list[str]:
    """Every created call has exactly one end, every connect exactly one, and nothing follows an end."""
    calls, connects = _by_call(receiver)
    faults = []
    for call_id, states in calls.items():
        if states[0] != "created" or states.count("created") != 1:
            faults.append(f"call {call_id} begins wrongly: {states}")
        if states[-1] != "ended" or states.count("ended") != 1:
            faults.append(f"call {call_id} ends wrongly: {states}")
    for call_id, states in connects.items():
        if states not in (["connecting", "failed"], ["connecting", "connected", "disconnected"]):
            faults.append(f"connect of {call_id}: {states}")
    return faults


def _by_call(receiver: FlakyReceiver) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    calls: dict[str, list[str]] = defaultdict(list)
    connects: dict[str, list[str]] = defaultdict(list)
    for lane in receiver.lanes.values():
        for params in (receiver.events[event_id]["params"] for event_id in lane):
            if "connect_state" in params:
                connects[params["call_id"]].append(params["connect_state"])
            else:
                calls[params["call_id"]].append(params["call_state"])
    return calls, connects


def ends(receiver: FlakyReceiver, *, since: float, begun_before: float) -> list[Body]:
    """The last events after a restart of calls and connects that had begun before the kill."""
    begun = {
        body["params"]["call_id"]
        for body in receiver.events.values()
        if body["timestamp"] < begun_before and _state(body) in ("created", "connecting")
    }
    return [
        body
        for body in receiver.events.values()
        if body["timestamp"] >= since
        and body["params"]["call_id"] in begun
        and _state(body) in ("ended", "failed", "disconnected")
    ]


def count(receiver: FlakyReceiver, state: str) -> int:
    """Events that tell of a state."""
    return sum(_state(body) == state for body in receiver.events.values())


def _state(body: Body) -> str:
    params = body["params"]
    return str(params.get("connect_state") or params["call_state"])

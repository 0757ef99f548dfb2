"""What must be true of the callbacks that a receiver has seen."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from .receiver import FlakyReceiver

Body = dict[str, Any]


_CONNECT = re.compile(r"connecting (failed|connected( connected)* disconnected)")
"""Connected again: with another far end, after a transfer."""


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


def dialled(database: Path) -> int:
    """Calls to far ends, also those that no callback tells of (transfers)."""
    (count,) = _rows(database, "SELECT COUNT(*) FROM calls WHERE direction = 'outbound'")[0]
    return int(count)


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
    calls, connects = _by_call(receiver, "call_state"), _by_call(receiver, "connect_state")
    faults = []
    for call_id, states in calls.items():
        if states[0] != "created" or states.count("created") != 1:
            faults.append(f"call {call_id} begins wrongly: {states}")
        if states[-1] != "ended" or states.count("ended") != 1:
            faults.append(f"call {call_id} ends wrongly: {states}")
    for call_id, states in connects.items():
        if not _CONNECT.fullmatch(" ".join(states)):
            faults.append(f"connect of {call_id}: {states}")
    return faults


def faults_of_recordings(receiver: FlakyReceiver, *, killed: bool = False) -> list[str]:
    """Every recording has a beginning, unless it failed before, and one end, unless the server was killed."""
    good = [["recording", end] for end in ("finished", "no_input", "error")] + [["error"]]
    good += [["recording"]] if killed else []
    told = _by_call(receiver, "state", "control_id")
    return [f"recording {one}: {states}" for one, states in told.items() if states not in good]


def _by_call(receiver: FlakyReceiver, what: str, key: str = "call_id") -> dict[str, list[str]]:
    """The states of one kind, in the order of their arrival."""
    found: dict[str, list[str]] = defaultdict(list)
    for lane in receiver.lanes.values():
        for params in (receiver.events[event_id]["params"] for event_id in lane):
            if what in params:
                found[params[key]].append(params[what])
    return found


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


def _state(body: Body) -> str:
    params = body["params"]
    return str(params.get("connect_state") or params.get("call_state") or params["state"])

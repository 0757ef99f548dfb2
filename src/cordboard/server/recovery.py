"""After a start: the calls that an earlier run of the server left open get their last events and an end.

Everything is written in one transaction, so that a second crash in the middle closes nothing twice.  What the
clients of those calls are told is a matter of their sessions (`relay_sessions`).
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening
from cordboard.call.reasons import Ending, callback_word, ending
from cordboard.events.bodies import Body, envelope
from cordboard.events.encoding import encode
from cordboard.events.open_operations import OPERATIONS
from cordboard.server.store import CallEnd, CallRecord, NewCall, NewEvent, OpenConnect, Store
from cordboard.server.webhook_sender import WebhookSender

_log = logging.getLogger(__name__)


def _random_id() -> str:
    return str(uuid.uuid4())


async def recover(
    store: Store,
    sender: WebhookSender,
    hang_up: Callable[[bytes], None],
    *,
    owed: Mapping[str, Sequence[Operation]] | None = None,
    new_id: Callable[[], str] = _random_id,
) -> int:
    """Close them; how many they were.  `hang_up` gets the saved dialog of each that was up.

    `owed`: by call id, the last events of operations that clients know of; the store may know none of them.

    Comes before `WebhookSender.start`.  Raises `StoreError`.
    """
    records = await store.unfinished_calls()
    # A call that was dialled is younger than its parent and ends before it, as it would have done.
    operations = await store.open_operations()
    for record in reversed(records):
        of_clients = (owed or {}).get(record.start.call_id, ())
        last = unfinished(operations.get(record.number, []), of_clients)
        _Closing(record, store, sender, new_id).close(last)
    await store.flush()
    for record in records:
        if record.end is None and record.dialog is not None:
            hang_up(record.dialog)
    if records:
        _log.warning("%d calls were open when the server last ended; they are closed now", len(records))
    return len(records)


class _Closing:
    """Writes the last events of one call."""

    def __init__(
        self,
        record: CallRecord,
        store: Store,
        sender: WebhookSender,
        new_id: Callable[[], str],
    ) -> None:
        self._record = record
        self._store = store
        self._sender = sender
        self._new_id = new_id
        self._info = _info_of(record.start)
        self._seq = record.last_seq
        self._at = time.time()
        self._ending = ending("server_restarted", who=record.start.to)

    def close(self, operations: list[Operation]) -> None:
        if self._record.end is None:
            for kind, params, url in operations:
                self._write(self._about(kind, params), url)
        if self._record.connect is not None:
            self._close_connect(self._record.connect)
        if self._record.end is None:
            self._end_call()
        self._store.finish_call(self._record.number, self._record.statistics, self._record.variables)

    def _about(self, kind: str, params: Body) -> Body:
        """The envelope of what an operation says."""
        info = self._info
        names: Body = {"call_id": info.call_id, "node_id": info.node_id, "segment_id": info.segment_id}
        if info.tag is not None:
            names["tag"] = info.tag
        return {
            "event_type": kind,
            "event_channel": "swml:" + info.session_id,
            "timestamp": self._at,
            "project_id": info.project_id,
            "space_id": info.space_id,
            "params": names | params,
        }

    def _close_connect(self, connect: OpenConnect) -> None:
        self._report(_last_of(connect, self._ending), connect.status_url)
        self._store.connect_changed(self._record.number, None)

    def _end_call(self) -> None:
        start = self._record.start
        wanted = "ended" in start.call_state_events.split()
        happening = CallStateChanged(state="ended", ending=self._ending)
        self._report(happening, start.call_state_url if wanted else None)
        self._store.call_ended(self._record.number, _end_of(self._ending, self._at))

    def _report(self, happening: Happening, url: str | None) -> None:
        self._write(envelope(happening, self._info, timestamp=self._at), url)

    def _write(self, body: Body, url: str | None) -> None:
        self._seq += 1
        event = NewEvent(
            self._record.number, self._seq, self._new_id(), body["event_type"], self._at, encode(body)
        )
        if url:
            self._sender.send(event, self._info.session_id, url)
        else:
            self._store.add_event(event)


Operation = tuple[str, Body, str | None]
"""The kind of an event, its params but for those that name the call, and where it is posted."""


def unfinished(told: list[tuple[bytes, str | None]], owed: Iterable[Operation] = ()) -> list[Operation]:
    """The last events that operations have not had.

    `owed`: of some that their client knows of; what was told of one is better known.
    """
    seen: dict[tuple[str, str], Operation | None] = {}
    for data, url in told:
        body = _decoded(data)
        kind, params = body.get("event_type", ""), body.get("params", {})
        operation: Operation | None = None
        if (known := OPERATIONS.get(kind)) is not None and known.goes_on(params):
            operation = kind, _without_state(params) | known.last(params), url
        seen[kind, str(params.get("control_id"))] = operation
    for one in owed:
        seen.setdefault((one[0], str(one[1].get("control_id"))), one)
    return [operation for operation in seen.values() if operation is not None]


def _without_state(params: Body) -> Body:
    """Results do not say that they are the last."""
    return {name: value for name, value in params.items() if name not in ("final", "state")}


def _decoded(data: bytes) -> Body:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _last_of(connect: OpenConnect, end: Ending) -> ConnectStateChanged:
    if connect.state != "connected":
        return ConnectStateChanged(state="failed", ending=end)
    return ConnectStateChanged(
        state="disconnected",
        peer_call_id=connect.peer_call_id,
        peer_device_type=connect.peer_device_type,
        peer_from=connect.peer_from,
        peer_to=connect.peer_to,
    )


def _end_of(end: Ending, at: float) -> CallEnd:
    return CallEnd(at, callback_word(end), end.cause, end.sip_code, end.sip_reason, end.sentence)


def _info_of(start: NewCall) -> CallInfo:
    return CallInfo(
        call_id=start.call_id,
        node_id=start.node_id,
        segment_id=start.segment_id,
        project_id=start.project_id,
        space_id=start.space_id,
        session_id=start.session_id,
        call_state="ended",
        direction=start.direction,
        type=start.type,
        from_=start.from_,
        to=start.to,
        tag=start.tag,
        owner=start.owner,
        parent_call_id=start.parent_call_id,
    )

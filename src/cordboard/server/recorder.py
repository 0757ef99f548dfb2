"""Every report of a call goes three ways: to its record, to the callback that wants it, to the listeners.

The store takes rows without blocking and commits what one turn of the loop has written as one transaction,
so an event is never on its way before it is on disk, and a call's end is stored together with its last event.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.call import Call
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening, Report, ScriptWarned
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.reasons import callback_word
from cordboard.events.bodies import Body, envelope
from cordboard.events.encoding import encode, encode_readable
from cordboard.media.protocol import LegStatistics
from cordboard.server.call_log import log_failure
from cordboard.server.store import CallEnd, NewCall, NewEvent, OpenConnect, Store
from cordboard.server.webhook_sender import WebhookSender

Listener = Callable[[CallInfo, Happening, Body], None]
"""Called with every event of every call, in order."""

Moment = type | str
"""A kind of happening; of the states of a call, the state."""

MAX_VARIABLES = 64 * 1024
"""Bytes of a script's variables that are kept with the record of its call."""


class _Entry:
    """One call in the books."""

    __slots__ = ("info", "media_open", "number", "over", "owner", "seq", "variables")

    def __init__(self, number: int, info: CallInfo) -> None:
        self.number = number
        self.info = info
        self.owner = info.owner
        self.seq = 0
        self.media_open = False
        self.over = False
        self.variables: bytes | None = None


class Recorder:
    """Keeps the books of all calls of this process."""

    def __init__(self, store: Store, sender: WebhookSender, new_id: Callable[[], str]) -> None:
        self._store = store
        self._sender = sender
        self._new_id = new_id
        self._entries: dict[str, _Entry] = {}
        self._moments: dict[Moment, list[Listener]] = {}
        self.listen(log_failure, ConnectStateChanged, ScriptWarned, "ended")
        self.listeners: list[Listener] = []
        """They hear everything."""
        self.owned_listeners: list[Listener] = []
        """They hear what happens to calls that a client owns."""

    def __len__(self) -> int:
        return len(self._entries)

    def listen(self, listener: Listener, *moments: Moment) -> None:
        """Call it at these moments of every call."""
        for moment in moments:
            self._moments.setdefault(moment, []).append(listener)

    # ------------------------------------------------------------ a call's life

    def begin(self, call: Call) -> int:
        """Open the books of a call; its number in the store."""
        info, destination = call.info, call.destination
        row = NewCall(
            call_id=info.call_id,
            session_id=info.session_id,
            segment_id=info.segment_id,
            node_id=info.node_id,
            project_id=info.project_id,
            space_id=info.space_id,
            direction=info.direction,
            type=info.type,
            from_=info.from_,
            to=info.to,
            tag=info.tag,
            parent_call_id=info.parent_call_id,
            started_at=time.time(),
            call_state_url=destination.call_state_url if destination else None,
            call_state_events=" ".join(sorted(destination.call_state_events)) if destination else "",
            owner=info.owner,
        )
        number = self._store.add_call(row)
        self._entries[info.call_id] = _Entry(number, info)
        return number

    def report(self, call: Call | OutgoingDial, report: Report) -> None:
        """A dial that no call asked for has no record: only the listeners hear of it."""
        info, happening = call.info, report.happening
        entry = self._entries.get(info.call_id)
        if entry is None and isinstance(call, Call):
            return
        at = time.time()
        body = envelope(happening, info, timestamp=at)
        moment: Moment = happening.state if type(happening) is CallStateChanged else type(happening)
        if entry is not None:
            self._write(entry, report, body, at)
            change = _CHANGES.get(moment)
            if change is not None:
                change(self, entry, happening, report.callback_url, at)
        if info.owner is not None:
            for listener in self.owned_listeners:
                listener(info, happening, body)
        for listener in self._moments.get(moment, ()):
            listener(info, happening, body)
        for listener in self.listeners:
            listener(info, happening, body)

    def save_ladder(self, call_number: int, ladder: bytes) -> None:
        self._store.save_ladder(call_number, ladder)

    def dialog_saved(self, call_id: str, saved: bytes) -> None:
        entry = self._entries.get(call_id)
        if entry is not None:
            self._store.save_dialog(entry.number, saved)

    def media_opened(self, call_id: str) -> None:
        entry = self._entries.get(call_id)
        if entry is not None:
            entry.media_open = True

    def media_closed(self, call_id: str, statistics: LegStatistics | None) -> None:
        """The last figures of a leg; None when its worker died with them."""
        entry = self._entries.get(call_id)
        if entry is None:
            return
        entry.media_open = False
        if entry.over:
            self._finish(entry, statistics)

    def over(self, call: Call) -> None:
        """The call will report nothing more; its record waits for the figures of its media."""
        entry = self._entries.get(call.info.call_id)
        if entry is None:
            return
        entry.over = True
        entry.variables = _bounded_json(call.variables())
        if not entry.media_open:
            self._finish(entry, None)

    # ------------------------------------------------------------ rows

    def _finish(self, entry: _Entry, statistics: LegStatistics | None) -> None:
        figures = msgspec.json.encode(statistics) if statistics is not None else None
        self._store.finish_call(entry.number, figures, entry.variables)
        self._entries.pop(entry.info.call_id, None)

    def _write(self, entry: _Entry, report: Report, body: Body, at: float) -> None:
        entry.seq += 1
        try:
            text = encode_readable(body)
        except UnicodeEncodeError:
            text = encode(body)
        event = NewEvent(
            call_number=entry.number,
            seq=entry.seq,
            event_id=self._new_id(),
            event_type=body["event_type"],
            created_at=at,
            body=text,
        )
        if report.callback_url:
            self._sender.send(event, entry.info.session_id, report.callback_url)
        else:
            self._store.add_event(event)
        if entry.owner != entry.info.owner:
            entry.owner = entry.info.owner
            self._store.owner_changed(entry.number, entry.owner)

    def _answered(self, entry: _Entry, happening: CallStateChanged, url: str | None, at: float) -> None:
        self._store.call_answered(entry.number, at)

    def _ended(self, entry: _Entry, happening: CallStateChanged, url: str | None, at: float) -> None:
        end = happening.ending
        if end is not None:
            how = CallEnd(at, callback_word(end), end.cause, end.sip_code, end.sip_reason, end.sentence)
            self._store.call_ended(entry.number, how)

    def _connect_changed(
        self, entry: _Entry, happening: ConnectStateChanged, url: str | None, at: float
    ) -> None:
        self._store.connect_changed(entry.number, _open_connect(happening, url))


_CHANGES: dict[Moment, Callable[[Recorder, _Entry, Any, str | None, float], None]] = {
    "answered": Recorder._answered,
    "ended": Recorder._ended,
    ConnectStateChanged: Recorder._connect_changed,
}


def _open_connect(happening: ConnectStateChanged, url: str | None) -> OpenConnect | None:
    if happening.state not in ("connecting", "connected"):
        return None
    return OpenConnect(
        state=happening.state,
        status_url=url,
        peer_call_id=happening.peer_call_id,
        peer_device_type=happening.peer_device_type,
        peer_from=happening.peer_from,
        peer_to=happening.peer_to,
    )


def _bounded_json(variables: dict[str, object]) -> bytes | None:
    if not variables:
        return None
    encoded = encode(variables)
    return encoded if len(encoded) <= MAX_VARIABLES else b'{"":"too large to keep"}'

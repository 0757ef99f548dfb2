"""What a client was told of and was not told the end of: what it is owed when the server has died.

Fed with all that a client is told, in order, and with what was accepted without an event of its own: a
collect begins with its answer.  `last_events` ends everything in the order in which a running server does
(`projection`): operations and bridges before their calls, legs before what made them, dials behind their
legs.  Nothing here depends on what other books say of a call, so whatever was told is ended once, and nothing
else is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.actions import Detect, Refer
from cordboard.call.reasons import ending, relay_word
from cordboard.events.open_operations import OPERATIONS
from cordboard.relay.requests import CallCommand

Params = dict[str, Any]
Event = tuple[str, Params]
"""`event_type` and inner `params` of a `signalwire.event`."""

_CONNECT, _DIAL, _STATE = "calling.call.connect", "calling.call.dial", "calling.call.state"
_REASON = relay_word(ending("server_restarted"))
NAMES = ("call_id", "node_id", "segment_id")
"""Params that say of which call an event is."""
_BEGINS = {
    "calling.play": "calling.call.play",
    "calling.play_and_collect": "calling.call.collect",
    "calling.collect": "calling.call.collect",
    "calling.record": "calling.call.record",
    "calling.detect": "calling.call.detect",
    "calling.tap": "calling.call.tap",
    "calling.send_digits": "calling.call.send_digits",
    "calling.refer": "calling.call.refer",
}
"""Requests, and the events that tell how what they begin goes on."""
BRIDGES = frozenset({"calling.connect", "calling.disconnect"})
"""Requests whose outcome is a connect event of the call."""


def begun(request: CallCommand) -> Params | None:
    """What the last event of what a request begins needs; None where no event follows from the request."""
    if request.method in BRIDGES:
        return {}
    if request.method not in _BEGINS:
        return None
    command = request.command
    if isinstance(command, Refer):
        return {"sip_refer_to": command.to}
    named: Params = {"control_id": request.control_id}
    return named | {"detect": {"type": command.kind}} if isinstance(command, Detect) else named


class OpenOperation(msgspec.Struct):
    """Something that goes on on a call."""

    event_type: str
    params: Params
    """As they were told last, or what is known from the request."""
    status_url: str | None = None
    """Where its callbacks go."""


class OpenCall(msgspec.Struct):
    """A call whose `ended` is not told."""

    told: Params
    """As the client saw it last."""
    operations: dict[str, OpenOperation] = {}
    """By kind and control id."""
    bridge: Params | None = None
    """The last connect event, where `failed` or `disconnected` must follow."""
    asked: str = ""
    """The one of `BRIDGES` that has had no event yet."""


class OpenEnds(msgspec.Struct):
    """Of one client.  Bounded by what is open; plain data, so that it can be stored."""

    calls: dict[str, OpenCall] = {}
    dials: dict[str, Params] = {}
    """By tag."""

    def told(self, event_type: str, params: Params) -> None:
        """The client is told this."""
        take = _TAKE.get(event_type)
        if take is not None:
            take(self, params)
        elif event_type in OPERATIONS and (call := self.calls.get(params.get("call_id", ""))) is not None:
            _operation(call, event_type, params)

    def accepted(self, method: str, call_id: str, more: Params, url: str | None = None) -> None:
        """A request was carried out for a call of this client.  `more`: what `begun` says of it."""
        call = self.calls.get(call_id)
        if call is None:
            return
        if method in BRIDGES:
            call.asked = method
        elif (kind := _BEGINS.get(method)) is not None:
            names = {name: call.told[name] for name in NAMES if name in call.told}
            operation = OpenOperation(kind, names | more, url)
            call.operations[_key(kind, more)] = operation

    def last_events(self) -> list[Event]:
        """What ends all of it."""
        ended = [event for call in reversed(self.calls.values()) for event in _ends_of(call)]
        more = {"dial_state": "failed", "reason": _REASON, "source": "outbound"}
        return ended + [(_DIAL, dial | more) for dial in self.dials.values()]

    # -------------------------------------------------- inside

    def _state(self, params: Params) -> None:
        call_id, call = params["call_id"], self.calls.get(params["call_id"])
        if params["call_state"] == "ended":
            self.calls.pop(call_id, None)
        elif call is None:
            self.calls[call_id] = OpenCall(told=params)
        else:
            call.told = params

    def _connect(self, params: Params) -> None:
        if (call := self.calls.get(params["call_id"])) is not None:
            goes_on = params["connect_state"] in ("connecting", "connected")
            call.bridge, call.asked = (params if goes_on else None), ""

    def _dial(self, params: Params) -> None:
        if params["dial_state"] == "dialing":
            self.dials[params["tag"]] = params
        else:
            self.dials.pop(params["tag"], None)


def _operation(call: OpenCall, event_type: str, params: Params) -> None:
    key = _key(event_type, params)
    if not OPERATIONS[event_type].goes_on(params):
        call.operations.pop(key, None)
    elif (known := call.operations.get(key)) is not None:
        known.params = params
    else:
        call.operations[key] = OpenOperation(event_type, params)


def _key(event_type: str, params: Params) -> str:
    return f"{event_type} {params.get('control_id', '')}"


def last_event(operation: OpenOperation) -> Event:
    """What ends it."""
    kind, params = operation.event_type, operation.params
    return kind, params | OPERATIONS[kind].last(params) | _FOR_CLIENTS.get(kind, {})


def _ends_of(call: OpenCall) -> list[Event]:
    events = [last_event(operation) for operation in call.operations.values()]
    if call.bridge is not None or call.asked:
        events.append((_CONNECT, _end_of_bridge(call)))
    over = {"end_reason": _REASON, "end_source": "none"}
    states = ("ended",) if call.told["call_state"] == "ending" else ("ending", "ended")
    return events + [(_STATE, _as_state(call.told) | {"call_state": state} | over) for state in states]


def _as_state(told: Params) -> Params:
    """An offer says more than the states of the call."""
    return {name: value for name, value in told.items() if name not in ("project_id", "space_id")}


def _end_of_bridge(call: OpenCall) -> Params:
    bridge = call.bridge
    if bridge is None:
        named = NAMES if "parent" in call.told else (*NAMES, "tag")
        bridge = {name: call.told[name] for name in named if name in call.told}
        if call.asked == "calling.disconnect":
            bridge |= {"connect_state": "connected", "peer": call.told.get("peer", {})}
    if bridge.get("connect_state") == "connected":
        return bridge | {"connect_state": "disconnected"}
    return bridge | {"connect_state": "failed", "failed_reason": _REASON}


_FOR_CLIENTS: dict[str, Params] = {
    # They wait for `finished` or `no_input`; of what was recorded nothing is known yet.
    "calling.call.record": {"state": "no_input", "duration": 0, "size": 0},
    "calling.call.collect": {"final": True, "state": "finished"},
}
"""What the last event says to them in other words than to callbacks."""
_TAKE: dict[str, Callable[[OpenEnds, Params], None]] = {
    _STATE: OpenEnds._state,
    "calling.call.receive": OpenEnds._state,
    _CONNECT: OpenEnds._connect,
    _DIAL: OpenEnds._dial,
}

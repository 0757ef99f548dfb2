"""What happened → the body of a `calling.*` event, built once for every listener.

An envelope is `{event_type, event_channel, timestamp, project_id, space_id, params}`.  `event_channel` is the
same for all legs of one SWML session; `timestamp` is seconds since the epoch as a float.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cordboard.call.actions import CallInfo
from cordboard.call.effects import (
    CallStateChanged,
    CollectStateChanged,
    ConnectStateChanged,
    DetectStateChanged,
    DialStateChanged,
    Happening,
    HoldStateChanged,
    PlayStateChanged,
    RecordStateChanged,
    ReferStateChanged,
    ScriptWarned,
    SendDigitsStateChanged,
    TapStateChanged,
)
from cordboard.call.reasons import callback_word
from cordboard.events.operations import (
    collect_params,
    detect_params,
    dial_params,
    hold_params,
    refer_params,
    send_digits_params,
)
from cordboard.events.recording import record_params
from cordboard.events.tapping import tap_params

Body = dict[str, Any]


# A far end comes back in each event of its call.
@lru_cache(maxsize=2048)
def device_body(kind: str, from_: str, to: str) -> Body:
    """One far end, `{type, params}`: numbers for a phone, bare `user@host` for a SIP device.

    Not to be changed: it is part of many bodies.
    """
    if kind == "phone":
        return {"type": kind, "params": {"from_number": from_, "to_number": to}}
    return {"type": kind, "params": {"from": bare_address(from_), "to": bare_address(to)}}


def bare_address(uri: str) -> str:
    """`user@host` of a SIP URI, without password, port, parameters and headers; a number stays as it is."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        return uri
    # The user part may hold `;` and `?` itself (RFC 3261 section 25.1), so it is cut off first.
    user, at, host = rest.rpartition("@")
    host = _without_port(host.partition(";")[0].partition("?")[0])
    return f"{user.partition(':')[0]}@{host}" if at else host


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def envelope(happening: Happening, info: CallInfo, *, timestamp: float) -> Body:
    """The event about `info`'s call.  `timestamp`: seconds since the epoch."""
    event_type, params_of = _KINDS[type(happening)]
    params = params_of(happening, info)
    if isinstance(happening, RecordStateChanged):
        params |= record_params(happening, timestamp=timestamp)
    return {
        "event_type": event_type,
        "event_channel": "swml:" + info.session_id,
        "timestamp": timestamp,
        "project_id": info.project_id,
        "space_id": info.space_id,
        "params": params,
    }


def _about(info: CallInfo) -> Body:
    params: Body = {"call_id": info.call_id, "node_id": info.node_id, "segment_id": info.segment_id}
    if info.tag is not None:
        params["tag"] = info.tag
    return params


def _call_state(happening: CallStateChanged, info: CallInfo) -> Body:
    params: Body = {"call_id": info.call_id, "node_id": info.node_id, "segment_id": info.segment_id}
    if info.tag is not None:
        params["tag"] = info.tag
    params["call_state"] = happening.state
    params["direction"] = info.direction
    params["device"] = device_body(info.type, info.from_, info.to)
    if info.parent_call_id is not None:
        params["parent"] = {"call_id": info.parent_call_id, "node_id": info.node_id}
    if happening.ending is not None and happening.state == "ended":
        params["end_reason"] = callback_word(happening.ending)
    return params


def _connect(happening: ConnectStateChanged, info: CallInfo) -> Body:
    params = _about(info)
    params["connect_state"] = happening.state
    if happening.state == "failed" and happening.ending is not None:
        params["failed_reason"] = callback_word(happening.ending)
    if happening.peer_call_id is not None and happening.state in ("connected", "disconnected"):
        params["peer"] = _peer(happening, info)
    return params


def _peer(happening: ConnectStateChanged, info: CallInfo) -> Body:
    device = device_body(happening.peer_device_type, happening.peer_from, happening.peer_to)
    peer = {"call_id": happening.peer_call_id, "node_id": info.node_id, "device": device}
    if happening.peer_tag is not None:
        peer["tag"] = happening.peer_tag
    return peer


def _controlled(happening: PlayStateChanged | RecordStateChanged | TapStateChanged, info: CallInfo) -> Body:
    params = _about(info)
    params["control_id"] = happening.control_id
    params["state"] = happening.state
    return params


def _then(params_of: Callable[[Any], Body]) -> Callable[[Any, CallInfo], Body]:
    """The call, then what a happening says by itself."""
    return lambda happening, info: _about(info) | params_of(happening)


def _tap(happening: TapStateChanged, info: CallInfo) -> Body:
    return _controlled(happening, info) | tap_params(happening.target)


def _warning(happening: ScriptWarned, info: CallInfo) -> Body:
    warning = happening.warning
    params = _about(info)
    params["code"] = warning.code
    params["message"] = warning.message
    params["section"] = warning.section
    params["step"] = warning.step
    params["method"] = warning.method
    if warning.line is not None:
        params["line"] = warning.line
    return params


_KINDS: dict[type, tuple[str, Callable[[Any, CallInfo], Body]]] = {
    CallStateChanged: ("calling.call.state", _call_state),
    ConnectStateChanged: ("calling.call.connect", _connect),
    PlayStateChanged: ("calling.call.play", _controlled),
    CollectStateChanged: ("calling.call.collect", _then(collect_params)),
    RecordStateChanged: ("calling.call.record", _controlled),
    TapStateChanged: ("calling.call.tap", _tap),
    SendDigitsStateChanged: ("calling.call.send_digits", _then(send_digits_params)),
    DetectStateChanged: ("calling.call.detect", _then(detect_params)),
    ReferStateChanged: ("calling.call.refer", _then(refer_params)),
    HoldStateChanged: ("calling.call.hold", _then(hold_params)),
    DialStateChanged: ("calling.call.dial", dial_params),
    ScriptWarned: ("calling.script.warning", _warning),
}

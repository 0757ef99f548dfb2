"""The inner params of each `calling.call.*` event, in RELAY's spelling (relay-protocol.md 6, 9).

They differ from the bodies of callbacks: whole devices with full URIs, reasons in camel case, and no `tag`:
in events of a play, a collect or a tap it would overwrite what the SDKs route by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Recording
from cordboard.call.effects import (
    CollectStateChanged,
    DetectStateChanged,
    HoldStateChanged,
    PlayStateChanged,
    RecordStateChanged,
    ReferStateChanged,
    SendDigitsStateChanged,
    TapStateChanged,
)
from cordboard.call.info import CallInfo
from cordboard.events.operations import detect_params, hold_params, refer_params, send_digits_params
from cordboard.events.recording import OVER, seconds
from cordboard.events.tapping import tap_params

Params = dict[str, Any]


def names(info: CallInfo, node_id: str) -> Params:
    """Which call an event is about."""
    return {"call_id": info.call_id, "node_id": node_id, "segment_id": info.segment_id}


def device(info: CallInfo) -> Params:
    """What was dialled as its client wrote it, or who called."""
    from_, to = ("from_number", "to_number") if info.type == "phone" else ("from", "to")
    if info.device is not None:
        written = {from_: info.from_, to: info.to} | info.device.get("params", {})
        return {**info.device, "params": written}
    params: Params = {from_: info.from_, to: info.to}
    if info.type != "phone" and info.from_name:
        params["from_name"] = info.from_name
    if info.type != "phone" and info.headers:
        params["headers"] = [{"name": name, "value": value} for name, value in info.headers]
    return {"type": info.type, "params": params}


def bare_device(kind: str, from_: str, to: str) -> Params:
    """Of a far end that is known by its addresses alone."""
    from_name, to_name = ("from_number", "to_number") if kind == "phone" else ("from", "to")
    return {"type": kind, "params": {from_name: from_, to_name: to}}


def operation(happening: object) -> tuple[str, Params] | None:
    """The event type and what is said beside the call; None for what is no operation on a call."""
    known = _OPERATIONS.get(type(happening))
    return (known[0], known[1](happening)) if known is not None else None


def _play(happening: PlayStateChanged) -> Params:
    return {"control_id": happening.control_id, "state": happening.state}


def _record(happening: RecordStateChanged) -> Params:
    """One that failed ends as one without sound: the SDKs wait for `finished` or `no_input` only."""
    state = "no_input" if happening.state == "error" else happening.state
    params: Params = {"control_id": happening.control_id, "state": state}
    if happening.url:
        params["url"] = happening.url
    if state in OVER:
        params |= {"duration": seconds(happening.duration), "size": happening.size}
    return params | {"record": {"audio": _audio(happening.recording)}}


def _audio(wanted: Recording) -> Params:
    return {
        "beep": wanted.beep,
        "format": wanted.format,
        "stereo": wanted.stereo,
        "direction": wanted.direction,
        "initial_timeout": seconds(wanted.initial_timeout),
        "end_silence_timeout": seconds(wanted.end_silence_timeout),
        "terminators": wanted.terminators,
        "input_sensitivity": seconds(wanted.input_sensitivity),
    }


def _collect(happening: CollectStateChanged) -> Params:
    """v3 ends on whatever has not `final` false, v4 on whatever has not `state` collecting: both always say.

    Only a start of input is neither final nor partial: whoever says so calls no listener of a start.
    A collect that is stopped, or whose call ends, ends as one without input.
    """
    kind = "no_input" if happening.type == "finished" else happening.type
    result: Params = {"type": kind}
    if happening.params and kind == happening.type:
        result["params"] = happening.params
    goes_on = happening.goes_on or not happening.final
    final = {} if kind == "start_of_input" else {"final": happening.final}
    return {
        "control_id": happening.control_id,
        "result": result,
        **final,
        "state": "collecting" if goes_on else "finished",
    }


def _tap(happening: TapStateChanged) -> Params:
    return {
        "control_id": happening.control_id,
        "state": happening.state,
        **tap_params(happening.target),
    }


_OPERATIONS: dict[type, tuple[str, Callable[[Any], Params]]] = {
    PlayStateChanged: ("calling.call.play", _play),
    RecordStateChanged: ("calling.call.record", _record),
    CollectStateChanged: ("calling.call.collect", _collect),
    DetectStateChanged: ("calling.call.detect", detect_params),
    TapStateChanged: ("calling.call.tap", _tap),
    SendDigitsStateChanged: ("calling.call.send_digits", send_digits_params),
    ReferStateChanged: ("calling.call.refer", refer_params),
    HoldStateChanged: ("calling.call.hold", hold_params),
}

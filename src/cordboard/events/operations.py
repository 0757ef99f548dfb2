"""What the events of a client's operations say: collect, detect, keys, refer, hold, dial (RELAY 9)."""

from __future__ import annotations

from typing import Any

from cordboard.call.effects import (
    CollectStateChanged,
    DetectStateChanged,
    DialStateChanged,
    HoldStateChanged,
    ReferStateChanged,
    SendDigitsStateChanged,
)
from cordboard.call.info import CallInfo
from cordboard.call.reasons import callback_word

Body = dict[str, Any]


def collect_params(happening: CollectStateChanged) -> Body:
    """The members after those that name the call; `final` and `state` only of what is not the last."""
    params: Body = {"control_id": happening.control_id, "result": {"type": happening.type}}
    if happening.params:
        params["result"]["params"] = happening.params
    if happening.goes_on or not happening.final:
        params["final"] = happening.final
        params["state"] = "collecting"
    return params


def detect_params(happening: DetectStateChanged) -> Body:
    """The members after those that name the call."""
    heard: Body = {"event": happening.event}
    if happening.beep:
        heard["beep"] = True
    return {"control_id": happening.control_id, "detect": {"type": happening.kind, "params": heard}}


def send_digits_params(happening: SendDigitsStateChanged) -> Body:
    """The members after those that name the call."""
    return {"control_id": happening.control_id, "state": happening.state}


def refer_params(happening: ReferStateChanged) -> Body:
    """The members after those that name the call; status codes as texts, where there are any; a failure with
    its reason and sentence."""
    params: Body = {"sip_refer_to": happening.to, "state": happening.state}
    if happening.refer_code is not None:
        params["sip_refer_response_code"] = str(happening.refer_code)
    if happening.notify_code is not None:
        params["sip_notify_response_code"] = str(happening.notify_code)
    if happening.ending is not None:
        params["failed_reason"] = callback_word(happening.ending)
        params["message"] = happening.ending.sentence
    return params


def hold_params(happening: HoldStateChanged) -> Body:
    """The members after those that name the call."""
    return {"state": happening.state}


def dial_params(happening: DialStateChanged, info: CallInfo) -> Body:
    """All members: a dial is no call, so none names one but that of the winner."""
    params: Body = {"node_id": info.node_id}
    if info.tag is not None:
        params["tag"] = info.tag
    params["dial_state"] = happening.state
    if happening.call_id is not None:
        params["call"] = {"call_id": happening.call_id, "node_id": info.node_id}
    if happening.ending is not None and happening.state == "failed":
        params |= {"reason": happening.ending.reason.value, "source": "outbound"}
    return params
